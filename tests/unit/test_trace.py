"""Trace ids are checked, carried, and come back as they were."""

from __future__ import annotations

import asyncio
import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

import loglane
from loglane.trace import (
    incoming_trace_id,
    outgoing_headers,
    parse_traceparent,
    valid_id,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
HEX = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(autouse=True)
def _clean():
    loglane.clear_context()
    yield
    loglane.clear_context()


def test_set_trace_id_binds_and_its_token_gives_back_the_one_before():
    """Tokens nest, and the last one leaves no id."""
    outer = loglane.set_trace_id("outer")
    inner = loglane.set_trace_id("inner")
    found = [loglane.get_trace_id()]
    loglane.clear_trace_id(inner)
    found.append(loglane.get_trace_id())
    loglane.clear_trace_id(outer)
    found.append(loglane.get_trace_id())
    assert ["inner", "outer", None] == found


def test_clear_trace_id_keeps_what_was_bound_in_between():
    """Only the trace id goes back."""
    token = loglane.set_trace_id("t")
    loglane.bind_context(user_id=7)
    loglane.clear_trace_id(token)
    assert {"user_id": 7} == loglane.get_context()


def test_a_token_works_in_another_thread():
    """A token is a value; it is not tied to where it was made."""
    token = loglane.set_trace_id("t")
    found = []

    def work():
        loglane.set_trace_id("other")
        loglane.clear_trace_id(token)
        found.append(loglane.get_trace_id())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ([None], "t") == (found, loglane.get_trace_id())


@pytest.mark.parametrize(
    "hostile", [None, "", "a b", "x\ny", 'a"}', "é", "a" * 129, 17, b"bytes"], ids=repr
)
def test_what_is_no_id_becomes_a_new_one(hostile):
    """A hostile header never becomes a trace id."""
    loglane.set_trace_id(hostile)
    assert HEX.fullmatch(loglane.get_trace_id())


@pytest.mark.parametrize("good", ["trace-123", TRACE, "a" * 128, "Root=1"[:4], "a.b:c_d-e"])
def test_an_id_of_the_usual_characters_is_kept(good):
    """Foreign ids need not be hexadecimal."""
    assert good == valid_id(good)


def test_new_trace_id_is_32_hex_digits_and_never_the_same():
    """Ids are random."""
    made = {loglane.new_trace_id() for _ in range(1000)}
    assert 1000 == len(made)
    assert all(HEX.fullmatch(one) for one in made)


def test_with_trace_id_serves_blocks_functions_and_coroutines():
    """One id for the block, for each call, and across await."""
    found = []

    @loglane.with_trace_id("sync")
    def work():
        found.append(loglane.get_trace_id())

    @loglane.with_trace_id("async")
    async def work_async():
        await asyncio.sleep(0)
        found.append(loglane.get_trace_id())

    with loglane.with_trace_id("block"):
        found.append(loglane.get_trace_id())
    work()
    asyncio.run(work_async())
    assert ["block", "sync", "async"] == found
    assert loglane.get_trace_id() is None


def test_with_trace_id_without_an_id_makes_a_new_one_each_time():
    """Two runs of a job are two traces."""
    found = []

    @loglane.with_trace_id()
    def job():
        found.append(loglane.get_trace_id())

    job()
    job()
    block = loglane.with_trace_id()
    for _ in range(2):
        with block:
            found.append(loglane.get_trace_id())
    assert 4 == len(set(found))
    assert all(HEX.fullmatch(one) for one in found)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"00-{TRACE}-{SPAN}-01", (TRACE, SPAN)),
        (f"01-{TRACE}-{SPAN}-01", (TRACE, SPAN)),
        (f"01-{TRACE}-{SPAN}-01-more", (TRACE, SPAN)),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        (f"00-{TRACE}-{SPAN}-01\n", None),
        (f"01-{TRACE}-{SPAN}-01-{'x' * 5000}", None),
        ("", None),
    ],
    ids=["v0", "v1", "v1-more", "v0-more", "ff", "zero-trace", "zero-span", "upper", "short",
         "newline", "long", "empty"],
)  # fmt: skip
def test_traceparent_is_read_as_the_recommendation_says(header, expected):
    """Valid headers give trace and parent id, others nothing."""
    assert expected == parse_traceparent(header)


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_headers_give_an_id(traceparent, trace_id):
    """Whatever a caller sends, the request has a harmless id."""
    assert valid_id(incoming_trace_id(traceparent, trace_id)) is not None


def test_traceparent_wins_over_the_plain_header():
    """A valid traceparent decides; an invalid one leaves it to X-Trace-ID."""
    good, bad = f"00-{TRACE}-{SPAN}-01", "00-nonsense"
    assert [TRACE, "plain"] == [incoming_trace_id(one, "plain") for one in (good, bad)]


def test_outgoing_headers_carry_the_trace():
    """Both headers name the trace id; traceparent has a parent id of its own each time."""
    with loglane.with_trace_id(TRACE):
        headers = outgoing_headers()
        again = outgoing_headers()
    assert TRACE == headers["X-Trace-ID"]
    assert TRACE == parse_traceparent(headers["traceparent"])[0]
    assert headers["traceparent"] != again["traceparent"]


def test_outgoing_headers_are_few_when_there_is_little_to_say():
    """No trace, no headers; an id of another form has no traceparent; what is given stays."""
    nothing = outgoing_headers()
    with loglane.with_trace_id("trace-123"):
        plain = outgoing_headers()
        given_already = outgoing_headers({"x-trace-id": "mine"})
    assert ({}, {"X-Trace-ID": "trace-123"}, {}) == (nothing, plain, given_already)
