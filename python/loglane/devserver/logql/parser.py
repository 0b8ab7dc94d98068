"""Text of a query to its syntax tree, and the checks that Loki makes before it runs one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from lark import Lark
from lark.exceptions import UnexpectedToken, VisitError

from loglane.devserver.logql.lexer import Lexer
from loglane.devserver.logql.nodes import (
    Binary,
    LabelReplace,
    LogQuery,
    Matcher,
    Query,
    RangeAggregation,
    Scalar,
    VectorAggregation,
)
from loglane.devserver.logql.patterns import compile_matcher
from loglane.devserver.logql.position import parse_error
from loglane.devserver.logql.tree import TreeBuilder
from loglane.devserver.refusal import Refused

# loki: pkg/logql/syntax/parser.go, maxInputSize
MAX_QUERY_BYTES = 131_072

_NO_SELECTIVE_MATCHER = (
    "parse error : queries require at least one regexp or equality matcher that does not have an "
    'empty-compatible value. For instance, app=~".*" does not meet this requirement, but '
    'app=~".+" will'
)


def parse(text: str) -> Query:
    """Parse a log or metric query.

    Raises:
        Refused: It is not LogQL, selects every stream, or uses what this server does not know.
    """
    query = _parse(text)
    for node in _walk(query):
        if isinstance(node, LogQuery):
            # Every matcher is compiled, so a bad pattern is refused wherever it stands.
            selective = [_is_selective(matcher) for matcher in node.matchers]
            if True not in selective:
                raise Refused(_NO_SELECTIVE_MATCHER)
        elif isinstance(node, VectorAggregation | LabelReplace) and isinstance(
            node.operand, Scalar
        ):
            raise Refused(_NO_SELECTIVE_MATCHER)
    return query


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """Parse a bare stream selector, as the label and series endpoints take it.

    Raises:
        Refused: It is anything else, or selects every stream.
    """
    query = parse(text)
    if not isinstance(query, LogQuery) or query.stages:
        raise Refused("only label matchers are supported")
    return query.matchers


def _parse(text: str) -> Query:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size >= MAX_QUERY_BYTES:
        raise Refused(f"parse error : input size too long ({size} > {MAX_QUERY_BYTES})")
    try:
        query: Query = _lark().parse(text)  # type: ignore[assignment]
    except UnexpectedToken as error:
        token = error.token
        if token.type == "$END":
            if not text:
                raise Refused("parse error : syntax error: unexpected $end") from None
            raise parse_error(text, len(text), "syntax error: unexpected $end") from None
        position = token.start_pos or 0
        shown = text[position : position + 20].split("\n", 1)[0]
        raise parse_error(
            text,
            position,
            f"syntax error: unexpected {token.type.lstrip('_')} at {shown!r} "
            "(or LogQL that the development server does not know)",
        ) from None
    except VisitError as error:
        raise error.orig_exc from None
    return query


@cache
def _lark() -> Lark:
    grammar = files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer=Lexer, transformer=TreeBuilder())


def longest_range(query: Query) -> int:
    """Return the longest range of the aggregations of a query, in nanoseconds."""
    ranges = (node for node in _walk(query) if isinstance(node, RangeAggregation))
    return max((node.interval_ns for node in ranges), default=0)


def _walk(query: Query) -> Iterator[Query]:
    pending: list[Query] = [query]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, RangeAggregation):
            pending.append(node.query)
        elif isinstance(node, VectorAggregation | LabelReplace):
            pending.append(node.operand)
        elif isinstance(node, Binary):
            pending += (node.left, node.right)


def _is_selective(matcher: Matcher) -> bool:
    return not compile_matcher(matcher)("")
