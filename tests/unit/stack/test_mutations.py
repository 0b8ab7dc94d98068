"""Whatever stands in a spec, it renders files that parse, or is refused with a place."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loglane.errors import SpecError
from loglane.stack.loading import load_spec
from loglane.stack.render import render

ROOT = Path(__file__).resolve().parents[3]
BASE = (ROOT / "stack" / "stack.yaml").read_text()

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


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, item in items:
        found += paths(item, (*here, key))
    return found


PATHS = paths(yaml.safe_load(BASE))


def load_and_parse(text: bytes) -> list[str]:
    """Return the problems of a spec, or render it and parse every file; anything else raises."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stack.yaml"
        file.write_bytes(text)
        (file.parent / "environments").mkdir()
        (file.parent / "environments" / "dev.yaml").write_text("env: dev\n")
        try:
            tree = render(load_spec(file, "dev"), ROOT / "templates")
        except SpecError as error:
            return [f"{problem.file}: {problem.message}" for problem in error.problems]
    for path, rendered in tree.items():
        (json.loads if path.endswith(".json") else yaml.safe_load)(rendered)
    return []


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(PATHS), value=VALUES)
def test_any_value_at_any_key_renders_or_is_refused(path, value):
    """One key replaced by any value never gives a traceback or a file that does not parse."""
    spec = yaml.safe_load(BASE)
    place = spec
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    load_and_parse(yaml.safe_dump(spec, allow_unicode=True).encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(at=st.integers(0, len(BASE)), cut=st.integers(0, 40), text=st.binary(max_size=12))
def test_any_damage_to_the_text_renders_or_is_refused(at, cut, text):
    """Bytes cut out and put in anywhere never give a traceback or a file that does not parse."""
    raw = BASE.encode()
    load_and_parse(raw[:at] + text + raw[at + cut :])


def test_the_spec_itself_renders():
    """The mutations start from a spec that is right, so a refusal is theirs."""
    assert [] == load_and_parse(BASE.encode())
