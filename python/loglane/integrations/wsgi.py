"""Middleware for WSGI apps (Flask, Django): ids, one access line, crashes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextvars import copy_context
from typing import Any

from loglane.integrations.access import MARKER, Access, Rules, make_rules
from loglane.trace import TRACE_HEADER

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], Any]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


class RequestLogWsgiMiddleware:
    """Binds ids, method and path for each request, and writes one access line for it.

    `app.wsgi_app = RequestLogWsgiMiddleware(app.wsgi_app)` for Flask,
    `application = RequestLogWsgiMiddleware(get_wsgi_application())` for Django. Each request has a
    context of its own, whatever thread it runs in, and streamed parts have it too. The answer
    carries both ids. An exception that the app lets out (Flask and Django let none out, unless told
    to) is logged with its traceback and raised again.
    """

    def __init__(
        self, app: App, *, exclude: Collection[str] = (), header: str = TRACE_HEADER
    ) -> None:
        """Wrap an app.

        Args:
            app: The app.
            exclude: Paths, or route templates, without an access line, such as `/health`.
            header: The header that carries the trace id, in and out.

        Raises:
            ValueError: `header` is no name of a header.
        """
        self._app = app
        self._rules = make_rules(exclude, header)
        # The development servers of Flask and Django write their own access lines.
        for name in ("werkzeug", "django.server"):
            logging.getLogger(name).addFilter(_is_no_access_line)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if MARKER in environ:
            return self._app(environ, start_response)
        environ[MARKER] = True
        return _Exchange(self._rules, environ, start_response).run(self._app)


class _Exchange:
    """One request, in a context of its own."""

    def __init__(self, rules: Rules, environ: Environ, start_response: StartResponse) -> None:
        self._access = Access(
            rules,
            lambda name: environ.get("HTTP_" + name.upper().replace("-", "_")),
            method=environ.get("REQUEST_METHOD", ""),
            path=_path(environ),
            client=environ.get("REMOTE_ADDR") or None,
        )
        self._environ = environ
        self._start_response = start_response
        self._status: int | None = None
        self._route: str | None = None
        self._sent = False
        self._context = copy_context()

    def run(self, app: App) -> Iterable[bytes]:
        self._context.run(self._access.bind)
        result: Iterable[bytes] = self.step(app, self._environ, self._start)
        wrapper = self._environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(result, wrapper):
            # The server knows a file by its type, and sends it without reading it here.
            self.finish()
            return result
        return _Body(self, result)

    def step(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a part of the app in the request's context."""
        try:
            return self._context.run(function, *args)
        except StopIteration:
            raise
        except Exception:
            if not self._sent:
                # Headers wait for the first bytes, so the server can still answer with its own.
                self._status = 500
            self._context.run(self._access.crash, self._route)
            self.finish()
            raise
        except BaseException:
            self.finish()
            raise

    def sent(self) -> None:
        self._sent = True

    def finish(self) -> None:
        self._environ.pop(MARKER, None)
        self._context.run(self._access.write, "request", self._status, self._route)

    def _start(
        self, status: str, headers: list[tuple[str, str]], *exc_info: Any
    ) -> Callable[[bytes], Any]:
        own = self._access.answer_headers()
        names = {name.lower() for name, _ in own}
        others = [pair for pair in headers if pair[0].lower() not in names]
        write = self._start_response(status, [*others, *own], *exc_info)
        self._route = _route(self._environ)
        self._status = int(status[:3]) if status[:3].isdecimal() else None
        return write


class _Body:
    """The parts of an answer, each made in the request's context."""

    def __init__(self, exchange: _Exchange, parts: Iterable[bytes]) -> None:
        self._exchange = exchange
        self._parts = parts
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        if self._iterator is None:
            self._iterator = self._exchange.step(iter, self._parts)
        try:
            part: bytes = self._exchange.step(next, self._iterator)
        except StopIteration:
            self._exchange.finish()
            raise
        if part:
            self._exchange.sent()
        return part

    def close(self) -> None:
        close = getattr(self._parts, "close", None)
        if close is not None:
            self._exchange.step(close)
        self._exchange.finish()


def _path(environ: Environ) -> str:
    # PEP 3333: text that holds the bytes of the path, one a character.
    text = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return str(text).encode("latin-1", "replace").decode("utf-8", "replace")


def _route(environ: Environ) -> str | None:
    request = environ.get("werkzeug.request")
    if request is not None:  # Flask
        rule = getattr(request, "url_rule", None)
        return None if rule is None else str(rule.rule)
    urls = sys.modules.get("django.urls")
    if urls is None:
        return None
    try:
        # Django tells nobody outside what it matched; asking again costs some microseconds.
        return f"/{urls.resolve(environ.get('PATH_INFO', '')).route}"
    except Exception:  # noqa: BLE001 - no match, or Django is here for something else
        return None


def _is_no_access_line(record: logging.LogRecord) -> bool:
    return '"%s" %s %s' not in str(record.msg)
