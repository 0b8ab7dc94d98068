"""Any Python value as one that JSON holds: masked, bounded, never raising."""

import collections
import dataclasses
import enum
import json
import pathlib
import threading
import types
import uuid
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, NamedTuple
from urllib.parse import urlsplit

import attrs
import numpy as np
import orjson
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loglane.masking import Masker
from loglane.rendering import render
from loglane.values import Sanitizer

masker = Masker()
sanitizer = Sanitizer(masker)
# How long it takes to draw says nothing about the code.
unhurried = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


class _Zone(tzinfo):
    """A time zone of an app's that does not work."""

    def utcoffset(self, _at):
        raise RuntimeError("no")


class _Colour(enum.Enum):
    RED = "red"
    HUGE = 2**70


class _Name(str, enum.Enum):
    PASSWORD = "password"


class _Point(NamedTuple):
    x: int
    password: str


@dataclasses.dataclass
class _Account:
    user: str
    password: str
    quiet: str = dataclasses.field(default="quiet", repr=False)
    kind: ClassVar[str] = "kind"


@dataclasses.dataclass(slots=True)
class _Slotted:
    user: str
    password: str


@dataclasses.dataclass(slots=True, repr=False)
class _HalfSet(_Slotted):
    unset: int = dataclasses.field(init=False)


@attrs.define
class _Drawn:
    user: str
    password: str
    quiet: str = attrs.field(default="quiet", repr=False)


class _Model(pydantic.BaseModel):
    model_config = {"extra": "allow"}
    user: str
    password: str
    quiet: str = pydantic.Field(default="quiet", repr=False)
    inner: "_Model | None" = None

    @pydantic.computed_field
    @property
    def broken(self) -> str:
        raise RuntimeError("no")


class _Secretive(pydantic.BaseModel):
    shown: pydantic.SecretStr


class _Plain:
    def __repr__(self):
        return "_Plain(password='hunter2', n=1)"


class _Broken:
    """Everything about it raises."""

    def _raise(self, *_args):
        raise RuntimeError("no")

    __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = _raise
    __getattribute__ = _raise


class _BrokenMeta(type):
    def _raise(cls, *_args):
        raise RuntimeError("no")

    __getattribute__ = __hash__ = __eq__ = __instancecheck__ = _raise


class _OfBrokenMeta(metaclass=_BrokenMeta):
    pass


class _Recursive:
    def __repr__(self):
        return repr(self)


class _Hungry:
    def __repr__(self):
        raise MemoryError


class _BrokenDict(dict):
    def items(self):
        raise RuntimeError("no")

    __iter__ = __len__ = __getitem__ = keys = copy = items


class _BrokenMapping(Mapping):
    def __getitem__(self, name):
        raise RuntimeError("no")

    def __iter__(self):
        return iter("ab")

    def __len__(self):
        return 2

    def __repr__(self):
        return "_BrokenMapping(password=hunter2)"


class _Endless(Mapping):
    def __getitem__(self, name):
        return name

    def __iter__(self):
        number = 0
        while True:
            yield number
            number += 1

    def __len__(self):
        raise RuntimeError("no")


class _Liar:
    @property
    def __class__(self):
        return dict


class _BrokenStr(str):
    __slots__ = ()

    def _raise(self, *_args):
        raise RuntimeError("no")

    __str__ = __repr__ = __len__ = __getitem__ = isalnum = isascii = encode = _raise


def _deep(levels=5000):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), (True, True), (1, 1), (-(2**63), -(2**63)), (2**64 - 1, 2**64 - 1),
        (2**64, "18446744073709551616"), (10**5000, "<int of 16610 bits>"), (1.5, 1.5),
        (float("nan"), "NaN"), (float("inf"), "Infinity"), (float("-inf"), "-Infinity"),
        ("a\ud800b", "a\\ud800b"), ("é", "é"), (b"abc", "abc"), (b"\xff", "\\xff"),
        (bytearray(b"x"), "x"), (memoryview(b"xyz")[::2], "xz"), (np.arange(2), [0, 1]),
        ({1, 3, 2}, [1, 2, 3]), (frozenset("ba"), ["a", "b"]), ((1, 2, 3), [1, 2, 3]),
        (collections.deque([1]), [1]), ({"a": 1}.values(), [1]), (range(3), "range(0, 3)"),
        (collections.OrderedDict(a=1), {"a": 1}), (types.MappingProxyType({"a": 1}), {"a": 1}),
        (Decimal("1.10"), "1.10"), (Fraction(1, 3), "1/3"), (1 + 2j, "(1+2j)"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"), (pathlib.Path("/a"), "/a"),
        (datetime(2026, 1, 1, tzinfo=timezone.utc), "2026-01-01T00:00:00+00:00"),
        (datetime(2026, 1, 1), "2026-01-01T00:00:00"), (date(2026, 1, 1), "2026-01-01"),
        (time(9), "09:00:00"), (timedelta(minutes=1), 60.0), (_Colour.RED, "red"),
        (_Colour.HUGE, "1180591620717411303424"), (_Name.PASSWORD, "password"),
        (time(9, tzinfo=_Zone()), "09:00:00 <its time zone raised RuntimeError>"),
        (ValueError("no"), "ValueError: no"), (ValueError(), "ValueError"), (len, "builtins.len"),
        (ValueError, "builtins.ValueError"), (str.join, "<method 'join' of 'str' objects>"),
        (np.float32(1.5), 1.5), (np.int64(3), 3), (np.bool_(True), True),
        (np.float64("nan"), "NaN"),
        (np.zeros((1, 2)), [[0.0, 0.0]]), (np.datetime64("2026-01-01"), "2026-01-01"),
        (np.array(5), [5]), (_BrokenStr("a b"), "a b"), (_BrokenDict(a=1), {"a": 1}),
        (_Recursive(), "<_Recursive: its repr raised RecursionError>"),
        (_Hungry(), "<_Hungry: its repr raised MemoryError>"),
        (_Broken(), "<_Broken: its repr raised RuntimeError>"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_value_has_a_form_in_json(value, expected):
    """Each type is written in one way, and what raises is named."""
    found = sanitizer.value(value)
    assert [type(expected), expected] == [type(found), found]
    assert found == json.loads(orjson.dumps(found))


def test_zero_keeps_its_sign():
    """As it does in a line that is written without a copy."""
    assert b"-0.0" == orjson.dumps(sanitizer.value(-0.0))


@pytest.mark.parametrize(
    "value",
    [_Account("u", "hunter2"), _HalfSet("u", "hunter2"), _Drawn("u", "hunter2"),
     _Model(user="u", password="hunter2"), {"user": "u", "password": "hunter2"},
     types.MappingProxyType({"user": "u", "password": {"a": "hunter2"}}),
     np.array([("u", "hunter2")], dtype=[("user", "U9"), ("password", "U9")])[0]],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_models_fields_are_masked_by_name(value):
    """A model becomes an object; fields kept out of its repr or not set are left out."""
    expected = {"user": "u", "password": "***"}
    found = sanitizer.value(value)
    assert expected == {name: item for name, item in found.items() if item is not None}


def test_extra_fields_of_a_model_are_masked():
    """A pydantic model that takes any field is masked in each, and in models inside."""
    inner = _Model(user="u", password="hunter2", api_key="hunter2")
    found = sanitizer.value(_Model(user="v", password="", inner=inner))
    expected = {"user": "u", "password": "***", "inner": None, "api_key": "***"}
    assert {"user": "v", "password": "", "inner": expected} == found


def test_a_secret_string_stays_hidden():
    """What a library hides in its repr is hidden here, whatever its name."""
    assert {"shown": "***"} == sanitizer.value(_Secretive(shown="hunter2"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), ("", ""), ([], []), ({}, {}), (False, False), (True, True), (0, "***"),
     ("x", "***"), (["x"], "***"), (_Broken(), "***"), (b"x", "***")],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_any_value_under_a_hidden_name_is_masked(value, expected):
    """Only what is nothing, or true or false, stays."""
    assert {"db_password": expected} == sanitizer.record({"db_password": value})


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a", "a"), (1, "1"), (None, "null"), (True, "true"), (b"a", "a"), (_Colour.RED, "red"),
     ("\ud800", "\\ud800"), ((1, 2), "[1,2]"), (1.5, "1.5"),
     ("x" * 300, "x" * 200 + "...[+100 chars]"),
     ("a://u:p@h", "a://***@h"), (("password", "hunter2"), '["password","hunter2"]')],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_name_becomes_text(name, expected):
    """A name of any type is written as JSON would have it, masked and not too long."""
    shown = {expected: "***"} if masker.hides(expected) else {expected: 5}
    assert shown == sanitizer.record({name: 5})


@pytest.mark.parametrize(
    "name",
    [b"password", _Name.PASSWORD, _BrokenStr("password")],
    ids=lambda name: type(name).__name__,
)  # fmt: skip
def test_a_hidden_name_hides_whatever_its_type(name):
    """The name's text counts."""
    assert {"a": {"password": "***"}} == sanitizer.record({"a": {name: "hunter2"}})


def test_names_that_become_one_are_all_kept():
    """The later one gets a number."""
    found = sanitizer.record({1: "a", "1": "b", "1_2": "c", b"1": "d"})
    assert {"1": "a", "1_2": "b", "1_2_2": "c", "1_3": "d"} == found


def test_many_names_that_become_one_take_few_steps():
    """A thousand keys with one text are told apart."""

    class Same:
        def __repr__(self):
            return "same"

    assert 1000 == len(sanitizer.value({Same(): i for i in range(1000)}))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b'{"a": {"token": "x"}}', '{"a":{"token":"***"}}'), ('[{"pwd": 1}]', '[{"pwd":"***"}]'),
     ('{"pass\\u0077ord": "x"}', '{"password":"***"}'), ('{"a": [1, 2]}', '{"a": [1, 2]}'),
     ('{"pass\\u0077ord": "x", "password": ""}', '{"password":""}'), ("[INFO] x", "[INFO] x"),
     ('{"a": "{\\"token\\": \\"x\\"}"}', '{"a":"{\\"token\\":\\"***\\"}"}'), ("{", "{"),
     ('{"id": 12345678901234567890123}', '{"id": 12345678901234567890123}'),
     ('{"id": 12345678901234567890123, "pwd": 1}', '{"id":"12345678901234567890123","pwd":"***"}'),
     ('{"id": 18446744073709551615, "pwd": 1}', '{"id":18446744073709551615,"pwd":"***"}'),
     (b'\n{"token": "x y"', '\n{"token": "***"')],
    ids=str,
)  # fmt: skip
def test_json_in_text_is_masked_inside(value, expected):
    """JSON in a str or bytes is masked by its names, and left alone when nothing is hidden."""
    assert expected == sanitizer.value(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [([(b"authorization", b"Bearer x")], [["authorization", "***"]]), (("a", 1), ["a", 1]),
     ({"cookie": "x"}.items(), [["cookie", "***"]]), ([["token", "x"]], [["token", "***"]]),
     ((("token", "x"), ("token", None)), [["token", "***"], ["token", None]]),
     (("password", "last_login"), ["password", "last_login"]), ([["token"]], [["token"]]),
     (["run", "--password", "a b", "-x"], ["run", "--password", "***", "-x"]),
     (["--password=x", "y"], ["--password=***", "y"]), ([1, "--token"], [1, "--token"]),
     ({"name": "password", "value": "x"}, {"name": "password", "value": "***"}),
     ({"key": "db-token", "value": 5}, {"key": "db-token", "value": "***"}),
     ({"name": "user", "value": "x"}, {"name": "user", "value": "x"}),
     ({"loc": ("body", "password"), "input": "x"}, {"loc": ["body", "password"], "input": "***"}),
     ({"loc": ("age",), "input": "x"}, {"loc": ["age"], "input": "x"}),
     (urlsplit("pg://u:p@s@h/d")._replace(path=""),
      {"scheme": "pg", "netloc": "***@h", "path": "", "query": "", "fragment": ""}
     ),
     ({"netloc": "h:80"}, {"netloc": "h:80"}), ({"netloc": b"u:p@h"}, {"netloc": "***@h"}),
     ({"netloc": None}, {"netloc": None}), (["token", "a"], ["token", "a"]),
     (_Plain(), "_Plain(password='***', n=1)"), (_BrokenMapping(), "_BrokenMapping(password=***)"),
     (ValueError("pg://u:p@h"), "ValueError: pg://***@h"),
     (_Point(1, "x"), {"x": 1, "password": "***"}),
     (types.SimpleNamespace(token="a b"), "namespace(token='***')")],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_secrets_are_found_in_other_forms(value, expected):
    """Headers as pairs, the repr of an object, the text of an exception."""
    assert expected == sanitizer.value(value)


def test_cycles_and_depth_are_marked():
    """A value inside itself, and what lies too deep, end in a mark; a value met twice does not."""
    cycle, twice = [1], {"a": 1}
    cycle.append({"again": cycle})
    assert [1, {"again": "<cycle>"}] == sanitizer.value(cycle)
    assert [twice, twice] == sanitizer.value([twice, twice])
    assert [[["<too deep>"]]] == Sanitizer(masker, max_depth=3).value(_deep())


def test_items_are_bounded_in_all():
    """What is over the limit is counted, at any place."""
    small = Sanitizer(masker, max_items=5)
    assert [0, 1, 2, 3, 4, "...(+95 more)"] == small.value(list(range(100)))
    nested = {"a": [1, 2, 3], "b": [4, 5, 6]}
    assert {"a": [1, 2, 3], "b": ["...(+3 more)"]} == small.value(nested)
    assert {"0": 0, "...": "more"} == Sanitizer(masker, max_items=1).value(_Endless())


def test_a_large_field_does_not_displace_the_others():
    """The fields of the record itself do not count as items."""
    found = Sanitizer(masker, max_items=5).record({"a": list(range(9)), "b": 1, "c": [1], "d": 2})
    expected = {"a": [0, 1, 2, 3, 4, "...(+4 more)"], "b": 1, "c": ["...(+1 more)"], "d": 2}
    assert expected == found


def test_long_text_is_cut_after_masking():
    """A credential across the cut is masked; the mark says how much is gone."""
    small = Sanitizer(masker, max_text=20)
    assert f"{'x' * 20}...[+80 chars]" == small.value("x" * 100)
    assert "hunter2" not in small.value("pg://ann:hunter2hunter2@host/db")
    assert small.value(b"x" * 2_000_000).endswith("chars]...[+1000000 bytes]")


def test_iterators_are_not_consumed():
    """An iterator still has its items after it was logged."""
    items = iter([1, 2])
    generator = (item for item in items)
    assert sanitizer.value(generator).startswith("<generator object")
    assert [1, 2] == list(generator)


def test_a_record_that_raises_gives_a_record():
    """Even the mapping of fields may be broken."""
    found = sanitizer.record(_BrokenMapping())
    assert {"fields": "_BrokenMapping(password=***)"} == found


def test_a_broken_metaclass_does_not_matter():
    """A class that answers nothing about itself is written by its repr, and so is its object."""
    found = sanitizer.record({"class": _OfBrokenMeta, "object": _OfBrokenMeta()})
    assert found["class"].endswith("_OfBrokenMeta'>")
    assert "object at 0x" in found["object"]


class _NoClass:
    """Its class cannot be asked for, nor whether it is true."""

    @property
    def __class__(self):
        raise RuntimeError("no")

    def __bool__(self):
        raise RuntimeError("no")


class _NoLength(_BrokenMapping):
    def __len__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("kind", [_NoClass, _NoLength, _Broken], ids=lambda kind: kind.__name__)
def test_an_object_that_answers_nothing_is_written(kind):
    """As a value, inside others, as a name and in place of the fields."""
    assert type(sanitizer.value(kind())) is str
    found = sanitizer.record({"a": kind(), "b": [kind()], "c": {"d": kind()}, "token": kind()})
    assert [str, list, dict, "***"] == [
        type(found["a"]),
        type(found["b"]),
        type(found["c"]),
        found["token"],
    ]
    assert ["fields"] == list(sanitizer.record(kind()))


def test_no_stack_left_gives_a_record():
    """Near the recursion limit a line may lose its fields, but nothing is raised."""
    wrong = []

    def dig(own, left):
        # Each frame on the way up has a little more stack than the one below.
        try:
            dig(own, left)
        except RecursionError:
            left.append(1)
            if len(left) > 4:
                try:
                    own.record({"a": "x=1", "b": [{"c": "y=2"}], "password": "x"})
                except RecursionError as error:
                    wrong.append(error)
            if len(left) < 60:
                raise

    dig(Sanitizer(masker), [])
    assert [] == wrong


def test_a_repr_that_logs_its_own_object_is_bounded():
    """It calls itself through the logger, which calls it again; the third call is not made."""
    calls = []

    class Logging:
        def __repr__(self):
            calls.append(1)
            return f"<{sanitizer.value(self)} {sanitizer.value(self)}>"

    inner = "<<Logging: repr within a repr> <Logging: repr within a repr>>"
    assert f"<{inner} {inner}>" == sanitizer.value(Logging())
    assert 3 == len(calls)


def test_an_interrupt_passes():
    """What is no Exception belongs to the app."""

    class Interrupting:
        def __repr__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sanitizer.value(Interrupting())


def test_containers_may_change_meanwhile():
    """Another thread changes a dict, a set and a list while they are copied."""
    shared = {"d": {}, "s": set(), "l": [], "q": collections.deque()}
    stop = threading.Event()

    def change():
        number = 0
        while not stop.is_set():
            number = (number + 1) % 500
            shared["d"][number] = shared["d"].pop(number - 1, 0)
            shared["s"] ^= {number}
            shared["l"][:] = range(number)
            shared["q"].append(number)
            if number == 0:
                shared["q"].clear()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        kinds = {
            tuple(type(item) for item in sanitizer.record(shared).values()) for _ in range(300)
        }
    finally:
        stop.set()
        thread.join()
    assert {(dict, list, list, list)} == kinds


def test_a_flood_of_names_and_types_does_not_grow_the_memory():
    """What is remembered has a limit."""
    own = Sanitizer(masker)
    for i in range(5000):
        own.record({f"name_{i}x": 1})
    for i in range(2500):
        own.value(type(f"T{i}", (), {})())
    assert len(own._names) <= 2048
    assert len(own._handlers) <= 2048


def _array_of(item):
    array = np.empty(1, dtype=object)
    array[0] = item
    return array


_HOSTILE = [
    _Broken, _BrokenMapping, _Endless, _Recursive, _Hungry, _Liar, _Plain, object,
    lambda: _BrokenDict(a=1), lambda: _BrokenStr("x y"), _deep,
    lambda: datetime(2026, 1, 1, tzinfo=_Zone()), lambda: time(1, tzinfo=_Zone()),
    lambda: ValueError(_Broken()), lambda: (i for i in range(3)), lambda: 10**6000,
    lambda: _Account(_Broken(), "x"), lambda: _Model.model_construct(user=_Broken()), lambda: _Zone,
    lambda: _array_of(_Broken()), lambda: np.datetime64("NaT", "s"), lambda: _Slotted,
    lambda: Fraction(10**6000, 3), lambda: range(10**6000), lambda: Decimal("sNaN"),
    lambda: memoryview(b"abcd").cast("B", (2, 2)), lambda: np.ma.masked, lambda: np.longdouble(1),
]  # fmt: skip
_HASHABLE = st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats()
_SCALARS = (
    _HASHABLE | st.text(st.characters(categories=["Cs", "Cc", "Zl", "Zp"])) | st.complex_numbers()
    | st.decimals() | st.fractions() | st.datetimes() | st.dates() | st.timedeltas() | st.uuids()
    | st.sampled_from(_Colour)
)  # fmt: skip
_CONTAINERS = [
    list, tuple, collections.deque, lambda items: dict(enumerate(items)),
    lambda items: {(i, "a"): item for i, item in enumerate(items)},
    lambda items: types.MappingProxyType({f"k{i}": item for i, item in enumerate(items)}),
    lambda items: _Account(items, "x"), lambda items: _Slotted(tuple(items), 1),
    lambda items: _Drawn(items, None), lambda items: _Point(items, 1),
    lambda items: _Model.model_construct(user=items), lambda items: ValueError(*items),
    _array_of,
]  # fmt: skip


def _drawn(data, depth=0):
    """Draw any value; Hypothesis itself must not see it, because it asks values for their repr."""
    pick = data.draw(st.integers(0, 5))
    if pick == 0:
        return _HOSTILE[data.draw(st.integers(0, len(_HOSTILE) - 1))]()
    if pick == 1:
        return data.draw(st.frozensets(_HASHABLE, max_size=4))
    if pick < 4 or depth > 3:
        return data.draw(_SCALARS)
    return _wrapped(data, [_drawn(data, depth + 1) for _ in range(data.draw(st.integers(0, 3)))])


def _wrapped(data, items):
    return _CONTAINERS[data.draw(st.integers(0, len(_CONTAINERS) - 1))](items)


def line_of(fields, max_bytes=4096):
    """Sanitize, render and parse, after the checks that hold for every line."""
    line = render(sanitizer.record(fields), max_bytes)
    assert len(line) <= max_bytes
    assert [line.decode()] == line.decode().splitlines()
    found = json.loads(line, parse_constant=pytest.fail)
    assert isinstance(found, dict)
    return line


@unhurried
@given(st.lists(_HASHABLE, max_size=5), st.data())
def test_any_mapping_gives_one_valid_line(names, data):
    """Whatever the names and values are, hostile ones too."""
    line_of({name: _drawn(data) for name in names})


_MARK = "Zq7X9marker"
_JWT = f"eyJhbGciOiJIUzI1NiJ9.{_MARK}.sig"


class _Login(pydantic.BaseModel):
    password: str = pydantic.Field(min_length=40)


@dataclasses.dataclass
class _Owner:
    credentials: _Account


def _invalid():
    try:
        _Login(password=_MARK)
    except pydantic.ValidationError as error:
        return error


_SECRETS = [
    {"password": _MARK}, {"userToken": [1, {"a": _MARK}]}, {b"X-Api-Key": _MARK.encode()},
    {_Name.PASSWORD: _MARK}, [(b"authorization", _MARK.encode())], _Account("u", _MARK),
    _Slotted("u", _MARK), _Drawn("u", _MARK), _Model(user="u", password=_MARK), _Point(1, _MARK),
    _Model(user="u", password="", secret=_MARK), _Secretive(shown=_MARK), pydantic.SecretStr(_MARK),
    json.dumps({"a": [{"client-secret": _MARK}]}), json.dumps({"pwd": {"b": _MARK}}).encode(),
    json.dumps(json.dumps({"token": f"{_MARK} x"})), str({"cookies": [_MARK]}),
    repr(_Point(1, _MARK)),
    f"postgres://ann:{_MARK}@host/db", f"https://{_MARK}@host",
    f"https://host/?a=1&api_key={_MARK}",
    f"Bearer {_MARK}", f"Authorization: Basic {_MARK}", f"x {_JWT}", _JWT.encode(),
    f"-----BEGIN PRIVATE KEY-----\n{_MARK}\n-----END PRIVATE KEY-----",
    ValueError(f"connect to amqp://u:{_MARK}@h failed"), KeyError({"password": _MARK}),
    types.SimpleNamespace(token=_MARK), collections.ChainMap({"secret": _MARK}),
    np.array([("u", _MARK)], dtype=[("user", "U9"), ("password", "U20")]), {"otp": _MARK}.items(),
    str([("password", _MARK)]), str([(b"cookie", f"a={_MARK}".encode())]), _invalid(),
    str(_invalid()), _invalid().errors(), str(_invalid().errors()), json.loads(_invalid().json()),
    f"x {_Owner(_Account('u', _MARK))}", urlsplit(f"pg://u:{_MARK}@h"),
    str(urlsplit(f"pg://u:{_MARK}@h")), ["run", "--password", _MARK],
]  # fmt: skip


@pytest.mark.parametrize("hidden", _SECRETS, ids=lambda value: type(value).__name__)
def test_a_secret_never_appears(hidden):
    """A value under a hidden name, or a credential in a text, does not reach the line."""
    assert _MARK.encode() not in line_of({"a": hidden}, 65_536)


@unhurried
@given(st.integers(0, len(_SECRETS) - 1), st.integers(0, 6), st.data())
def test_a_secret_never_appears_wherever_it_lies(number, depth, data):
    """It is found at any depth and in any container, whatever is beside it."""
    value = _SECRETS[number]
    for _ in range(depth):
        value = _wrapped(data, [value])
    fields = {"a": value, "b": _drawn(data), "c": [_drawn(data), value]}
    assert _MARK.encode() not in line_of(fields, 65_536)


@unhurried
@given(st.dictionaries(st.text(max_size=9), st.text(max_size=40) | st.integers(-9, 9), max_size=4))
def test_a_line_that_is_not_suspicious_is_not_changed(fields):
    """What skips the sanitizer would have come out of it as it went in."""
    if any(masker.hides(name) for name in fields):
        return
    try:
        line = orjson.dumps(fields)
    except TypeError:
        return
    if not masker.suspicious(line, len(fields)):
        assert fields == sanitizer.record(fields)
