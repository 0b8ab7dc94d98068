"""Going through the tokens of a template, with errors in the words of Go."""

from __future__ import annotations

from loglane.devserver.template.lexer import Token, tokenize


class TemplateError(ValueError):
    """The template cannot be parsed, in the words of Go."""


class Cursor:
    """The tokens and the place of the next one; `action_line` is where an action began."""

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._tokens = list(tokenize(text))
        self.place = 0
        self.action_line = 0
        self._last_line = 1

    def back(self, count: int = 1) -> None:
        """Return tokens that were taken."""
        self.place -= count

    def peek(self) -> Token:
        """Return the next token."""
        token = self._tokens[min(self.place, len(self._tokens) - 1)]
        self._last_line = token.line
        return token

    def take(self) -> Token:
        """Take the next token."""
        token = self.peek()
        self.place += 1
        return token

    def peek_solid(self) -> Token:
        """Return the next token that is no space."""
        while self.peek().kind == "space":
            self.place += 1
        return self.peek()

    def take_solid(self) -> Token:
        """Take the next token that is no space."""
        self.peek_solid()
        return self.take()

    def expect_close(self, context: str) -> None:
        """Take the end of an action; raises TemplateError when there is something else."""
        token = self.take_solid()
        if token.kind != "close":
            raise self.unexpected(token, context)

    def failure(self, reason: str) -> TemplateError:
        """Build the error for the current place."""
        return TemplateError(f"template: {self._name}:{self._last_line}: {reason}")

    def unexpected(self, token: Token, context: str) -> TemplateError:
        """Build the error for a token that may not stand here."""
        if token.kind != "error":
            return self.failure(f"unexpected {token} in {context}")
        extra = ""
        if self.action_line not in {0, token.line}:
            started = f" in action started at {self._name}:{self.action_line}"
            extra = (
                started.removeprefix(" in action") if token.text.endswith(" action") else started
            )
        return self.failure(f"{token.text}{extra}")
