"""Random log queries over the data set, the same ones for the same seed.

They are harmless: a handful of stages, fixed regular expressions, no deep nesting. Left out is
what depends on the hour (`now`) or on chance.
"""

from __future__ import annotations

import re
from random import Random

# What a word between `@` may become; an alternative that is there twice is chosen twice as often.
_GRAMMAR: dict[str, tuple[str, ...]] = {
    # Half a character is no text, and Loki's answer is not even JSON then: only where all is ASCII.
    "query": ('{app="@ascii app@"} @ascii stages@', '{app="@app@"} @stages@', "@wide@ @stages@"),
    "app": (
        "corpus-worker", "corpus-edge", "lines-colours", "lines-packed", "lines-nested",
        "lines-pairs", "lines-texts", "corpus-api", "lines-access",
    ),
    "ascii app": ("corpus-api", "corpus-web", "lines-access"),
    "wide": ('{app=~"(corpus|lines)-.*"}',),
    "stages": ("@stage@", "@stage@ @stage@", "@stage@ @stage@ @stage@", "@stage@ @stages@"),
    "ascii stages": (
        "@stages@", "@stages@ | line_format `{{@cut@}}` @stage@", "@stage@ @cut label@",
    ),
    "cut": ("@source@ | trunc @small@", "substr @small@ @small@ @source@"),
    "cut label": ("| label_format @name@=`{{@cut@}}`",),
    "stage": (
        "@line filter@", "@line filter@", "@parser@", "@parser@", "@parser@", "| @filter@",
        "| @filter@", "@line format@", "@line format@", "@label format@", "@choice@",
        "| decolorize",
    ),
    "line filter": (
        "@exact@ `@word@`", "@exact@ `@word@` or `@word@`", '@match@ "@regexp@"',
        '@match@ "@regexp@" or "@regexp@"', '@shape@ "@line pattern@"',
        '@shape@ "@line pattern@" or "@line pattern@"', '@exact@ ip("@address@")',
    ),
    "exact": ("|=", "!="),
    "match": ("|~", "!~"),
    "shape": ("|>", "!>"),
    "parser": (
        "| json", "| logfmt", "| logfmt --strict", "| logfmt --keep-empty", "| unpack",
        '| json @name@="@path@"', '| json @name@="@path@", @name@="@path@", @name@',
        '| logfmt @name@="@name@", @name@', '| logfmt --strict @name@="@name@"',
        '| regexp "@groups@"', '| pattern "@pattern@"',
    ),
    "filter": (
        "@condition@", "@condition@", "@condition@ and @condition@", "@condition@ or @condition@",
        "@condition@, @condition@", "(@condition@ or @condition@) and @condition@",
    ),
    "condition": (
        "@any name@=`@word@`", "@any name@!=`@word@`", "@any name@=``", '@name@=~"@regexp@"',
        '@name@!~"@regexp@"', "@name@ @compare@ @number@", "@name@ @compare@ @duration@",
        "@name@ @compare@ @size@", '@name@=ip("@address@")', '@name@!=ip("@address@")',
    ),
    "compare": ("=", "==", "!=", ">", ">=", "<", "<="),
    "choice": (
        "| drop @any name@, @name@, @name@=`@word@`", "| keep @name@, @name@, @name@!=`@word@`",
        "| keep @name@, @any name@",
    ),
    "line format": (
        "| line_format `@action@`", "| line_format `@action@ @action@`",
        "| line_format `@action@|@action@|@action@`",
    ),
    "label format": (
        "| label_format @name@=@name@", "| label_format @name@=`@action@`",
        "| label_format @name@=@name@, @name@=`@action@`, @name@=`@action@`",
    ),
    "action": (
        "{{@text@}}", "{{@text@}}", "{{@text@}}", "{{@count@}}", "{{@time@}}", "{{- @text@ -}}",
        "{{if @boolean@}}{{@text@}}{{else}}no{{end}}", "text", "{{/* note */}}",
        "{{if @boolean@}}yes{{else if @boolean@}}maybe{{end}}",
        "{{with @text@}}{{. | upper}}{{else}}none{{end}}",
        "{{range $i, $v := fromJson __line__}}{{$i}}:{{$v}};{{else}}none{{end}}",
        "{{range $v := fromJson .@name@}}{{$v}};{{end}}", "{{range 3}}{{.}}{{end}}",
        "{{range $k, $v := .}}{{$k}}={{$v}},{{end}}", "{{$x := @text@}}{{$x}}{{$x | len}}",
    ),
    "source": ("__line__", ".@name@", ".@name@"),
    "text": (
        "@source@", "@source@ | @plain@", "@plain@ @source@", '@source@ | replace "@bit@" "@bit@"',
        "alignLeft @small@ @source@", "alignRight @small@ @source@", "repeat @few@ @source@",
        "indent @few@ @source@", "nindent @few@ @source@", '@source@ | default "@bit@"',
        'trimPrefix "@bit@" @source@', 'trimSuffix "@bit@" @source@', 'trimAll "@bit@" @source@',
        'Trim @source@ "@bit@1"', 'TrimLeft @source@ "@bit@1"', 'TrimRight @source@ "@bit@1"',
        'regexReplaceAll "@regexp@" @source@ "<$0>"', "or .@name@ @source@", "and .@name@ @source@",
        'regexReplaceAllLiteral "@regexp@" @source@ "$0"', 'printf "@text verb@" @source@',
        "print @source@ @number@ @number@", "(fromJson __line__).@name@", 'index . "@name@"',
    ),
    "plain": (
        "lower", "upper", "title", "trim", "ToLower", "ToUpper", "TrimSpace", "b64enc", "b64dec",
        "urlencode", "urldecode", "html",
    ),
    "text verb": ("%s", "%5s|", "%-6.3s|", "%q", "%v", "%d", "%x"),
    "count": (
        "@arithmetic@ .@name@ @number@", "@arithmetic@ @number@ .@name@", ".@name@ | @convert@",
        "round .@name@ @few@", "bytes .@name@", "duration .@name@", 'count "@regexp@" __line__',
        'printf "@integer verb@" (int .@name@)', 'printf "@float verb@" (float64 .@name@)',
        "add (int .@name@) @number@", "@boolean@",
    ),
    "arithmetic": (
        "add", "sub", "mul", "div", "mod", "max", "min", "addf", "subf", "mulf", "divf",
    ),
    "convert": ("int", "float64", "ceil", "floor", "len"),
    "integer verb": ("%d", "%05d", "%+d", "%v", "%s"),
    "float verb": ("%.2f", "%8.3f", "%e", "%g", "%v"),
    "boolean": (
        ".@name@", "not .@name@", 'eq .@name@ "@bit@"', 'lt .@name@ "@bit@"', 'ge .@name@ "@bit@"',
        "eq (int .@name@) @number@", "lt (float64 .@name@) 2.5", 'contains "@bit@" .@name@',
        'hasPrefix "@bit@" .@name@', 'hasSuffix "@bit@" .@name@', "eq .@name@ .@name@",
        "and .@name@ (not .@name@)",
    ),
    "time": (
        '__timestamp__ | date "@layout@"', "unixEpoch __timestamp__",
        "unixEpochNanos __timestamp__",
        'toDate "2006-01-02T15:04:05Z" __line__ | date "@layout@"', "__timestamp__",
        'unixToTime __line__ | date "@layout@"',
        'toDateInZone "2006-01-02 15:04" "Europe/Berlin" "2026-07-0@few@ 12:30"',
    ),
    "layout": (
        "2006-01-02", "15:04:05.000", "Jan _2 2006", "Monday 3PM", "06-1-2 03:04 pm MST",
        "2006-01-02T15:04:05.999999999Z07:00", "002 -0700",
    ),
    "name": (
        "a", "b", "c", "d", "e", "x", "y", "n", "app", "env", "level", "trace_id", "size", "method",
        "status", "took", "msg", "message", "latency", "ratio", "user_id", "job", "code", "pod",
        "absent", "a_b", "app_extracted", "user_name", "tags", "_entry", "env_extracted", "word",
    ),
    "any name": ("@name@", "@name@", "@name@", "__error__", "__error_details__"),
    "word": (
        "GET", "a", "e", "level", "request", "done", "1", "200", "x", "line", "at one", "10.0.0",
        "=", '"', " ", "info", "\u2603", "two", "The", "prod", "corpus-api", "JSONParserErr",
    ),
    "bit": ("a", "e", "x", " ", "", "1", "GET", "-", "re"),
    "number": ("0", "1", "2", "-1", "3", "1.5", "7", "200"),
    "few": ("0", "1", "2", "3"),
    "small": ("-6", "-1", "0", "2", "3", "5", "9"),
    "duration": ("1ms", "500ms", "1.5s", "2m"),
    "size": ("1B", "10KB", "1KiB"),
    "address": (
        "10.0.0.7", "10.0.0.0/8", "10.0.0.1-10.0.0.9", "2001:db8::/32", "::1", "fe80::1",
    ),
    "regexp": (
        "[0-9]+", "^[a-z]", "GET|PUT", ".*a", "a.*", "(?i)the", "x+", "\\\\d\\\\d", "e$", ".+",
        ".*", "1|2", "[a-c]b", "^$", "in.o",
    ),
    "line pattern": (
        "<_>", "<_> <_>", "a<_>", "<_>a<_>", "<_>=<_>", "{<_>}", "<_>done", "", "10.<_> - <_>",
    ),
    "pattern": (
        "<a>", "<a> <b>", "<a> <_> <b>", "a=<a> <_>", "<_>=<x> <y>", "{<a>}", "<level> <app>",
        '<ip> - <user> [<_>] \\"<method> <path> <_>\\" <status> <_>', '<a>\\"<b>\\"<c>', "x<a>",
        "level=<level> <word>", "<word>-<_>",
    ),
    "groups": (
        "(?P<a>[a-z]+)", "^(?P<word>\\\\w+) (?P<x>.)", "(?P<a>a)|(?P<b>b)", "(?P<level>info|warn)",
        "(?P<n>-?[0-9]+)", "(?P<app>x*)", "status=(?P<status>\\\\d)(?P<rest>.*)", "(?P<a>.*)",
    ),
    "path": (
        "a", "a.b", "a.b[0]", "a.b[1].c", "[0].a", "tags[0]", "tags[1]", "user.id", "status", "e",
        "f", "a.b.a.b", '[\\"a b\\"]', '[\\"a\\"].b', "message", "absent", "g", "n", "[1]", "b.a",
    ),
}  # fmt: skip
_SYMBOL = re.compile(r"@([a-z ]+)@")


def make_query(random: Random) -> str:
    """Make the next log query."""
    text = "@query@"
    while _SYMBOL.search(text):
        text = _SYMBOL.sub(lambda symbol: random.choice(_GRAMMAR[symbol.group(1)]), text)
    return text
