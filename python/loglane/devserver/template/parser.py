"""Text of a template to its tree, with the checks and error texts of Go's text/template/parse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from loglane.devserver.logql.units import quote
from loglane.devserver.refusal import unsupported
from loglane.devserver.template.cursor import Cursor
from loglane.devserver.template.lexer import Token
from loglane.devserver.template.literals import read_number, read_string
from loglane.devserver.template.nodes import (
    Action,
    Bool,
    Branch,
    Chain,
    Command,
    Dot,
    Field,
    Identifier,
    Jump,
    Nil,
    Node,
    Number,
    Operand,
    Pipe,
    String,
    Text,
    Variable,
)

# Far deeper than a person writes, and few enough for the stack; Go allows more.
MAX_DEPTH = 60

_OPERANDS = frozenset(
    {
        "bool", "char", "dot", "field", "identifier", "number", "nil", "raw", "string", "variable",
        "(",
    }
)  # fmt: skip


def parse_template(text: str, name: str, functions: Mapping[str, object]) -> tuple[Node, ...]:
    """Parse a template.

    Args:
        text: The template.
        name: What Go calls it in its errors.
        functions: All functions by name, None for one that this server does not have.

    Raises:
        TemplateError: It is none, or calls an unknown function.
        Refused: It uses what the development server does not know.
    """
    return _Parser(text, name, functions).parse()


class _Parser(Cursor):
    def __init__(self, text: str, name: str, functions: Mapping[str, object]) -> None:
        super().__init__(text, name)
        self._functions = functions
        self._variables = ["$"]
        self._range_depth = 0
        self._depth = 0

    def parse(self) -> tuple[Node, ...]:
        nodes, end = self._list(top=True)
        if end.kind != "eof":
            raise self.failure(f"unexpected {{{{{end.kind}}}}}")
        return nodes

    def _list(self, *, top: bool = False) -> tuple[tuple[Node, ...], Token]:
        """Parse up to `{{end}}`, `{{else` or, at the top, the end of the text."""
        nodes: list[Node] = []
        while True:
            token = self.take_solid()
            if token.kind == "text":
                nodes.append(Text(token.pos, token.text))
            elif token.kind == "open":
                self.action_line = token.line
                node = self._action()
                self.action_line = 0
                if isinstance(node, Token):
                    return tuple(nodes), node
                nodes.append(node)
            elif token.kind == "eof" and top:
                return tuple(nodes), token
            elif token.kind == "eof":
                raise self.failure("unexpected EOF")
            else:
                raise self.unexpected(token, "input")

    def _action(self) -> Node | Token:
        token = self.take_solid()
        match token.kind:
            case "block" | "define" | "template":
                raise unsupported(f"`{{{{{token.kind}}}}}` in a template")
            case "break" | "continue" as kind:
                return self._jump(token, kind)
            case "else":
                if self.peek_solid().kind not in {"if", "with"}:
                    self.expect_close("else")
                return token
            case "end":
                self.expect_close("end")
                return token
            case "if" | "range" | "with" as kind:
                return self._branch(kind)
        self.back()
        pipe = self._pipeline("command", "close")
        return Action(token.pos, pipe)

    def _jump(self, token: Token, kind: Literal["break", "continue"]) -> Jump:
        self.expect_close(f"{{{{{kind}}}}}")
        if not self._range_depth:
            raise self.failure(f"{{{{{kind}}}}} outside {{{{range}}}}")
        return Jump(token.pos, kind)

    def _branch(self, kind: Literal["if", "range", "with"]) -> Branch:
        known = len(self._variables)
        self._enter()
        pipe = self._pipeline(kind, "close")
        self._range_depth += kind == "range"
        body, end = self._list()
        self._range_depth -= kind == "range"
        otherwise: tuple[Node, ...] | None = None
        if end.kind == "else":
            otherwise = self._otherwise(kind)
        self._depth -= 1
        del self._variables[known:]
        return Branch(kind, pipe.pos, pipe, body, otherwise)

    def _otherwise(self, kind: str) -> tuple[Node, ...]:
        following = self.peek().kind
        if following == kind and kind != "range":
            # The end of the inner branch is the end of both.
            self.take()
            return (self._branch("if" if kind == "if" else "with"),)
        nodes, end = self._list()
        if end.kind != "end":
            raise self.failure(f"expected end; found {{{{{end.kind}}}}}")
        return nodes

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise unsupported(f"a template nested more than {MAX_DEPTH} deep")

    def _pipeline(self, context: str, end: str) -> Pipe:
        pos = self.peek_solid().pos
        variables, assigns = self._declarations(context)
        commands: list[Command] = []
        while True:
            token = self.take_solid()
            if token.kind == end:
                break
            if token.kind not in _OPERANDS:
                raise self.unexpected(token, context)
            self.back()
            commands.append(self._command())
        if not commands:
            raise self.failure(f"missing value for {context}")
        for number, command in enumerate(commands[1:], start=2):
            if isinstance(command.args[0], Bool | Dot | Nil | Number | String):
                raise self.failure(f"non executable command in pipeline stage {number}")
        return Pipe(pos, variables, assigns, tuple(commands))

    def _declarations(self, context: str) -> tuple[tuple[Variable, ...], bool]:
        found: list[Variable] = []
        while self.peek_solid().kind == "variable":
            start = self.place
            token = self.take()
            following = self.peek_solid()
            if following.kind in {"=", "declare"}:
                self.take()
                self._declare(found, token)
                return tuple(found), following.kind == "="
            if following.text != ",":
                self.back(self.place - start)
                break
            self.take()
            self._declare(found, token)
            if context == "range" and len(found) < 2:
                if self.peek_solid().kind not in {"variable", "close", ")"}:
                    raise self.failure("range can only initialize variables")
                continue
            raise self.failure(f"too many declarations in {context}")
        return tuple(found), False

    def _declare(self, found: list[Variable], token: Token) -> None:
        found.append(Variable(token.pos, (token.text,)))
        self._variables.append(token.text)

    def _command(self) -> Command:
        pos = self.peek_solid().pos
        args: list[Operand] = []
        while True:
            self.peek_solid()
            operand = self._operand()
            if operand is not None:
                args.append(operand)
            token = self.take()
            if token.kind == "space":
                continue
            if token.kind in {"close", ")"}:
                self.back()
            elif token.kind != "|":
                raise self.unexpected(token, "operand")
            break
        if not args:
            raise self.failure("empty command")
        return Command(pos, tuple(args))

    def _operand(self) -> Operand | None:
        node = self._term()
        if node is None or self.peek().kind != "field":
            return node
        pos = self.peek().pos
        names: list[str] = []
        while self.peek().kind == "field":
            names.append(self.take().text[1:])
        match node:
            case Field():
                return Field(pos, (*node.names, *names))
            case Variable():
                return Variable(pos, (*node.names, *names))
            case Bool() | String() | Number() | Nil() | Dot():
                raise self.failure(f"unexpected . after term {quote(str(node))}")
            case _:
                return Chain(pos, node, tuple(names))

    def _term(self) -> Operand | None:
        token = self.take_solid()
        match token.kind:
            case "identifier":
                if token.text not in self._functions:
                    raise self.failure(f'function "{token.text}" not defined')
                if self._functions[token.text] is None:
                    raise unsupported(f"the function `{token.text}` in a template")
                return Identifier(token.pos, token.text)
            case "variable":
                if token.text not in self._variables:
                    raise self.failure(f'undefined variable "{token.text}"')
                return Variable(token.pos, (token.text,))
            case "field":
                return Field(token.pos, (token.text[1:],))
            case "(":
                return self._parenthesised()
            case _:
                return self._literal(token)

    def _parenthesised(self) -> Pipe:
        self._enter()
        pipe = self._pipeline("parenthesized pipeline", ")")
        self._depth -= 1
        return pipe

    def _literal(self, token: Token) -> Operand | None:
        try:
            match token.kind:
                case "dot":
                    return Dot(token.pos)
                case "nil":
                    return Nil(token.pos)
                case "bool":
                    return Bool(token.pos, token.text == "true")
                case "char" | "number":
                    return read_number(token.pos, token.text, token.kind)
                case "string" | "raw":
                    return String(token.pos, token.text, read_string(token.text))
        except ValueError as error:
            raise self.failure(str(error)) from None
        self.back()
        return None
