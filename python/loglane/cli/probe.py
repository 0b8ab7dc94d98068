"""The command that measures the chain: lines in, lines found."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from loglane.cli.application import (
    DEFAULT_SPEC,
    AsJson,
    Env,
    SpecFile,
    app,
    examples,
    new_table,
    print_table,
    project_of,
)
from loglane.errors import CheckFailed


@app.command(
    epilog=examples(
        "loglane probe",
        "loglane probe --lines 100000 --rate 5000",
        "loglane probe --env prod --json",
    )
)
def probe(
    env: Env = "dev",
    spec: SpecFile = DEFAULT_SPEC,
    lines: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many.")] = 10_000,
    rate: Annotated[int, typer.Option(min=1, max=1_000_000, help="Lines a second.")] = 1000,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds to wait for the last line, after the writing.")
    ] = 120,
    as_json: AsJson = False,
) -> None:
    """Send numbered lines through the stack and count them.

    A container writes them, the collector reads them, Loki is asked for them. It exits with 1 when
    one is lost.
    """
    from loglane.stack import engine, loadprobe
    from loglane.stack.probeapp import Load
    from loglane.stack.reporting import Reporter

    stack = project_of(env, spec, None).spec
    client = engine.connect()
    with Reporter().counting("lines found", lines) as count:
        outcome = loadprobe.run_probe(client, stack, Load(lines, rate, timeout), count)
    if as_json:
        print(json.dumps({"env": env, "collector": stack.collector, **outcome.as_dict()}))
    else:
        _show(outcome.as_dict())
    if outcome.lost:
        raise CheckFailed(
            f"{outcome.lost} of {outcome.written} lines did not reach Loki; "
            f"`loglane doctor --env {env}` looks for the reason"
        )


def _show(facts: dict[str, Any]) -> None:
    table = new_table("lines", "", "latency", "seconds")
    table.columns[1].justify = table.columns[3].justify = "right"
    taken = facts["latency"] or {}
    names = (("p50", "half within"), ("p95", "95 % within"), ("p99", "99 % within"), ("max", "all"))
    counts = ("written", "found", "lost", "doubled")
    for count, (name, title) in zip(counts, names, strict=True):
        table.add_row(count, f"{facts[count]:,}", title, f"{taken[name]:.2f}" if taken else "-")
    print_table(table)
    print(f"\n{facts['rate']:,.0f} lines a second. The latency is the time from Docker's timestamp")
    print(f"of a line to the query that has it, known to {taken.get('resolution', 0):.2f} s.")
    print(f"The collector found the container after {facts['found_after_s']:.1f} s.")
