"""Nodes of simple regular expressions, and how Go factors alternatives.

Go rewrites `warn|warning` to `warn(?:|ing)` and `a|b` to `[ab]` while it parses
(regexp/syntax, parse.go: collapse and factor). What Loki simplifies depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from loglane.devserver.refusal import Refused, unsupported

Kind = Literal[
    "literal", "any_star", "any_plus", "empty", "concat", "alternate", "capture", "bar", "open"
]


@dataclass(frozen=True, slots=True)
class Node:
    """A parsed expression; `fold` is its flag for ignoring case, `text` of such is upper case.

    `bar` and `open` are marks on the parser's stack; an `open` mark keeps the flags to restore,
    and `subs` is empty for a group that does not capture.
    """

    kind: Kind
    text: str = ""
    fold: bool = False
    subs: tuple[Node, ...] = ()
    dot_all: bool = False
    captures: bool = False

    @property
    def is_char(self) -> bool:
        """Whether it is one character, which alternatives merge into a class."""
        return self.kind == "literal" and len(self.text) == 1


class NotSimpleError(Exception):
    """The expression has a part that Loki never simplifies."""


def uncertain(pattern: str) -> Refused:
    """Build the refusal of an expression that may not be understood as Loki does."""
    return unsupported(f"the unusual regular expression `{pattern}`")


def merge_chars(chars: list[Node], pattern: str) -> None:
    """Stop where Go merges characters into a class, unless they are all the same one.

    Raises:
        NotSimpleError: They become a class.
        Refused: They are one letter in two cases, which is not always a class.
    """
    if all(char == chars[0] for char in chars):
        return
    if len({char.text.lower() for char in chars}) == 1:
        raise uncertain(pattern)
    raise NotSimpleError


def collapse(subs: list[Node], kind: Literal["concat", "alternate"], pattern: str) -> Node:
    """Join nodes into one; nested nodes of the same kind are lifted, alternatives factored."""
    if len(subs) == 1:
        return subs[0]
    flat: list[Node] = []
    for sub in subs:
        flat.extend(sub.subs if sub.kind == kind else [sub])
    if kind == "alternate":
        flat = _factor(flat, pattern)
        if len(flat) == 1:
            return flat[0]
    return Node(kind, subs=tuple(flat))


def _factor(subs: list[Node], pattern: str) -> list[Node]:
    out: list[Node] = []
    run: list[Node] = []
    prefix, fold = "", False
    for sub in subs:
        text, sub_fold = _leading(sub)
        shared = _common_prefix(prefix, text) if run and sub_fold == fold else ""
        if shared:
            prefix = shared
            run.append(sub)
            continue
        out += _factor_run(run, prefix, fold, pattern)
        run, prefix, fold = [sub], text, sub_fold
    out += _factor_run(run, prefix, fold, pattern)
    for left, right in pairwise(out):
        if left.is_char and right.is_char:
            merge_chars([left, right], pattern)
    return _without_repeated_empty(out)


def _factor_run(run: list[Node], prefix: str, fold: bool, pattern: str) -> list[Node]:
    if len(run) < 2:
        return run
    rests = [_without_leading(sub, len(prefix)) for sub in run]
    suffix = collapse(rests, "alternate", pattern)
    return [Node("concat", subs=(Node("literal", prefix, fold), suffix))]


def _without_repeated_empty(subs: list[Node]) -> list[Node]:
    kept = [left for left, right in pairwise(subs) if not (left.kind == right.kind == "empty")]
    return [*kept, subs[-1]]


def _leading(node: Node) -> tuple[str, bool]:
    first = node.subs[0] if node.kind == "concat" else node
    return (first.text, first.fold) if first.kind == "literal" else ("", False)


def _without_leading(node: Node, length: int) -> Node:
    if node.kind == "concat":
        first = _without_leading(node.subs[0], length)
        if first.kind != "empty":
            return Node("concat", subs=(first, *node.subs[1:]))
        rest = node.subs[1:]
        return rest[0] if len(rest) == 1 else Node("concat", subs=rest)
    if len(node.text) == length:
        # Go turns the literal itself into the empty match, so it keeps the literal's flag.
        return Node("empty", fold=node.fold)
    return Node("literal", node.text[length:], node.fold)


def _common_prefix(left: str, right: str) -> str:
    length = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        length += 1
    return left[:length]
