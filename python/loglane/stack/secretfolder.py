"""The secrets of a project: made, checked, repaired and replaced, never printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from loglane.errors import Problem, SpecError
from loglane.stack import passwords, secretfiles
from loglane.stack.secrets import CA, Secret, password_of, required, users_who
from loglane.stack.secretvalues import flaw_of
from loglane.stack.spec import StackSpec

if TYPE_CHECKING:
    from loglane.stack.certificates import Pair

Outcome = Literal["made", "there", "repaired", "missing", "weak"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one secret: `detail` says why, or what to do."""

    secret: Secret
    outcome: Outcome
    detail: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the finding as plain data; a secret's value is never part of it."""
        return {
            "name": self.secret.name,
            "outcome": self.outcome,
            "detail": self.detail,
            "purpose": self.secret.purpose,
            "origin": self.secret.origin,
            "files": list(self.secret.files),
        }


class SecretFolder:
    """The secrets of one environment, in a folder that `init` makes."""

    def __init__(self, spec: StackSpec, folder: Path) -> None:
        self.spec = spec
        self.folder = folder
        self.secrets = required(spec)

    def init(self) -> list[Finding]:
        """Make what is missing, repair modes, leave the rest; nothing is made when one is weak.

        Raises:
            SpecError: A secret that is there must not be used.
            LoglaneError: A file cannot be changed.
        """
        self._refuse_weak()
        secretfiles.make_folder(self.folder)
        secretfiles.close(self.folder, secretfiles.FOLDER_MODE)
        return [self._ensure(secret) for secret in self.secrets]

    def look(self) -> list[Finding]:
        """Say how each secret is, and change nothing."""
        return [self._look(secret) for secret in self.secrets]

    def named(self, name: str) -> Secret:
        """Return the secret of this name, or the one that a file of this name belongs to.

        Raises:
            SpecError: The stack has none.
        """
        for secret in self.secrets:
            if name in (secret.name, *secret.files):
                return secret
        known = ", ".join(secret.name for secret in self.secrets)
        raise SpecError([Problem(f"{name!r} is no secret of this stack; it has: {known}")])

    def put(self, secret: Secret, value: str) -> None:
        """Write what somebody gives; `settle` then makes what is derived from it.

        Raises:
            SpecError: The value must not be used, or is not one to be given.
        """
        value = value.rstrip("\r\n")
        self.check(secret, value)
        secretfiles.make_folder(self.folder)
        self._write(secret.files[0], f"{value}\n")

    def check(self, secret: Secret, value: str) -> None:
        """See that a value may be given to a secret.

        Raises:
            SpecError: It may not.
        """
        flaw = flaw_of(secret, value)
        if secret.kind not in ("password", "url", "aws"):
            flaw = f"is made by loglane; `loglane secrets rotate {secret.name}` renews it"
        if flaw is not None:
            raise SpecError([Problem(flaw, file=secret.name)])

    def renew(self, secret: Secret) -> None:
        """Give a generated secret a new value; `settle` then makes what is derived from it.

        Raises:
            SpecError: It is not generated here.
        """
        if secret.kind == "users":
            for file, users in zip(secret.files, self._users(), strict=True):
                self._write(file, passwords.users_file(users))
        elif secret.kind in ("ca", "certificate"):
            self._issue(secret)
        elif secret.origin == "generated":
            self.put(secret, passwords.generate())
        else:
            raise SpecError([Problem(self._how_to_give(secret), file=secret.name)])

    def settle(self) -> None:
        """Make anew what no longer fits what it is derived from."""
        for secret in self.secrets:
            sources = [self.named(name) for name in self._sources(secret)]
            if sources and not any(self._reason_to_make(source) for source in sources):
                self._ensure(secret)

    def _ensure(self, secret: Secret) -> Finding:
        reason = self._reason_to_make(secret)
        opened = [
            file
            for file in secret.files
            if secretfiles.close(self.folder / file, secretfiles.FILE_MODE)
        ]
        if reason is None and opened:
            return Finding(secret, "repaired", "others could read it; rotate it if they did")
        if reason is None:
            return Finding(secret, "there")
        if secret.origin == "given":
            return Finding(secret, "missing", self._how_to_give(secret))
        secretfiles.make_folder(self.folder)
        self.renew(secret)
        return Finding(secret, "made", reason)

    def _look(self, secret: Secret) -> Finding:
        if self._reason_to_make(secret) is not None:
            command = f"`loglane secrets init --env {self.spec.env}` makes it"
            given = secret.origin == "given"
            return Finding(secret, "missing", self._how_to_give(secret) if given else command)
        flaw = self._flaw(secret)
        return Finding(secret, "there") if flaw is None else Finding(secret, "weak", flaw)

    def _how_to_give(self, secret: Secret) -> str:
        return f"`loglane secrets set {secret.name} --env {self.spec.env}` reads it from stdin"

    def _refuse_weak(self) -> None:
        problems = []
        for secret in self.secrets:
            flaw = self._flaw(secret)
            if flaw is not None:
                verb = "rotate" if secret.origin == "generated" else "set"
                command = f"`loglane secrets {verb} {secret.name} --env {self.spec.env}`"
                file = str(self.folder / secret.files[0])
                problems.append(Problem(f"{flaw}. {command} replaces it", file=file))
        if problems:
            raise SpecError(problems)

    def _flaw(self, secret: Secret) -> str | None:
        value = (self._read(secret.files[0]) or "").rstrip("\r\n")
        return flaw_of(secret, value) if value else None

    def _reason_to_make(self, secret: Secret) -> str | None:
        texts = [self._read(file) for file in secret.files]
        if not all(text and text.strip() for text in texts):
            return "there was none"
        if secret.kind in ("ca", "certificate"):
            return self._certificate_flaw(secret)
        if secret.kind == "users":
            agree = [
                passwords.users_agree(text or "", users)
                for text, users in zip(texts, self._users(), strict=True)
            ]
            return None if all(agree) else "the users or their passwords have changed"
        return None

    def _users(self) -> list[Mapping[str, str]]:
        """Return the passwords of those who may push, and of those who may query."""
        return [
            {user: (self._read(password_of(user)) or "").rstrip("\r\n") for user in names}
            for names in (users_who(self.spec, "push"), users_who(self.spec, "query"))
        ]

    def _sources(self, secret: Secret) -> tuple[str, ...]:
        """Name the secrets that this one is derived from."""
        if secret.kind == "certificate":
            return (CA,)
        users = self.spec.gateway.users if self.spec.gateway else ()
        return tuple(password_of(user.name) for user in users) if secret.kind == "users" else ()

    def _certificate_flaw(self, secret: Secret) -> str | None:
        from loglane.stack import certificates

        if secret.kind == "ca":
            return certificates.authority_flaw(self._pair(secret))
        authority = self._pair(self.named(CA))
        return certificates.server_flaw(self._pair(secret), self._server_names, authority)

    def _issue(self, secret: Secret) -> None:
        # cryptography takes a while to import, and few commands need it.
        from loglane.stack import certificates

        if secret.kind == "ca":
            pair = certificates.new_authority(f"{self.spec.project} {self.spec.env} gateway")
        else:
            pair = certificates.new_server(self._server_names, self._pair(self.named(CA)))
        for file, text in zip(secret.files, (pair.certificate, pair.key), strict=True):
            self._write(file, text)

    @property
    def _server_names(self) -> tuple[str, ...]:
        return self.spec.gateway.tls.names if self.spec.gateway else ()

    def _pair(self, secret: Secret) -> Pair:
        from loglane.stack.certificates import Pair

        certificate, key = (self._read(file) or "" for file in secret.files)
        return Pair(certificate, key)

    def _read(self, file: str) -> str | None:
        return secretfiles.read(self.folder / file)

    def _write(self, file: str, text: str) -> None:
        secretfiles.write(self.folder / file, text)
