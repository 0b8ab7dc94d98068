"""Regular expressions that Loki answers without one, and not always as one would.

Loki replaces an expression of literals, `.*` and alternatives by tests on strings. In a label
filter that loses the anchors: `.*999` and `warn|warning` find their literals anywhere. In a line
filter `T.*(after|before)` finds `Tafter` only. Both are followed here, because a query that works
in development must not find something else in production.
Source: loki: pkg/logql/log/filter.go, RegexSimplifier; measured on Loki 3.7.6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from loglane.devserver.logql.regex_nodes import Node, NotSimpleError, uncertain
from loglane.devserver.logql.regex_tree import parse_simple


@dataclass(frozen=True, slots=True)
class StringTest:
    """One test: `true` always, `exists` when not empty, `equal` or `contains` a text."""

    kind: Literal["true", "exists", "equal", "contains"]
    text: str = ""
    fold: bool = False


# Alternatives: a value passes when any of the tests does.
Simplified: TypeAlias = tuple[StringTest, ...]
_TRUE = StringTest("true")


def simplify(pattern: str, *, is_label: bool) -> Simplified | None:
    """Return the tests that Loki runs instead of the expression, None when it runs the expression.

    Raises:
        Refused: It is not certain what Loki does with it.
    """
    try:
        tree = parse_simple(pattern)
        return _Simplifier(pattern, is_label).run(tree)
    except NotSimpleError:
        return None


def always_true(tests: Simplified | None) -> bool:
    """Tell whether the tests pass for every value."""
    return tests == (_TRUE,)


def either(left: Simplified, right: Simplified) -> Simplified:
    """Join alternatives as Loki does, which forgets one that is always true."""
    if always_true(left):
        return right
    if always_true(right):
        return left
    return left + right


def compile_tests(tests: Simplified) -> Callable[[str], bool]:
    """Build one function of the tests."""
    functions = [_compile(test) for test in tests]
    if len(functions) == 1:
        return functions[0]
    return lambda value: any(function(value) for function in functions)


def _compile(test: StringTest) -> Callable[[str], bool]:
    if test.kind == "true":
        return lambda _value: True
    if test.kind == "exists":
        return lambda value: value != ""
    text = test.text
    if test.fold:
        # Bytes are lowered in ASCII alone; a text that ignores case is ASCII here.
        lowered = text.encode().lower()
        if test.kind == "equal":
            return lambda value: value.encode().lower() == lowered
        return lambda value: lowered in value.encode().lower()
    if test.kind == "equal":
        return lambda value: value == text
    return lambda value: text in value


class _Simplifier:
    def __init__(self, pattern: str, is_label: bool) -> None:
        self._pattern = pattern
        self._is_label = is_label

    def run(self, node: Node) -> Simplified:
        match node.kind:
            case "alternate":
                first, *rest = [self.run(_uncaptured(sub)) for sub in node.subs]
                for tests in rest:
                    first = either(first, tests)
                return first
            case "concat":
                return self._concat(node, None)
            case "capture":
                return self.run(node.subs[0])
            case "literal":
                kind: Literal["equal", "contains"] = "equal" if self._is_label else "contains"
                return (StringTest(kind, node.text, node.fold),)
            case "any_star" | "empty":
                return (_TRUE,)
            case "any_plus":
                return (StringTest("exists"),)
            case _:
                raise NotSimpleError

    def _concat(self, node: Node, base: str | None) -> Simplified:
        subs = [_uncaptured(sub) for sub in node.subs]
        subs = [sub for sub in subs if sub.kind != "empty"]
        if len(subs) > 3:
            raise NotSimpleError
        found: Simplified | None = None
        literals = 0
        fold = False
        for sub in subs:
            if sub.kind == "literal":
                if literals:
                    raise NotSimpleError
                literals += 1
                base = (base or "") + sub.text
                fold = sub.fold
            elif sub.kind == "alternate" and base is not None:
                found = self._alternatives(sub, base, found, fold=fold)
            elif sub.kind != "any_star":
                raise NotSimpleError
        if found is not None:
            return found
        if base is None:
            raise NotSimpleError
        return (StringTest("contains", base, fold),)

    def _alternatives(
        self, node: Node, base: str, found: Simplified | None, *, fold: bool
    ) -> Simplified:
        nested_literals = 0
        for sub in node.subs:
            if sub.fold and not fold:
                raise NotSimpleError
            if sub.kind in {"empty", "any_star"}:
                tests: Simplified = (StringTest("contains", base, fold),)
            elif sub.kind == "literal":
                tests = (StringTest("contains", base + sub.text, fold),)
            elif sub.kind == "concat":
                nested_literals += 1
                if nested_literals > 1:
                    # Loki appends both to one buffer, so the first may be overwritten.
                    raise uncertain(self._pattern)
                tests = self._concat(sub, base)
            else:
                raise NotSimpleError
            found = tests if found is None else either(found, tests)
        if found is None:
            raise NotSimpleError
        return found


def _uncaptured(node: Node) -> Node:
    return node.subs[0] if node.kind == "capture" else node
