"""LogQL: text to tokens (`lexer`), to syntax tree (`grammar.lark`, `parser`, `nodes`)."""

from __future__ import annotations

from loglane.devserver.logql.parser import longest_range, parse, parse_matchers

__all__ = ["longest_range", "parse", "parse_matchers"]
