"""The `logging:` section of a YAML file, with the line of every key."""

from __future__ import annotations

import pytest

from loglane.settings.file import MAX_BYTES, file_layer
from loglane.settings.layers import nested


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "app.yaml"


def read(file, content: str | bytes):
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    layer = file_layer(file)
    layer.check()
    return layer


def problems(file, content: str | bytes) -> list[tuple[int | None, str, str]]:
    return [(p.line, p.path, p.message) for p in read(file, content).problems]


APP_FILE = """\
database: !vault &db
  url: x
  again: [*db]
? [a, list]
: as a key
defaults: &levels {console: INFO, file: DEBUG}
other: &other
  file: error
  console: error
logging:
  level:
    <<: [*levels, *other]
    file: warn
  static: &static
    service: orders
    version: 1.10
    since: 2026-01-31
    nothing: ~
  loggers: {on: info, 7: error}
  caller: yes
---
{broken
"""


def test_section_of_an_apps_own_file_is_read_alone(file):
    """Tags, anchors, odd keys and other documents around the section do no harm."""
    layer = read(file, APP_FILE)
    assert [] == layer.problems
    assert {
        "level": {"console": "INFO", "file": "warn"},
        "static": {"service": "orders", "version": "1.10", "since": "2026-01-31"},
        "loggers": {"on": "info", "7": "error"},
        "caller": True,
    } == nested(layer.leaves)


def test_every_key_knows_its_line(file):
    """A merged key is where the map that it comes from says it."""
    layer = read(file, APP_FILE)
    lines = {".".join(path): leaf.place.line for path, leaf in layer.leaves.items()}
    assert {
        "level.console": 6,
        "level.file": 13,
        "static.service": 15,
        "static.version": 16,
        "static.since": 17,
        "loggers.on": 19,
        "loggers.7": 19,
        "caller": 20,
    } == lines


@pytest.mark.parametrize("content", ["logging:\n", "logging: {}\n", "a: 1\nlogging: ~\n"])
def test_an_empty_section_is_fine(file, content):
    """A section without a key gives nothing."""
    assert {} == read(file, content).leaves
    assert [] == problems(file, content)


BAD = {
    "empty": ("", None, "", "has no `logging:` section; it must be a map of keys"),
    "list": ("- logging\n", None, "", "has no `logging:` section; it must be a map of keys"),
    "no-section": ("a: {logging: 1}\n", None, "", "has no `logging:` section"),
    "second-document": ("a: 1\n---\nlogging: {}\n", None, "", "has no `logging:` section"),
    "twice": ("logging: {}\na: 1\nlogging: {}\n", 3, "logging",
              "is given twice; it is first on line 1"),
    "text": ("a: 1\nlogging: INFO\n", 2, "logging", "should be a map of keys"),
    "syntax": ("logging:\n  a: [1\nb: 2\n", 3, "", "not valid YAML: expected ',' or ']', but got "
               "':'"),
    "tab": ("logging:\n\tmode: auto\n", 2, "", "not valid YAML: found character '\\t' that cannot "
            "start any token"),
    "unknown-anchor": ("logging: *x\n", 1, "", "not valid YAML: found undefined alias 'x'"),
    "control": ("logging:\n  mode: \x01\n", None, "", "not valid YAML: unacceptable character "
                "#x0001: special characters are not allowed"),
    "latin-1": (b"a: 1\nlogging: {mode: \xe4}\n", 2, "", "not UTF-8; save the file as UTF-8"),
    "large": (b"#" * (MAX_BYTES + 1), None, "", "larger than 1 MiB; keep the settings in a smaller "
              "file"),
    "deep-elsewhere": ("a: " + "[" * 1500, None, "", "nested too deep to be read"),
    "deep": ("logging: " + "[" * 50 + "]" * 50, 1, "logging" + ".0" * 21,
             "has over 10000 values, or over 20 levels"),
    "recursive": ("logging: &a\n  level: *a\n", 1, "logging" + ".level" * 21,
                  "has over 10000 values, or over 20 levels"),
    "recursive-merge": ("logging: &a\n  <<: *a\n", 1, "logging",
                        "has over 10000 values, or over 20 levels"),
    "recursive-merge-list": ("logging:\n  <<: &a [*a]\n", 2, "logging",
                             "has over 10000 values, or over 20 levels"),
    "section-tag": ("logging: !include x.yaml\n", 1, "logging",
                    "the tag !include cannot be read here; write a plain value"),
    "value-tag": ("logging:\n  static: {env: !ENV x}\n", 2, "logging.static.env",
                  "the tag !ENV cannot be read here; write a plain value"),
    "python-tag": ("logging:\n  mode: !!python/object/apply:os.system [ls]\n", 2, "logging.mode",
                   "the tag !!python/object/apply:os.system cannot be read here; write a plain "
                   "value"),
    "binary": ("logging:\n  mode: !!binary aGk=\n", 2, "logging.mode",
               "the tag !!binary cannot be read here; write a plain value"),
    "map-tag": ("logging:\n  local: !!set {backups}\n", 2, "logging.local",
                "the tag !!set cannot be read here; write a plain value"),
    "map-as-key": ("logging:\n  ? {a: 1}\n  : 2\n", 2, "logging",
                   "a map or a list cannot be a key"),
    "merged-text": ("logging:\n  <<: x\n", 2, "logging",
                    "'<<' should have a map, such as <<: *defaults"),
    "key-twice": ("logging:\n  mode: auto\n  mode: local\n", 3, "logging.mode",
                  "is given twice; it is first on line 2"),
    "level-twice": ("logging:\n  sampling:\n    levels:\n      info: 1\n      INFO: 1\n", 5,
                    "logging.sampling.levels.INFO", "is given twice"),
    "bad-number": ("logging:\n  local: {backups: !!int x}\n", 2, "logging.local.backups",
                   "'x' is no usable value of its kind"),
    "bad-boolean": ("logging:\n  caller: !!bool x\n", 2, "logging.caller",
                    "'x' is no usable value of its kind"),
    "yes-as-text": ("logging:\n  static: {env: no}\n", 2, "logging.static.env",
                    "no (which YAML reads as false; a text goes in quotes) should be a text"),
    "true-as-text": ("logging:\n  static: {env: true}\n", 2, "logging.static.env",
                     "true should be a text"),
    "unprintable": ('logging:\n  "a\\0": 1\n  processors: 1\n', 2, "logging.'a\\x00'",
                    "unknown key; known here: mode, format, level, container, local, mask_fields, "
                    "static, caller, max_line_bytes, loggers, capture, flow_control, sampling, "
                    "loki, audit"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "line", "path", "message"), BAD.values(), ids=BAD)
def test_wrong_file_is_one_problem_at_its_place(file, content, line, path, message):
    """What is wrong is said with the line and the path."""
    assert (line, path, message) == problems(file, content)[0]


def test_anchors_cannot_make_a_file_expand_without_end(file):
    """A few lines of nested aliases are cut off, not expanded."""
    rows = ["x0: &x0 [a, a, a, a, a, a, a, a, a, a]"]
    rows += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 12)]
    content = "\n".join([*rows, "logging: {mask_fields: *x11}"])
    ((_, path, message),) = problems(file, content)
    assert path.startswith("logging.mask_fields")
    assert "has over 10000 values, or over 20 levels" == message


@pytest.mark.parametrize("name", ["folder", "a\0b"], ids=["folder", "nul"])
def test_a_file_that_cannot_be_read_is_a_problem(tmp_path, name):
    """A folder or a name that no file can have is said."""
    (tmp_path / "folder").mkdir()
    (problem,) = file_layer(tmp_path / name).problems
    assert problem.message in ("cannot read the file: is a directory", "not a usable file name")
