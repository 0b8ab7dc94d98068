"""Tell people how far long work is: a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

# A line that is not a terminal's is written at most so often.
_PLAIN_EVERY_S = 5.0


class Reporter:
    """Writes progress to stderr, so that stdout stays for results."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show `title` while the block runs, then whether it succeeded and how long it took."""
        began = time.monotonic()
        title = escape(title)
        try:
            with self._console.status(f"{title} ..."):
                yield
        except BaseException:
            self._console.print(f"[red]failed[/]  {title}")
            raise
        self._console.print(f"[green]ok[/]      {title} [dim]({time.monotonic() - began:.1f} s)[/]")

    @contextmanager
    def working(self, title: str) -> Iterator[None]:
        """Show `title` while the block runs, and nothing afterwards; on a terminal only."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(f"{escape(title)} ..."):
            yield

    def note(self, text: str) -> None:
        """Show one line."""
        self._console.print(f"        {escape(text)}")

    @contextmanager
    def counting(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show how many of `total` are done, as the yielded function is told while the block runs.

        A bar on a terminal, a line every few seconds elsewhere.
        """
        if not self._console.is_terminal:
            yield self._plain_counter(title, total)
            return
        text = TextColumn("{task.description}")
        columns = (text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(escape(title), total=total)
            yield lambda done: bar.update(task, completed=done)

    def _plain_counter(self, title: str, total: int) -> Callable[[int], None]:
        said_at = time.monotonic()

        def say(done: int) -> None:
            nonlocal said_at
            if time.monotonic() - said_at >= _PLAIN_EVERY_S:
                said_at = time.monotonic()
                self.note(f"{title}: {done} of {total}")

        return say
