"""Write a rendered tree to disk, all of it or nothing, or report how the disk differs from it."""

from __future__ import annotations

import contextlib
import difflib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loglane.errors import Problem, SpecError
from loglane.stack.layout import RENDERED
from loglane.stack.render import Tree

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Every rendered file says this near its top, so a file without it is somebody's own.
_MARK = "by `loglane render"
_STAGED = ".loglane-new"


@dataclass(frozen=True, slots=True)
class Changes:
    """What writing did: paths relative to the output folder, each list sorted."""

    written: list[str]
    unchanged: list[str]
    removed: list[str]


def write_tree(tree: Tree, out: Path) -> Changes:
    """Write the tree below `out`; a failure leaves what was there as it was.

    New texts are staged beside their targets and then renamed one by one. Folders stay the same
    folders, because a running Grafana has them mounted.

    Args:
        tree: Text by path relative to `out`.
        out: The output folder; made when missing.

    Returns:
        Which files were written, which were as they should be, which are no longer rendered.

    Raises:
        SpecError: A file there was not rendered by loglane, or a path cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _locked(out):
            return _write(tree, out)
    except OSError as error:
        file = str(error.filename or out)
        raise SpecError([Problem(f"cannot be written: {error.strerror}", file)]) from error


def _write(tree: Tree, out: Path) -> Changes:
    written = [path for path, text in tree.items() if _read(out / path) != text]
    stale = sorted(_stale(tree, out))
    foreign = [path for path in written if _is_foreign(out / path)]
    if foreign:
        message = "exists and was not rendered by loglane; move it away or choose another --out"
        raise SpecError([Problem(message, str(out / path)) for path in foreign])
    _replace({out / path: tree[path] for path in written}, [out / path for path in stale])
    _open_for_containers(tree, out)
    unchanged = sorted(set(tree) - set(written))
    return Changes(sorted(written), unchanged, stale)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one render at a time write below a folder, where the system knows such locks."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def diff_tree(tree: Tree, out: Path) -> str:
    """Return a unified diff from what lies below `out` to the tree; empty when they agree."""
    parts: list[str] = []
    for path, text in sorted({**tree, **dict.fromkeys(_stale(tree, out), "")}.items()):
        on_disk = _read(out / path)
        if on_disk != text:
            parts.extend(_diff(path, on_disk, text))
    return "".join(parts)


def _diff(path: str, on_disk: str | None, text: str) -> Iterator[str]:
    old, new = (on_disk or "").splitlines(True), text.splitlines(True)
    before = f"{path} (on disk)" if on_disk is not None else f"{path} (missing)"
    return difflib.unified_diff(old, new, before, f"{path} (from the spec)", n=2)


def _replace(texts: dict[Path, str], stale: list[Path]) -> None:
    staged: dict[Path, Path] = {}
    before = {path: _read_bytes(path) for path in (*texts, *stale)}
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged[path] = path.with_name(path.name + _STAGED)
            staged[path].write_bytes(text.encode())
        for path, new in staged.items():
            new.replace(path)
        for path in stale:
            path.unlink(missing_ok=True)
    except BaseException:
        for path, old in before.items():
            _restore(path, old)
        raise
    finally:
        for new in staged.values():
            new.unlink(missing_ok=True)


def _open_for_containers(tree: Tree, out: Path) -> None:
    """Let every user read what is rendered: the containers' users are not ours.

    A strict umask closes files that git or we have made; nothing rendered is secret.
    """
    for path in tree:
        file = out / path
        _allow(file, 0o444)
        for folder in file.parents:
            if not folder.is_relative_to(out / RENDERED):
                break
            _allow(folder, 0o555)


def _allow(path: Path, bits: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & bits != bits:
        # In a shared checkout the file may be somebody else's, who has to open it.
        with contextlib.suppress(PermissionError):
            path.chmod(mode | bits)


def _restore(path: Path, old: bytes | None) -> None:
    # The first error is the one to report; what can be put back is put back.
    with contextlib.suppress(OSError):
        if old is None:
            path.unlink(missing_ok=True)
        elif _read_bytes(path) != old:
            path.write_bytes(old)


def _stale(tree: Tree, out: Path) -> list[str]:
    folder = out / RENDERED
    if not folder.is_dir():
        return []
    found = [path.relative_to(out).as_posix() for path in folder.rglob("*") if path.is_file()]
    return [
        path
        for path in found
        if path not in tree and not path.endswith(_STAGED) and not _is_foreign(out / path)
    ]


def _is_foreign(path: Path) -> bool:
    text = _read(path)
    return text is not None and text != "" and _MARK not in text[:1000]


def _read(path: Path) -> str | None:
    raw = _read_bytes(path)
    return None if raw is None else raw.decode("utf-8", errors="replace")


def _read_bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SpecError([Problem(f"cannot be read: {error.strerror}", str(path))]) from error
