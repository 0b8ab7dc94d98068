"""Running a template on the labels of a line (text/template, exec.go of Go)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from loglane.devserver.refusal import unsupported
from loglane.devserver.template.call import Caller
from loglane.devserver.template.function import Function
from loglane.devserver.template.nodes import Action, AnyNode, Branch, Jump, Node, Text
from loglane.devserver.template.text_functions import MAX_CHARS
from loglane.devserver.template.values import Boxed, Int64, Value, is_true, type_name, unbox
from loglane.devserver.template.verbs import text_of


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Evaluator(Caller):
    """One run of a template."""

    def __init__(self, dot: Value, functions: Mapping[str, Function | None]) -> None:
        super().__init__(dot, functions)
        self._output: list[str] = []
        self._size = 0

    def run(self, nodes: Sequence[Node], dot: Value) -> str:
        """Return the text that the template makes.

        Raises:
            ExecutionError: Go would stop here.
            Refused: It needs what this server does not know.
        """
        self._walk_all(nodes, dot)
        return "".join(self._output)

    def _walk_all(self, nodes: Sequence[Node], dot: Value) -> None:
        for node in nodes:
            self._walk(node, dot)

    def _walk(self, node: Node, dot: Value) -> None:
        self.node: AnyNode = node
        match node:
            case Text(text=text):
                self._write(text)
            case Action(pipe=pipe):
                value = self.pipeline(dot, pipe)
                if not pipe.variables:
                    self._write("<no value>" if value is None else text_of(value))
            case Branch(kind="range"):
                self._range(node, dot)
            case Branch():
                self._choose(node, dot)
            case Jump(kind="break"):
                raise _Break
            case Jump():
                raise _Continue

    def _write(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_CHARS:
            raise unsupported(f"a template that writes more than {MAX_CHARS} characters")
        self._output.append(text)

    def _choose(self, node: Branch, dot: Value) -> None:
        mark = len(self.variables)
        value = self.pipeline(dot, node.pipe)
        if is_true(value):
            self._walk_all(node.body, value if node.kind == "with" else dot)
        elif node.otherwise is not None:
            self._walk_all(node.otherwise, dot)
        del self.variables[mark:]

    def _range(self, node: Branch, dot: Value) -> None:
        start = len(self.variables)
        value = self.pipeline(dot, node.pipe)
        mark = len(self.variables)
        is_empty = True
        try:
            for index, element in self._elements(node, value):
                is_empty = False
                self._bind(node, index, element)
                try:
                    self._walk_all(node.body, element)
                except _Continue:
                    pass
                finally:
                    del self.variables[mark:]
        except _Break:
            pass
        if is_empty and node.otherwise is not None:
            self._walk_all(node.otherwise, dot)
        del self.variables[start:]

    def _bind(self, node: Branch, index: Value, element: Value) -> None:
        declared = node.pipe.variables
        if not declared:
            return
        values = (index, element) if len(declared) > 1 else (element,)
        if node.pipe.assigns:
            for variable, value in zip(declared, values, strict=True):
                self.set_variable(variable.names[0], value)
            return
        for place, (variable, value) in enumerate(zip(declared, values, strict=True)):
            self.variables[len(self.variables) - len(declared) + place] = (variable.names[0], value)

    def _elements(self, node: Branch, value: Value) -> Iterator[tuple[Value, Value]]:
        match value:
            case bool():
                self.fail(f"range can't iterate over {text_of(value)}")
            case int():
                if len(node.pipe.variables) > 1:
                    shown = text_of(value)
                    self.fail(f"can't use {shown} to iterate over more than one variable")
                make = Int64 if isinstance(value, Int64) else int
                yield from ((None, make(number)) for number in range(value))
            case list():
                yield from ((number, Boxed(item)) for number, item in enumerate(value))
            case dict():
                is_boxed = type_name(value) != "map[string]string"
                for key in sorted(value, key=lambda name: name.encode()):
                    yield key, Boxed(value[key]) if is_boxed else value[key]
            case None:
                return
            case _:
                self.fail(f"range can't iterate over {text_of(unbox(value))}")
