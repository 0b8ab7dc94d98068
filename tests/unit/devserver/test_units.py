"""Numbers, durations and sizes as Go reads them."""

from __future__ import annotations

import math

import pytest

from loglane.devserver.logql.units import (
    format_float,
    parse_bytes,
    parse_float,
    parse_go_duration,
    parse_prometheus_duration,
)

_SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5m", 300 * _SECOND),
        ("1h30m", 5400 * _SECOND),
        ("1d", 86_400 * _SECOND),
        ("1y", 365 * 86_400 * _SECOND),
        ("250ms", 250_000_000),
        ("0", 0),
    ],
)
def test_prometheus_duration_is_read(text: str, expected: int) -> None:
    """A duration of Prometheus is read as nanoseconds."""
    assert parse_prometheus_duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "1.5h", "5x", "m5", "30s1m", "9" * 5000 + "y", "999y"])
def test_prometheus_duration_that_is_none_is_refused(text: str) -> None:
    """Units out of order, fractions and what does not fit 64 bits are no duration."""
    with pytest.raises(ValueError, match="duration"):
        parse_prometheus_duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5s", 1_500_000_000),
        ("-2m", -120 * _SECOND),
        ("1h2m3.5s", 3723_500_000_000),
        ("15µs", 15_000),
        (".5ms", 500_000),
        ("0", 0),
    ],
)
def test_go_duration_is_read(text: str, expected: int) -> None:
    """A duration of Go is read as nanoseconds."""
    assert parse_go_duration(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5", 'time: missing unit in duration "5"'),
        ("5d", 'time: unknown unit "d" in duration "5d"'),
        ("fast", 'time: invalid duration "fast"'),
        ("", 'time: invalid duration ""'),
    ],
)
def test_go_duration_that_is_none_has_the_text_of_go(text: str, message: str) -> None:
    """The text ends up in `__error_details__`, so it is that of Go."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        parse_go_duration(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", 1), ("10KB", 10_000), ("10KiB", 10_240), ("1.5 MB", 1_500_000), ("2k", 2000), ("7B", 7)],
)
def test_bytes_are_read(text: str, expected: int) -> None:
    """A size is read with decimal and binary units, with or without a space."""
    assert parse_bytes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1_000", 1000), ("1_2.5_0e+1_2", 12.5e12), ("0x_1p4", 16), ("0x1_0p-2", 4), (".5", 0.5)],
)
def test_float_is_read_as_go_does(text: str, expected: float) -> None:
    """Underscores between digits and hexadecimal floats are numbers of Go."""
    assert parse_float(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "1__0",
        "_1",
        "1_",
        "1_.5",
        "1_e5",
        "1e_5",
        "0x1_p4",
        " 1",
        "1 ",
        "٣",
        "0x10",
        "",
        "one",
        "1e999",
    ],
)
def test_float_that_go_does_not_read_is_refused(text: str) -> None:
    """What Python's float accepts and Go's does not, is no number."""
    with pytest.raises(ValueError, match=r"strconv\.ParseFloat"):
        parse_float(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, "1"),
        (0.1, "0.1"),
        (1e21, "1000000000000000000000"),
        (1.5e-7, "0.00000015"),
        (-2.5e16, "-25000000000000000"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_float_is_written_without_exponent(value: float, expected: str) -> None:
    """A sample value is written with its shortest digits and never with an exponent."""
    assert format_float(value) == expected
