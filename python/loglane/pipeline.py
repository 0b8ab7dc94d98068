"""Set everything up once, and hand out loggers."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import structlog

from loglane import bridge, lifecycle, logger
from loglane.carry import use_masker
from loglane.children import inherited, leave_for_children
from loglane.engine import Engine
from loglane.entry import LEVEL_NUMBERS
from loglane.logger import Logger
from loglane.processing import Processor

if TYPE_CHECKING:
    from loglane.settings import Settings

_lock = threading.RLock()
_structlog_before: dict[str, Any] | None = None


def configure(
    *,
    config_file: str | os.PathLike[str] | None = None,
    processors: Sequence[Processor] = (),
    on_error: Literal["raise", "defaults"] = "raise",
    **overrides: Any,
) -> Settings:
    """Lead every line that the process writes through one pipeline.

    Calling it again replaces what was configured before. Precedence: arguments, environment
    variables (`LOGGING_LEVEL`, `LOGLANE_STATIC__SERVICE`, ...), the file, defaults.

    Args:
        config_file: YAML file with a `logging:` section. Else `LOGLANE_CONFIG`, else
            `./loglane.yaml`, else `~/.config/loglane/config.yaml`.
        processors: structlog processors of your own. They run one after the other when the line
            is complete and before masking, see the message as `event`, and may raise `DropEvent`.
        on_error: `defaults` starts with defaults in place of what is wrong, and logs each problem.
        **overrides: Keys of the section, such as `mode`, `level`, `local`, `mask_fields`; also
            `service`, `env` and `version` for `static`. None means not given.

    Returns:
        The settings in force.

    Raises:
        SpecError: Something is wrong; the message names every problem with its place.
    """
    from loglane.settings import load_settings

    loaded = load_settings(overrides, config_file=config_file, on_error=on_error)
    settings = loaded.settings
    with _lock:
        before = _replace(_make_engine(settings, processors))
        given = {**overrides, "config_file": config_file, "processors": tuple(processors)}
        leave_for_children(given)
    # Not while other threads wait for the lock to log: it may have lines to deliver.
    if before is not None:
        before.close()
    for problem in loaded.problems:
        get_logger("loglane").warning("wrong setting, a default is used", problem=str(problem))
    return settings


def reset() -> None:
    """Go back to before `configure`: hooks, handlers and structlog as they were."""
    with _lock:
        before = _detach()
        leave_for_children(None)
    if before is not None:
        before.close()


def activate(engine: Engine, root_level: int | None = None) -> None:
    """Let everything go through this engine, in place of the one before.

    Args:
        engine: The engine.
        root_level: Level of stdlib's root logger; by default the lowest that the engine writes.
    """
    before = _replace(engine, root_level)
    if before is not None and before is not engine:
        before.close()


def _replace(engine: Engine, root_level: int | None = None) -> Engine | None:
    """Put an engine into force; return the one before, which is to be closed."""
    with _lock:
        before = _detach(engine)
        settings = engine.settings
        bridge.install(
            threshold=engine.threshold if root_level is None else root_level,
            loggers={name: LEVEL_NUMBERS[level] for name, level in settings.loggers.items()},
            capture_logging=settings.capture.logging,
            capture_warnings=settings.capture.warnings,
            capture_exceptions=settings.capture.exceptions,
        )
        use_masker(engine.masker)
        lifecycle.install(_start_child, bridge.leave_unraisable)
        _take_structlog()
        return before


def use_engines_of(make: Callable[[Settings, Sequence[Processor]], Engine] | None) -> None:
    """Let `configure` make its engines so, as tests do; None goes back to the usual ones."""
    global _make_engine  # noqa: PLW0603 - as everything here, there is one in the process
    _make_engine = make or _usual_engine


def _usual_engine(settings: Settings, processors: Sequence[Processor]) -> Engine:
    return Engine(settings, _is_container_mode(settings), processors)


_make_engine: Callable[[Settings, Sequence[Processor]], Engine] = _usual_engine


def _start_child() -> None:
    global _lock  # noqa: PLW0603 - another thread may have held it when the process forked
    _lock = threading.RLock()


def deactivate() -> None:
    """Close the engine in force, if there is one, and put everything back as it was."""
    before = _detach()
    if before is not None:
        before.close()


def _detach(following: Engine | None = None) -> Engine | None:
    """Put everything back as it was, with another engine in force or none; return the one before.

    Loggers go from one to the other at once, so that no thread finds none meanwhile.
    """
    with _lock:
        before = logger.active_engine()
        logger.use_engine(following)
        if before is not None and following is not None:
            before.outputs.hand_over(following.outputs)
        if before is not None:
            bridge.uninstall()
            lifecycle.uninstall()
            _give_structlog_back()
        return before


def set_level(level: str, target: Literal["console", "file", "loki"] | None = None) -> None:
    """Change a level while the process runs, for every logger there is.

    Args:
        level: Name of a level, in any case.
        target: `console` (stdout in a container), `file` or `loki`; all by default.

    Raises:
        ValueError: There is no such level or target.
    """
    name = {"warn": "warning", "fatal": "critical"}.get(level.lower(), level.lower())
    if name not in LEVEL_NUMBERS:
        raise ValueError(f"{level!r} is no level; use one of {', '.join(LEVEL_NUMBERS)}")
    if target not in (None, "console", "file", "loki"):
        raise ValueError(f"{target!r} is no target; use console, file or loki")
    with _lock:
        engine = _ensure_engine()
        for one in (target,) if target else tuple(engine.levels):
            if one in engine.levels:
                engine.levels[one] = LEVEL_NUMBERS[name]
        logger.refresh()
        bridge.set_threshold(engine.threshold)


def get_logger(name: str | None = None, **fields: Any) -> Logger:
    """Return a logger; `fields` are on each of its lines.

    Args:
        name: Dotted name, usually `__name__`. By default the caller's module.
        fields: Bound to this logger.
    """
    if name is None:
        name = str(sys._getframe(1).f_globals.get("__name__", "root"))
    return Logger(name, fields)


def get_error_stats() -> dict[str, Any]:
    """Return what flow control counted.

    Returns:
        `total_error_patterns`, `total_error_count` and `patterns`: for each its count, how many
        were suppressed, and when it was first and last seen.
    """
    return _ensure_engine().flow.stats()


def get_lost_counts() -> dict[str, int]:
    """Return how many lines were not written, by reason.

    Returns:
        Counts by the name of a sink, `failed`, `sampled.<level>`, `loki.<reason>` for lines that
        were to be pushed (see `loki_sink_stats`), and `audit.<reason>` for audit records;
        `audit.off` counts marked lines that are no records, because there is no audit trail.
    """
    engine = _ensure_engine()
    counts = engine.losses.counts()
    counts |= {f"sampled.{level}": count for level, count in engine.sampler.dropped.items()}
    return {**counts, "audit.off": engine.unrecorded} if engine.unrecorded else counts


def flush(timeout_s: float | None = None) -> bool:
    """Wait until Loki has the lines that are pushed to it, and report what flow control held back.

    For a process that may stand still after this, as a function between two requests does; at its
    end every process does so by itself. In a coroutine: `await asyncio.to_thread(loglane.flush)`.
    Records of the audit trail are no part of it.

    Args:
        timeout_s: How long to wait, lines of other threads included; by default
            `loki.timeouts.drain_s`, or less when Loki is known to be gone.

    Returns:
        Whether Loki has them all, or nothing is pushed. If not, it is said on stderr, and the lines
        go on waiting.
    """
    engine = logger.active_engine()
    return engine is None or engine.flush(timeout_s=timeout_s)


def loki_sink_stats() -> dict[str, Any]:
    """Return what became of the lines that are pushed to Loki, since `configure` or a fork.

    Returns:
        Lines `queued` and their `queued_bytes` in memory, lines `in_hand` in pushes under way (of a
        folder they count there too), `wal_lines` and `wal_bytes` on the disk, lines `sent` in
        `batches`, `retries`, lines `dropped` by reason (`queue_full.<level>`, `refused` by Loki,
        `too_large`, `too_old`, `failed`), whether Loki `is_away`, and the `last_error`. Empty when
        nothing is pushed.
    """
    loki = _ensure_engine().outputs.loki
    return {} if loki is None else loki.stats()


def _ensure_engine() -> Engine:
    with _lock:
        engine = logger.active_engine()
        if engine is None:
            configure(**{**inherited(), "on_error": "defaults"})
            engine = logger.active_engine()
        assert engine is not None  # noqa: S101 - configure has just made it
        return engine


logger.on_first_use(_ensure_engine)


def _is_container_mode(settings: Settings) -> bool:
    from loglane.container import resolve_mode

    mode, _ = resolve_mode(settings.mode, container_enabled=settings.container.enabled)
    return mode == "container"


def _take_structlog() -> None:
    """Let loggers of structlog itself write through the same pipeline."""
    global _structlog_before  # noqa: PLW0603 - structlog has one configuration, too
    _structlog_before = structlog.get_config() if structlog.is_configured() else None

    def name_of(*arguments: Any) -> str:
        return str(arguments[0]) if arguments else "structlog"

    structlog.configure(
        processors=[],
        wrapper_class=_wrap_structlog,  # type: ignore[arg-type]
        logger_factory=name_of,
        cache_logger_on_first_use=False,
    )


def _give_structlog_back() -> None:
    structlog.reset_defaults()
    if _structlog_before is not None:
        structlog.configure(**_structlog_before)


def _wrap_structlog(name: str, *, context: Any, **_unused: Any) -> Logger:
    return Logger(name, dict(context))
