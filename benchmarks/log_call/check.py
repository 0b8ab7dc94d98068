"""Whether a peer's lines say what they must: a peer that says less is quick for nothing."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from benchmarks.log_call import cases
from benchmarks.log_call.cases import Case

# The floor's timestamp is as old as its process; anything near is a real one.
NEAR = timedelta(minutes=5)


def problems(case: Case, lines: list[bytes]) -> list[str]:
    """Compare the lines that one call of a case wrote (one call in each thread) with the case.

    Two freedoms are left to a library: `event` for `message`, and a level in upper case. Formats of
    time and of the mask are free too.

    Returns:
        What is wrong, in words; nothing when the lines say the same as everyone's.
    """
    expected = 0 if case.says is None else case.threads
    if len(lines) != expected:
        return [f"{len(lines)} lines instead of {expected}"]
    found = (_problems_of_line(case, line) for line in lines)
    return [problem for several in found for problem in several]


def _problems_of_line(case: Case, line: bytes) -> list[str]:
    leaks = [secret for secret in (cases.LOCAL_SECRET, *cases.SECRETS) if secret.encode() in line]
    try:
        record = json.loads(line)
    except ValueError:
        return [f"not one JSON object: {line[:200]!r}"]
    found = [f"shows {secret}" for secret in leaks]
    found += _problems_of_time(record.pop("timestamp", None))
    if case.loop == "exception":
        found += _problems_of_traceback(str(record.pop("exception", "")))
    said, expected = _normal(record), _expected(case)
    for name in sorted({*said, *expected}):
        if said.get(name) != expected.get(name):
            found.append(f"{name} is {said.get(name)!r} instead of {expected.get(name)!r}")
    return found


def _expected(case: Case) -> dict[str, Any]:
    own = {
        "level": case.level,
        "message": case.message,
        "logger": cases.LOGGER,
        "service": cases.SERVICE,
        "env": cases.ENV,
        "trace_id": cases.TRACE_ID,
    }
    expected: dict[str, Any] = _without_secrets(own | (case.says or {}))
    return expected


def _normal(record: dict[str, Any]) -> dict[str, Any]:
    renamed = {"message" if name == "event" else name: value for name, value in record.items()}
    normal: dict[str, Any] = _without_secrets(renamed)
    return normal | {"level": str(renamed.get("level")).lower()}


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "masked" if key in cases.SECRET_KEYS else _without_secrets(item)
            for key, item in value.items()
        }
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value


def _problems_of_time(text: Any) -> list[str]:
    try:
        # Python 3.10 does not read the Z of UTC.
        at = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        near = abs(datetime.now(timezone.utc) - at) < NEAR
    except (TypeError, ValueError):
        near = False
    return [] if near else [f"timestamp is {text!r}, not the time with its zone"]


def _problems_of_traceback(text: str) -> list[str]:
    lines = text.rstrip().splitlines() or [""]
    found = [] if lines[-1] == cases.LAST_LINE else [f"the traceback ends in {lines[-1]!r}"]
    frames = [line.split(", in ")[-1].lstrip("_") for line in lines if ", in " in line]
    if frames != list(cases.FRAMES):
        found.append(f"the traceback's frames are {frames}")
    return found
