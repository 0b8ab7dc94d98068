"""Render a spec: a pure function from a spec and the templates to a tree of texts."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2

from loglane.stack.context import template_context
from loglane.stack.layout import RENDERED
from loglane.stack.selection import BUCKET_POLICY, select
from loglane.stack.spec import StackSpec

COMPOSE = "docker-compose.yml"
_SUFFIX = ".j2"
# Compose and Grafana's provisioning expand `$NAME` in what they read; `$$` is a plain dollar there
# (https://docs.docker.com/reference/compose-file/interpolation/,
# https://grafana.com/docs/grafana/latest/administration/provisioning/#using-environment-variables).
_EXPANDS_DOLLARS = (COMPOSE, "grafana/provisioning/")

# Loki reads its overrides again by itself, and the bucket's policy is no file of Loki's: neither
# is a reason for a new container.
_NOT_DIGESTED = ("loki/overrides.yaml", BUCKET_POLICY)

Tree = dict[str, str]


def render(spec: StackSpec, templates: Path) -> Tree:
    """Render every file of a stack.

    Args:
        spec: A validated spec.
        templates: Folder of the templates, laid out as the output is.

    Returns:
        Text by path, relative to the project, with `/` between folders, in a stable order.
    """
    environment = _environment(templates)
    found = templates.rglob(f"*{_SUFFIX}")
    names = [path.relative_to(templates).as_posix().removesuffix(_SUFFIX) for path in found]
    context = template_context(spec)
    tree: Tree = {}
    for name, output in sorted(select(names, spec)):
        if name != COMPOSE:
            tree[str(RENDERED / output)] = _render_one(environment, name, context, spec)
    context["digests"] = _digests(tree)
    compose = {COMPOSE: _render_one(environment, COMPOSE, context, spec)}
    return {**compose, **tree}


@functools.lru_cache(maxsize=8)
def _environment(templates: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # Collector stages and Grafana's legends own {{ }}.
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
        autoescape=False,  # noqa: S701 - the output is YAML and JSON, escaped by the json filter
    )
    environment.filters["json"] = _json
    return environment


@jinja2.pass_context
def _json(context: jinja2.runtime.Context, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if (context.name or "").startswith(_EXPANDS_DOLLARS):
        text = text.replace("$", "$$")
    return text


def _render_one(
    environment: jinja2.Environment, name: str, context: dict[str, Any], spec: StackSpec
) -> str:
    template = environment.get_template(name + _SUFFIX)
    return template.render({**context, "header": header(name, spec.env)})


def header(name: str, env: str) -> str:
    """Say what a file was rendered from and by which command."""
    return f"Rendered from templates/{name}{_SUFFIX} by `loglane render --env {env}`; do not edit."


def _digests(tree: Tree) -> dict[str, str]:
    """Digest the files that each service mounts, by the folder they lie in."""
    texts: dict[str, list[str]] = {}
    for path, text in tree.items():
        name = PurePosixPath(path).relative_to(RENDERED)
        if str(name) in _NOT_DIGESTED:
            continue
        folder = name.parts[0]
        texts.setdefault(folder, []).append(f"{path}\0{text}\0")
    return {
        folder: hashlib.sha256("".join(parts).encode()).hexdigest()[:16]
        for folder, parts in texts.items()
    }
