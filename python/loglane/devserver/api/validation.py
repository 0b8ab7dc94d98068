"""Which entries of a push are accepted, with Loki's limits at their defaults.

Sources: loki: pkg/validation/limits.go and validate.go, pkg/distributor/validator.go,
pkg/ingester/stream.go. Rate limits are not applied: they depend on time, not on the entries.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache

from loglane.devserver.api.decode import PushedStream
from loglane.devserver.logql.units import quote
from loglane.devserver.refusal import Refused
from loglane.devserver.store import Behind, NewEntry, Store
from loglane.fields import LABEL_NAME

MAX_LINE_BYTES = 256 << 10
MAX_LABELS = 15
MAX_LABEL_NAME_BYTES = 1024
MAX_LABEL_VALUE_BYTES = 2048
MAX_METADATA_BYTES = 64 << 10
MAX_METADATA_COUNT = 128
MAX_AGE_NS = 7 * 86_400 * 10**9
MAX_FUTURE_NS = 600 * 10**9
# Half of `ingester.max_chunk_age`: how far behind the newest entry of its stream one may be.
MAX_BEHIND_NS = 3600 * 10**9
_MAX_REPORTED = 10

# loki: limits_config.discover_service_name
_SERVICE_NAME_SOURCES = (
    "service", "app", "application", "app_name", "name", "app_kubernetes_io_name", "container",
    "container_name", "k8s_container_name", "component", "workload", "job", "k8s_job_name",
)  # fmt: skip
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9]+")


def store_push(store: Store, tenant: str, streams: Sequence[PushedStream]) -> None:
    """Store the valid entries of a push.

    Raises:
        Refused: Some entries are not valid (400, the others have been stored), or there is no
            stream at all (422).
    """
    if not streams:
        raise Refused("error at least one valid stream is required for ingestion", status=422)
    named = [(stream_labels(labels), entries) for labels, entries in streams]
    errors: Counter[str] = Counter()
    now_ns = time.time_ns()
    accepted: list[PushedStream] = []
    for labels, entries in named:
        if not entries:
            continue
        problem = _labels_problem(labels)
        if problem:
            errors[problem] += 1
            continue
        kept = _accept(labels, entries, now_ns, errors)
        if kept:
            accepted.append((labels, kept))
    behind = store.add(tenant, accepted, MAX_BEHIND_NS)
    if behind:
        raise Refused(_describe_behind(tenant, behind[-1]))
    if errors:
        raise Refused(_describe(errors))


def stream_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Make the labels under which Loki stores a stream: no empty values, and `service_name`.

    Raises:
        Refused: A name is not a label name; Loki refuses the whole push then.
    """
    for name in labels:
        if not LABEL_NAME.match(name):
            raise Refused(
                f"couldn't parse labels: parse error: {quote(name)} is not a valid label name"
            )
    kept = {name: labels[name] for name in sorted(labels) if labels[name]}
    if "service_name" not in kept:
        found = (kept[name] for name in _SERVICE_NAME_SOURCES if name in kept)
        kept["service_name"] = next(found, "unknown_service")
    return dict(sorted(kept.items()))


def labels_text(labels: Mapping[str, str]) -> str:
    """Write labels as Prometheus does, `{app="x", env="y"}`."""
    return "{" + ", ".join(f"{name}={quote(value)}" for name, value in labels.items()) + "}"


def _labels_problem(labels: Mapping[str, str]) -> str | None:
    shown = labels_text(labels)
    # Loki does not count `service_name`, which it may have added itself.
    number = len(labels) - 1
    if number > MAX_LABELS:
        return f"entry for stream '{shown}' has {number} label names; limit {MAX_LABELS}"
    for name, value in labels.items():
        if len(name) > MAX_LABEL_NAME_BYTES:
            return f"stream '{shown}' has label name too long: '{name}'"
        if len(value.encode()) > MAX_LABEL_VALUE_BYTES:
            return f"stream '{shown}' has label value too long: '{value}'"
    return None


def _accept(
    labels: Mapping[str, str], entries: Sequence[NewEntry], now_ns: int, errors: Counter[str]
) -> list[NewEntry]:
    oldest, newest = now_ns - MAX_AGE_NS, now_ns + MAX_FUTURE_NS
    kept = []
    for entry in entries:
        ts, line, metadata = entry
        if ts < oldest:
            errors[
                f"entry for stream '{labels_text(labels)}' has timestamp too old: {_rfc3339(ts)}, "
                f"oldest acceptable timestamp is: {_rfc3339(oldest)}"
            ] += 1
        elif ts > newest:
            errors[
                f"entry for stream '{labels_text(labels)}' has timestamp too new: {_rfc3339(ts)}"
            ] += 1
        elif len(line) > MAX_LINE_BYTES:
            errors[
                f"max entry size '{MAX_LINE_BYTES}' bytes exceeded for stream "
                f"'{labels_text(labels)}' while adding an entry with length '{len(line)}' bytes"
            ] += 1
        elif metadata:
            problem = _metadata_problem(labels, metadata)
            if problem:
                errors[problem] += 1
            else:
                kept.append(NewEntry(ts, line, clean_metadata(metadata)))
        else:
            kept.append(entry)
    return kept


def _metadata_problem(labels: Mapping[str, str], metadata: Mapping[str, str]) -> str | None:
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        return (
            f"stream '{labels_text(labels)}' has structured metadata too large: '{size}' bytes, "
            f"limit: '{MAX_METADATA_BYTES}' bytes. Please see "
            "`limits_config.max_structured_metadata_size` or contact your Loki administrator to "
            "increase it"
        )
    if len(metadata) > MAX_METADATA_COUNT:
        return (
            f"stream '{labels_text(labels)}' has too many structured metadata labels: "
            f"'{len(metadata)}', limit: '{MAX_METADATA_COUNT}'. Please see "
            "`limits_config.max_structured_metadata_entries_count` or contact your Loki "
            "administrator to increase it"
        )
    return None


def clean_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Make the structured metadata that Loki stores: label names, and no empty values.

    Raises:
        Refused: A name is empty or has nothing but characters that no label name has.
    """
    kept: dict[str, str] = {}
    renamed: dict[str, str] = {}
    for name, value in metadata.items():
        cleaned = metadata_name(name)
        (kept if cleaned == name else renamed)[cleaned] = value.replace("\ufffd", " ")
    # Where two names become the same, Loki keeps the value of the one that it renamed.
    return {name: value for name, value in {**kept, **renamed}.items() if value}


@lru_cache(maxsize=1024)
def metadata_name(name: str) -> str:
    """Turn a name into a label name as the OTLP translator of Prometheus does.

    `http.method` becomes `http_method`, several underscores become one, `__x__` keeps its own.

    Raises:
        Refused: Nothing is left of it. Loki answers 500, and has stored nothing of the push.
    """
    if not name:
        raise Refused("label name is empty", status=500)
    reserved = len(name) >= 4 and name.startswith("__") and name.endswith("__")
    cleaned = _NOT_IN_NAME.sub("_", name[2:-2] if reserved else name)
    if reserved:
        cleaned = f"__{cleaned}__"
    if cleaned[:1].isdigit():
        cleaned = f"key_{cleaned}"
    if not cleaned.strip("_"):
        raise Refused(
            f"normalization for label name {quote(name)} resulted in invalid name {quote(cleaned)}",
            status=500,
        )
    return cleaned


def _describe(errors: Counter[str]) -> str:
    if list(errors.values()) == [1]:
        return next(iter(errors))
    return "; ".join(f"{number} errors like: {text}" for text, number in errors.items())


def _describe_behind(tenant: str, behind: Behind) -> str:
    lines = "".join(
        f"entry with timestamp {_go_time(ts)} ignored, reason: 'entry too far behind, entry "
        f"timestamp is: {_rfc3339(ts)}, oldest acceptable timestamp is: {_rfc3339(oldest)}',\n"
        for ts, oldest in behind.entries[:_MAX_REPORTED]
    )
    return (
        f"{lines}user '{tenant}', total ignored: {len(behind.entries)} out of {behind.total} "
        f"for stream: {labels_text(behind.labels)}"
    )


def _rfc3339(ts_ns: int) -> str:
    return _moment(ts_ns).replace(tzinfo=None).isoformat() + "Z"


def _go_time(ts_ns: int) -> str:
    fraction = f"{ts_ns % 10**9:09d}".rstrip("0")
    shown = _moment(ts_ns).replace(tzinfo=None).isoformat(" ")
    return f"{shown}{'.' + fraction if fraction else ''} +0000 UTC"


def _moment(ts_ns: int) -> datetime:
    return datetime.fromtimestamp(ts_ns // 10**9, tz=timezone.utc)
