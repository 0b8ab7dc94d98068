"""Tracebacks in colours, drawn with rich where it is installed.

Not `rich.traceback`: it shows source lines as they are, a password written there too, and does
not return from two exceptions that name each other as cause (measured with rich 15.0).
"""

from __future__ import annotations

import linecache
import os
import re
import textwrap
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from loglane.sinks.escapes import shown

if TYPE_CHECKING:
    from rich.text import Text

_Captured = traceback.TracebackException

# Bounds of what is drawn: frames of one exception, exceptions of one chain, members of one group,
# groups inside groups.
_MAX_FRAMES = 20
_MAX_CHAIN = 10
_MAX_MEMBERS = 10
_MAX_DEPTH = 5
# Source lines on each side in the app's innermost frame; other frames show their line alone, and
# those of packages only the innermost.
_CONTEXT = 2

_CAUSE = "The above exception was the direct cause of the following exception:"
_DURING = "During handling of the above exception, another exception occurred:"
_STDLIB = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - as prefix of a text


def render_traceback(error: BaseException, mask_text: Callable[[str], str]) -> str | None:
    """Draw an exception with its causes, notes and group members, for a terminal with colours.

    Args:
        error: The exception; no local variable of its frames is read.
        mask_text: Masks secrets; applied to messages, notes and source lines.

    Returns:
        The text, beginning with a newline and ending without; None when rich is missing or the
        exception cannot be drawn.
    """
    try:
        from rich.console import Console
        from rich.text import Text

        captured = _Captured(
            type(error), error, error.__traceback__, lookup_lines=False, compact=True
        )
        lines = Text("\n").join(_Drawing(mask_text).chain(captured, "    "))
        console = Console(
            force_terminal=True,
            color_system="standard",
            no_color=False,
            legacy_windows=False,
            force_jupyter=False,
        )
        with console.capture() as capture:
            console.print(lines, soft_wrap=True, markup=False, emoji=False, highlight=False)
    except Exception:  # noqa: BLE001 - the plain traceback is shown instead
        return None
    return "\n" + capture.get().rstrip("\n")


class _Drawing:
    """Turns captured exceptions into lines of styled text."""

    def __init__(self, mask_text: Callable[[str], str]) -> None:
        import shutil

        from rich.syntax import Syntax
        from rich.text import Text

        self._text = Text
        self._syntax = Syntax("", "python", theme="ansi_dark")
        self._mask_text = mask_text
        self._width = shutil.get_terminal_size((100, 24)).columns
        try:
            self._here = os.getcwd() + os.sep  # noqa: PTH109 - as prefix of a text
        except OSError:
            self._here = os.sep

    def chain(self, error: _Captured, indent: str, depth: int = 0) -> Iterator[Text]:
        """Yield the lines of an exception, those of what led to it first."""
        chain = _chain(error)
        if len(chain) > _MAX_CHAIN:
            hidden = len(chain) - _MAX_CHAIN
            yield self._text(f"{indent}... {hidden} earlier exceptions ...", style="dim")
        for one, link in chain[-_MAX_CHAIN:]:
            yield from self._exception(one, indent, depth)
            if link:
                yield self._text.assemble("\n", indent, (link, "italic"), "\n")

    def _exception(self, error: _Captured, indent: str, depth: int) -> Iterator[Text]:
        if error.stack:
            yield self._text(f"{indent}Traceback (most recent call last):", style="dim")
            yield from self._frames(error.stack, f"{indent}  ")
        said = shown(self._mask_text("".join(error.format_exception_only()))).rstrip("\n")
        text = self._text(said)
        # A SyntaxError begins with its place, which is indented.
        kind = re.search(r"(?m)^[^\s:]+", said)
        if kind is not None:
            text.stylize("bold red", *kind.span())
        yield from (self._text(indent) + line for line in text.split("\n"))
        yield from self._members(getattr(error, "exceptions", None) or (), f"{indent}  ", depth)

    def _members(self, members: Sequence[_Captured], indent: str, depth: int) -> Iterator[Text]:
        drawn = members[:_MAX_MEMBERS] if depth < _MAX_DEPTH else ()
        for number, member in enumerate(drawn, 1):
            yield self._text(f"{indent}--- {number} of {len(members)} ---", style="red")
            yield from self.chain(member, indent, depth + 1)
        if len(drawn) < len(members):
            hidden = len(members) - len(drawn)
            yield self._text(f"{indent}... {hidden} more exceptions ...", style="dim")

    def _frames(self, stack: traceback.StackSummary, indent: str) -> Iterator[Text]:
        hidden = range(_MAX_FRAMES // 2, len(stack) - _MAX_FRAMES // 2)
        own = [at for at, frame in enumerate(stack) if self._place(frame.filename)[1]]
        last_own = own[-1] if own else -1
        for at, frame in enumerate(stack):
            if at in hidden:
                if at == hidden[0]:
                    yield self._text(f"{indent}... {len(hidden)} frames ...", style="dim")
                continue
            place, is_own = self._place(frame.filename)
            yield self._text.assemble(
                indent,
                (shown(f"{place}:{frame.lineno}"), "cyan" if is_own else "dim"),
                (" in ", "dim"),
                (shown(frame.name), "bold" if is_own else "dim"),
            )
            if is_own or at == len(stack) - 1:
                yield from self._source(frame, _CONTEXT if at == last_own else 0, indent)

    def _place(self, filename: str) -> tuple[str, bool]:
        """Return how a file is named, and whether it is the app's own."""
        for packages in ("site-packages", "dist-packages"):
            _, found, inside = filename.partition(f"{os.sep}{packages}{os.sep}")
            if found:
                return inside, False
        if filename.startswith((_STDLIB, "<frozen ")):
            return filename.removeprefix(_STDLIB), False
        return filename.removeprefix(self._here), True

    def _source(self, frame: traceback.FrameSummary, around: int, indent: str) -> Iterator[Text]:
        lines = linecache.getlines(frame.filename)
        at = (frame.lineno or 0) - 1
        if not 0 <= at < len(lines):
            return
        start = max(0, at - around)
        code = self._masked([line.rstrip("\r\n") for line in lines[start : at + around + 1]])
        drawn = self._syntax.highlight("\n".join(code).rstrip()).split("\n")
        if at - start >= len(drawn):
            return  # the file was changed since it was imported
        self._underline(frame, lines[at].rstrip("\r\n"), drawn[at - start])
        for number, text in enumerate(drawn, start + 1):
            is_raising = number == frame.lineno
            gutter = (f"{indent}{'>' if is_raising else ' '} {number:>4} ", "red" * is_raising)
            line = self._text.assemble(gutter, text)
            line.truncate(self._width)
            yield line

    def _masked(self, code: list[str]) -> list[str]:
        text = self._mask_text("\n".join(code))
        if text.count("\n") != len(code) - 1:
            # A secret of several lines became one mark: keep each line beside its number.
            text = "\n".join(self._mask_text(line).replace("\n", " ") for line in code)
        return shown(textwrap.dedent(text.expandtabs(4))).split("\n")

    def _underline(self, frame: traceback.FrameSummary, line: str, drawn: Text) -> None:
        """Mark the expression that raised; Python 3.10 does not know it."""
        start, end = getattr(frame, "colno", None), getattr(frame, "end_colno", None)
        if start is None or end is None or getattr(frame, "end_lineno", 0) != frame.lineno:
            return
        # The columns count bytes of the file's line; it may have been changed since.
        if line.isascii() and line.endswith(drawn.plain) and line[start:end] != line.strip():
            cut = len(line) - len(drawn.plain)
            drawn.stylize("underline", max(0, start - cut), max(0, end - cut))


def _chain(error: _Captured) -> list[tuple[_Captured, str]]:
    """Return an exception and what led to it, the oldest first, each with the words after it."""
    chain = [(error, "")]
    while True:
        last = chain[-1][0]
        if last.__cause__ is not None:
            chain.append((last.__cause__, _CAUSE))
        elif last.__context__ is not None and not last.__suppress_context__:
            chain.append((last.__context__, _DURING))
        else:
            return chain[::-1]
