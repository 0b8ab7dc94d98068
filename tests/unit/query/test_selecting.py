"""For any text, the query that asks for it parses and selects exactly the entries that have it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from loglane.devserver import running
from loglane.query import LogService, LokiClient
from tests.contract.query import selecting
from tests.contract.query.selecting import Shelf, any_text, json_writers

many = settings(max_examples=150, deadline=None)


@pytest.fixture(scope="module")
def shelf():
    """Return a function that makes room for one example."""
    with running() as url, LokiClient(url) as client, LogService(url) as service:
        yield lambda: Shelf(client, service)


@many
@given(value=any_text)
def test_label_value_selects_its_stream(shelf, value):
    """No label value breaks out of its quotes, and none fits another."""
    selecting.check_label(shelf(), value)


@many
@given(value=any_text)
def test_metadata_value_selects_its_entry(shelf, value):
    """No metadata value breaks out of its quotes, and none fits another."""
    selecting.check_metadata(shelf(), value)


@many
@given(value=any_text, write=json_writers)
def test_body_value_selects_its_entry(shelf, value, write):
    """No field's value breaks out of its quotes, and none fits another."""
    selecting.check_body(shelf(), value, write)


@many
@given(value=any_text, write=json_writers)
def test_contained_text_selects_its_entries(shelf, value, write):
    """Text in a line is found as it is and as JSON writes it."""
    selecting.check_contains(shelf(), value, write)


@many
@given(value=any_text)
def test_quoted_pattern_selects_its_entry(shelf, value):
    """A quoted expression means its text and nothing more."""
    selecting.check_matches(shelf(), value)
