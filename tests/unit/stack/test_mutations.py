"""Whatever stands in a spec, it renders files that parse, or is refused with a place."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loglane.errors import Problem, SpecError
from loglane.stack.loading import load_spec
from loglane.stack.render import render
from tests.unit.stack.compose_schema import LOADER, compose_problems

ROOT = Path(__file__).resolve().parents[3]
# The mutations start from a spec that uses every key.
TEXT = (Path(__file__).parent / "everything.yaml").read_text()
SPEC = yaml.safe_load(TEXT)
EXAMPLES = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["$HOME", "a\nb: c", "{{x}}", "]]", '"', "'", "#", "0x10", "31d", '{a="b"}']),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
# What is right somewhere: wrong in a place of another kind, right in one of its own.
NEAR_MISSES = st.sampled_from(
    [
        "1s", "23h", "24h", "0d25h", "3d", "30d", "31d", "100y", "12h1s", "2h30m", "1KB", "900MB",
        "1TB", "6m", "64m", 0, 1, -1, 2, 65535, 65536, 0.05, 1.5, "127.0.0.1", "::1", "localhost",
        "http://a.example", "team-a", "team-b", "main", "index", "fake", "proxy", "level", "env",
        "alloy", "filesystem", "generated", "off", "GLACIER_IR", "sunday", "24:00", "UTC",
        '{level="debug"}', '{ level = "debug" , }', '{service=~".+"}', '{nope="x"}', [], {}, None,
    ]
)  # fmt: skip

Path_ = tuple[Any, ...]


def paths(value: Any, here: Path_ = ()) -> list[Path_]:
    found = [here] if here else []
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, item in items:
        found += paths(item, (*here, key))
    return found


PATHS = paths(SPEC)
LISTS = [path for path in PATHS if isinstance(path[-1], int)]
KEYS = [path for path in PATHS if isinstance(path[-1], str)]


def holder(spec: Any, path: Path_) -> Any:
    for part in path[:-1]:
        spec = spec[part]
    return spec


def outcome(text: bytes) -> list[Problem]:
    """Return a spec's problems, or see that what it renders parses; anything else raises."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stack.yaml"
        file.write_bytes(text)
        (file.parent / "environments").mkdir()
        (file.parent / "environments" / "dev.yaml").write_text("env: dev\n")
        try:
            tree = render(load_spec(file, "dev"), ROOT / "templates")
        except SpecError as error:
            return list(error.problems)
    for path, rendered in tree.items():
        if path.endswith(".json"):
            json.loads(rendered)
        elif path.endswith((".yaml", ".yml")):
            yaml.load(rendered, LOADER)  # noqa: S506 - the safe loader, in C
    assert [] == compose_problems(tree["docker-compose.yml"])
    return []


def outcome_of(spec: Any) -> list[Problem]:
    """Write a spec as YAML, and see that each of its problems names a key and a line."""
    text = yaml.safe_dump(spec, allow_unicode=True).encode("utf-8", "surrogatepass")
    problems = outcome(text)
    unplaced = [str(problem) for problem in problems if not (problem.path and problem.line)]
    # Characters that YAML has not are found before there are keys.
    assert [] == [said for said in unplaced if "YAML" not in said and "UTF-8" not in said]
    return problems


@EXAMPLES
@given(path=st.sampled_from(PATHS), value=VALUES)
def test_any_value_at_any_key_renders_or_is_refused(path, value):
    """One key replaced by any value never gives a traceback or a file that does not parse."""
    spec = copy.deepcopy(SPEC)
    holder(spec, path)[path[-1]] = value
    outcome_of(spec)


@EXAMPLES
@given(changes=st.lists(st.tuples(st.sampled_from(PATHS), NEAR_MISSES), min_size=1, max_size=3))
def test_values_that_are_right_elsewhere_render_or_are_refused(changes):
    """Up to three keys with each other's kinds of value never give a traceback."""
    spec = copy.deepcopy(SPEC)
    for path, value in changes:
        try:
            holder(spec, path)[path[-1]] = copy.deepcopy(value)
        except (KeyError, IndexError, TypeError):
            # An earlier change has taken the place away.
            continue
    outcome_of(spec)


@EXAMPLES
@given(one=st.sampled_from(PATHS), other=st.sampled_from(PATHS))
def test_any_value_in_the_place_of_another_renders_or_is_refused(one, other):
    """A part of the spec copied over another part never gives a traceback."""
    spec = copy.deepcopy(SPEC)
    holder(spec, one)[one[-1]] = copy.deepcopy(holder(SPEC, other)[other[-1]])
    outcome_of(spec)


@EXAMPLES
@given(at=st.integers(0, len(TEXT)), cut=st.integers(0, 40), text=st.binary(max_size=12))
def test_any_damage_to_the_text_renders_or_is_refused(at, cut, text):
    """Bytes cut out and put in anywhere never give a traceback or a file that does not parse."""
    raw = TEXT.encode()
    for problem in outcome(raw[:at] + text + raw[at + cut :]):
        assert problem.file
        assert problem.message


@pytest.mark.parametrize("path", KEYS, ids=lambda path: ".".join(map(str, path)))
def test_a_key_with_a_typing_error_is_refused_at_its_place(path):
    """No key is ignored: with one letter more each is unknown, or names something else."""
    spec = copy.deepcopy(SPEC)
    place = holder(spec, path)
    place[f"{path[-1]}x"] = place.pop(path[-1])
    problems = outcome_of(spec)
    free = path[:-1] in FREE_KEYS
    assert free or any(problem.path.endswith(f"{path[-1]}x") for problem in problems)


# Maps whose keys are names that the operator chooses.
FREE_KEYS = {
    ("services",), ("services", "proxy", "labels"), ("tenants",),
    ("alerts", "contact_points"), ("alerts", "mute_times"),
}  # fmt: skip


@pytest.mark.parametrize("path", LISTS, ids=lambda path: ".".join(map(str, path)))
def test_an_item_that_is_listed_twice_renders_or_is_refused(path):
    """The same item again never gives a traceback."""
    spec = copy.deepcopy(SPEC)
    place = holder(spec, path)
    place.append(copy.deepcopy(place[path[-1]]))
    outcome_of(spec)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_a_key_that_is_left_out_renders_or_is_refused(path):
    """Without any one of its keys or items the spec never gives a traceback."""
    spec = copy.deepcopy(SPEC)
    del holder(spec, path)[path[-1]]
    outcome_of(spec)


def test_the_spec_itself_renders():
    """The mutations start from a spec that is right, so a refusal is theirs."""
    assert [] == outcome(TEXT.encode())


def test_the_spec_uses_every_key_of_the_committed_one():
    """A new key of the spec is damaged too."""
    committed = yaml.safe_load((ROOT / "stack" / "stack.yaml").read_text())
    assert set() == set(paths(committed)) - set(PATHS)
