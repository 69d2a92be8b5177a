"""What the distributions say of each other, and what the repository says of them, agrees."""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT, ROOT / "core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
PROJECTS: dict[str, Any] = {
    str(folder.relative_to(ROOT)): tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    for folder in FOLDERS
}
OURS = {project["name"] for project in PROJECTS.values()}


def requirements(project: dict[str, Any]) -> dict[str, str]:
    """The names that a distribution requires, each with its bounds."""
    extras = project.get("optional-dependencies", {})
    every = [
        *project.get("dependencies", []),
        *(line for name in extras if name != "all" for line in extras[name]),
    ]
    lines = [re.sub(r"\s|\[.*?\]|;.*", "", line) for line in every]
    parted = (re.match(r"([A-Za-z0-9._-]+)(.*)", line) for line in lines)
    return {match[1].lower(): match[2] for match in parted if match}


def test_all_distributions_have_one_version() -> None:
    assert len({project["version"] for project in PROJECTS.values()}) == 1


def test_the_distribution_of_the_root_needs_every_other_in_its_own_series() -> None:
    root = PROJECTS["."]
    series = f"=={root['version'].rpartition('.')[0]}.*"
    assert requirements(root) == dict.fromkeys(sorted(OURS - {"taskiq-flow"}, reverse=True), series)


@pytest.mark.parametrize("folder", [folder for folder in PROJECTS if folder.startswith("plugins")])
def test_a_plugin_needs_the_core_and_is_named_after_its_folder(folder: str) -> None:
    project = PROJECTS[folder]
    assert project["name"] == f"taskiq-flow-{Path(folder).name}"
    assert "taskiq-flow-core" in requirements(project)
    assert (ROOT / folder / "src" / project["name"].replace("-", "_") / "py.typed").exists()


@pytest.mark.parametrize("folder", PROJECTS)
def test_every_distribution_supports_the_same_pythons(folder: str) -> None:
    project = PROJECTS[folder]
    assert project["requires-python"] == ">=3.10"
    said = [line.rpartition(" ")[2] for line in project["classifiers"] if ":: Python :: 3." in line]
    assert said == ["3.10", "3.11", "3.12", "3.13"]


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    bounds: dict[str, set[str]] = {}
    for project in PROJECTS.values():
        for name, bound in requirements(project).items():
            if name not in OURS:
                bounds.setdefault(name, set()).update(re.findall(r">=([\d.]+)", bound) or {"0"})
    assert [name for name, found in bounds.items() if found == {"0"}] == [], "no lower bound"
    pins = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "tools" / "oldest.txt").read_text(), re.MULTILINE)
    highest = {
        name: max(found, key=lambda v: [int(n) for n in v.split(".")]) for name, found in bounds.items()
    }
    assert dict(pins) == highest


def test_tox_installs_every_distribution_from_its_folder() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    listed = " ".join(tox["distributions"].values()).split()
    folders = [word.removeprefix("{tox_root}/").partition("[")[0] for word in listed if word != "-e"]
    assert sorted(folders) == sorted(folder for folder in PROJECTS if folder != ".")


def test_only_distributions_of_this_repository_are_named() -> None:
    # Threads have names of the same form.
    named: dict[str, set[str]] = {}
    sources = [
        *ROOT.glob("core/src/**/*.py"),
        *ROOT.glob("plugins/*/src/**/*.py"),
        *ROOT.glob("docs/**/*.md"),
    ]
    for path in [*sources, ROOT / "README.md"]:
        for name in re.findall(
            r"(?<!name=\")(?<!prefix=\")\btaskiq-flow-[a-z]+\b", path.read_text(encoding="utf-8")
        ):
            named.setdefault(name, set()).add(path.name)
    # A heading about `taskiq flow dead` is linked to.
    assert {name: where for name, where in named.items() if name not in OURS | {"taskiq-flow-dead"}} == {}


def test_every_fragment_has_a_type_of_the_changelog() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    types = "|".join(kind["directory"] for kind in config["type"])
    names = [path.name for path in (ROOT / "newsfragments").iterdir() if path.name != "README.md"]
    assert [name for name in names if not re.fullmatch(rf"(\d+|\+[\w-]+)\.({types})(\.\d+)?\.md", name)] == []


def test_decisions_are_numbered_and_complete() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for record in records:
        headings = re.findall(r"^## (\w+)", record.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Status", "Context", "Decision", "Consequences"], record.name
