"""Run every benchmark: `make bench`."""

from __future__ import annotations

import platform
import sys

from benchmarks import render


def main() -> None:
    """Print the machine, then each benchmark."""
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    ok = render.run()
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
