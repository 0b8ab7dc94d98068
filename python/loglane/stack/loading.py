"""From files to a spec: read, merge the overlay, validate, report each problem at its place."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loglane.errors import Problem, SpecError
from loglane.stack.document import Document, Path_, dotted, read_document
from loglane.stack.spec import CrossKeyError, StackSpec, keys_at

ENVIRONMENTS = "environments"


def load_spec(file: Path, env: str) -> StackSpec:
    """Load `file` with the overlay `environments/<env>.yaml` beside it.

    Args:
        file: The spec, usually `stack/stack.yaml`.
        env: Name of the environment.

    Returns:
        The validated spec of that environment.

    Raises:
        SpecError: With every problem of both files, each with its file, line and path.
    """
    if _is_missing(file):
        message = "there is no such spec; run this at the top of a project, or give --spec"
        raise SpecError([Problem(message, file=str(file))])
    document = _read_both(file, _overlay_file(file, env))
    problems = [*document.problems, *_env_problems(document, file, env)]
    try:
        spec = StackSpec.model_validate(_tuples(document.data))
    except ValidationError as error:
        problems += [p for item in _own_errors(error) for p in _translate(item, document)]
        raise SpecError(_in_file_order(problems)) from None
    if problems:
        raise SpecError(_in_file_order(problems))
    return spec


def _is_missing(file: Path) -> bool:
    try:
        return not file.exists()
    except OSError:
        # Closed to us: reading it says so.
        return False


def _read_both(file: Path, overlay_file: Path) -> Document:
    """Read and merge both files; when one cannot be read at all, report what both have."""
    documents: list[Document] = []
    failures: list[Problem] = []
    for one in (file, overlay_file):
        try:
            documents.append(read_document(one))
        except SpecError as error:
            failures += error.problems
    if failures:
        failures += [problem for document in documents for problem in document.problems]
        raise SpecError(_in_file_order(failures))
    return merge(*documents)


def environments(file: Path) -> list[str]:
    """List the environments that have an overlay beside the spec `file`, sorted by name."""
    return sorted(path.stem for path in (file.parent / ENVIRONMENTS).glob("*.yaml"))


def _overlay_file(file: Path, env: str) -> Path:
    known = environments(file)
    if env not in known:
        folder = file.parent / ENVIRONMENTS
        message = f"no environment {env!r}; there are: {', '.join(known) or 'none'}"
        close = difflib.get_close_matches(env, known, n=1)
        if close:
            message += f". Did you mean {close[0]!r}?"
        raise SpecError([Problem(message, file=str(folder))])
    return file.parent / ENVIRONMENTS / f"{env}.yaml"


def _env_problems(document: Document, file: Path, env: str) -> list[Problem]:
    given = document.data.get("env")
    if given == env:
        return []
    place = document.places.get(("env",))
    overlay = file.parent / ENVIRONMENTS / f"{env}.yaml"
    message = (
        f"is {given!r}, but the environment {env!r} was asked for; write env: {env} in {overlay}"
    )
    document.data["env"] = env
    where = place or document.places[()]
    return [Problem(message, where.file, where.line, "env")]


def merge(base: Document, overlay: Document) -> Document:
    """Lay `overlay` over `base`: maps merge, lists and values replace, null deletes."""
    merged = Document(dict(base.data), dict(base.places), base.problems + overlay.problems)
    _merge_map(merged, merged.data, overlay, overlay.data, ())
    merged.data = _without_nulls(merged.data)
    return merged


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _merge_map(
    merged: Document, into: dict[str, Any], overlay: Document, data: dict[str, Any], path: Path_
) -> None:
    for key, value in data.items():
        here = (*path, key)
        below = into.get(key)
        if value is None:
            into.pop(key, None)
            merged.places[here] = overlay.places[here]
        elif isinstance(value, dict) and isinstance(below, dict):
            into[key] = dict(below)
            _merge_map(merged, into[key], overlay, value, here)
        else:
            into[key] = value
            stale = [known for known in merged.places if known[: len(here)] == here]
            for known in stale:
                del merged.places[known]
            fresh = {at: p for at, p in overlay.places.items() if at[: len(here)] == here}
            merged.places.update(fresh)


def _tuples(value: Any) -> Any:
    """Turn lists into tuples, the only sequence that a frozen strict model takes."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value


def _in_file_order(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.file or "", problem.line or 0))


def _own_errors(error: ValidationError) -> list[Any]:
    """Leave out what only follows from another error: a list that is short of its wrong items."""
    return [
        item
        for item in error.errors()
        if item["type"] != "too_short" or len(item["input"]) < item["ctx"]["min_length"]
    ]


def _translate(item: Any, document: Document) -> list[Problem]:
    # A key that is itself wrong is marked by pydantic with a part of its own.
    path: Path_ = tuple(part for part in item["loc"] if part != "[key]")
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, CrossKeyError):
        return [_problem(document, (*path, *below), message) for below, message in cause.found]
    return [_problem(document, path, _message(item, path))]


def _problem(document: Document, path: Path_, message: str) -> Problem:
    place = document.place(path)
    return Problem(
        message, place.file if place else None, place.line if place else None, dotted(path)
    )


def _message(item: Any, path: Path_) -> str:
    kind, given, context = item["type"], item.get("input"), item.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "missing":
        return "is missing; add it"
    if kind == "value_error":
        return (
            f"{_shown(given)}: {context['error']}"
            if isinstance(given, str)
            else str(context["error"])
        )
    if kind == "literal_error":
        close = difflib.get_close_matches(
            str(given), context["expected"].replace("'", "").split(", "), 1
        )
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{_shown(given)} is not one of: {context['expected']}{hint}"
    wanted = _WANTED.get(kind)
    if kind == "string_type" and isinstance(given, (int, float)) and not isinstance(given, bool):
        wanted = "a string; put it in quotes, with a unit where it has one, as in '31d'"
    if kind == "too_short":
        wanted = f"at least {context['min_length']} long"
    if wanted is not None:
        return f"{_shown(given)} should be {wanted}"
    text: str = item["msg"]
    return f"{_shown(given)}: {text[0].lower()}{text[1:]}"


_WANTED = {
    "int_type": "a whole number, without quotes",
    "float_type": "a number, without quotes",
    "string_type": "a string; put it in quotes",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "model_type": "a map of keys",
    "dict_type": "a map of keys",
}


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, bool):
        return str(value).lower()
    text = "a list" if isinstance(value, tuple) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown_key(path: Path_) -> str:
    known = keys_at(path[:-1])
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    if close:
        return f"unknown key; did you mean {close[0]!r}?"
    return f"unknown key; known here: {', '.join(known)}"
