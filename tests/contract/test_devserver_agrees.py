"""The embedded server answers the corpus as Loki does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from loglane.devserver import running
from loglane.devserver.api.params import MAX_LIMIT
from loglane.devserver.engine.query import MAX_SERIES
from tests.contract.logql.client import (
    RECORDED,
    Case,
    ask,
    comparable,
    load_corpus,
    push_dataset,
    wanted,
)
from tests.contract.logql.dataset import base_time_ns

_LOKI_CONFIG = Path(__file__).resolve().parent.parent.parent / "stack/rendered/loki/loki.yaml"
_CASES = load_corpus()
_NAMES = [case["name"] for case in _CASES]


@pytest.fixture(scope="module")
def base_ns() -> int:
    return base_time_ns()


@pytest.fixture(scope="module")
def embedded(base_ns: int) -> Iterator[str]:
    with running() as url:
        push_dataset(url, "corpus", base_ns)
        yield url


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    return json.loads(RECORDED.read_text(encoding="utf-8"))


def test_recorded_answers_cover_the_corpus(recorded: dict[str, Any]) -> None:
    """Every query of the corpus has a recorded answer of Loki 3.7.6, and no other has."""
    assert recorded["version"] == "3.7.6"
    assert list(recorded["answers"]) == _NAMES


def test_limits_are_those_of_the_stack() -> None:
    """What a query may return in production, it may here, and no more."""
    limits = yaml.safe_load(_LOKI_CONFIG.read_text(encoding="utf-8"))["limits_config"]
    wanted = {"max_query_series": MAX_SERIES, "max_entries_limit_per_query": MAX_LIMIT}
    assert wanted == {name: limits[name] for name in wanted}


@pytest.mark.parametrize("case", _CASES, ids=_NAMES)
def test_devserver_agrees_with_recorded_loki(
    embedded: str, base_ns: int, recorded: dict[str, Any], case: Case
) -> None:
    """The embedded server gives the answer that Loki gave when it was recorded."""
    expected = wanted(recorded["answers"][case["name"]], case)
    assert expected == comparable(ask(embedded, "corpus", base_ns, case))
