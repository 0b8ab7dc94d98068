"""LogService and its tail over TLS: whom they trust, and what they show."""

from __future__ import annotations

import asyncio
import time

import pytest
from typer.testing import CliRunner

from loglane.cli import app
from loglane.errors import ServiceUnavailable
from loglane.query import AsyncLogService, LogService, Retry
from tests.unit.certificates import server_context
from tests.unit.query.loki_socket import FakeLoki

faces = pytest.mark.parametrize("face", [LogService, AsyncLogService], ids=["blocking", "async"])


@pytest.fixture
def loki(certificates):
    """Serve one line to who shows a certificate of the authority."""
    with FakeLoki(tls=server_context(certificates, asks=True)) as loki:
        loki.entries = [(time.time_ns(), "a line")]
        loki.stored = 1
        loki.sends([], stored=1)
        yield loki


@pytest.fixture
def tls(certificates):
    """Return what a client needs there."""
    pair = certificates / "client.pem", certificates / "client.key"
    return {"ca_file": certificates / "authority.pem", "client_cert": pair}


def read(face, url, **options) -> list[str]:
    """Return the newest line, and the first of a tail."""
    options = {"retry": Retry(tries=1), **options}
    if face is LogService:
        with LogService(url, **options) as service:
            found = service.query_logs()
            tail = service.tail(start_time="1m", patience_s=0.0)
            found.append(next(tail))
            tail.close()
            return [entry.raw for entry in found]

    async def reading():
        async with AsyncLogService(url, **options) as service:
            found = await service.query_logs()
            async for entry in service.tail(start_time="1m", patience_s=0.0):
                return [*found, entry]
        raise AssertionError("a tail has no end")

    return [entry.raw for entry in asyncio.run(reading())]


@faces
def test_authority_and_certificate_of_the_client_are_used(face, loki, tls):
    """For questions, and for the websocket of a tail."""
    assert ["a line", "a line"] == read(face, loki.url, **tls)
    assert 1 == len(loki.connections)


@faces
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ca_file": None}, "CERTIFICATE_VERIFY_FAILED"),
        ({"ca_file": "stranger.pem"}, "CERTIFICATE_VERIFY_FAILED"),
        ({"client_cert": None}, "cannot be reached"),
        ({"client_cert": ("stranger.pem", "stranger.key")}, "cannot be reached"),
    ],
    ids=["system", "wrong authority", "no certificate", "wrong certificate"],
)
def test_who_is_not_trusted_reads_nothing(face, loki, certificates, tls, changed, said):
    """On either side; it is said at once, and where."""
    for name, value in changed.items():
        if isinstance(value, tuple):
            tls[name] = tuple(certificates / one for one in value)
        else:
            tls[name] = value and certificates / value
    with pytest.raises(ServiceUnavailable, match=f"{loki.url}.*{said}"):
        read(face, loki.url, **tls)


@faces
def test_verify_false_trusts_anybody(face, loki, tls):
    """For a test; the client still shows its certificate."""
    del tls["ca_file"]
    assert ["a line", "a line"] == read(face, loki.url, verify=False, **tls)


def test_certificate_of_another_name_is_refused(loki, tls):
    """It is for 127.0.0.1."""
    with pytest.raises(ServiceUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        read(LogService, loki.url.replace("127.0.0.1", "localhost"), **tls)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ca_file": "{}/none.pem"}, "ca_file .*none.pem: No such file"),
        ({"ca_file": "{}/client.key"}, "ca_file .*client.key: "),
        ({"client_cert": ("{}/client.pem", "{}/stranger.key")}, "client_cert .*stranger.key: "),
    ],
    ids=["missing", "no certificate", "other key"],
)
def test_file_that_cannot_be_used_is_named(certificates, options, said):
    """When the service is made."""
    made = {
        name: tuple(one.format(certificates) for one in value)
        if isinstance(value, tuple)
        else value.format(certificates)
        for name, value in options.items()
    }
    with pytest.raises(ValueError, match=said):
        LogService("https://127.0.0.1:1", **made)


def test_the_command_line_shows_a_certificate_too(loki, certificates, monkeypatch):
    """By options, or by the variables that the package pushes with; one file may hold both."""
    monkeypatch.setenv("LOGLANE_LOKI__URL", loki.url)
    monkeypatch.setenv("LOGLANE_LOKI__TLS__CA_FILE", str(certificates / "authority.pem"))

    def lines(*options):
        done = CliRunner().invoke(app, ["logs", "--output", "raw", *options])
        return done.exit_code, done.stdout

    pair = ["--cert-file", str(certificates / "client.pem"), "--key-file"]
    assert (0, "a line\n") == lines(*pair, str(certificates / "client.key"))
    assert (0, "a line\n") == lines("--cert-file", str(certificates / "client-both.pem"))
    assert 2 == lines("--key-file", str(certificates / "client.key"))[0]
    assert 1 == lines()[0]
    monkeypatch.setenv("LOGLANE_LOKI__TLS__CERT_FILE", str(certificates / "client.pem"))
    monkeypatch.setenv("LOGLANE_LOKI__TLS__KEY_FILE", str(certificates / "client.key"))
    assert (0, "a line\n") == lines()
