"""Evaluating pipelines, fields and calls of a template (text/template, exec.go of Go)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn, TypeAlias, cast

from loglane.devserver.refusal import unsupported
from loglane.devserver.template.function import Function, Kind
from loglane.devserver.template.moment import Moment
from loglane.devserver.template.nodes import (
    AnyNode,
    Bool,
    Chain,
    Command,
    Dot,
    Field,
    Identifier,
    Nil,
    Number,
    Operand,
    Pipe,
    String,
    Variable,
)
from loglane.devserver.template.values import (
    Boxed,
    CallError,
    LabelMap,
    Value,
    is_true,
    type_name,
    unbox,
)


class _Missing:
    """No value comes from the command before."""


_MISSING = _Missing()
# What Go calls a constant that a parameter takes.
_CONSTANTS: dict[Kind | None, str] = {"string": "string", "int": "integer", "float64": "float"}
_Final: TypeAlias = "Value | _Missing"


class ExecutionError(Exception):
    """Where a run stopped, and why in the words of Go."""

    def __init__(self, node: AnyNode, reason: str) -> None:
        super().__init__(reason)
        self.node = node


class Caller:
    """The part of a run that computes values; `node` is what Go would name in an error."""

    def __init__(self, dot: Value, functions: Mapping[str, Function | None]) -> None:
        self.variables: list[tuple[str, Value]] = [("$", dot)]
        self._functions = functions
        self.node: AnyNode = Dot(0)

    def fail(self, reason: str) -> NoReturn:
        """Stop the run."""
        raise ExecutionError(self.node, reason)

    def set_variable(self, name: str, value: Value) -> None:
        """Assign to a declared variable."""
        for place in range(len(self.variables) - 1, -1, -1):
            if self.variables[place][0] == name:
                self.variables[place] = (name, value)
                return
        self.fail(f"undefined variable: {name}")

    def pipeline(self, dot: Value, pipe: Pipe) -> Value:
        """Compute a pipeline and assign its variables."""
        self.node = pipe
        value: _Final = _MISSING
        for command in pipe.commands:
            value = unbox(self._command(dot, command, value))
        for variable in pipe.variables:
            if pipe.assigns:
                self.set_variable(variable.names[0], value)
            else:
                self.variables.append((variable.names[0], value))
        return value

    def _command(self, dot: Value, command: Command, final: _Final) -> Value:
        first = command.args[0]
        match first:
            case Field() | Chain() | Variable():
                return self._names(dot, first, command, final)
            case Identifier():
                self.node = first
                return self._call(dot, first, command, command.args[1:], final)
            case Pipe():
                self._refuse_arguments(command, final)
                return self.pipeline(dot, first)
        self.node = first
        self._refuse_arguments(command, final)
        if isinstance(first, Nil):
            self.fail("nil is not a command")
        return self._constant(dot, first)

    def _refuse_arguments(self, command: Command | None, final: _Final) -> None:
        if command is None:
            return
        if len(command.args) > 1 or not isinstance(final, _Missing):
            self.fail(f"can't give argument to non-function {command.args[0]}")

    def _names(
        self, dot: Value, node: Field | Chain | Variable, command: Command | None, final: _Final
    ) -> Value:
        self.node = node
        match node:
            case Field(names=names):
                receiver = dot
            case Chain(node=inner, names=names):
                if isinstance(inner, Nil):
                    self.fail(f"indirection through explicit nil in {node}")
                receiver = self._argument(dot, None, inner)
            case Variable(names=(name, *rest)):
                receiver = self._variable(name)
                names = tuple(rest)
                if not names:
                    self._refuse_arguments(command, final)
                    return receiver
        has_arguments = command is not None and len(command.args) > 1
        has_arguments = has_arguments or not isinstance(final, _Missing)
        for number, name in enumerate(names, start=1):
            is_last = number == len(names)
            receiver = self._field(receiver, name, has_arguments=is_last and has_arguments)
        return receiver

    def _variable(self, name: str) -> Value:
        # The parser has checked that it is declared.
        return next(value for known, value in reversed(self.variables) if known == name)

    def _field(self, receiver: Value, name: str, *, has_arguments: bool) -> Value:
        if receiver is None:
            return None
        inner = unbox(receiver)
        if inner is None:
            self.fail(f"nil pointer evaluating interface {{}}.{name}")
        if isinstance(inner, Moment):
            raise unsupported(f"`.{name}` of a time in a template")
        if not isinstance(inner, dict):
            self.fail(f"can't evaluate field {name} in type {type_name(receiver)}")
        if has_arguments:
            self.fail(f"{name} is not a method but has arguments")
        if isinstance(inner, LabelMap):
            return inner.get(name, "")
        return Boxed(inner.get(name))

    def _call(
        self,
        dot: Value,
        name: Identifier,
        node: AnyNode,
        args: tuple[Operand, ...],
        final: _Final,
    ) -> Value:
        function = self._functions[name.name]
        if function is None:  # pragma: no cover - refused by the parser
            raise unsupported(f"the function `{name.name}` in a template")
        has_final = not isinstance(final, _Missing)
        self._check_count(name.name, function, len(args), has_final=has_final)
        if name.name in {"and", "or"}:
            return self._and_or(dot, name.name, args, final)
        kinds = _kinds(function, len(args) + has_final)
        values = [self._argument(dot, kind, arg) for kind, arg in zip(kinds, args, strict=False)]
        if has_final:
            values.append(self._checked(final, kinds[-1]))
        try:
            return function.call(*values)
        except CallError as error:
            self.node = node
            self.fail(f"error calling {name.name}: {error}")

    def _check_count(self, name: str, function: Function, count: int, *, has_final: bool) -> None:
        wanted = len(function.parameters)
        if function.variadic is not None:
            if count + has_final < wanted:
                self.fail(f"wrong number of args for {name}: want at least {wanted} got {count}")
        elif count + has_final != wanted:
            self.fail(f"wrong number of args for {name}: want {wanted} got {count + has_final}")

    def _and_or(self, dot: Value, name: str, args: tuple[Operand, ...], final: _Final) -> Value:
        value: Value = None
        for arg in args:
            value = self._argument(dot, "value", arg)
            if is_true(value) == (name == "or"):
                return value
        return value if isinstance(final, _Missing) else final

    def _argument(self, dot: Value, kind: Kind | None, node: Operand) -> Value:
        self.node = node
        match node:
            case Dot():
                return self._checked(dot, kind)
            case Nil():
                if kind not in {"any", "value"}:
                    self.fail(f"cannot assign nil to {kind}")
                return None
            case Field() | Variable() | Chain():
                return self._checked(self._names(dot, node, None, _MISSING), kind)
            case Pipe():
                return self._checked(self.pipeline(dot, node), kind)
            case Identifier():
                return self._checked(self._call(dot, node, node, (), _MISSING), kind)
            case Bool() | Number() | String():
                return self._literal(dot, kind, node)

    def _literal(self, dot: Value, kind: Kind | None, node: Bool | Number | String) -> Value:
        match kind, node:
            case "string", String(text=text):
                return text
            case "int", Number(integer=int() as integer):
                return integer
            case "float64", Number(float_=float() as number):
                return number
        if kind in {"any", "value", None}:
            return self._constant(dot, node)
        if kind == "time.Time":
            self.fail(f"can't handle {node} for arg of type time.Time")
        return self.fail(f"expected {_CONSTANTS[kind]}; found {node}")

    def _constant(self, dot: Value, node: Operand) -> Value:
        match node:
            case Dot():
                return dot
            case Bool(value=value):
                return value
            case String(text=text):
                return text
            case _:
                number = cast("Number", node)
        is_float = any(mark in number.text for mark in ".eEpP") and not number.is_char
        is_hexadecimal = number.text[:2].lower() == "0x"
        if is_float and not is_hexadecimal:
            return number.float_
        return number.integer

    def _checked(self, value: Value, kind: Kind | None) -> Value:
        """Return the value when a parameter of this kind takes it."""
        if kind is None or kind == "value":
            return value
        if kind == "any":
            return unbox(value)
        if value is None:
            self.fail(f"invalid value; expected {kind}")
        inner = unbox(value)
        if type_name(inner) != kind or inner is None:
            self.fail(f"wrong type for value; expected {kind}; got {type_name(inner)}")
        return inner


def _kinds(function: Function, count: int) -> tuple[Kind, ...]:
    if function.variadic is None:
        return function.parameters
    return (function.parameters + (function.variadic,) * count)[: max(count, 1)]
