"""The syntax tree of a template; `str` of a node is how Go writes it in its errors.

`pos` is the place in the template's text that Go names for the node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Text:
    """Text outside of actions."""

    pos: int
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Identifier:
    """The name of a function."""

    pos: int
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Field:
    """`.a.b`."""

    pos: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x.a`; the first name has its dollar sign."""

    pos: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Chain:
    """`(pipeline).a.b`."""

    pos: int
    node: Operand
    names: tuple[str, ...]

    def __str__(self) -> str:
        inner = f"({self.node})" if isinstance(self.node, Pipe) else str(self.node)
        return inner + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Dot:
    """`.`."""

    pos: int

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Nil:
    """`nil`."""

    pos: int

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True, slots=True)
class Bool:
    """`true` or `false`."""

    pos: int
    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Number:
    """A number; `integer` and `float_` are None where it has no such value."""

    pos: int
    text: str
    integer: int | None
    float_: float | None
    is_char: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class String:
    """A string; `quoted` is how it is written."""

    pos: int
    quoted: str
    text: str

    def __str__(self) -> str:
        return self.quoted


@dataclass(frozen=True, slots=True)
class Command:
    """A function and its arguments, or one value."""

    pos: int
    args: tuple[Operand, ...]

    def __str__(self) -> str:
        return " ".join(f"({arg})" if isinstance(arg, Pipe) else str(arg) for arg in self.args)


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands joined by `|`, the last value assigned to variables."""

    pos: int
    variables: tuple[Variable, ...]
    assigns: bool
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        declared = ", ".join(map(str, self.variables))
        if self.variables:
            declared += " = " if self.assigns else " := "
        return declared + " | ".join(map(str, self.commands))


@dataclass(frozen=True, slots=True)
class Action:
    """`{{pipeline}}`."""

    pos: int
    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


@dataclass(frozen=True, slots=True)
class Branch:
    """`{{if}}`, `{{with}}` or `{{range}}`."""

    kind: Literal["if", "with", "range"]
    pos: int
    pipe: Pipe
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...] | None

    def __str__(self) -> str:
        text = f"{{{{{self.kind} {self.pipe}}}}}{''.join(map(str, self.body))}"
        if self.otherwise is not None:
            text += f"{{{{else}}}}{''.join(map(str, self.otherwise))}"
        return text + "{{end}}"


@dataclass(frozen=True, slots=True)
class Jump:
    """`{{break}}` or `{{continue}}`."""

    pos: int
    kind: Literal["break", "continue"]

    def __str__(self) -> str:
        return f"{{{{{self.kind}}}}}"


Operand: TypeAlias = (
    "Identifier | Field | Variable | Chain | Dot | Nil | Bool | Number | String | Pipe"
)
Node: TypeAlias = "Text | Action | Branch | Jump"
AnyNode: TypeAlias = "Operand | Command | Node"
