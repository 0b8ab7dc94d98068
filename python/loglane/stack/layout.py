"""Where a project's files lie, relative to its top."""

from __future__ import annotations

from pathlib import PurePosixPath

# Configs lie below this folder of a project, beside docker-compose.yml at its top.
RENDERED = PurePosixPath("stack/rendered")
SECRETS = PurePosixPath("stack/secrets")
ADMIN_PASSWORD_FILE = SECRETS / "grafana_admin_password"
