"""Tell people how far long work is: a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape


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

    def note(self, text: str) -> None:
        """Show one line."""
        self._console.print(f"        {escape(text)}")
