"""Reading one YAML file safely, with the line of every key."""

from __future__ import annotations

from pathlib import Path

import pytest

from loglane.errors import SpecError
from loglane.stack.document import MAX_BYTES, MAX_DEPTH, dotted, read_document


def read(tmp_path: Path, content: str | bytes):
    file = tmp_path / "stack.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_document(file)


def problems(tmp_path: Path, content: str | bytes) -> list[tuple[int | None, str, str]]:
    try:
        found = read(tmp_path, content).problems
    except SpecError as error:
        found = list(error.problems)
    return [(p.line, p.path, p.message) for p in found]


def test_document_holds_plain_data(tmp_path):
    """Maps, lists, strings, numbers, booleans and null come out as Python has them."""
    text = "a: 1\nb: [x, 2.5, true, null]\nc:\n  d: '1'\ne: 2024-01-31\n"
    expected = {"a": 1, "b": ["x", 2.5, True, None], "c": {"d": "1"}, "e": "2024-01-31"}
    assert expected == read(tmp_path, text).data


def test_document_knows_the_line_of_every_key_and_item(tmp_path):
    """The place of a key is its line; of an unknown path, the nearest parent's."""
    document = read(tmp_path, "a:\n  - x\n  - b: 1\nc: {d: 2}\n")
    lines = {
        path: place.line
        for path in [("a",), ("a", 1), ("a", 1, "b"), ("c", "d"), ("c", "nope", 3)]
        if (place := document.place(path))
    }
    expected = {("a",): 1, ("a", 1): 3, ("a", 1, "b"): 3, ("c", "d"): 4, ("c", "nope", 3): 4}
    assert expected == lines


BAD = {
    "empty": ("", None, "empty"),
    "only-a-comment": ("# nothing\n", None, "empty"),
    "list-at-top": ("- a\n", 1, "map of keys"),
    "scalar-at-top": ("hello", 1, "map of keys"),
    "null-at-top": ("null\n", None, "empty"),
    "tab": ("a:\n\tb: 1\n", 2, "tab"),
    "unclosed": ("a: [1, 2\n", 2, "not valid YAML"),
    "two-documents": ("a: 1\n---\nb: 2\n", 2, "second document"),
    "duplicate-key": ("a: 1\nb: 2\na: 3\n", 3, "given twice; it is first on line 1"),
    "python-tag": ("a: !!python/object/apply:os.system [ls]\n", 1, "tag"),
    "python-name-tag": ("a: !!python/name:os.system x\n", 1, "tag"),
    "binary-tag": ("a: !!binary aGk=\n", 1, "tag !!binary is not allowed"),
    "own-tag": ("a: !secret x\n", 1, "tag !secret is not allowed"),
    "anchor": ("a: &x 1\nb: *x\n", 1, "anchors and aliases"),
    "alias-only": ("a: *x\n", 1, "anchors and aliases"),
    "number-as-key": ("1: x\n", 1, "not a string"),
    "map-as-key": ("? {a: 1}\n: x\n", 1, "cannot be a key"),
    "hexadecimal": ("a: 0x10\n", 1, "not a usable number"),
    "huge-hexadecimal": (f"a: 0x{'f' * 5000}\n", 1, "not a usable number"),
    "grouped-number": ("a: 1_000\n", 1, "not a usable number"),
    "base-60": ("a: 12:30:00\n", 1, "not a usable number"),
    "surrogate": ('a: "\\ud800"\n', 1, "surrogate"),
    "surrogate-key": ('"\\ud800": 1\n', 1, "surrogate"),
    "merge-key": ("a:\n  <<: {b: 1}\n", 2, "!!merge"),
    "huge-number": (f"a: {'9' * 5000}\n", 1, "not a usable number"),
    "nul": (b"a: 1\nb: x\0y\n", 2, "NUL"),
    "latin-1": ("a: 1\nb: caf\xe9\n".encode("latin-1"), 2, "not UTF-8"),
    "utf-16": ("a: 1\n".encode("utf-16"), 1, "not UTF-8"),
    "control-character": ("a: \x07\n", None, "not readable as YAML"),
    "too-large": (b"a: " + b"x" * MAX_BYTES, None, "larger than 256 KiB"),
    "ten-megabytes": (b"a: 1\n" * 2_000_000, None, "larger than 256 KiB"),
    "deep-flow": ("a: " + "[" * 100_000, 1, "levels deep"),
    "deep-block": ("".join("  " * n + "a:\n" for n in range(60)), MAX_DEPTH + 1, "levels deep"),
}


@pytest.mark.parametrize(("content", "line", "part"), BAD.values(), ids=BAD)
def test_document_refuses_what_a_spec_must_not_hold(tmp_path, content, line, part):
    """Each kind of unusable file is one clear problem at its line."""
    found = problems(tmp_path, content)
    assert [line] == [at for at, _, _ in found]
    assert part in found[0][2]


def test_document_refuses_an_exploding_file_at_its_first_anchor(tmp_path):
    """A billion laughs ends at the first anchor; nothing is expanded."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert 1 == problems(tmp_path, "\n".join(lines))[0][0]


def test_document_names_a_missing_file(tmp_path):
    """A file that is not there is a problem of that file, not a traceback."""
    with pytest.raises(SpecError, match=r"nope\.yaml: cannot read the file: no such file"):
        read_document(tmp_path / "nope.yaml")


def test_document_names_a_folder(tmp_path):
    """A folder given as the file is a problem of that folder."""
    with pytest.raises(SpecError, match="cannot read the file: is a directory"):
        read_document(tmp_path)


def test_dotted_writes_paths_as_people_read_them():
    """List positions are in brackets, keys are joined by dots."""
    assert "retention.streams[0].period" == dotted(("retention", "streams", 0, "period"))
