"""The contract of fields."""

from __future__ import annotations

import pytest

from loglane import fields


def test_fields_have_one_place_each():
    """No name is listed twice, and every field is in exactly one place."""
    names = [field.name for field in fields.FIELDS]
    assert sorted(names) == sorted({*fields.LABELS, *fields.STRUCTURED_METADATA, *fields.BODY})
    assert len(names) == len(set(names))


def test_labels_are_few_and_hold_few_values():
    """The default labels pass the rules that a spec's labels must pass."""
    assert len(fields.LABELS) <= fields.MAX_LABELS
    assert [] == [name for name in fields.LABELS if fields.has_many_values(name)]


@pytest.mark.parametrize(
    "name",
    ["id", "user_id", "request_id", "trace_id", "order_id", "USER_ID", "uuid", "cart_uuid",
     "cartuuid", "ids", "user_ids", "message", "path"],
)  # fmt: skip
def test_has_many_values_knows_ids(name):
    """Names of ids and of free text are recognised."""
    assert fields.has_many_values(name)


@pytest.mark.parametrize("name", ["service", "level", "valid", "paid", "bid", "identity", "region"])
def test_has_many_values_leaves_plain_words(name):
    """A word that only ends in the letters of `id` is not an id."""
    assert not fields.has_many_values(name)


def test_route_splits_a_record_as_the_collector_does():
    """Labels and metadata are strings; null and empty fields are left out; the rest stays."""
    record = {"service": "api", "env": "", "level": None, "trace_id": 17, "order_id": 3}
    assert ({"service": "api"}, {"trace_id": "17"}) == fields.route(record)
