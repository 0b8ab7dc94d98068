"""The operators' commands: what they print, complete and exit with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
import typer

from loglane.cli import app

COMMAND = typer.main.get_command(app)
NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


def loglane(folder, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.argv[0] = 'loglane'; from loglane.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return the folder of a project that `loglane init` made."""
    folder = tmp_path_factory.mktemp("init") / "shop"
    done = loglane(folder.parent, "init", "shop", "--env", "prod")
    assert 0 == done.returncode, done.stderr
    assert "loglane up " in done.stdout
    return folder


def test_init_makes_a_project_that_its_own_check_accepts(project):
    """What `init` renders is what its spec says."""
    assert 0 == loglane(project, "render", "--check").returncode
    assert 0 == loglane(project, "render", "--env", "prod").returncode


def test_init_over_a_project_exits_2_and_changes_nothing(project):
    """A second one is refused with one message, also for machines."""
    before = (project / "stack/stack.yaml").read_bytes()
    done = loglane(project, "init", "--name", "other", "--json")
    assert 2 == done.returncode
    assert "nothing is overwritten" in json.loads(done.stdout)["problems"][0]["message"]
    assert before == (project / "stack/stack.yaml").read_bytes()


def test_doctor_without_docker_exits_1_with_findings(project):
    """The files are looked at all the same, and each problem has what mends it."""
    done = loglane(project, "doctor", "--json", **NO_DOCKER)
    assert 1 == done.returncode
    facts = json.loads(done.stdout)
    assert {"ok", "warning", "problem", "env", "findings"} == set(facts)
    (problem,) = [item for item in facts["findings"] if item["level"] == "problem"]
    assert ("docker", "sudo systemctl start docker") == (problem["topic"], problem["mend"])


def test_doctor_writes_one_line_a_fact_into_a_pipe(project):
    """Whoever greps finds the whole sentence, and the command below it."""
    done = loglane(project, "doctor", **NO_DOCKER)
    assert re.search(
        r"^ok       files       \d+ rendered files are what", done.stdout, re.MULTILINE
    )
    assert re.search(r"^ {21}→ sudo systemctl start docker$", done.stdout, re.MULTILINE)
    assert done.stdout.rstrip().endswith("1 ok, 1 warning, 1 problem")


def test_doctor_of_a_wrong_spec_exits_2(project):
    """A spec that cannot be read is wrong input, not a finding."""
    assert 2 == loglane(project, "doctor", "--env", "nope").returncode


def test_probe_without_docker_is_one_message(project):
    """No engine is exit code 1 and says what to do."""
    done = loglane(project, "probe", "--json", **NO_DOCKER)
    assert 1 == done.returncode
    assert "Docker does not answer" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize(
    "arguments", [["--lines", "0"], ["--rate", "0"], ["--timeout", "0"]], ids=" ".join
)
def test_probe_of_nothing_exits_2(project, arguments):
    """A number that cannot be meant is wrong usage."""
    assert 2 == loglane(project, "probe", *arguments).returncode


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [("serve", "starlette", "dev-server"), ("demo", "starlette", "demo"),
     ("render", "jinja2", "stack")],
)  # fmt: skip
def test_command_without_its_extra_names_it(project, command, module, extra):
    """What is not installed is one message and no traceback."""
    code = f"import sys; sys.argv[0] = 'loglane'; sys.modules[{module!r}] = None; "
    code += "from loglane.cli import main; main()"
    line = [sys.executable, "-c", code, command]
    done = subprocess.run(line, cwd=project, capture_output=True, text=True, check=False)
    said = f"error: `loglane {command}` needs {module}: install the extra `{extra}`, or `all`\n"
    assert (1, said) == (done.returncode, done.stderr)


def complete(folder, *words: str) -> list[str]:
    done = loglane(
        folder,
        COMP_WORDS=" ".join(["loglane", *words]),
        COMP_CWORD=str(len(words)),
        _LOGLANE_COMPLETE="complete_bash",
    )
    return done.stdout.split()


def test_completion_knows_commands_options_and_environments(project):
    """The shell completes what is there: also the overlays of this project's spec."""
    assert ["down", "doctor"] == complete(project, "do")
    assert ["--lines"] == complete(project, "probe", "--li")
    assert ["dev", "prod"] == complete(project, "up", "--env", "")
    assert ["prod"] == complete(project, "doctor", "--env", "p")
    assert ["dev", "prod"] == complete(
        project.parent, "up", "--spec", "shop/stack/stack.yaml", "--env", ""
    )


def test_completion_can_be_installed(project):
    """The option is there, and the script that it installs names the command."""
    # Asked for by the variable: the option itself looks for a shell among the parent processes.
    script = loglane(project, _LOGLANE_COMPLETE="source_bash").stdout
    assert "complete -o default -F _loglane_completion loglane" in script
    assert "--install-completion" in loglane(project, "--help").stdout


NAMES = sorted(COMMAND.commands)


@pytest.mark.parametrize("name", NAMES)
def test_help_has_examples_and_fits_80_columns(tmp_path, name):
    """Every command shows how it is typed, and no line is broken by a terminal."""
    done = loglane(tmp_path, name, "--help")
    examples = done.stdout.partition("Examples:\n")[2].splitlines()
    assert examples
    assert all(line.startswith(f"    loglane {name}") for line in examples)
    assert [] == [line for line in done.stdout.splitlines() if len(line) > 80]


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_a_command_can_be_parsed(name):
    """No example has an option that the command does not know."""
    command = COMMAND.commands[name]
    parts = getattr(command, "commands", {})
    for line in (command.epilog or "").splitlines()[2:]:
        words = line.split("|")[0].split()
        assert ["loglane", name] == words[:2]
        asked = parts[words[2]] if parts else command
        known = {option for parameter in asked.params for option in parameter.opts}
        # `compose` passes on what is not its own.
        if name != "compose":
            assert {word for word in words if word.startswith("--")} <= known


def test_list_of_commands_has_whole_sentences(tmp_path):
    """No summary is cut off at 80 columns."""
    commands = loglane(tmp_path, "--help").stdout.partition("Commands:")[2]
    assert "doctor" in commands
    assert "..." not in commands
