"""A project of one's own: complete, valid, and never over something else."""

from __future__ import annotations

import pytest

from loglane.errors import SpecError
from loglane.stack.output import diff_tree
from loglane.stack.project import open_project
from loglane.stack.scaffold import start_project


def test_project_is_rendered_for_dev(tmp_path):
    """The compose file and the configs are there, and are what the spec says."""
    made = start_project(tmp_path / "logs", "shop-logs")
    project = open_project("dev", tmp_path / "logs/stack/stack.yaml")
    assert "shop-logs" == project.spec.project
    assert "" == diff_tree(project.render(), tmp_path / "logs")
    assert {"docker-compose.yml", "README.md", ".gitignore", "stack/stack.yaml"} <= set(made.files)


def test_each_environment_is_a_project_of_its_own(tmp_path):
    """Names are derived from the project's, also for an environment that is not packaged."""
    start_project(tmp_path, "shop", ["prod", "load-test"])
    names = {
        env: open_project(env, tmp_path / "stack/stack.yaml").spec.project
        for env in ("dev", "prod", "load-test")
    }
    assert {"dev": "shop", "prod": "shop-prod", "load-test": "shop-load-test"} == names
    assert not (tmp_path / "stack/environments/staging.yaml").exists()


def test_name_is_taken_from_the_folder(tmp_path):
    """A folder's name becomes one that compose takes."""
    assert "my-shop-2" == start_project(tmp_path / "My Shop #2").name


def test_names_that_yaml_takes_for_something_else_stay_names(tmp_path):
    """A project called 2026 and an environment called on are text."""
    start_project(tmp_path / "2026", environments=["on"])
    names = [open_project(env, tmp_path / "2026/stack/stack.yaml").spec for env in ("dev", "on")]
    assert [("2026", "dev"), ("2026-on", "on")] == [(spec.project, spec.env) for spec in names]


def test_templates_are_copied_when_asked(tmp_path):
    """Without them the packaged ones are used; with them one's own."""
    start_project(tmp_path / "a", "a")
    start_project(tmp_path / "b", "b", own_templates=True)
    assert not (tmp_path / "a/templates").exists()
    project = open_project("dev", tmp_path / "b/stack/stack.yaml")
    assert (tmp_path / "b/templates").samefile(project.templates)


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path):
    """One file in the way stops all of it."""
    (tmp_path / "docker-compose.yml").write_text("mine")
    with pytest.raises(SpecError, match=r"docker-compose\.yml: is there already; nothing is over"):
        start_project(tmp_path, "shop")
    assert ["docker-compose.yml"] == [path.name for path in tmp_path.iterdir()]


def test_readme_and_gitignore_of_a_repository_stay(tmp_path):
    """A repository that has its own of these keeps them."""
    (tmp_path / "README.md").write_text("mine")
    made = start_project(tmp_path, "shop")
    assert "mine" == (tmp_path / "README.md").read_text()
    assert "README.md" not in made.files


def test_folder_keeps_its_mode_and_secrets_are_closed(tmp_path):
    """A folder that was there is as private as before; secrets are closed in any case."""
    tmp_path.chmod(0o750)
    start_project(tmp_path, "shop")
    assert 0o750 == tmp_path.stat().st_mode & 0o777
    assert 0o700 == (tmp_path / "stack/secrets").stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("name", "envs", "option"),
    [("Shop", ["dev"], "--name"), ("-", ["dev"], "--name"), ("shop", ["Dev!"], "--env")],
    ids=["upper case", "no letter", "environment"],
)
def test_name_that_docker_refuses_is_one_message(tmp_path, name, envs, option):
    """A wrong name is said with its option; nothing is written."""
    with pytest.raises(SpecError, match=f"^{option}: "):
        start_project(tmp_path / "new", name, envs)
    assert not (tmp_path / "new").exists()
