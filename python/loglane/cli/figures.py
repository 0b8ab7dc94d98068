"""Commands that look at Loki from above: labels and their values, lines and bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from loglane.cli.application import AsJson, app, examples, new_table, print_table
from loglane.cli.lines import as_json as json_text
from loglane.cli.lines import writing
from loglane.cli.loki import (
    DEFAULT_URL,
    Access,
    CaFile,
    CertFile,
    Contains,
    FieldValues,
    KeyFile,
    Levels,
    PasswordFile,
    Services,
    Since,
    Tenant,
    TokenFile,
    Until,
    Url,
    User,
    query_of,
    read_filters,
    span_of,
)
from loglane.cli.notes import say_nothing_found
from loglane.sinks.escapes import shown

if TYPE_CHECKING:
    from loglane.query import LogService

_KIB = 1024


@app.command(epilog=examples("loglane labels", "loglane labels service --since 7d"))
def labels(  # noqa: PLR0913 - the options of a command
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A label, to list its values.")
    ] = None,
    *,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    tenant: Tenant = None,
    user: User = None,
    password_file: PasswordFile = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    cert_file: CertFile = None,
    key_file: KeyFile = None,
) -> None:
    """List the labels in Loki, or the values of one.

    By default those of the last hour.
    """
    access = Access(url, tenant, user, password_file, token_file, ca_file, cert_file, key_file)
    start_ns, end_ns = span_of(since, until)
    with writing() as out, access.open() as service:
        if name is None:
            found = service.labels(start_time=start_ns, end_time=end_ns)
        else:
            found = service.label_values(name, start_time=start_ns, end_time=end_ns)
        if as_json:
            out.write(json_text({"label": name, "values": found} if name else {"labels": found}))
            out.write("\n")
        else:
            out.writelines(f"{shown(value)}\n" for value in found)
        if not found:
            what = "labels" if name is None else f"values of the label {name}"
            advice = "try a longer --since, as 7d"
            advice += "; `loglane labels` lists what labels there are" if name else ""
            say_nothing_found(what, start_ns, end_ns, advice)


@app.command(
    epilog=examples(
        "loglane stats --since 1d",
        "loglane stats --by env,log_category --since 7d",
        "loglane stats --service api --level error --json",
    )
)
def stats(  # noqa: PLR0913 - the options of a command
    *,
    by: Annotated[
        str, typer.Option(metavar="LABELS", help="Labels to add up by, with commas between.")
    ] = "service,level",
    service: Services = None,
    level: Levels = None,
    contains: Contains = None,
    field: FieldValues = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    tenant: Tenant = None,
    user: User = None,
    password_file: PasswordFile = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    cert_file: CertFile = None,
    key_file: KeyFile = None,
) -> None:
    """Count lines and their bytes, by service and level.

    By default those of the last hour.
    """
    names = [name.strip() for name in by.split(",") if name.strip()]
    filters = read_filters(service, level, contains, field)
    start_ns, end_ns = span_of(since, until)
    access = Access(url, tenant, user, password_file, token_file, ca_file, cert_file, key_file)
    with writing() as out, access.open() as loki:
        volumes = _volumes(loki, filters, names, start_ns, end_ns)
    total_lines = sum(volume.lines for volume in volumes)
    total_bytes = sum(volume.bytes for volume in volumes)
    if as_json:
        groups = [
            {**volume.labels, "lines": volume.lines, "bytes": volume.bytes} for volume in volumes
        ]
        facts = {"since_ns": start_ns, "until_ns": end_ns, "lines": total_lines}
        out.write(json_text({**facts, "bytes": total_bytes, "groups": groups}) + "\n")
        return
    table = new_table(*names, "lines", "bytes")
    for column in table.columns[-2:]:
        column.justify = "right"
    for volume in volumes:
        cells = [escape(shown(volume.labels[name])) or "-" for name in names]
        table.add_row(*cells, f"{volume.lines:,}", _size(volume.bytes))
    if len(volumes) != 1:
        empty = [""] * (len(names) - 1)
        table.add_row(*["all", *empty][: len(names)], f"{total_lines:,}", _size(total_bytes))
    print_table(table)


@dataclass(frozen=True, slots=True)
class Volume:
    """How many lines and bytes there are of one combination of values."""

    labels: dict[str, str]
    lines: int
    bytes: int


def _volumes(
    loki: LogService, filters: dict[str, Any], by: list[str], start_ns: int, end_ns: int
) -> list[Volume]:
    query = query_of(filters)
    span_ms = max(1, (end_ns - start_ns) // 10**6)
    sizes = {
        tuple(sorted(series.labels.items())): int(series.value)
        for series in loki.raw_instant(query.measure(span_ms, by), at=end_ns)
    }
    return [
        Volume(
            {name: series.labels.get(name, "") for name in by},
            int(series.value),
            sizes.get(tuple(sorted(series.labels.items())), 0),
        )
        for series in loki.raw_instant(query.count(span_ms, by), at=end_ns)
    ]


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < _KIB:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= _KIB
    return f"{count:,.1f} TiB"
