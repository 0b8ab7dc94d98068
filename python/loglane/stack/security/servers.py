"""Checks of the servers' own settings: Grafana's doors, Loki's retention and tenants."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loglane.stack.layout import RENDERED
from loglane.stack.security.check import Check, Find
from loglane.stack.security.rendered import Rendered

_NOTHING_SENT = {
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
}
_PASSWORD = "GF_SECURITY_ADMIN_PASSWORD"  # noqa: S105 - a name


def _grafana(**wanted: str) -> Find:
    def find(rendered: Rendered) -> Iterator[str]:
        given = rendered.environment("grafana")
        for key, value in wanted.items():
            if given.get(key) != value:
                yield f"grafana: {key} is {given.get(key, 'not set')}, not {value}"

    return find


def _admin_password(rendered: Rendered) -> Iterator[str]:
    given = rendered.environment("grafana")
    file = f"{_PASSWORD}__FILE"
    if not given.get(file, "").startswith("/run/secrets/"):
        yield f"grafana: {file} names no file below /run/secrets; the password would be admin"
    # Grafana takes the plain one where both are there.
    if _PASSWORD in given:
        yield f"grafana: {_PASSWORD} is in the compose file"


def _grafana_doors(rendered: Rendered) -> Iterator[str]:
    for key, value in rendered.environment("grafana").items():
        other = re.fullmatch(r"GF_AUTH_(?!ANONYMOUS_).*ENABLED", key)
        if (other or key.endswith("_BRUTE_FORCE_LOGIN_PROTECTION")) and value.lower() != "false":
            yield f"grafana: {key} is {value}"
    for key in ("command", "entrypoint", "env_file"):
        if rendered.services["grafana"].get(key):
            yield f"grafana: {key} may say otherwise than its environment"


def _loki_flags(rendered: Rendered) -> Iterator[str]:
    for flag in rendered.services["loki"].get("command", ()):
        if not flag.startswith("-config.file="):
            yield f"loki: {flag} may say otherwise than its config"


def _loki_reports_nothing(rendered: Rendered) -> Iterator[str]:
    if rendered.loki.get("analytics", {}).get("reporting_enabled") is not False:
        yield "loki: analytics.reporting_enabled is not false"


def _retention(rendered: Rendered) -> Iterator[str]:
    compactor = rendered.loki.get("compactor", {})
    limits = rendered.loki.get("limits_config", {})
    periods = rendered.loki.get("schema_config", {}).get("configs", [])
    if compactor.get("retention_enabled") is not True:
        yield "loki: compactor.retention_enabled is not true, so nothing is ever deleted"
    stores = {period.get("object_store") for period in periods}
    if compactor.get("delete_request_store") not in stores:
        yield "loki: compactor.delete_request_store is not where the chunks are"
    if str(limits.get("retention_period", "0s")) in ("0", "0s"):
        yield "loki: limits_config.retention_period is not set, so lines stay for ever"
    if any(period.get("index", {}).get("period") != "24h" for period in periods):
        yield "loki: retention needs an index period of 24h"


def _tenants_apart(rendered: Rendered) -> Iterator[str]:
    several = str(RENDERED / "loki/overrides.yaml") in rendered.files
    if several and rendered.loki.get("auth_enabled") is not True:
        yield "loki: there are tenants, but auth_enabled is not true: all lines are in one"
    if several and not rendered.loki.get("runtime_config", {}).get("file"):
        yield "loki: there are tenants, but runtime_config names no file with their limits"
    if several:
        yield from _tenants_of_lines(rendered)
        yield from _tenants_of_datasources(rendered)


def _tenants_of_lines(rendered: Rendered) -> Iterator[str]:
    for name, stage in (
        ("promtail/promtail.yaml", "- tenant:"),
        ("alloy/config.alloy", "e.tenant {"),
    ):
        text = rendered.texts.get(str(RENDERED / name))
        if text is not None and stage not in text:
            yield f"{name}: no stage gives a line its tenant: all lines are the default one's"


def _tenants_of_datasources(rendered: Rendered) -> Iterator[str]:
    file = str(RENDERED / "grafana/provisioning/datasources/datasources.yaml")
    sources = rendered.files.get(file, {}).get("datasources", ())
    found: list[object] = []
    for source in (item for item in sources if item.get("type") == "loki"):
        tenant = source.get("secureJsonData", {}).get("httpHeaderValue1")
        if not tenant or source.get("jsonData", {}).get("httpHeaderName1") != "X-Scope-OrgID":
            yield f"datasource {source['name']}: names no tenant"
        elif tenant in found or not (source.get("isDefault") or source["name"].endswith(tenant)):
            yield f"datasource {source['name']}: shows tenant {tenant}"
        found.append(tenant)


def _wal(rendered: Rendered) -> Iterator[str]:
    wal = rendered.loki.get("ingester", {}).get("wal", {})
    if wal.get("enabled") is not True:
        yield "loki: ingester.wal.enabled is not true; a crash loses what it has acknowledged"
    folder = str(wal.get("dir", ""))
    targets = [t for source, t, _ in rendered.mounts("loki") if not source.startswith((".", "/"))]
    if not any(folder.startswith(f"{target}/") for target in targets):
        yield f"loki: ingester.wal.dir {folder!r} is on no volume"


SERVER_CHECKS = (
    Check(
        "Grafana: no sign-up",
        "nobody makes an account of their own",
        _grafana(GF_USERS_ALLOW_SIGN_UP="false"),
    ),
    Check(
        "Grafana: no anonymous",
        "nobody reads without a login",
        _grafana(GF_AUTH_ANONYMOUS_ENABLED="false"),
    ),
    Check("Grafana: no other door", "its own login, and nothing instead", _grafana_doors),
    Check("Grafana: nothing sent", "no usage figures leave", _grafana(**_NOTHING_SENT)),
    Check("Grafana: password", "generated, by file, never admin", _admin_password),
    Check("Loki: config alone", "a flag would win over it", _loki_flags),
    Check("Loki: nothing sent", "no usage figures leave", _loki_reports_nothing),
    Check("Loki: retention is on", "what is due is really deleted", _retention),
    Check("Loki: tenants apart", "one cannot read another's lines", _tenants_apart),
    Check("Loki: WAL on a volume", "a crash loses nothing that was taken", _wal),
)
