"""One module a peer; each has `loop(name) -> Loop`, which also sets the library up for it.

Only its own subprocess imports a peer. `loop` is called in the context that the loop runs in, so
that what it binds (one trace id) is on its lines.
"""

NAMES = (
    "loglane_defaults",
    "structlog_fast",
    "structlog_stdlib",
    "json_logger",
    "loguru_flat",
    "floor",
)
