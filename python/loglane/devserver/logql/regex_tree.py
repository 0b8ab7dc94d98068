"""How Go parses the simplest regular expressions: literals, `.*`, `.+`, groups, alternatives.

Loki replaces such expressions by comparisons of strings (see `simplify`), and whether it does
depends on how Go's parser merges literals and factors out common prefixes, for example
`warn|warning` into `warn(?:|ing)`. So that parser is followed here, step by step, as far as an
expression may be simplified; at the first sign that it may not, parsing stops.
Source: regexp/syntax of Go, parse.go.
"""

from __future__ import annotations

import re

from loglane.devserver.logql.regex_nodes import (
    Node,
    NotSimpleError,
    collapse,
    merge_chars,
    uncertain,
)

# Far more groups than a person writes, and few enough for the stack.
MAX_GROUPS = 100

_EMPTY = Node("empty")
_BAR = Node("bar")
_REPEAT = re.compile(r"\{([0-9]+)(,([0-9]*))?\}")
_FLAGS = re.compile(r"\(\?([imsU]*)(?:-([imsU]+))?([:)])")
_NAMED = re.compile(r"\(\?P?<\w+>")
_CONTROL = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_UNCERTAIN_ESCAPES = frozenset("01234567xQ")
_CLASS_OF_ONE = re.compile(r"\[(?:[^\\\]^]|\\[^a-zA-Z0-9])\]")
_CLASS_OF_CASES = re.compile(r"\[([a-zA-Z])(?!\1)(?i:\1)\]")
_START_OF_ALTERNATIVE = re.compile(r"(?:\A|[|(:>])([A-Z])")
_CASES_INSIDE = re.compile(r"(?<!\A)\(\?[a-zA-Z]*i")
_START_OF_CASES = re.compile(r"(?:\A|[|(:>])\[([a-zA-Z])(?i:\1)\]")
_GROUPED_DOT = re.compile(r"(?<!\\)\.[)|]")
_PLAIN_GROUP = re.compile(r"\(\?[imsU-]*:")


def parse_simple(pattern: str) -> Node:
    """Parse an expression that RE2 accepts.

    Raises:
        NotSimpleError: It has a part that is never simplified, for example a class.
        Refused: It is so unusual that what Go makes of it is not certain.
    """
    # What is repeated zero times disappears in Go, and with it a part that is not simple.
    if pattern.count("(") > MAX_GROUPS or "{0}" in pattern or "{0,0}" in pattern:
        raise uncertain(pattern)
    # A dot alone in a group that does not capture may be repeated from outside of the group.
    if _PLAIN_GROUP.search(pattern) and _GROUPED_DOT.search(pattern):
        raise uncertain(pattern)
    return _Parser(pattern).parse()


def confuses_go(pattern: str) -> bool:
    """Tell whether Go's parser may misread the expression, in any place where Loki uses one.

    When it looks for a common first character of alternatives, it takes `A` and `[Aa]` for equal
    and so finds something else with `A|[Aa]b` than it says (regexp/syntax, Regexp.Equal).
    """
    if "|" in pattern and _CASES_INSIDE.search(pattern):
        return True
    starts = {match.group(1) for match in _START_OF_ALTERNATIVE.finditer(pattern)}
    classes = {match.group(1).upper() for match in _START_OF_CASES.finditer(pattern)}
    return bool(starts & classes)


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._position = 0
        self._stack: list[Node] = []
        self._fold = False
        self._dot_all = False

    def parse(self) -> Node:
        while self._position < len(self._pattern):
            self._step(self._pattern[self._position])
        self._close_alternatives()
        if len(self._stack) != 1:
            raise uncertain(self._pattern)
        return self._stack[0]

    def _step(self, char: str) -> None:
        match char:
            case "(":
                self._open()
            case ")":
                self._close()
            case "|":
                self._position += 1
                self._concat()
                if not self._swap_bar():
                    self._push(_BAR)
            case ".":
                self._dot()
            case "[":
                self._class()
            case "\\":
                self._escape()
            case "*" | "+" | "?":
                self._repeated()
            case "{" if _REPEAT.match(self._pattern, self._position):
                self._counted()
            case "^" | "$":
                raise NotSimpleError
            case _:
                self._position += 1
                self._literal(char)

    def _open(self) -> None:
        mark = Node("open", fold=self._fold, dot_all=self._dot_all)
        flags = _FLAGS.match(self._pattern, self._position)
        named = _NAMED.match(self._pattern, self._position)
        if flags is None:
            self._position = named.end() if named else self._position + 1
            self._push(Node("open", fold=mark.fold, dot_all=mark.dot_all, captures=True))
            return
        self._position = flags.end()
        if flags.group(3) == ":":
            self._push(mark)
        on, off = flags.group(1), flags.group(2) or ""
        self._fold = (self._fold or "i" in on) and "i" not in off
        self._dot_all = (self._dot_all or "s" in on) and "s" not in off

    def _close(self) -> None:
        self._position += 1
        self._close_alternatives()
        if len(self._stack) < 2 or self._stack[-2].kind != "open":
            raise uncertain(self._pattern)
        inner = self._stack.pop()
        mark = self._stack.pop()
        self._fold, self._dot_all = mark.fold, mark.dot_all
        # Go reuses the mark as the capture, so the capture has the flags of the mark.
        self._push(Node("capture", fold=mark.fold, subs=(inner,)) if mark.captures else inner)

    def _dot(self) -> None:
        follows = self._pattern[self._position + 1 : self._position + 2]
        if re.match(r"\{[01](,\})?", self._pattern[self._position + 1 :]):
            raise uncertain(self._pattern)
        if self._dot_all or follows not in {"*", "+"}:
            raise NotSimpleError
        self._position += 2
        self._skip_lazy_mark()
        self._push(Node("any_star" if follows == "*" else "any_plus", fold=self._fold))

    def _class(self) -> None:
        one = _CLASS_OF_ONE.match(self._pattern, self._position)
        cases = _CLASS_OF_CASES.match(self._pattern, self._position)
        match = one or cases
        if match is None:
            raise NotSimpleError
        char = match.group()[-2]
        if not char.isascii():
            raise uncertain(self._pattern)
        self._position = match.end()
        folds = char.isalpha() and (cases is not None or self._fold)
        if folds and char in "kKsS":
            # These have a third form outside of ASCII, so their class stays a class.
            raise NotSimpleError
        self._push(Node("literal", char.upper() if folds else char, folds))

    def _escape(self) -> None:
        char = self._pattern[self._position + 1 : self._position + 2]
        if char in _UNCERTAIN_ESCAPES:
            raise uncertain(self._pattern)
        if char in _CONTROL:
            char = _CONTROL[char]
        elif char.isalnum():
            raise NotSimpleError
        self._position += 2
        self._literal(char)

    def _repeated(self) -> None:
        self._refuse_repeated_repetition()
        raise NotSimpleError

    def _counted(self) -> None:
        match = _REPEAT.match(self._pattern, self._position)
        if match is not None and match.group(1) == "1" and match.group(2) in {None, ",1"}:
            raise uncertain(self._pattern)
        self._repeated()

    def _refuse_repeated_repetition(self) -> None:
        if not self._stack or self._stack[-1].kind in {"any_star", "any_plus", "empty"}:
            raise uncertain(self._pattern)

    def _skip_lazy_mark(self) -> None:
        if self._pattern.startswith("?", self._position):
            self._position += 1

    def _literal(self, char: str) -> None:
        if self._fold and not char.isascii():
            raise uncertain(self._pattern)
        self._push(Node("literal", char.upper() if self._fold else char, self._fold))

    def _push(self, node: Node) -> None:
        self._merge_literals()
        self._stack.append(node)

    def _merge_literals(self) -> None:
        # A literal is merged only when the next thing comes, because `ab*` repeats `b` alone.
        if len(self._stack) < 2:
            return
        left, right = self._stack[-2:]
        if left.kind == right.kind == "literal" and left.fold == right.fold:
            self._stack[-2:] = [Node("literal", left.text + right.text, left.fold)]

    def _concat(self) -> None:
        self._merge_literals()
        subs = self._pop_until_mark()
        self._push(collapse(subs, "concat", self._pattern) if subs else _EMPTY)

    def _close_alternatives(self) -> None:
        self._concat()
        if self._swap_bar():
            self._stack.pop()
        self._push(collapse(self._pop_until_mark(), "alternate", self._pattern))

    def _pop_until_mark(self) -> list[Node]:
        start = len(self._stack)
        while start > 0 and self._stack[start - 1].kind not in {"bar", "open"}:
            start -= 1
        subs = self._stack[start:]
        del self._stack[start:]
        return subs

    def _swap_bar(self) -> bool:
        if len(self._stack) < 2 or self._stack[-2].kind != "bar":
            return False
        if len(self._stack) >= 3 and self._stack[-1].is_char and self._stack[-3].is_char:
            merge_chars([self._stack[-3], self._stack.pop()], self._pattern)
        else:
            self._stack[-2:] = [self._stack[-1], self._stack[-2]]
        return True
