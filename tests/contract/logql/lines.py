"""Streams of the data set whose lines are hard to parse or to format.

Their names begin with `lines-`, so that no selector of the older cases finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

# From the seconds of an entry to its timestamp as the push wants it.
Clock = Callable[[float], str]

_ACCESS = [
    '10.0.0.7 - alice [02/Jan/2026:03:04:05 +0000] "GET /a/b?x=1 HTTP/1.1" 200 512 "-" 12ms',
    '10.0.1.200 - - [02/Jan/2026:03:04:06 +0000] "POST /a HTTP/1.1" 500 0 "curl/8" 1.5s',
    '192.168.4.5 - bob [02/Jan/2026:03:04:07 +0000] "GET /a%20b HTTP/2" 404 77 "x y" 3m2s',
    '2001:db8::1 - - [02/Jan/2026:03:04:08 +0000] "PUT /c HTTP/1.1" 201 1024 "-" 900us',
    '::1 - - [-] "-" 400 0 "-" -',
    "from 10.0.0.7:8080 to 10.0.0.8, then 10.0.0.300 and 1.2.3.4.5",
    "fe80::1 and 2001:db8:0:1::ff/64 were seen; 12:34:56 is a time",
    "address 10.0.0.1",
    "10.0.0.7",
    "",
]
_COLOURS = [
    "\x1b[31mred\x1b[0m plain",
    "\x1b[1;32mlevel\x1b[0m=\x1b[33mwarn\x1b[0m msg=done",
    "\x1b]0;title\x07text \x1b[2K",
    "plain",
    "\x9b31mC1\x9b0m \x1b[",
]
_PACKED = [
    '{"pod":"p1","_entry":"the line"}',
    '{"pod":"p2","app":"other","trace_id":"in-line","_entry":"level=info n=2"}',
    '{"_entry":"{\\"a\\":\\"b\\"}","1st":"x","sp ace":"y","n":5,"b":true,"o":{"a":1}}',
    '{"pod":"p4","no_entry":"x"}',
    '{"pod":"p5","_entry":"tab\\tquote\\" \\u00e9"}',
    '{"pod":"p6","_entry":"bad \\x"}',
    '{"pod":"p7","_entry":5}',
    '{"pod":"p8","_entry":"cut',
    '{"pod":"bad \\x","_entry":"line"}',
    '{"pod":"a","pod":"b","_entry":"one","_entry":"two"}',
    '["_entry"]',
    "no json",
    "",
]
_NESTED = [
    '{"a":{"b":[{"c":1},{"c":[2,3]}],"d":"x"},"e":null,"f":[],"g":{}}',
    '{ "a" : { "b" : [ 10 , 20 ] } , "tags" : [ "x" , "y z" ] }',
    '[{"a":1},{"a":{"b":2}}]',
    '{"a":"text","a":{"b":"second"},"b":"top"}',
    '{"a":{"b":"in"},"b":{"a":"deep"},"ü":"umlaut","a b":"space"}',
    '{"a":{"b":1,}}',
    '{"a":[1,2',
    '{"a":{"b":"x"',
    '{"a":"unterminated',
    '{"b":tru,"a":1}',
    '{"a":1}{"b":2}',
    '"just a string"',
    '{"tags":["q\\"uote","tab\\t"],"n":-1.5e3,"t":true,"big":9007199254740993}',
    '{"a":{"b":{"a":{"b":"four"}}},"":"empty"}',
    '{"a\\u0062":"escaped key","a\\"":"quote"}',
]
_PAIRS = [
    'a=1 b="two words" c=3ms d=4KB',
    'a="" b= c="x\\ty" a=second',
    'a=1 broken"x b=2',
    "=1 a=2 b",
    'a="open',
    "ü=1 a-b=2 a.b=3 1st=4",
    'level=warn app=shown trace_id=seen msg="q \\"x\\""',
    "a=b=c d=1",
    "a='single quotes' b=1",
]
_TEXTS = [
    "The Quick brown-fox jumps_over 13 lazy dogs",
    "straße İstanbul ΣΊΣΥΦΟΣ ﬁne ǆ",
    "  spaces  around\t",
    "one\ntwo\n\nfour",
    "2026-01-02T03:04:05.678901234Z",
    "1767323045",
    "1767323045123",
    "3.14159",
    "-42",
    "0x1F",
    "12KB",
    "1h2m3.5s",
    "a,b,,c",
    "100%25+x",
    "aGVsbG8=",
    "<b>&\"'</b>",
    "\u2603 snow \U0001f600",
    "null",
    '[1,2.50,1e6,"x",null,true,{"k":"v"}]',
    '{"z":1,"a":[1,"two"],"m":{"x":null}}',
]


def streams(at: Clock) -> Iterator[tuple[dict[str, str], list[list[Any]]]]:
    """Yield the labels and the entries of each stream; `at` is the clock of the data set."""
    metadata = {"trace_id": "t-1", "size": "10KB", "user.name": "ann"}
    for number, (name, env, lines) in enumerate(
        [
            ("access", "prod", _ACCESS),
            ("colours", "dev", _COLOURS),
            ("packed", "prod", _PACKED),
            ("nested", "dev", _NESTED),
            ("pairs", "prod", _PAIRS),
            ("texts", "dev", _TEXTS),
        ]
    ):
        # Every third line has metadata; no two entries share an instant.
        values: list[list[Any]] = [
            [at(place * 97 + number), line, *([metadata] if place % 3 == 1 else [])]
            for place, line in enumerate(lines)
        ]
        yield {"app": f"lines-{name}", "env": env, "level": "info"}, values
