"""Which secrets a stack needs, who may read each, and what the compose file does with them.

Nothing here reads or writes one; `stack.secretfolder` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from loglane.stack.spec import StackSpec
from loglane.stack.spec.audit import WRITER

ADMIN_PASSWORD = "grafana_admin_password"  # noqa: S105 - the name of a file
CA, CERTIFICATE = "gateway_ca", "gateway_tls"
AUDIT_READER, AUDIT_WRITER = "audit_reader_password", "audit_writer_password"

Consumer = Literal["grafana", "loki", "gateway", "mariadb"]
# User and group of each in its image.
_OWNERS: dict[Consumer, str] = {
    "grafana": "472:0", "loki": "10001:10001", "gateway": "101:101", "mariadb": "999:999",
}  # fmt: skip
_IN_CONTAINER = "/run/secrets"


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret: files of a folder that only its owner can open.

    Attributes:
        name: What commands call it.
        purpose: What it is for, as people read it.
        kind: What it must look like.
        origin: `generated` by `loglane secrets init`, `given` by whoever runs the stack, or
            `derived` from others.
        consumers: The containers that get a copy.
        files: Its files in the folder; the first one is what people look at.
    """

    name: str
    purpose: str
    kind: Literal["password", "url", "aws", "users", "ca", "certificate"]
    origin: Literal["generated", "given", "derived"]
    consumers: tuple[Consumer, ...]
    files: tuple[str, ...]


def required(spec: StackSpec) -> tuple[Secret, ...]:
    """List the secrets that a stack needs; what is derived comes after what it derives from."""
    return (*_grafana(spec), *_audit(spec), *_loki(spec), *_gateway(spec))


def users_who(spec: StackSpec, right: Literal["push", "query"]) -> tuple[str, ...]:
    """Name the gateway's users who have a right, in the spec's order."""
    users = spec.gateway.users if spec.gateway else ()
    return tuple(user.name for user in users if right in user.may)


def password_of(user: str) -> str:
    """Name the secret of a gateway user's password."""
    return f"gateway_{user}_password"


def _grafana(spec: StackSpec) -> Iterator[Secret]:
    yield _password(ADMIN_PASSWORD, f"Grafana's user {spec.grafana.admin_user}", ("grafana",))
    points = spec.alerts.contact_points if spec.alerts.enabled else {}
    for name in dict.fromkeys(point.url_secret for point in points.values()):
        if name is not None:
            yield Secret(
                name, "address that alerts are sent to", "url", "given", ("grafana",), (name,)
            )
    if spec.grafana.smtp is not None and spec.grafana.smtp.user is not None:
        purpose = f"{spec.grafana.smtp.user} on the mail server {spec.grafana.smtp.address}"
        yield _password("grafana_smtp_password", purpose, ("grafana",), "given")


def _audit(spec: StackSpec) -> Iterator[Secret]:
    database = spec.audit.database
    if database is None:
        return
    where = f"of the database {database.database} on {database.reached_at}"
    reader = f"{database.user} {where}"
    if not database.bundled:
        yield _password(AUDIT_READER, reader, ("grafana",), "given")
        return
    # The database gives its users these passwords, and Grafana says the one that it has.
    yield _password(AUDIT_READER, reader, ("grafana", "mariadb"))
    yield _password(AUDIT_WRITER, f"{WRITER} {where}", ("mariadb",))


def _loki(spec: StackSpec) -> Iterator[Secret]:
    if spec.storage.type == "s3":
        name, purpose = "s3_credentials", f"keys of the bucket {spec.storage.bucket}"
        yield Secret(name, purpose, "aws", "given", ("loki",), (name,))


def _gateway(spec: StackSpec) -> Iterator[Secret]:
    if spec.gateway is None:
        return
    for user in spec.gateway.users:
        yield _password(password_of(user.name), f"the gateway's user {user.name}", ())
    if spec.gateway.users:
        files = ("gateway_push_users", "gateway_query_users")
        purpose = "hashes of the users' passwords"
        yield Secret("gateway_users", purpose, "users", "derived", ("gateway",), files)
    if spec.gateway.tls.mode == "generated":
        files = (f"{CA}.pem", f"{CA}.key")
        yield Secret(CA, "authority that clients trust", "ca", "generated", (), files)
        names = ", ".join(spec.gateway.tls.names)
        files = (f"{CERTIFICATE}.pem", f"{CERTIFICATE}.key")
        yield Secret(
            CERTIFICATE, f"certificate for {names}", "certificate", "generated", ("gateway",), files
        )


def _password(
    name: str,
    user: str,
    consumers: tuple[Consumer, ...],
    origin: Literal["generated", "given"] = "generated",
) -> Secret:
    return Secret(name, f"password of {user}", "password", origin, consumers, (name,))


def secrets_context(spec: StackSpec) -> dict[str, Any]:
    """Return what the compose file's container `secrets` and its readers insert."""
    files = {consumer: _files_of(spec, consumer) for consumer in _OWNERS}
    read = [consumer for consumer, found in files.items() if found]
    return {
        "handover": [
            {
                "volume": f"{consumer}-secrets",
                "mount": f"{consumer}-secrets:/to/{consumer}",
                "words": [consumer, _OWNERS[consumer], *files[consumer]],
            }
            for consumer in read
        ],
        "secret_mounts": {
            consumer: f"{consumer}-secrets:{_IN_CONTAINER}:ro" if found else None
            for consumer, found in files.items()
        },
        "own_certificate": [
            {"path": path, "target": f"/given/{name}"}
            for name, path in _own_certificate(spec).items()
        ],
    }


def _files_of(spec: StackSpec, consumer: Consumer) -> list[str]:
    found = [
        file for secret in required(spec) if consumer in secret.consumers for file in secret.files
    ]
    return [*found, *_own_certificate(spec)] if consumer == "gateway" else found


def _own_certificate(spec: StackSpec) -> dict[str, str]:
    """Return the operator's own files by the name that the gateway reads each under."""
    tls = spec.gateway.tls if spec.gateway else None
    if tls is None or tls.certificate is None or tls.key is None:
        return {}
    return {f"{CERTIFICATE}.pem": tls.certificate, f"{CERTIFICATE}.key": tls.key}
