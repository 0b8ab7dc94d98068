"""Write the golden trees anew: `.venv/bin/python tests/golden/regenerate.py [folder]`.

This is the only way to change them; review the diff as you would review code.
"""

from __future__ import annotations

import sys
from pathlib import Path

from loglane.stack.loading import environments
from loglane.stack.output import write_tree
from loglane.stack.project import open_project

ROOT = Path(__file__).resolve().parent.parent.parent
# The project's own environments, and variants that use what those leave at its default.
SPECS = (ROOT / "stack" / "stack.yaml", ROOT / "tests" / "golden" / "variants" / "stack.yaml")
TREES = ROOT / "tests" / "golden" / "trees"


def regenerate(folder: Path) -> list[str]:
    """Render every environment into a folder of its name below `folder`; return the names."""
    found = [(env, spec) for spec in SPECS for env in environments(spec)]
    for env, spec in found:
        project = open_project(env, spec, folder / env)
        write_tree(project.render(), project.out)
    return [env for env, _ in found]


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TREES
    print(f"wrote {', '.join(regenerate(target))} to {target}")
