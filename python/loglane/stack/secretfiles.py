"""Files that only their owner can open: read, written in one piece, closed to others."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from loglane.errors import LoglaneError, Problem, SpecError

FOLDER_MODE, FILE_MODE = 0o700, 0o600
_KEEP_OUT = "*\n!.gitignore\n"
# Far more than any secret has; a mistaken path must not be read whole.
_MAX_BYTES = 64 * 1024


def make_folder(folder: Path) -> None:
    """Make the folder, closed to others, with a .gitignore that keeps it out of git."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    keep_out = folder / ".gitignore"
    if not keep_out.exists():
        keep_out.write_text(_KEEP_OUT)


def read(file: Path) -> str | None:
    """Return a secret's text, or None when there is none.

    Raises:
        SpecError: It is no plain file of text, or may not be read.
    """
    try:
        kind = file.lstat().st_mode
        if not stat.S_ISREG(kind):
            # The container that hands secrets over sees this folder alone: a link leads nowhere.
            raise _wrong(file, "is not a plain file; put the value itself there")
        if file.stat().st_size > _MAX_BYTES:
            raise _wrong(file, f"is larger than {_MAX_BYTES} bytes, so it is no secret")
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise _wrong(file, "is not text in UTF-8") from None
    except OSError as error:
        raise _wrong(file, f"cannot be read: {error.strerror}") from error


def write(file: Path, text: str) -> None:
    """Write a secret; whoever reads meanwhile gets the old text or the new, never a part."""
    # Made with mode 0600, so that nobody else can open it at any moment.
    handle, name = tempfile.mkstemp(prefix=".new-", dir=file.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as new:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def close(path: Path, mode: int) -> bool:
    """Take others' rights away; tell whether there were any.

    Raises:
        LoglaneError: The path belongs to somebody else.
    """
    try:
        found = stat.S_IMODE(path.stat().st_mode)
        if found == mode:
            return False
        path.chmod(mode)
    except FileNotFoundError:
        return False
    except PermissionError:
        raise LoglaneError(
            f"{path} has mode {found:o} and belongs to another user; "
            f"`sudo chown $(id -u):$(id -g) {path}` gives it to you"
        ) from None
    return True


def _wrong(file: Path, message: str) -> SpecError:
    return SpecError([Problem(message, file=str(file))])
