"""From rendered lines to a push: labels, structured metadata, and lines that are too long."""

from __future__ import annotations

import gzip
import json

import orjson
import pytest
from cramjam import snappy
from hypothesis import given, settings
from hypothesis import strategies as st

from loglane.fields import LABELS, LEVELS, STRUCTURED_METADATA
from loglane.sinks.loki.streams import Encoder, cut
from tests.unit.sinks.loki import push_messages

INFO = LEVELS.index("info")
RECORD = {"level": "info", "message": "m", "service": "api", "env": "prod"}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(["service", "env", "level", "log_category", "trace_id", "user_id", "x"])
LINES = st.dictionaries(NAMES, VALUES, max_size=7).map(orjson.dumps) | st.binary(max_size=20)


def line(**fields):
    return orjson.dumps({**RECORD, **fields})


def records(*lines, rank=INFO):
    return [(number, rank, one) for number, one in enumerate(lines, start=1)]


def pushed(*lines, static=None, encoding="protobuf", rank=INFO, **options):
    """Return the streams of a push of these lines: [(labels, [(at, line, metadata), ...]), ...]."""
    return decoded(Encoder(static or {}, encoding, **options).body(records(*lines, rank=rank)))


def decoded(body):
    if "Content-Encoding" in body.headers:
        streams = json.loads(gzip.decompress(body.data))["streams"]
        return [
            (one["stream"], [(int(at), text, more) for at, text, more in one["values"]])
            for one in streams
        ]
    streams = push_messages.streams(bytes(snappy.decompress_raw(body.data)))
    return [(parsed(selector), values) for selector, values in streams]


def parsed(selector):
    """Read a selector as Go does its strings: JSON's escapes are Go's too."""
    labels, rest = {}, selector.removeprefix("{").removesuffix("}")
    while rest:
        name, rest = rest.split("=", 1)
        value, end = json.JSONDecoder().raw_decode(rest)
        labels[name], rest = value, rest[end:].removeprefix(", ")
    return labels


def labels_of(*lines, **options):
    return [labels for labels, _ in pushed(*lines, **options)]


def test_labels_are_those_of_the_contract():
    """Four of them; ids are beside the line, whatever else there is stays in it."""
    text = line(log_category="audit", trace_id="t", span_id="s", user_id=7, portfolio_id="p", x=1)
    ((labels, ((at, sent, metadata),)),) = pushed(text)
    assert {"service": "api", "env": "prod", "level": "info", "log_category": "audit"} == labels
    assert (1, text.decode()) == (at, sent)
    assert {"trace_id": "t", "span_id": "s", "user_id": "7"} == metadata


@pytest.mark.parametrize("name", STRUCTURED_METADATA)
def test_an_id_is_never_a_label(name):
    """Each id of the contract is structured metadata."""
    ((labels, ((_, _, metadata),)),) = pushed(line(**{name: "a-1"}))
    assert ({"service", "env", "level"}, {name: "a-1"}) == (set(labels), metadata)


def test_static_labels_are_on_every_stream():
    """Besides those of the line; an empty one is none."""
    found = labels_of(line(), b"no json", static={"region": "eu", "empty": ""})
    assert [{**RECORD, "region": "eu"}, {"level": "info", "region": "eu"}] == [
        {**one, "message": "m"} if "service" in one else one for one in found
    ]


def test_other_labels_make_another_stream():
    """Each set of labels has a stream of its own, with its lines in order."""
    texts = [line(level=LEVELS[number % 5], n=number) for number in range(20)]
    found = pushed(*texts)
    assert [list(range(level + 1, 21, 5)) for level in range(5)] == [
        [at for at, _, _ in values] for _, values in found
    ]
    assert list(LEVELS) == [labels["level"] for labels, _ in found]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([1, True, 1.0, "1"], ["1", "true", "1.0", "1"]),
        ([0, False, "", None], ["0", "false", None, None]),
        ([["a"], {"b": 1}, "[]"], ['["a"]', '{"b":1}', "[]"]),
    ],
    ids=["one", "nothing", "containers"],
)
@pytest.mark.parametrize("name", ["service", "env", "log_category"])
def test_values_of_other_types_are_written_as_json(values, labels, name):
    """What Python takes for equal does not share a stream, and nothing costs the other labels."""
    found = pushed(*(line(**{name: value}) for value in values))
    got = {at: labels for labels, values in found for at, _, _ in values}
    assert labels == [got[at].get(name) for at in sorted(got)]
    assert {"info"} == {one["level"] for one in got.values()}
    assert len({str(sorted(one.items())) for one in got.values()}) == len(found)


@pytest.mark.parametrize(
    "text", [b"plain words", b"[1, 2]", b"7", b'"x"', b"null", b"{", b"", b"{}"]
)
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_line_that_is_no_object_has_its_level_alone(text, encoding):
    """Loki refuses a stream without labels, so the level of the call is one."""
    ((labels, ((_, sent, metadata),)),) = pushed(text, encoding=encoding, rank=4)
    assert ({"level": "critical"}, text.decode(), {}) == (labels, sent, metadata)


def test_lines_of_labels_that_are_cut_alike_share_a_stream_in_order():
    """Two sets of labels that Loki could not tell apart are one stream, and its time rises."""
    long = "x" * 600
    texts = [line(log_category=long + str(number % 2)) for number in range(6)]
    ((labels, values),) = pushed(*texts)
    assert ("x" * 512, list(range(1, 7))) == (labels["log_category"], [at for at, _, _ in values])


@pytest.mark.parametrize(
    "static", [{}, {"place": "a\N{REPLACEMENT CHARACTER}b"}], ids=["line", "static"]
)
def test_the_character_that_loki_refuses_is_replaced(static):
    """It would cost the whole push; in the line and beside it, it may stay."""
    bad = "a\N{REPLACEMENT CHARACTER}b"
    text = line(trace_id=bad) if static else line(log_category=bad, trace_id=bad)
    ((labels, ((_, sent, metadata),)),) = pushed(text, static=static)
    assert "a?b" == labels["place" if static else "log_category"]
    assert (text.decode(), {"trace_id": bad}) == (sent, metadata)


def test_no_label_is_longer_than_loki_takes():
    """2048 bytes, also of the characters that take four of them."""
    wide = "\N{GRINNING FACE}" * 1000
    ((labels, _),) = pushed(line(log_category=wide), static={"place": wide})
    assert {2048} == {len(labels[name].encode()) for name in ("log_category", "place")}


def test_no_metadata_is_longer_than_loki_takes():
    """64 KB for all of a line."""
    wide = "\N{GRINNING FACE}" * 10_000
    ((_, ((_, _, metadata),)),) = pushed(line(**dict.fromkeys(STRUCTURED_METADATA, wide)))
    assert set(STRUCTURED_METADATA) == set(metadata)
    assert 64_000 > sum(len(f"{name}{value}".encode()) for name, value in metadata.items())


@pytest.mark.parametrize("value", ['"', "\\", "}", "a,b", "\n\t\x00\x1f\x7f", "\u2028", "ä€😀"])
def test_a_labels_value_cannot_break_out(value):
    """The selector of the protobuf request is read back as it was meant."""
    assert value == labels_of(line(log_category=value))[0]["log_category"]


def test_bytes_that_are_no_utf_8_make_valid_json():
    """They do not cost the rest of the push."""
    ((_, ((_, sent, _),)),) = pushed(b"\xff\xfe", encoding="json")
    assert "\N{REPLACEMENT CHARACTER}" * 2 == sent


@settings(deadline=None, max_examples=60)
@given(st.lists(LINES, max_size=6), st.dictionaries(st.sampled_from("ab"), TEXT, max_size=2))
def test_json_and_protobuf_say_the_same(texts, static):
    """Any line at all: the same streams, labels, times, lines and metadata, each line once."""
    texts = [text.decode(errors="replace").encode() for text in texts]
    found = pushed(*texts, static=static)
    assert found == pushed(*texts, static=static, encoding="json")
    times = [[at for at, _, _ in values] for _, values in found]
    assert list(range(1, len(texts) + 1)) == sorted(at for one in times for at in one)
    assert all(one == sorted(one) for one in times)
    assert all(labels and set(labels) <= {*LABELS, *"ab"} for labels, _ in found)
    assert len(found) == len({str(sorted(labels.items())) for labels, _ in found})


def test_a_long_line_is_cut_to_json_with_a_mark():
    """It says how much is missing; the labels and ids are still those of the line."""
    text = line(trace_id="t", payload="x" * 5000)
    ((labels, ((_, sent, metadata),)),) = pushed(text, max_line_bytes=1000)
    record = json.loads(sent)
    assert 1000 >= len(sent.encode())
    assert ("api", {"trace_id": "t"}, len(text) - 1000) == (
        labels["service"],
        metadata,
        record["truncated_bytes"],
    )


def test_a_line_of_the_greatest_length_is_left_alone():
    """The bound itself is allowed."""
    text = line(payload="x" * 5000)
    ((_, ((_, sent, _),)),) = pushed(text, max_line_bytes=len(text))
    assert text.decode() == sent


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(TEXT, VALUES | TEXT.map(lambda text: text * 300), min_size=1),
    st.integers(512, 2000),
)
def test_a_cut_line_fits_and_is_json(record, max_bytes):
    """Whatever it is made of."""
    text = orjson.dumps(record)
    assert max_bytes >= len(cut(text, max_bytes))
    assert isinstance(json.loads(cut(text, max_bytes)), dict)


@pytest.mark.parametrize("character", ["x", "€", "😀"])
def test_a_long_text_that_is_no_json_is_cut_between_characters(character):
    """With a mark at its end."""
    short = cut((character * 2000).encode(), 1001)
    assert 997 <= len(short) <= 1001
    assert character * 100 == short.decode()[:100]
    assert short.endswith(b"...[cut]")


def test_the_labels_it_remembers_are_bounded():
    """An app that puts an id into a category costs no memory."""
    encoder = Encoder({})
    for number in range(0, 25_000, 1000):
        encoder.body(records(*(line(log_category=f"c{number + n}") for n in range(1000))))
    assert 10_000 >= len(encoder._labels)


def test_a_body_keeps_its_records():
    """So that they can be put back, or sent in smaller pieces."""
    given_records = records(line(), b"x")
    assert given_records == Encoder({}).body(given_records).records
