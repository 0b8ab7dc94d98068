"""Commands of the package: the embedded server, the demo, the settings in force."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from loglane.cli.application import AsJson, app, examples, new_table

SettingsFile = Annotated[
    Path | None, typer.Option("--config", help="Settings file. [default: as `configure` does]")
]


@app.command(epilog=examples("loglane serve", "loglane serve --port 3200 --db lines.sqlite"))
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3100,
    db: Annotated[
        Path | None, typer.Option(help="SQLite file to keep lines in. [default: memory]")
    ] = None,
) -> None:
    """Run the embedded server, for development and tests.

    It speaks Loki's HTTP API over SQLite: push, LogQL, tail, and what Grafana asks. What it does
    not know it refuses. There is no authentication. Never for production.
    """
    from loglane.devserver import serve as run_server

    run_server(host=host, port=port, db=None if db is None else str(db))


@app.command(epilog=examples("loglane demo", "loglane demo --loki http://127.0.0.1:3100"))
def demo(
    lines: Annotated[bool, typer.Option("--lines", help="Also print every line shipped.")] = False,
    loki: Annotated[
        str | None, typer.Option(help="URL of a running Loki. [default: an embedded server]")
    ] = None,
) -> None:
    """Run an example app and ask for every line it logged."""
    from loglane.demo import run_demo

    run_demo(show_lines=lines, loki=loki)


@app.command(epilog=examples("loglane config", "loglane config --config app.yaml --json"))
def config(file: SettingsFile = None, as_json: AsJson = False) -> None:
    """Show the package's settings in force and where each comes from."""
    from loglane.settings import load_settings, report

    loaded = load_settings({}, config_file=file)
    if as_json:
        print(json.dumps(report.facts(loaded)))
        return
    table = new_table("setting", "value", "from")
    for row in report.rows(loaded):
        cells = map(escape, (row.name, row.value, row.origin))
        table.add_row(*cells, style=None if row.given else "dim")
    print(*report.summary(loaded), "", sep="\n", flush=True)
    # A pipe gets one line for each setting, however long.
    Console(highlight=False, width=None if sys.stdout.isatty() else 1000).print(table)
