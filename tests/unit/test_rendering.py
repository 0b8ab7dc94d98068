"""One record as one line that fits."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglane.rendering import render

OWN = {
    "timestamp": "2026-01-01T00:00:00.000000Z",
    "level": "info",
    "message": "order_created",
    "logger": "shop.orders",
    "service": "orders",
    "env": "prod",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
}


def rendered(record, max_bytes=512):
    """Render and parse, after the checks that hold for every line."""
    line = render(record, max_bytes)
    assert len(line) <= max_bytes
    assert [line.decode()] == line.decode().splitlines()
    return json.loads(line)


def test_record_that_fits_is_plain_json():
    """Nothing is added and nothing is changed."""
    record = {**OWN, "n": 1, "ok": True, "none": None, "map": {"a": [1.5, "é"]}}
    expected = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
    assert expected == render(record, 1000)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\n", "\x1c", "\v"], ids=ascii)
def test_line_separators_are_escaped(mark):
    """A reader that splits lines at any separator of Unicode sees one line."""
    record = {f"a{mark}": f"x{mark}é"}
    assert record == rendered(record)


def test_the_longest_string_is_cut_first():
    """A short string keeps what it has; the mark says how much is gone."""
    found = rendered({**OWN, "body": "x" * 1000, "name": "ann"})
    kept = found["body"].count("x")
    assert {**OWN, "body": f"{'x' * kept}...[+{1000 - kept} chars]", "name": "ann"} == found
    assert kept > 150


def test_strings_of_one_length_are_cut_alike():
    """Two long strings share the room."""
    found = rendered({"a": "x" * 5000, "b": "y" * 5000, "c": "z" * 100}, 1000)
    assert ["z" * 100, 0] == [found["c"], found["a"].count("x") - found["b"].count("y")]


def test_strings_inside_containers_are_cut():
    """A long string is found at any depth, and the record itself is left alone."""
    record = {"a": {"b": ["x" * 5000, {"c": "y" * 5000}]}, "d": 1}
    found = rendered(record)
    assert ["a", "d"] == list(found)
    assert len(found["a"]["b"][0]) > 100
    assert 5000 == len(record["a"]["b"][0])


def test_exception_keeps_its_head_and_its_tail():
    """A traceback says first where it began and last what was raised."""
    text = "Traceback\n" + "  frame\n" * 500 + "ValueError: no"
    found = rendered({**OWN, "exception": text})["exception"]
    assert found.startswith("Traceback\n  frame\n")
    assert found.endswith("frame\nValueError: no")
    assert "chars]" in found


def test_cut_falls_between_characters():
    """No character is torn, however many bytes it takes."""
    found = rendered({**OWN, "exception": "😀é\u2028" * 500, "b": "\x01😀" * 500}, 1024)
    assert "" == found["exception"].split("...[+")[0].strip("😀é\u2028")
    assert "" == found["b"].split("...[+")[0].strip("\x01😀")


def test_the_largest_fields_are_dropped_next():
    """When no string is left to cut, fields go by size, and their number is in the line."""
    found = rendered({**OWN, "big": list(range(500)), "bigger": list(range(900)), "n": 1})
    assert {**OWN, "n": 1, "truncated": 2} == found


def test_a_field_that_fits_beside_is_kept():
    """Only as many fields are dropped as have to be."""
    found = rendered({**OWN, "a": [1] * 10, "b": [1] * 300})
    assert {**OWN, "a": [1] * 10, "truncated": 1} == found


def test_own_fields_go_last():
    """When all that is left is too long, own fields are cut and kept."""
    found = rendered({**dict.fromkeys(OWN, "\x01" * 5000), "n": 1})
    assert [*OWN, "truncated"] == list(found)
    assert {"truncated": 7} == rendered({name: [5] * 5000 for name in OWN})


def test_callers_own_truncated_gives_way():
    """A field of that name is dropped, and counted, when the line needs the name."""
    found = rendered({**OWN, "truncated": "mine", "big": list(range(500))})
    assert 2 == found["truncated"]


def test_many_fields_end_in_a_line():
    """Thousands of small fields are dropped in one go."""
    found = rendered({f"f{i}": "v" * 20 for i in range(3000)})
    assert 3000 == found["truncated"] + len(found) - 1


def test_a_long_name_is_dropped_with_its_field():
    """A name counts as much as a value."""
    assert {"b": 2, "truncated": 1} == rendered({"k" * 5000: 1, "b": 2})


class _Secretive:
    def __repr__(self):
        return "hunter2"


@pytest.mark.parametrize(
    ("value", "name"), [(_Secretive(), "_Secretive"), (2**70, "int"), ([{1: 2}], "list")], ids=str
)
def test_a_value_that_json_lacks_is_named_by_its_type(value, name):
    """What did not come from the sanitizer neither raises nor leaks."""
    assert {"a": f"<{name}: not rendered>", "b": 1} == rendered({"a": value, "b": 1})
    assert {"\\ud800": 1, "<tuple>": 2} == rendered({"\ud800": 1, (1,): 2})


@pytest.mark.timeout(30)
def test_a_huge_record_takes_linear_time():
    """Megabytes in many strings are cut before the test times out."""
    record = {**OWN, "a": ["é\n" * 50_000] * 40, "exception": "\x01" * 5_000_000}
    assert [*OWN, "a", "exception"] == list(rendered(record, 65_536))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False)
    | st.text(max_size=300) | st.text("\x01é😀\u2028", min_size=200, max_size=400),
    lambda inner: st.lists(inner, max_size=8)
    | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=20), inner, max_size=8),
    max_leaves=20,
)  # fmt: skip
_NAMES = st.sampled_from([*OWN, "exception", "truncated"]) | st.text(max_size=30)


@given(st.dictionaries(_NAMES, _JSON, max_size=12), st.integers(512, 2000))
def test_any_record_gives_one_line_that_fits(record, max_bytes):
    """Whatever is in it: valid JSON, one line, within the limit, own names kept."""
    found = rendered(record, max_bytes)
    if "truncated" not in record and "truncated" not in found:
        assert len(record) == len(found)
