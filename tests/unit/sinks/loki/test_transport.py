"""One connection to Loki: what is sent, and what becomes of connections that break."""

from __future__ import annotations

import base64
import datetime
import threading
import time
from email.utils import format_datetime
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loglane.settings.loki import LokiPush
from loglane.sinks.loki import transport as transport_module
from loglane.sinks.loki.transport import Transport, Unreachable
from tests.unit.certificates import server_context
from tests.unit.sinks.loki.fake_loki import FakeLoki, Reply, free_port

BODY, HEADERS = b"body", {"Content-Type": "application/json"}


@pytest.fixture
def loki():
    with FakeLoki() as loki:
        yield loki


@pytest.fixture
def connect():
    """Return a function that makes a transport, closed at the end."""
    made = []

    def connect(url, **keys):
        made.append(Transport(LokiPush(url=url, **keys)))
        return made[-1]

    yield connect
    for one in made:
        one.close()


def push(transport):
    transport.send(BODY, HEADERS)
    return transport.answer()


def refusal(transport):
    """Push where that fails; return what is said of it."""
    with pytest.raises(Unreachable) as caught:
        push(transport)
    return str(caught.value)


def test_a_push_is_one_request_over_a_kept_connection(loki, connect):
    """To Loki's path, with the body's headers and our name."""
    transport = connect(loki.url)
    assert [204, 204] == [push(transport).status, push(transport).status]
    first, second = loki.pushes
    assert ("/loki/api/v1/push", BODY) == (first.path, first.data)
    wanted = {"content-type": "application/json", "user-agent": "loglane", "content-length": "4"}
    assert wanted == {name: first.headers.get(name) for name in wanted}
    assert first.connection == second.connection


@pytest.mark.parametrize("path", ["/team/a", "/team/a/"], ids=["bare", "slash"])
def test_a_path_before_lokis_is_kept(loki, connect, path):
    """As gateways have."""
    push(connect(loki.url + path))
    assert "/team/a/loki/api/v1/push" == loki.pushes[0].path


def test_an_ipv6_address_works(connect):
    """With and without a port."""
    with FakeLoki(host="::1") as loki:
        assert 204 == push(connect(loki.url)).status
        assert f"[::1]:{loki.port}" == loki.pushes[0].headers["host"]
    assert ("::1", 80) == Transport(LokiPush(url="http://[::1]"))._place
    assert ("::1", 443) == Transport(LokiPush(url="https://[::1]"))._place


def test_a_header_is_sent_once_however_its_name_is_written(loki, connect):
    """The tenant and the token of their own settings count."""
    own = {"x-scope-orgid": "other", "AUTHORIZATION": "Basic eDp5", "user-agent": "me"}
    push(connect(loki.url, tenant="team-a", auth={"token": "abc"}, headers=own))
    wanted = {"x-scope-orgid": "team-a", "authorization": "Bearer abc", "user-agent": "me"}
    assert wanted == {name: loki.pushes[0].headers[name] for name in wanted}


def test_the_tenant_and_own_headers_are_sent(loki, connect):
    """A header of the settings goes before ours."""
    push(connect(loki.url, tenant="team-a", headers={"X-Zone": "eu", "User-Agent": "me"}))
    wanted = {"x-scope-orgid": "team-a", "x-zone": "eu", "user-agent": "me"}
    assert wanted == {name: loki.pushes[0].headers[name] for name in wanted}


def test_a_user_and_a_password_are_sent(loki, connect):
    """Basic authentication, as UTF-8."""
    push(connect(loki.url, auth={"username": "ann", "password": "p:ä"}))
    scheme, value = loki.pushes[0].headers["authorization"].split()
    assert ("Basic", "ann:p:ä") == (scheme, base64.b64decode(value).decode())


def test_a_token_is_sent(loki, connect):
    """As a bearer token."""
    push(connect(loki.url, auth={"token": "abc"}))
    assert "Bearer abc" == loki.pushes[0].headers["authorization"]


@pytest.mark.parametrize("key", ["token_file", "password_file"])
def test_a_secret_is_read_anew_for_each_connection(loki, connect, tmp_path, key):
    """So that a rotated one is taken up; a line break at its end does not count."""
    file = tmp_path / "secret"
    file.write_text("one\n")
    user = {"username": "ann"} if key == "password_file" else {}
    transport = connect(loki.url, auth={key: str(file), **user})
    push(transport)
    file.write_text("two\n")
    transport.close()
    push(transport)
    sent = [one.headers["authorization"].split()[1] for one in loki.pushes]
    if key == "password_file":
        sent = [base64.b64decode(one).decode().removeprefix("ann:") for one in sent]
    assert ["one", "two"] == sent


def test_a_token_with_a_line_break_is_refused_without_showing_it(loki, connect, tmp_path):
    """It would be two headers; what is said of it names no secret."""
    file = tmp_path / "token"
    file.write_text("secret-a\nX-Evil: secret-b\n")
    text = refusal(connect(loki.url, auth={"token_file": str(file)}))
    assert "the header Authorization has a character that HTTP cannot carry" == text
    assert [] == loki.pushes


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "{}: No such file or directory"), (b"\xff\xfe", "{} is no text")],
    ids=["missing", "binary"],
)
def test_a_secret_that_cannot_be_read_names_its_file(loki, connect, tmp_path, content, text):
    """The lines wait until somebody has mended it."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    transport = connect(loki.url, auth={"token_file": str(file)})
    assert text.format(file) == refusal(transport)
    file.write_text("abc")
    assert 204 == push(transport).status


def test_nobody_there_is_unreachable(connect):
    """Until somebody is."""
    port = free_port()
    transport = connect(f"http://127.0.0.1:{port}")
    assert "Connection refused" == refusal(transport)
    with FakeLoki(port=port):
        assert 204 == push(transport).status


def test_a_name_that_nobody_knows_is_unreachable(connect):
    """The resolver's error is one as any other."""
    assert "" != refusal(connect("http://nobody.invalid:3100"))


def test_a_connection_that_was_closed_while_idle_is_opened_again(loki, connect):
    """The server closes what is idle: no failure, and nobody has to hear of it."""
    loki.replies.append(Reply(leave=True))
    transport = connect(loki.url)
    assert [204, 204] == [push(transport).status, push(transport).status]
    assert loki.pushes[0].connection != loki.pushes[1].connection


def test_a_push_that_gets_no_answer_is_sent_once_more_at_most(loki, connect):
    """Over a kept connection twice, then it is for the pauses to say when."""
    transport = connect(loki.url)
    push(transport)
    loki.replies.extend([Reply(drop=True), Reply(drop=True)])
    refusal(transport)
    assert 3 == len(loki.pushes)
    loki.replies.append(Reply(drop=True))
    refusal(transport)
    assert 4 == len(loki.pushes)
    assert 204 == push(transport).status


def test_a_server_that_says_nothing_is_given_up(loki, connect):
    """After `read_s`, not after `connect_s`."""
    hold = threading.Event()
    loki.replies.append(Reply(hold=hold))
    transport = connect(loki.url, timeouts={"connect_s": 60, "read_s": 0.1})
    assert "no answer in time" == refusal(transport)
    hold.set()
    assert 204 == push(transport).status


def test_no_longer_is_waited_than_until_the_end(loki):
    """What is begun late is given what is left, and not the whole of `read_s` once more."""
    hold = threading.Event()
    loki.replies.extend([Reply(), Reply(hold=hold)])
    long = LokiPush(url=loki.url, timeouts={"connect_s": 600, "read_s": 600})
    transport = Transport(long, time.monotonic() + 60)
    assert 204 == push(transport).status
    transport._until = time.monotonic()
    try:
        assert "no answer in time" == refusal(transport)
    finally:
        hold.set()


def test_a_connection_that_was_idle_for_long_is_not_used_again(loki, connect, monkeypatch):
    """A sleep or a NAT may have cut it without a word: a push would wait for `read_s` in vain."""
    transport = connect(loki.url)
    now = time.time()
    for later_s in (0, 29, 60, -2):
        monkeypatch.setattr(time, "time", partial(float, now + later_s))
        assert 204 == push(transport).status
    first, second, third, fourth = [one.connection for one in loki.pushes]
    assert first == second != third != fourth


def test_a_server_that_does_not_accept_is_given_up():
    """After `connect_s`: a port whose queue of connections is full."""
    import socket

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    clients = []
    try:
        for _ in range(8):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            clients.append(client)
        url = f"http://127.0.0.1:{port}"
        transport = Transport(LokiPush(url=url, timeouts={"connect_s": 0.1, "read_s": 60}))
        assert "no answer in time" == refusal(transport)
    finally:
        for one in (listener, *clients):
            one.close()


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(500, b"out of order"), "out of order"),
        (Reply(500, b"x" * 5000, chunked=True), "x" * 5000),
        (Reply(400, b"\xff"), "\N{REPLACEMENT CHARACTER}"),
    ],
    ids=["plain", "chunked", "binary"],
)
def test_the_answers_text_is_kept(loki, connect, reply, text):
    """Whatever way it comes; the connection is used again."""
    loki.replies.append(reply)
    transport = connect(loki.url)
    assert text == push(transport).text
    push(transport)
    assert loki.pushes[0].connection == loki.pushes[1].connection


@pytest.mark.parametrize("chunked", [False, True], ids=["plain", "chunked"])
def test_a_huge_answer_is_not_read_to_its_end(loki, connect, chunked):
    """64 KiB tell enough; the rest costs the connection."""
    loki.replies.append(Reply(500, b"x" * 300_000, chunked=chunked))
    transport = connect(loki.url)
    assert 64 * 1024 == len(push(transport).text)
    assert 204 == push(transport).status


def test_an_answer_that_is_no_http_is_unreachable(connect):
    """Somebody else listens there."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"220 mail.example.org ESMTP\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        assert "" != refusal(connect(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        thread.join()


@pytest.mark.parametrize(
    ("text", "pause_s"),
    [
        ("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("", None), ("soon", None), ("nan", 0.0),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0.0), ("99999999999999999999", 1e20),
    ],
    ids=["seconds", "part", "past", "empty", "words", "nan", "year-1", "ever"],
)  # fmt: skip
def test_retry_after_is_read(loki, connect, text, pause_s):
    """Seconds; what it cannot mean is as if it were not there."""
    loki.replies.append(Reply(429, headers={"Retry-After": text}))
    assert pause_s == push(connect(loki.url)).retry_after_s


def test_retry_after_may_be_a_date(monkeypatch):
    """RFC 9110 allows both."""
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    at = datetime.datetime.fromtimestamp(1_800_000_090, datetime.timezone.utc)
    assert 90.0 == transport_module._pause_s(format_datetime(at, usegmt=True))


@settings(deadline=None)
@given(st.text() | st.from_regex(r"\w{3}, \d+ \w{3} \d{1,6} \d+:\d+:\d+ [-+]?\w*"))
def test_retry_after_of_any_text_raises_nothing(text):
    """A proxy may write what it likes."""
    pause_s = transport_module._pause_s(text)
    assert pause_s is None or pause_s >= 0


# TLS


@pytest.fixture
def secure_loki(certificates):
    with FakeLoki(tls=server_context(certificates)) as loki:
        yield loki


@pytest.fixture
def asking_loki(certificates):
    with FakeLoki(tls=server_context(certificates, asks=True)) as loki:
        yield loki


def test_a_server_is_trusted_by_its_authority(secure_loki, connect, certificates):
    """The `ca_file` is what counts."""
    transport = connect(secure_loki.url, tls={"ca_file": str(certificates / "authority.pem")})
    assert 204 == push(transport).status


@pytest.mark.parametrize("ca", [None, "stranger.pem"], ids=["system", "wrong"])
def test_a_server_of_another_authority_gets_nothing(secure_loki, connect, certificates, ca):
    """Neither by the system's authorities nor by a wrong one."""
    tls = {"ca_file": str(certificates / ca)} if ca else {}
    assert "CERTIFICATE_VERIFY_FAILED" in refusal(connect(secure_loki.url, tls=tls))
    assert [] == secure_loki.pushes


def test_a_server_of_another_name_gets_nothing(secure_loki, connect, certificates):
    """The certificate is for 127.0.0.1."""
    url = secure_loki.url.replace("127.0.0.1", "localhost")
    text = refusal(connect(url, tls={"ca_file": str(certificates / "authority.pem")}))
    assert "CERTIFICATE_VERIFY_FAILED" in text


def test_verify_false_trusts_anybody(secure_loki, connect):
    """For development."""
    assert 204 == push(connect(secure_loki.url, tls={"verify": False})).status


@pytest.mark.parametrize("in_one_file", [False, True], ids=["two-files", "one-file"])
def test_a_client_shows_its_certificate(asking_loki, connect, certificates, in_one_file):
    """With its key in the same file, or in another."""
    tls = {"ca_file": str(certificates / "authority.pem")}
    if in_one_file:
        tls["cert_file"] = str(certificates / "client-both.pem")
    else:
        tls["cert_file"] = str(certificates / "client.pem")
        tls["key_file"] = str(certificates / "client.key")
    assert 204 == push(connect(asking_loki.url, tls=tls)).status


def test_a_client_without_a_certificate_is_told(asking_loki, connect, certificates):
    """By the server, which wants one."""
    refusal(connect(asking_loki.url, tls={"ca_file": str(certificates / "authority.pem")}))
    assert [] == asking_loki.pushes


def test_a_certificate_that_is_missing_is_unreachable(secure_loki, connect, tmp_path):
    """What is said names the problem; nothing is raised into the thread."""
    text = refusal(connect(secure_loki.url, tls={"ca_file": str(tmp_path / "none.pem")}))
    assert "No such file or directory" in text


# Forks


def test_an_abandoned_connection_is_the_parents(loki, connect):
    """A child closes its descriptor, says nothing to the server, and opens its own."""
    transport = connect(loki.url)
    push(transport)
    sock = transport._connection.sock
    twin = sock.dup()
    transport.abandon()
    assert -1 == sock.fileno()
    twin.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
    assert twin.recv(100).startswith(b"HTTP/1.1 204")
    twin.close()
    assert 204 == push(transport).status
