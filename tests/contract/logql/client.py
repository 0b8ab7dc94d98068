"""Asking a Loki, real or embedded, the queries of the corpus."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.contract.logql.dataset import MINUTE, SECOND, push_body

CORPUS = Path(__file__).with_name("corpus.yaml")
RECORDED = Path(__file__).with_name("loki-3.7.6.json")

Case = dict[str, Any]

# A long line of the data set is recorded by its name, to keep the recorded file readable.
_LINE_NAMES = {
    value[1]: f"{stream['stream']['app']}-{stream['stream'].get('level', '')}-{number}"
    for stream in push_body(0)["streams"]
    for number, value in enumerate(stream["values"])
    if len(value[1]) > 60
}


def load_corpus() -> list[Case]:
    """Read the corpus; a case has a `name`, a `query` and what differs from the defaults."""
    loaded = yaml.safe_load(CORPUS.read_text(encoding="utf-8"))
    return [{**loaded["defaults"], **case} for case in loaded["cases"]]


def load_defaults() -> Case:
    """Read what a case has when it says nothing else."""
    defaults: Case = yaml.safe_load(CORPUS.read_text(encoding="utf-8"))["defaults"]
    return defaults


def push_dataset(url: str, tenant: str, base_ns: int) -> None:
    """Push the data set once."""
    response = httpx2.post(
        f"{url}/loki/api/v1/push",
        json=push_body(base_ns),
        headers={"X-Scope-OrgID": tenant},
        timeout=30,
    )
    assert response.status_code == 204, response.text


def ask(url: str, tenant: str, base_ns: int, case: Case) -> dict[str, Any]:
    """Ask one query; return the normalised answer, with the text of a refusal if it counts."""
    headers = {"X-Scope-OrgID": tenant}
    if case["categorise"]:
        headers["X-Loki-Response-Encoding-Flags"] = "categorize-labels"
    if case["type"] == "instant":
        path = "query"
        params = {"query": case["query"], "time": base_ns + int(case["at"] * MINUTE)}
    else:
        path = "query_range"
        params = {
            "query": case["query"],
            "start": base_ns + int(case["from"] * MINUTE),
            "end": base_ns + int(case["to"] * MINUTE),
            "limit": case["limit"],
            "direction": case["direction"],
            "step": case["step"],
        }
    response = httpx2.post(f"{url}/loki/api/v1/{path}", data=params, headers=headers, timeout=60)
    if response.status_code != 200:
        refusal: dict[str, Any] = {"status": response.status_code}
        return {**refusal, "text": response.text.strip()} if case["text"] else refusal
    answer = _normalise(response.json()["data"], base_ns, is_ordered=case.get("ordered", False))
    return {"status": 200, **answer}


def wanted(answer_of_loki: dict[str, Any], case: Case) -> dict[str, Any]:
    """Return what the embedded server must answer, in the form of `comparable`."""
    if case["refused"]:
        # Valid LogQL that the embedded server does not know: it must say so and answer nothing.
        return {"status": 4}
    return comparable(answer_of_loki)


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what must be equal in two answers to a case.

    A refusal is compared by the class of its status. Loki adds floats in the order of a hash map,
    so only twelve digits of a value are stable.
    """
    if answer["status"] != 200:
        return {**answer, "status": answer["status"] // 100}
    if answer["type"] == "scalar":
        return {**answer, "result": _significant(answer["result"])}
    if answer["type"] == "streams":
        return answer
    rounded = [
        {**series, "values": [[ts, _significant(value)] for ts, value in series["values"]]}
        for series in answer["result"]
    ]
    return {**answer, "result": rounded}


def _significant(text: str) -> str:
    value = float(text)
    return f"{value:.12g}" if math.isfinite(value) else text


def _normalise(data: dict[str, Any], base_ns: int, *, is_ordered: bool) -> dict[str, Any]:
    kind = data["resultType"]
    result = data["result"]
    if kind == "streams":
        shown = [
            {
                "stream": stream["stream"],
                "values": [
                    [int(ts) - base_ns, _LINE_NAMES.get(line, line), *rest]
                    for ts, line, *rest in stream["values"]
                ],
            }
            for stream in result
        ]
    elif kind == "scalar":
        # Loki 3.7.6 answers a literal with a meaningless timestamp.
        return {"type": kind, "result": result[1]}
    else:
        shown = [
            {
                "metric": series["metric"],
                "values": [
                    [round(ts - base_ns / SECOND, 3), value]
                    for ts, value in series.get("values", [series.get("value")])
                ],
            }
            for series in result
        ]
    if is_ordered:
        return {"type": kind, "result": shown}
    shown.sort(key=lambda item: sorted((item.get("stream") or item.get("metric") or {}).items()))
    return {"type": kind, "result": shown}
