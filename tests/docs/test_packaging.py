"""What tells others how to install and cite the program agrees with the program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import templ

ROOT = Path(__file__).parents[2]
DEVELOPERS = {"test", "dev", "docs"}

pytestmark = pytest.mark.skipif(not (ROOT / "conda").is_dir(), reason="the recipes are not beside the tests")


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements):
    return {re.split(r"[ <>=;\[]", requirement)[0] for requirement in requirements}


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (templ.__version__, "MIT")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_the_conda_recipe_needs_what_the_project_needs(project):
    """Except what is on PyPI alone."""
    text = (ROOT / "conda" / "meta.yaml").read_text()
    assert f'{{% set version = "{templ.__version__}" %}}' in text
    plain = (
        re.sub(r"{%.*%}", "", text)
        .replace("{{ version }}", templ.__version__)
        .replace("{{ PYTHON }}", "python")
    )
    recipe = yaml.safe_load(plain)
    run = {requirement.replace(" ", "") for requirement in recipe["requirements"]["run"]}
    needed = {requirement for requirement in project["dependencies"] if not requirement.startswith("rustina")}
    assert run == {*needed, f"python{project['requires-python']}"}


def test_all_is_every_extra_of_a_user_but_the_large_one(project):
    """torch takes gigabytes."""
    (requirement,) = project["optional-dependencies"]["all"]
    extras = set(re.search(r"\[(.*)\]", requirement)[1].split(","))
    assert extras == project["optional-dependencies"].keys() - DEVELOPERS - {"all", "esm"}


def test_the_docker_file_copies_what_is_there():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [path for line in lines if line.startswith("COPY") for path in line.split()[1:-1]]
    assert copied
    assert all((ROOT / path).exists() for path in copied)
    assert sum(line.startswith("FROM") for line in lines) == 1
