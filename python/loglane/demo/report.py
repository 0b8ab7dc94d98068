"""What the demo prints: each query, and the answer to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from loglane.audit import AuditEvent
from loglane.query import Entry, LokiClient

LEVEL_STYLES = {
    "debug": "dim",
    "info": "blue",
    "warning": "yellow",
    "error": "red",
    "critical": "bold magenta",
}
_STATUS_STYLES = {"success": "green", "failure": "red"}
# Records that are shown.
_RECORDS = 8


class Report:
    """Prints to stdout; in colour on a terminal."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def title(self, text: str) -> None:
        """Print one step."""
        self._console.print(f"[bold green]>[/] {escape(text)}")

    def statuses(self, statuses: dict[int, int]) -> None:
        """Print how many answers had which status."""
        parts = (f"{count} x {status}" for status, count in sorted(statuses.items()))
        self.title(f"{sum(statuses.values())} HTTP requests sent, answers: {', '.join(parts)}")

    def lines(self, texts: Iterable[str]) -> None:
        """Print lines as they were written."""
        for text in texts:
            self._console.print(escape(text))

    def queries(self, client: LokiClient, window: tuple[int, int], trace_id: str) -> None:
        """Ask the questions that people ask, and print the answers."""
        start_ns, end_ns = window
        seconds = (end_ns - start_ns) // 10**9 + 1
        by_level = f'sum by (service, level) (count_over_time({{service=~".+"}}[{seconds}s]))'
        self._question("How many lines, by service and level?", by_level)
        for sample in client.query(by_level, at_ns=end_ns):
            level = sample.labels.get("level", "none")
            shown = f"{sample.labels.get('service', ''):8} {level:9} {sample.value:5.0f}"
            self._console.print(Text(f"  {shown}", style=LEVEL_STYLES.get(level, "")))
        access = '{service="shop", log_category="access"} | json'
        audit = '{service="shop", log_category="audit"} | json'
        for question, query in (
            ("What went wrong?", '{service="shop", level=~"error|critical"}'),
            (
                "What happened in the request that crashed, from its trace id?",
                f'{{service="shop"}} | trace_id="{trace_id}"',
            ),
            ("Which requests were refused?", f"{access} | status >= 400 | status < 500"),
            ("Which requests took longer than 0.2 s?", f"{access} | duration_ms > 200"),
            (
                "What became of order 2 (its audit records, as lines)?",
                f'{audit} | resource="order:2"',
            ),
        ):
            self._question(question, query)
            for entry in client.query_range(query, start_ns, end_ns, direction="forward"):
                self._entry(entry)

    def records(self, records: Sequence[AuditEvent]) -> None:
        """Print the newest audit records, as the database has them."""
        self._question(
            "Who changed what (the audit trail, in the shop's database)?",
            "SELECT occurred_at, status, action, resource, actor, error FROM audit_records",
        )
        for record in records[:_RECORDS]:
            text = Text("  ")
            text.append(f"{record.occurred_at:%H:%M:%S.%f}"[:12] + " ", style="dim")
            text.append(f"{record.status:8} ", style=_STATUS_STYLES[record.status])
            text.append(record.action)
            for name, value in (
                ("resource", record.resource),
                ("actor", record.actor),
                ("error", record.error),
            ):
                if value is not None:
                    text.append(f" {name}=", style="dim")
                    text.append(value)
            self._console.print(text)
        if len(records) > _RECORDS:
            self._console.print(f"  [dim]and {len(records) - _RECORDS} more[/]")

    def verdict(self, written: int, missing: int, doubled: int, records: int, untold: int) -> None:
        """Print the count of lines written, missing and found too often, and of records."""
        good = not (missing or doubled or untold)
        style = "bold green" if good else "bold red"
        self._console.print()
        self._console.print(
            f"[{style}]{written} lines written by the app, {written - missing} found again, "
            f"{missing} missing, {doubled} doubled[/]"
        )
        self._console.print(
            f"[{style}]{records} audit records in the database, {records - untold} of them found "
            "as lines by their event_id[/]"
        )
        if good:
            self._console.print(
                "Next: `make test`; with Docker, `make up` starts the real Loki and Grafana."
            )

    def _question(self, question: str, query: str) -> None:
        self._console.print(f"\n[bold]{escape(question)}[/]")
        self._console.print(f"  [dim]{escape(query)}[/]")

    def _entry(self, entry: Entry) -> None:
        fields = entry.fields()
        level = entry.labels.get("level", "")
        text = Text("  ")
        text.append(str(fields.get("timestamp", ""))[11:23] + " ", style="dim")
        text.append(f"{level:8} ", style=LEVEL_STYLES.get(level, ""))
        text.append(str(fields.get("message", entry.line)))
        for name in (
            "method",
            "path",
            "status",
            "duration_ms",
            "user_id",
            "order_id",
            "product",
            "total",
            "resource",
            "error",
        ):
            if fields.get(name) is not None:
                text.append(f" {name}=", style="dim")
                text.append(str(fields[name]))
        self._console.print(text)
        exception = str(fields.get("exception", ""))
        for line in exception.splitlines()[-3:]:
            self._console.print(Text(f"           {line}", style="red"))
