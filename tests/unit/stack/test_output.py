"""A tree is written whole or not at all, and only over files that loglane rendered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loglane.errors import SpecError
from loglane.stack.output import diff_tree, write_tree

HEAD = "# Rendered from x by `loglane render --env dev`; do not edit.\n"
COMPOSE, LOKI, OLD = (
    "docker-compose.yml",
    "stack/rendered/loki/loki.yaml",
    "stack/rendered/old.yaml",
)


def tree(**texts: str) -> dict[str, str]:
    names = {"compose": COMPOSE, "loki": LOKI, "old": OLD}
    return {names[name]: HEAD + text for name, text in texts.items()}


def on_disk(out: Path) -> dict[str, str]:
    return {p.relative_to(out).as_posix(): p.read_text() for p in out.rglob("*") if p.is_file()}


def test_write_makes_folders_and_readable_files(tmp_path):
    """New files are there with mode 0644, whatever the umask, as containers read them."""
    wanted = tree(compose="a", loki="b")
    assert sorted(wanted) == write_tree(wanted, tmp_path / "new").written
    assert wanted == on_disk(tmp_path / "new")
    assert 0o644 == (tmp_path / "new" / LOKI).stat().st_mode & 0o777


def test_write_opens_what_a_strict_umask_closed(tmp_path):
    """Files and folders that others cannot read are opened, also when nothing has changed."""
    wanted = tree(compose="a", loki="b")
    write_tree(wanted, tmp_path)
    (tmp_path / LOKI).chmod(0o600)
    (tmp_path / LOKI).parent.chmod(0o700)
    write_tree(wanted, tmp_path)
    assert (0o644, 0o755) == tuple(
        path.stat().st_mode & 0o777 for path in (tmp_path / LOKI, (tmp_path / LOKI).parent)
    )


def test_writes_at_the_same_time_do_not_disturb_each_other(tmp_path):
    """Many threads render the same tree at once; it is whole in the end, and nothing is left."""
    write_tree(tree(compose="0", loki="0", old="0"), tmp_path)

    def write(number):
        write_tree(tree(compose=str(number), loki=str(number)), tmp_path)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(40)))
    found = on_disk(tmp_path)
    assert {COMPOSE, LOKI} == set(found)
    assert found[COMPOSE] == found[LOKI]


def test_write_again_changes_nothing(tmp_path):
    """A second run of the same tree writes no file."""
    write_tree(tree(compose="a", loki="b"), tmp_path)
    again = write_tree(tree(compose="a", loki="b"), tmp_path)
    assert ([], [COMPOSE, LOKI], []) == (again.written, again.unchanged, again.removed)


def test_write_removes_files_that_are_no_longer_rendered(tmp_path):
    """A file that loglane rendered once and no longer does is taken away; others stay."""
    write_tree(tree(compose="a", old="c"), tmp_path)
    own = tmp_path / "stack/rendered/own.txt"
    own.write_text("mine")
    assert [OLD] == write_tree(tree(compose="a"), tmp_path).removed
    assert "mine" == own.read_text()


def test_write_refuses_to_replace_somebody_elses_file(tmp_path):
    """A compose file that loglane did not render is left alone, and nothing else is written."""
    (tmp_path / COMPOSE).write_text("services: {}\n")
    with pytest.raises(SpecError, match="was not rendered by loglane"):
        write_tree(tree(compose="a", loki="b"), tmp_path)
    assert {COMPOSE: "services: {}\n"} == on_disk(tmp_path)


@pytest.mark.parametrize("blocked", ["stage", "replace"])
def test_write_that_fails_leaves_the_old_tree(tmp_path, monkeypatch, blocked):
    """A disk error while staging or while replacing leaves every file as it was."""
    before = tree(compose="a", loki="b", old="c")
    write_tree(before, tmp_path)
    name = "write_bytes" if blocked == "stage" else "replace"
    real = getattr(Path, name)

    def fail_for_loki(path: Path, *arguments):
        if path.name == "loki.yaml.loglane-new":
            raise OSError(28, "No space left on device", str(path))
        return real(path, *arguments)

    monkeypatch.setattr(Path, name, fail_for_loki)
    with pytest.raises(SpecError, match="cannot be written: No space left"):
        write_tree(tree(compose="A", loki="B"), tmp_path)
    assert before == on_disk(tmp_path)


def test_write_to_a_path_that_is_a_file_is_a_clear_error(tmp_path):
    """An output folder that is a file is named as such."""
    (tmp_path / "out").write_text("x")
    with pytest.raises(SpecError, match="out"):
        write_tree(tree(compose="a"), tmp_path / "out")


def test_diff_is_empty_after_a_write(tmp_path):
    """What was just written does not differ."""
    write_tree(tree(compose="a\n", loki="b\n"), tmp_path)
    assert "" == diff_tree(tree(compose="a\n", loki="b\n"), tmp_path)


def test_diff_shows_changed_missing_and_left_over_files(tmp_path):
    """Each kind of drift is in the diff with the name of its file."""
    write_tree(tree(compose="a\n", old="c\n"), tmp_path)
    diff = diff_tree(tree(compose="b\n", loki="d\n"), tmp_path)
    assert {"-a", "+b", "+d", "-c"} <= set(diff.splitlines())
    assert f"--- {LOKI} (missing)" in diff
