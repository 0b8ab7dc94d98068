"""Arguments, environment, file and defaults become one set of settings."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loglane.errors import SpecError
from loglane.settings import load_settings
from loglane.settings.layers import known_paths


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, so that no settings file is found by chance."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(overrides=None, environ=None, **options):
    return load_settings(overrides or {}, environ=environ or {}, **options)


def problems(*arguments, **options) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(*arguments, **options)
    return [str(problem) for problem in caught.value.problems]


def test_defaults_are_in_force_when_nothing_is_given():
    """Without any source every value is a default."""
    loaded = load()
    settings = loaded.settings
    assert ("auto", None, "info", "debug") == (
        settings.mode,
        settings.format,
        settings.level.console,
        settings.level.file,
    )
    assert ({"default"}, None, ()) == (set(loaded.origins.values()), loaded.file, loaded.problems)


def test_sources_win_key_by_key(folder):
    """An argument beats the environment, which beats the file, each only for its own keys."""
    (folder / "loglane.yaml").write_text(
        "logging:\n  level: error\n  static: {service: f, env: f, version: f}\n  caller: true\n"
    )
    loaded = load(
        {"static": {"service": "a"}, "level": {"file": None}},
        {"LOGLANE_STATIC__SERVICE": "e", "LOGLANE_STATIC__ENV": "e", "LOGLANE_LEVEL__FILE": "info"},
    )
    expected = {
        "static.service": ("a", "argument"),
        "static.env": ("e", "environment LOGLANE_STATIC__ENV"),
        "static.version": ("f", "loglane.yaml:3"),
        "level.console": ("error", "loglane.yaml:2"),
        "level.file": ("info", "environment LOGLANE_LEVEL__FILE"),
        "caller": (True, "loglane.yaml:4"),
        "mode": ("auto", "default"),
    }
    settings = loaded.settings
    values = {
        "static.service": settings.static.service,
        "static.env": settings.static.env,
        "static.version": settings.static.version,
        "level.console": settings.level.console,
        "level.file": settings.level.file,
        "caller": settings.caller,
        "mode": settings.mode,
    }
    assert expected == {key: (value, loaded.origins[key]) for key, value in values.items()}


def test_a_list_of_a_higher_source_replaces_the_lower_one(folder):
    """Lists do not merge."""
    (folder / "loglane.yaml").write_text("logging: {mask_fields: [a, b]}\n")
    assert ("c",) == load({"mask_fields": ["c"]}).settings.mask_fields


def test_level_names_of_two_sources_are_one_key(folder):
    """`DEBUG` in a file and `debug` in the environment mean the same key."""
    (folder / "loglane.yaml").write_text("logging: {sampling: {levels: {DEBUG: 0.1, INFO: 0.5}}}\n")
    loaded = load(environ={"LOGLANE_SAMPLING__LEVELS__DEBUG": "0.2"})
    assert {"debug": 0.2, "info": 0.5} == loaded.settings.sampling.levels
    assert "loglane.yaml:1" == loaded.origins["sampling.levels.info"]


def test_arguments_have_short_names_for_static_fields():
    """`service=`, `env=` and `version=` are static fields; None is not given."""
    static = load({"service": "orders", "env": None, "version": 2}).settings.static
    assert ("orders", "dev", "2") == (static.service, static.env, static.version)


def test_problems_of_every_source_come_together(folder):
    """One error names every mistake with its place."""
    (folder / "app.yaml").write_text("logging:\n  mod: auto\n  local:\n    backups: -1\n")
    found = problems(
        {"level": "loud", "service": "", "nope": 1},
        {"LOGGING_MODE": "box", "LOGLANE_LEVEL__FIL": "info"},
        config_file=folder / "app.yaml",
    )
    file = folder / "app.yaml"
    levels = "debug, info, warning, error, critical, or a number from 10 to 50"
    assert [
        f"{file}:2: logging.mod: unknown key; did you mean 'mode'?",
        f"{file}:4: logging.local.backups: -1 should be at least 0",
        "environment: LOGLANE_LEVEL__FIL: unknown key; did you mean LOGLANE_LEVEL__FILE?",
        "environment: LOGGING_MODE: 'box' is not one of: auto, container, local",
        "argument: nope: unknown key; known here: mode, format, level, container, local, "
        "mask_fields, static, caller, max_line_bytes, loggers, capture, flow_control, sampling, "
        "loki, audit",
        f"argument: level: 'loud' is not a level: {levels}",
        "argument: service: '' should have from 1 to 1024 characters",
    ] == found


def test_wrong_keys_alone_fall_back_when_defaults_are_asked_for(folder):
    """What is wrong gives way to the next lower source; the rest stays."""
    (folder / "loglane.yaml").write_text("logging: {level: error, static: {env: prod}, x: 1}\n")
    loaded = load(
        {"level": {"console": "loud"}, "service": "orders"},
        {"LOGGING_FORMAT": "xml", "LOGLANE_CALLER": "yes"},
        on_error="defaults",
    )
    settings = loaded.settings
    assert ("error", None, "orders", "prod", True) == (
        settings.level.console,
        settings.format,
        settings.static.service,
        settings.static.env,
        settings.caller,
    )
    assert ["logging.x", "LOGGING_FORMAT", "level.console"] == [p.path for p in loaded.problems]


def test_plain_lines_in_explicit_container_mode_are_an_error(folder):
    """The two are right alone and wrong together, also from two sources."""
    (folder / "loglane.yaml").write_text("logging: {mode: container, format: json}\n")
    message = "format: 'plain' is for local mode; with mode 'container' leave it out"
    assert [f"argument: {message}"] == problems({"format": "plain"})
    loaded = load({"format": "plain"}, on_error="defaults")
    assert ("json", 1) == (loaded.settings.format, len(loaded.problems))


@pytest.mark.parametrize(
    ("overrides", "mode", "expected"),
    [
        ({}, "local", "plain"),
        ({}, "container", "json"),
        ({"format": "json"}, "local", "json"),
        ({"format": "plain"}, "container", "json"),
        ({"container": {"json_output": False}}, "container", "plain"),
        ({"container": {"json_output": False}, "format": "json"}, "container", "json"),
    ],
    ids=["local", "container", "local-json", "auto-plain", "readable", "json-wins"],
)
def test_line_format_depends_on_the_mode(overrides, mode, expected):
    """JSON in a container and readable lines outside, unless it is asked for otherwise."""
    assert expected == load(overrides).settings.line_format(mode)


def test_file_is_looked_for_in_order(folder):
    """The argument, then LOGLANE_CONFIG, then the working folder, then the home folder."""
    home = folder / "home/.config/loglane"
    home.mkdir(parents=True)
    for file in ("a.yaml", "b.yaml", "loglane.yaml", "home/.config/loglane/config.yaml"):
        (folder / file).write_text("logging:\n")
    environ = {"LOGLANE_CONFIG": "b.yaml", "HOME": str(folder / "home")}
    found = [str(load({}, environ, config_file="a.yaml").file), str(load({}, environ).file)]
    del environ["LOGLANE_CONFIG"]
    found.append(str(load({}, environ).file))
    (folder / "loglane.yaml").unlink()
    found.append(str(load({}, environ).file))
    assert ["a.yaml", "b.yaml", "loglane.yaml", str(home / "config.yaml")] == found


def test_a_named_file_that_is_missing_is_a_problem():
    """The message says who names it; the other sources are still checked."""
    assert [
        "nope.yaml: there is no such file; LOGLANE_CONFIG names it",
        "environment: LOGGING_MODE: 'x' is not one of: auto, container, local",
    ] == problems({}, {"LOGLANE_CONFIG": "nope.yaml", "LOGGING_MODE": "x"})
    assert ["nope.yaml: there is no such file; config_file names it"] == problems(
        config_file="nope.yaml"
    )


_NAMES = [*sorted({key for path in known_paths() for key in path}), "error", "nope", ""]
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["info", "10MB", "container", "plain", "[", "{}", "~x"]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
_LINES = st.sampled_from(
    ["logging:", "  level: x", "  mode: container", "  static: &a", "  <<: *a", "    env: no",
     "  format: plain", "- a", "a: {", "  ? [b]", "---"]
)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=4),
    st.dictionaries(
        st.sampled_from(known_paths()).map(lambda path: "LOGLANE_" + "__".join(path).upper()),
        st.text(max_size=5) | st.sampled_from(["plain", "container", '{"error": 0}', "0"]),
        max_size=4,
    ),
    st.lists(_LINES, max_size=8).map("\n".join),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_defaults_always_give_settings(folder, overrides, environ, text):
    """With `on_error='defaults'` no input makes it raise, and a strict load agrees with it."""
    (folder / "any.yaml").write_text(text)
    loaded = load(overrides, environ, config_file="any.yaml", on_error="defaults")
    if loaded.problems:
        expected = [str(problem) for problem in loaded.problems]
        assert expected == problems(overrides, environ, config_file="any.yaml")
    else:
        assert loaded == load(overrides, environ, config_file="any.yaml")


def test_settings_are_frozen():
    """Settings in force cannot be changed behind the pipeline's back."""
    with pytest.raises(ValueError, match="frozen"):
        load().settings.level.console = "debug"


def test_import_is_light_until_settings_are_asked_for():
    """`import loglane.settings` brings neither pydantic nor yaml."""
    code = (
        "import sys, loglane.settings as s, loglane.container\n"
        "print(sorted({'pydantic', 'yaml'} & set(sys.modules)))\n"
        "from loglane.settings import Loaded, Settings\n"
        "print(Settings().level.console, Loaded.__name__, 'yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\ninfo Loaded False\n" == done.stdout


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    """Lazy names do not hide a mistyped one."""
    import loglane.settings

    with pytest.raises(AttributeError, match="Setings"):
        _ = loglane.settings.Setings
