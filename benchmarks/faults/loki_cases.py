"""Loki is away, refuses, or is slow."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.faults.bench import Bench, Outcome, Run
from benchmarks.faults.counting import told
from benchmarks.faults.proxy import Rule, always, every_second, every_second_fails, running_proxy
from benchmarks.shipping.lines import level_of

# It happens when this share of the lines is written.
AFTER = 0.2
# So often that some pushes fall into a short absence.
_OFTEN = {"batch": {"max_wait_s": 0.05}}
# Smaller than the default, so that many requests are refused.
_MANY_BATCHES = {"batch": {"max_bytes": 128 * 1024}}


def calm(bench: Bench) -> Outcome:
    """Let nothing happen."""
    app = bench.start()
    app.wait()
    return bench.outcome({"app": app.returned}, bench.said("app"))


def stopped(bench: Bench) -> Outcome:
    """Stop Loki for a while."""

    def disturb() -> None:
        bench.loki.stop()
        time.sleep(bench.scale.away_s)
        bench.loki.start()

    return _with_loki(bench, disturb)


def killed(bench: Bench) -> Outcome:
    """Kill Loki and start it again."""

    def disturb() -> None:
        bench.loki.kill()
        bench.loki.start()

    return _with_loki(bench, disturb)


def _with_loki(bench: Bench, disturb: Callable[[], None]) -> Outcome:
    app = bench.start(loki=_OFTEN)
    app.wait_for(AFTER)
    disturb()
    app.wait()
    tries = bench.report("app")["stats"].get("retries", 1)
    problems = [] if tries else ["the sink did not notice that Loki was away"]
    return bench.outcome({"app": app.returned}, bench.said("app"), problems)


def refused(rule: Rule, status: int) -> Run:
    """Return a case in which a proxy answers every second request so."""

    def run(bench: Bench) -> Outcome:
        with running_proxy(bench.loki.url, rule) as proxy:
            app = bench.start(loki={"url": proxy.url, **_MANY_BATCHES})
            app.wait()
        times = proxy.answers.get(status, 0)
        problems = [] if times else [f"no request was answered with {status}"]
        note = f"{times} requests were answered with {status}"
        written = {"app": app.returned}
        return bench.outcome(written, bench.said("app"), problems, note=note)

    return run


limited = refused(every_second(429), 429)
told_to_wait = refused(every_second(429, {"Retry-After": "1"}), 429)
failing = refused(every_second_fails, 500)


def overflow(bench: Bench) -> Outcome:
    """Keep Loki away until the queue has overflowed; then the sink says what it dropped."""
    lines = bench.scale.lines
    bench.loki.stop()
    app = bench.start(loki={"queue": {"max_items": lines // 5}})
    app.wait_for(1.0)
    bench.loki.start()
    app.wait()
    said = bench.said("app")
    return bench.outcome({"app": app.returned}, said, _wrong_drops(bench, lines, said))


def _wrong_drops(bench: Bench, lines: int, said: int) -> list[str]:
    """Tell whether something more important went first, and whether the log itself says it."""
    stored = bench.stored()
    problems = [] if said else ["nothing was dropped"]
    kept = {entry.seq for entry in stored}
    lost_levels = {level_of(number) for number in range(lines) if number not in kept}
    if lost_levels & {"warning", "error", "critical"}:
        problems.append(f"lines of levels {', '.join(sorted(lost_levels))} were dropped")
    if told(stored) != said:
        problems.append(f"lines in Loki tell of {told(stored)} lost ones")
    return problems


def slow(bench: Bench) -> Outcome:
    """Let every request take long; the app's calls must not."""
    fast = bench.start("fast", lines=bench.scale.lines // 10)
    fast.wait()
    with running_proxy(bench.loki.url, always(bench.scale.delay_s)) as proxy:
        # The last request may have begun just before the end.
        drain = {"drain_s": 4 * bench.scale.delay_s, "read_s": 4 * bench.scale.delay_s}
        app = bench.start("slow", loki={"url": proxy.url, "timeouts": drain})
        app.wait()
    note = "; ".join(f"{name}: {_times(bench.report(name)['micros'])}" for name in ("fast", "slow"))
    written = {"fast": fast.returned, "slow": app.returned}
    return bench.outcome(written, bench.said("fast", "slow"), note=f"a call in us, {note}")


def _times(micros: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:,.0f}" for name, value in micros.items())
