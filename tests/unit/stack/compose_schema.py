"""Compose's own JSON schema, from the package check-jsonschema: no network is needed."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema.validators import validator_for

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def _validator() -> Any:
    schema = get_builtin_schema("vendor.compose-spec")
    return validator_for(schema)(schema)


@cache
def compose_problems(text: str) -> list[str]:
    """Return what compose's schema finds in a compose file."""
    parsed = yaml.load(text, LOADER)  # noqa: S506 - the safe loader, in C
    return [f"{error.json_path}: {error.message}" for error in _validator().iter_errors(parsed)]
