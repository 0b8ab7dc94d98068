"""What Loki's answers mean; the texts are those of Loki 3.7.6, asked by pushes that it refuses."""

from __future__ import annotations

import pytest

from loglane.sinks.loki.outcome import judge, refused_lines
from loglane.sinks.loki.transport import Answer

OLD = (
    'entry for stream \'{app="a", service_name="a"}\' has timestamp too old: '
    "2025-10-18T04:10:25Z, oldest acceptable timestamp is: 2026-11-15T04:10:25Z"
)
NEW = 'entry for stream \'{app="a", service_name="a"}\' has timestamp too new: 2026-11-22T06:10:25Z'
LONG = (
    "max entry size '20480' bytes exceeded for stream '{app=\"a\", service_name=\"a\"}' "
    "while adding an entry with length '30000' bytes"
)
METADATA = (
    "stream '{app=\"a\", service_name=\"a\"}' has structured metadata too large: '3001' bytes, "
    "limit: '2048' bytes. Please see `limits_config.max_structured_metadata_size` or contact your "
    "Loki administrator to increase it"
)
LABELS = 'entry for stream \'{a="x", b="y", service_name="x"}\' has 18 label names; limit 15'
BEHIND = (
    "entry with timestamp 2026-11-22 01:10:25.558672274 +0000 UTC ignored, reason: 'entry too far "
    "behind, entry timestamp is: 2026-11-22T01:10:25Z, oldest acceptable timestamp is: "
    "2026-11-22T03:10:25Z',\n"
)
IGNORED = 'user \'fake\', total ignored: {} out of {} for stream: {{app="a", service_name="a"}}\n'


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *[(status, "stored") for status in (200, 202, 204)],
        *[(status, "again") for status in (301, 302, 308)],
        *[(status, "again") for status in (401, 403, 404, 405, 407, 408, 425, 429)],
        *[(status, "again") for status in (500, 502, 503, 504, 507, 529)],
        *[(status, "refused") for status in (260, 400, 406, 411, 415, 422, 431)],
        (413, "too_large"),
    ],
)
def test_judge_says_what_becomes_of_the_lines(status, outcome):
    """A wrong password, a gateway without Loki, a redirect: no line is at fault."""
    assert outcome == judge(Answer(status, "", None))


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (f"{OLD}\n", 1),
        (f"{NEW}\n", 1),
        (f"{LONG}\n", 1),
        (f"{METADATA}\n", 1),
        (f"2 errors like: {OLD}\n", 2),
        (f"1 errors like: {OLD}; 1 errors like: {NEW}\n", 2),
        (f"3 errors like: {OLD}; 12 errors like: {LONG}; 1 errors like: {METADATA}", 16),
        (BEHIND * 2 + IGNORED.format(2, 3), 2),
        # Ten reasons at most, and more than our message has room for.
        (BEHIND * 10 + IGNORED.format(20, 21), 20),
        (f"{LABELS}\n", 100),
        (f"1 errors like: {LABELS}; 1 errors like: {OLD}\n", 100),
        ("couldn't parse labels: 1:6: parse error: invalid UTF-8 rune\n", 100),
        ("error at least one valid stream is required for ingestion\n", 100),
        ("", 100),
        (f"500 errors like: {OLD}", 100),
    ],
    ids=[
        "old", "new", "long", "metadata", "alike", "two", "three", "behind", "behind-20", "labels",
        "labels-and-old", "parse", "empty", "nothing", "more-than-sent",
    ],
)  # fmt: skip
def test_refused_lines_are_counted_as_loki_counts_them(text, refused):
    """Of a hundred: what the text is sure of, else all."""
    assert refused == refused_lines(text, 100)


def test_a_reason_is_one_line_that_a_terminal_does_not_obey():
    """Loki quotes labels, and those may hold anything."""
    answer = Answer(400, "a\n\tb \x1b[31m" + "x" * 1000, None)
    assert "a b ?[31mx" == answer.reason[:10]
    assert 500 >= len(answer.reason)
