"""`loglane logs`, `labels` and `stats` print what is asked for, and end as a shell expects."""

from __future__ import annotations

import itertools
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from datetime import datetime

import orjson
import pytest
from typer.testing import CliRunner

from loglane import cli
from loglane.devserver import running
from loglane.query import LokiClient, Stream

NUMBERS = itertools.count()
WAIT_S = 30
TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 3\nZeroDivisionError: zero'


@pytest.fixture(scope="module")
def loki_url():
    with running() as url:
        yield url


@pytest.fixture
def loki(loki_url, monkeypatch):
    """Return a client of a tenant that the command line asks too."""
    tenant = f"cli{next(NUMBERS)}"
    monkeypatch.setenv("LOGLANE_LOKI__URL", loki_url)
    monkeypatch.setenv("LOGLANE_LOKI__TENANT", tenant)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    with LokiClient(loki_url, tenant=tenant) as client:
        yield client


def push(loki, *lines, begin_ns=None, service="api"):
    begin_ns = time.time_ns() - 10**9 if begin_ns is None else begin_ns
    for number, given in enumerate(lines):
        line = {"message": given} if isinstance(given, str) else given
        labels = {"service": line.get("service", service), "level": line.get("level", "info")}
        metadata = {"trace_id": line["trace_id"]} if "trace_id" in line else {}
        text = line.get("raw") or orjson.dumps(line).decode()
        loki.push([Stream(labels, [(begin_ns + number * 10**6, text, metadata)])])


def run(*arguments):
    return CliRunner().invoke(cli.app, list(arguments))


def found(*arguments):
    done = run("logs", "--json", *arguments)
    assert 0 == done.exit_code, (done.stderr, done.exception)
    return [json.loads(line)["message"] for line in done.stdout.splitlines()]


@contextmanager
def started(*arguments, **options):
    """Start the command in a process of its own."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    command = [sys.executable, "-m", "loglane", *arguments]
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def finished(*arguments):
    with started(*arguments, text=True) as process:
        out, err = process.communicate(timeout=WAIT_S)
    assert "Traceback" not in err
    return process.returncode, out, err


def on_terminal(*arguments):
    """Return what the command writes to a terminal, and how it ended."""
    ours, theirs = pty.openpty()
    with started(*arguments, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        # Linux answers EIO when the other side is closed.
        with suppress(OSError):
            while part := os.read(ours, 65536):
                shown += part
        os.close(ours)
        return shown.decode(), process.wait(WAIT_S)


def test_lines_are_printed_for_people_newest_last(loki):
    """Local time, level, service, message, logger, fields; a traceback below; no colour here."""
    at_ns = time.time_ns() // 10**9 * 10**9 - 2 * 10**9
    push(
        loki,
        {"message": "created", "logger": "shop", "order_id": 17, "trace_id": "4bf9"},
        {"message": "crashed", "level": "error", "service": "pay", "exception": TRACEBACK},
        {"message": "two\nlines", "text": "a b"},
        begin_ns=at_ns,
    )
    when = datetime.fromtimestamp(at_ns / 1e9).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    assert [
        f"{when}.000 INFO     api        created                        [shop] order_id=17 "
        "trace_id=4bf9",
        f"{when}.001 ERROR    pay        crashed",
        "    Traceback (most recent call last):",
        '      File "x.py", line 3',
        "    ZeroDivisionError: zero",
        f"{when}.002 INFO     api        two",
        '    | lines                text="a b"',
    ] == run("logs").stdout.splitlines()


def test_control_characters_are_only_shown(loki):
    """No line can move the cursor, colour the terminal or look like another line."""
    evil = {"raw": '127.0.0.1 \x1b[2J\x9b \u202e "x"\r\n2026 INFO fake'}
    push(loki, evil, {"message": "a\x1b[31m", "k\x1b": "\x07"})
    for arguments in (["logs"], ["logs", "--json"]):
        done = run(*arguments)
        assert not set("\x1b\x9b\u202e\r\x07") & set(done.stdout)
        lines = done.stdout.splitlines()
        assert not [line for line in lines if line.startswith("2026 INFO fake")]
    shown, _ = on_terminal("logs", "--output", "raw")
    assert not set("\x1b\x9b\u202e\x07") & set(shown)


def test_raw_in_a_pipe_is_what_is_stored(loki):
    """Byte for byte, for whatever reads it."""
    text = '{"a": "\x9b\u202eü"}  '
    push(loki, {"raw": text})
    code, out, _ = finished("logs", "-o", "raw")
    assert (0, f"{text}\n") == (code, out)


def test_json_is_one_entry_a_line(loki):
    """An entry as the service has it."""
    push(loki, {"message": "m", "trace_id": "t"}, begin_ns=(at_ns := time.time_ns() - 10**9))
    [line] = run("logs", "--output", "json").stdout.splitlines()
    entry = json.loads(line)
    names = ["timestamp", "timestamp_ns", "level", "message", "labels", "metadata", "fields", "raw"]
    assert (names, at_ns, {"trace_id": "t"}) == (
        list(entry), entry["timestamp_ns"], entry["metadata"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["a", "b", "c", "d"]),
        (["--service", "pay"], ["c"]),
        (["-s", "pay", "-s", "nobody"], ["c"]),
        (["--level", "ERROR"], ["b", "c"]),
        (["-l", "error", "-l", "info"], ["a", "b", "c", "d"]),
        (["--contains", "k-1"], ["b"]),
        (["--contains", "k-", "--contains", "2"], ["d"]),
        (["--matches", "k-[0-9]"], ["b", "d"]),
        (["--trace", "t"], ["d"]),
        (["--field", "trace_id=t"], ["d"]),
        (["--field", "service=pay"], ["c"]),
        (["-n", "2"], ["c", "d"]),
        (["--limit", "0"], ["a", "b", "c", "d"]),
        (["--all"], ["a", "b", "c", "d"]),
        (["--until", "1m"], []),
        (["--since", "1d", "--until", "now"], ["a", "b", "c", "d"]),
        (['{service="api"} |= "k-1"'], ["b"]),
        (['{service=~".+"}', "--all"], ["a", "b", "c", "d"]),
        (["--service", '"} or {service=~".+"} #'], []),
        (["--contains", '" |= "'], []),
    ],
    ids=" ".join,
)  # fmt: skip
def test_filters_narrow(loki, arguments, expected):
    """Each option narrows; LogQL is taken as it is; no value breaks out of its place."""
    push(
        loki,
        "a",
        {"message": "b", "level": "error", "note": "k-1"},
        {"message": "c", "level": "error", "service": "pay"},
        {"message": "d", "trace_id": "t", "note": "k-2"},
    )
    assert expected == found(*arguments)


def test_an_hour_is_looked_back_for_a_trace_a_day(loki):
    """Who asks for an id does not know when it was."""
    push(loki, {"message": "old", "trace_id": "t"}, begin_ns=time.time_ns() - 7200 * 10**9)
    assert [] == found()
    assert ["old"] == found("--trace", "t")
    assert ["old"] == found("--since", "3h")
    moment = datetime.fromtimestamp(time.time() - 3 * 3600)
    assert ["old"] == found("--since", moment.isoformat(timespec="minutes"))


def test_all_reads_everything_once_oldest_first(loki):
    """Thousands of lines, some of one nanosecond, over several pages of Loki."""
    base_ns = time.time_ns() - 60 * 10**9
    entries = [(base_ns + at // 400, f'{{"message":"{at}"}}', {}) for at in range(12_000)]
    loki.push([Stream({"service": "api"}, entries)])
    done = found("--all")
    assert (12_000, 12_000) == (len(done), len(set(done)))
    assert done == sorted(done, key=lambda text: int(text) // 400)


def test_numbers_are_printed_as_numbers(loki):
    """LogQL that computes gives one value a series, the largest first."""
    push(loki, "a", "b", {"message": "c", "level": "error"})
    query = 'sum by (level) (count_over_time({service="api"}[1h]))'
    assert ["2 level=info", "1 level=error"] == [
        " ".join(line.split()) for line in run("logs", query).stdout.splitlines()
    ]
    lines = [json.loads(line) for line in run("logs", query, "--json").stdout.splitlines()]
    assert {"labels": {"level": "info"}, "value": 2.0} == lines[0]


def test_labels_and_their_values(loki):
    """One a line, or as JSON."""
    push(loki, "a", {"message": "b", "service": "pay"})
    assert ["level", "service", "service_name"] == run("labels").stdout.splitlines()
    assert ["api", "pay"] == run("labels", "service").stdout.splitlines()
    assert {"label": "level", "values": ["info"]} == json.loads(
        run("labels", "level", "--json").stdout
    )


def test_stats_add_up_lines_and_bytes(loki):
    """By service and level, or by what is asked for; the bytes are those of the lines."""
    push(loki, {"raw": "x" * 2000}, {"raw": "y"}, {"raw": "z", "level": "error"})
    facts = json.loads(run("stats", "--json").stdout)
    assert (3, 2002) == (facts["lines"], facts["bytes"])
    assert {"service": "api", "level": "info", "lines": 2, "bytes": 2001} == facts["groups"][0]
    assert {"service": "api", "level": "error", "lines": 1, "bytes": 1} == facts["groups"][1]
    facts = json.loads(run("stats", "--by", "service", "--json").stdout)
    assert [{"service": "api", "lines": 3, "bytes": 2002}] == facts["groups"]
    assert 1 == json.loads(run("stats", "--level", "error", "--json").stdout)["lines"]
    assert [] == json.loads(run("stats", "--until", "30m", "--json").stdout)["groups"]


def test_stats_are_a_table_for_people(loki):
    """With a sum below, when there is something to add up."""
    push(loki, {"raw": "x" * 2000}, {"raw": "z", "level": "error"})
    assert ["service level lines bytes", "api error 1 1 B", "api info 1 2.0 KiB", "all 2 2.0 KiB"] \
        == [" ".join(line.split()) for line in run("stats").stdout.splitlines()]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["logs", "--since", "yesterday"], "'yesterday' is no time"),
        (["logs", "--since", "1h", "--until", "2h"], "the range ends at 20"),
        (["stats", "--since", "1h", "--until", "2h"], "before it starts at 20"),
        (["labels", "--since", "1h", "--until", "2h"], "before it starts at 20"),
        (["labels", "--token-file", sys.executable], "it cannot be a password or a token"),
        (["logs", '{service="api"', "--all"], 'the query: {service="api"'),
        (["logs", "{}"], "Loki refused the query"),
        (["logs", '{a="b"}', "--level", "error"], "give LogQL or filters, not both"),
        (["logs", "--follow", "--until", "1h"], "has no end"),
        (["logs", "--follow", "count_over_time({a=\"b\"}[1h])"], "numbers cannot be followed"),
        (["logs", "--field", "order_id"], "'order_id' is not NAME=VALUE"),
        (["logs", "--field", "limit=3"], "means something else here"),
        (["logs", "--field", "trace_id=a", "--trace", "b"], "trace_id is given twice"),
        (["logs", "--limit", "-1"], "--limit"),
        (["logs", "--output", "xml"], "xml"),
        (["logs", "--url", "nonsense"], "'nonsense' is no address of a Loki"),
        (["labels", "--url", "http://127.0.0.1:x"], "is no address of a Loki"),
        (["stats", "--since", "0001-01-01T00:00:00+05:00"], "is not between 1970 and 2262"),
        (["logs", "--user", "me"], "--user and --password-file go together"),
        (["logs", "--token-file", "/nope"], "does not exist"),
        (["labels", "a-b"], "'a-b' is no name of a label"),
        (["stats", "--by", 'x) or (y'], "is no name of a label"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_cannot_be_meant_exits_2(loki, arguments, said):
    """One message that says what, and nothing on stdout."""
    code, out, err = finished(*arguments)
    assert (2, "") == (code, out)
    assert said in err


@pytest.mark.parametrize("command", ["logs", "labels", "stats", "logs --follow"])
def test_loki_down_exits_1_and_says_what_to_do(command):
    """Where it was looked for, and how to start one."""
    code, out, err = finished(*command.split(), "--url", "http://127.0.0.1:9")
    assert (1, "") == (code, out)
    assert "http://127.0.0.1:9 cannot be reached" in err
    assert "`make up`" in err
    assert "`loglane serve`" in err


def test_secrets_come_from_files(tmp_path):
    """A user with a password, or a token, reaches Loki as a header; the tenant too."""
    (tmp_path / "secret").write_text("pass\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def header_of(*arguments):
            with started("labels", "--url", url, *arguments):
                connection, _ = listener.accept()
                with connection:
                    asked = connection.recv(65536).decode().lower()
                    connection.sendall(b"HTTP/1.1 400 no\r\nContent-Length: 0\r\n\r\n")
            return asked

        secret = str(tmp_path / "secret")
        asked = header_of("--user", "me", "--password-file", secret, "--tenant", "team")
        assert "authorization: basic bwu6cgfzcw==" in asked
        assert "x-scope-orgid: team" in asked
        assert "authorization: bearer pass\r\n" in header_of("--token-file", secret)


def test_a_reader_that_goes_is_no_error(loki):
    """`| head` ends the command with 0 and without a word."""
    push(loki, *(f"{number} {'x' * 500}" for number in range(300)))
    with started("logs", "--all") as process:
        process.stdout.readline()
        process.stdout.close()
        assert (0, b"") == (process.wait(WAIT_S), process.stderr.read())


def test_a_terminal_has_colours_a_pipe_has_none(loki, monkeypatch):
    """Levels are coloured where somebody looks; NO_COLOR and FORCE_COLOR are heard."""
    push(loki, {"message": "boom", "level": "error"})
    shown, code = on_terminal("logs")
    assert ("\x1b[31mERROR" in shown, 0) == (True, code)
    assert "\x1b" not in finished("logs")[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[31mERROR" in finished("logs")[1]
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in on_terminal("logs")[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["logs", "--service", "nobody"], 'nothing found: {service="nobody"}\nfrom '),
        (["logs", '{a="b"} |= "x"', "--all"], 'nothing found: {a="b"} |= "x"\nfrom '),
        (["logs", 'sum(count_over_time({a="b"}[1m]))'], '({a="b"}[1m]))\nat '),
        (["labels"], "nothing found: labels\nfrom "),
        (["labels", "nope"], "nothing found: values of the label nope\nfrom "),
    ],
    ids=["filters", "LogQL", "numbers", "labels", "values"],
)
def test_who_finds_nothing_is_told_at_a_terminal_only(loki, arguments, said):
    """What was searched and when, and what to try; a pipe gets nothing at all."""
    if arguments[0] == "logs":
        push(loki, "something else")
    shown, code = on_terminal(*arguments)
    assert (True, 0) == (said in shown.replace("\r\n", "\n"), code)
    assert "\r\ntry a longer " in shown
    assert (0, "", "") == finished(*arguments)


def test_the_range_that_was_searched_is_local_time(loki, monkeypatch):
    """As the lines show it."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    span = ["--since", "2026-11-22T01:00:00Z", "--until", "2026-11-22T02:30:00Z"]
    assert (
        "\r\nfrom 2026-11-22 09:00:00 to 2026-11-22 10:30:00\r\n" in on_terminal("logs", *span)[0]
    )


def test_follow_says_at_a_terminal_that_it_waits(loki):
    """Nothing may come for a long while."""
    ours, theirs = pty.openpty()
    command = ["logs", "--follow", "--service", "nobody"]
    with started(*command, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while b"Ctrl-C ends it" not in shown:
            shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(WAIT_S)
        os.close(ours)


def next_message(process):
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return json.loads(line)["message"]


def test_follow_goes_on_from_the_newest_lines_until_ctrl_c(loki):
    """The last lines, then each new one once, and exit code 0."""
    push(loki, *map(str, range(20)))
    with started("logs", "--follow", "--json", "-n", "3") as process:
        assert ["17", "18", "19"] == [next_message(process) for _ in range(3)]
        for number in range(20, 25):
            push(loki, str(number), begin_ns=time.time_ns())
        assert [*map(str, range(20, 25))] == [next_message(process) for _ in range(5)]
        process.send_signal(signal.SIGINT)
        assert (0, b"", b"") == (
            process.wait(WAIT_S), process.stdout.read(), process.stderr.read()
        )  # fmt: skip


def test_follow_outlives_loki(tmp_path):
    """Loki stops and comes back: what was stored meanwhile and later is printed once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, db = f"http://127.0.0.1:{port}", str(tmp_path / "lines.sqlite")
    with running(db=db, port=port), LokiClient(url) as loki:
        push(loki, "before")
        process = subprocess.Popen(
            [sys.executable, "-m", "loglane", "logs", "--follow", "--json", "--url", url],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert "before" == next_message(process)
        push(loki, "while followed", begin_ns=time.time_ns())
        assert "while followed" == next_message(process)
    # It is silent until then: who follows is told that Loki is away, and not again.
    away = process.stderr.readline().decode()
    assert (True, True) == (away.startswith(f"Loki at {url} "), "; waiting for it" in away)
    with process, running(db=db, port=port), LokiClient(url) as loki:
        push(loki, "back", begin_ns=time.time_ns())
        assert "back" == next_message(process)
        push(loki, "later", begin_ns=time.time_ns())
        assert "later" == next_message(process)
        process.send_signal(signal.SIGINT)
        assert (0, b"") == (process.wait(WAIT_S), process.stdout.read())
        assert b"Loki is back\n" == process.stderr.read()


def test_long_reads_say_how_far_they_are_on_a_terminal_only(loki, monkeypatch, capsys):
    """Progress goes to stderr, when that is a terminal and stdout is not."""
    from loglane.cli import lines

    monkeypatch.setattr(lines, "_PROGRESS_S", -1.0)
    assert 3 == len(list(lines.counted([1, 2, 3])))
    assert "" == capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert 3 == len(list(lines.counted([1, 2, 3])))
    assert capsys.readouterr().err.endswith("\r3 lines read\n")


@pytest.mark.parametrize("command", ["logs", "labels", "stats"])
def test_help_has_examples(command):
    """And tells these lines from those of the stack's own containers."""
    done = run(command, "--help")
    assert f"loglane {command} " in done.stdout
    assert ("loglane compose logs" in done.stdout) == (command == "logs")


def test_a_missing_extra_is_named(loki):
    """One message with the extra that brings it."""
    code = (
        "import sys; sys.modules['httpx2'] = None; sys.argv = ['loglane', 'logs']\n"
        "from loglane.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = "error: `loglane logs` needs httpx2: install the extra `query`, or `all`\n"
    assert (1, said) == (done.returncode, done.stderr)
