"""Replace secrets, and see that the containers that run take the new ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loglane.errors import EnvironmentMissing, LoglaneError, Problem, SpecError
from loglane.stack import engine, passwords
from loglane.stack.project import Project
from loglane.stack.secretfolder import SecretFolder
from loglane.stack.secrets import ADMIN_PASSWORD, CA, Secret


@dataclass(frozen=True, slots=True)
class Change:
    """One replaced secret, and what that asks for."""

    secret: Secret
    follow_up: str


def rotate(project: Project, names: Sequence[str]) -> list[Change]:
    """Give secrets new generated values.

    Args:
        project: The project whose secrets they are.
        names: Which ones; none means every generated one but the authority, which every client
            would have to learn anew.

    Raises:
        SpecError: A name is unknown, or its secret is not generated.
        LoglaneError: Grafana did not take its new password; nothing else was changed either.
    """
    folder = SecretFolder(project.spec, project.secrets)
    chosen = [folder.named(name) for name in names] or [
        secret for secret in folder.secrets if secret.origin == "generated" and secret.name != CA
    ]
    given = [secret for secret in chosen if secret.origin == "given"]
    if given:
        command = "is yours to give: `loglane secrets set"
        raise SpecError([Problem(f"{command} {item.name}`", file=item.name) for item in given])
    # The one that can fail comes first.
    for secret in sorted(chosen, key=lambda item: item.name != ADMIN_PASSWORD):
        if secret.name == ADMIN_PASSWORD:
            set_admin_password(project, folder, passwords.generate())
        else:
            folder.renew(secret)
    folder.settle()
    return _applied(project, chosen)


def give(project: Project, name: str, value: str) -> list[Change]:
    """Write a value that somebody gives, and hand it to the container that reads it.

    Raises:
        SpecError: The name is unknown, or the value must not be used.
        LoglaneError: Grafana did not take its new password; the old one is kept.
    """
    folder = SecretFolder(project.spec, project.secrets)
    secret = folder.named(name)
    if secret.name == ADMIN_PASSWORD:
        set_admin_password(project, folder, value.rstrip("\r\n"))
    else:
        folder.put(secret, value)
    folder.settle()
    return _applied(project, [secret])


def set_admin_password(project: Project, folder: SecretFolder, password: str) -> None:
    """Change Grafana's first user's password where it counts: in Grafana's database.

    Grafana reads the file at its very first start only.

    Raises:
        SpecError: The password must not be used.
        LoglaneError: Grafana has a database and does not run, or refuses.
    """
    secret = folder.named(ADMIN_PASSWORD)
    folder.check(secret, password)
    if "grafana" in _running(project):
        # By stdin: an argument would show in the list of processes.
        command = ["grafana", "cli", "admin", "reset-admin-password", "--password-from-stdin"]
        code, said = engine.compose_exec(project.compose_file, "grafana", command, password)
        if code != 0:
            raise LoglaneError(f"Grafana keeps its old password; it said:\n{said}")
    elif (folder.folder / secret.files[0]).exists() and _has_database(project):
        raise LoglaneError(
            "Grafana does not run, and its database holds the old password: "
            f"`loglane up --env {project.spec.env}` first"
        )
    folder.put(secret, password)


def hand_over(project: Project, secrets: Iterable[Secret]) -> set[str]:
    """Give the containers that run what they read; return the names of all that run."""
    running = _running(project)
    found = {
        reader for secret in secrets if secret.name != ADMIN_PASSWORD for reader in _readers(secret)
    }
    readers = found & running
    if readers:
        # The container that hands secrets over runs again, then those who read them start anew.
        services = ["secrets", *sorted(readers)]
        engine.compose(project.compose_file, ["up", "--detach", "--force-recreate", *services])
    return running


def _applied(project: Project, secrets: Sequence[Secret]) -> list[Change]:
    running = hand_over(project, secrets)
    return [Change(secret, _follow_up(project, secret, running)) for secret in secrets]


def _readers(secret: Secret) -> tuple[str, ...]:
    """Name the services that must start anew; what no container reads is the gateway's."""
    return secret.consumers or ("gateway",)


def _follow_up(project: Project, secret: Secret, running: set[str]) -> str:
    readers = _readers(secret)
    if secret.name == ADMIN_PASSWORD:
        # Grafana has its password in its database, so it need not start anew.
        return "Grafana took it" if "grafana" in running else "Grafana takes it at its first start"
    done = "; ".join(
        f"{reader} {'was started anew' if reader in running else 'takes it when it starts'}"
        for reader in readers
    )
    if secret.name == CA:
        return f"{done}; give {project.secrets / secret.files[0]} to every client"
    if secret.kind == "password" and secret.origin == "generated":
        return f"{done}; give the new password to whoever uses it"
    return done


def _running(project: Project) -> set[str]:
    try:
        found = engine.containers(engine.connect(), project.spec.project)
    except EnvironmentMissing:
        return set()
    return {container.service for container in found if container.state == "running"}


def _has_database(project: Project) -> bool:
    labels = [
        f"com.docker.compose.project={project.spec.project}",
        "com.docker.compose.volume=grafana-data",
    ]
    return bool(engine.connect().volumes.list(filters={"label": labels}))
