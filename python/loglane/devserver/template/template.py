"""A compiled template."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from loglane.devserver.template import (
    builtin_functions,
    number_functions,
    text_functions,
    time_functions,
)
from loglane.devserver.template.call import ExecutionError
from loglane.devserver.template.evaluator import Evaluator
from loglane.devserver.template.function import Function
from loglane.devserver.template.moment import Moment
from loglane.devserver.template.nodes import Action, AnyNode, Branch, Command, Field, Node, Pipe
from loglane.devserver.template.parser import parse_template
from loglane.devserver.template.values import LabelMap

_FUNCTIONS: dict[str, Function | None] = {
    **builtin_functions.FUNCTIONS,
    **number_functions.FUNCTIONS,
    **text_functions.FUNCTIONS,
    **time_functions.FUNCTIONS,
    # Their values belong to the line: see `Template.render`.
    "__line__": Function(lambda: ""),
    "__timestamp__": Function(lambda: Moment(0)),
}


class TemplateRunError(Exception):
    """A template failed on a line, in the words of Go."""


class Template:
    """A template and what Loki wants to know of it before it runs.

    Attributes:
        fields: Names of the labels that it reads.
        simple_field: The label when the template is nothing but one, else None.
    """

    def __init__(self, text: str, name: str) -> None:
        """Parse a template.

        Args:
            text: The template.
            name: What Go calls it in its errors.

        Raises:
            TemplateError: It is none.
            Refused: It uses what this server does not know.
        """
        self._text = text
        self._name = name
        self._nodes = parse_template(text, name, _FUNCTIONS)
        self.fields = tuple(dict.fromkeys(_fields(self._nodes)))
        self.simple_field = _simple_field(self._nodes)

    def render(self, labels: Mapping[str, str], line: str, ts_ns: int) -> str:
        """Run the template on the labels of a line.

        Raises:
            TemplateRunError: It fails on this line.
            Refused: It needs what this server does not know.
        """
        dot = LabelMap(labels)
        functions = {
            **_FUNCTIONS,
            "__line__": Function(lambda: line),
            "__timestamp__": Function(lambda: Moment(ts_ns)),
        }
        try:
            return Evaluator(dot, functions).run(self._nodes, dot)
        except ExecutionError as error:
            raise TemplateRunError(self._describe(error)) from None

    def _describe(self, error: ExecutionError) -> str:
        before = self._text[: error.node.pos]
        line = before.count("\n") + 1
        column = len(before.rpartition("\n")[2].encode())
        place = f"{self._name}:{line}:{column}"
        return f'template: {place}: executing "{self._name}" at <{error.node}>: {error}'


def _fields(nodes: Iterable[AnyNode]) -> Iterator[str]:
    for node in nodes:
        match node:
            case Action(pipe=pipe):
                yield from _fields([pipe])
            case Pipe(commands=commands):
                yield from _fields(commands)
            case Command(args=args):
                yield from _fields(args)
            case Branch(pipe=pipe, body=body, otherwise=otherwise):
                yield from _fields([pipe, *body, *(otherwise or ())])
            case Field(names=names):
                yield from names


def _simple_field(nodes: tuple[Node, ...]) -> str | None:
    match nodes:
        case (Action(pipe=Pipe(commands=(Command(args=(Field(names=(name,)),)),))),):
            return name
        case _:
            return None
