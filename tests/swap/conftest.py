"""Distributions of third parties: written, built as wheels, and installed in clean environments."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from taskiq_flow_cli.app import main

ENTRY_POINTS = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"

[project.entry-points."{group}"]
{points}

[tool.hatch.build.targets.wheel]
packages = ["{package}"]
"""

KINDS = ("scheduler", "retry", "serializer", "discoverer", "store")

BROKEN = "import tenacious_thing\n"
# The same selectable name as the scheduler of acme-scheduler, under another plugin's name.
DUPLICATE = """
from taskiq_flow.hookspecs import hookimpl
from taskiq_flow.scheduler import Scheduler

class Other(Scheduler):
    name = "acme-scheduler"

    def place(self, ready, workers, running):
        return None

@hookimpl
def flow_register_schedulers():
    return [Other]
"""
# An in-house rule that leaves a mark: one cell at a time, the newest first.
HOUSE_RULES = """
from taskiq_flow.hookspecs import hookimpl
from taskiq_flow.scheduler import Placement, Scheduler

class NewestFirst(Scheduler):
    name = "newest-first"
    reads_resources = False

    def place(self, ready, workers, running):
        return [Placement(run=cell.run, path=cell.path) for cell in ready[-1:] if not running]

@hookimpl
def flow_register_schedulers():
    return [NewestFirst]
"""
TASKS = """
from taskiq_flow import pipeline_task

@pipeline_task(output="words", inputs=["text"])
def split(text: str) -> list[str]:
    return text.split()

@pipeline_task(output="report", inputs=["words"])
def report(words: list[str]) -> str:
    return f"{len(words)} words, the longest is {max(words, key=len)}"
"""

RunFlow = Callable[..., "subprocess.CompletedProcess[str]"]


class Environment:
    """A virtual environment that sees what runs the tests, and has distributions of its own.

    :ivar folder: Where it is.
    :ivar python: Its interpreter.
    """

    def __init__(self, folder: Path, wheels: Iterable[Path]) -> None:
        self.folder = folder
        venv.create(folder, symlinks=os.name != "nt")
        self.python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        site = Path(
            sysconfig.get_path(
                "purelib",
                "venv" if "venv" in sysconfig.get_scheme_names() else None or sysconfig.get_default_scheme(),
                vars={"base": str(folder)},
            )
        )
        # addsitedir, because our own distributions may be installed there in place, by such files.
        outside = sysconfig.get_path("purelib")
        (site / "outside.pth").write_text(f"import site; site.addsitedir({outside!r})\n", encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-index",
        ]
        subprocess.run([*command, "--no-deps", "--target", site, *wheels], check=True)

    def run(self, *command: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run its interpreter."""
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("TASKIQ_FLOW_", "PYTEST_"))
        }
        return subprocess.run(
            [self.python, *command],
            cwd=cwd,
            env={
                **kept,
                "COLUMNS": "160",
                "PYTHONIOENCODING": "utf-8",
                "PYTHONDONTWRITEBYTECODE": "1",
                **more,
            },
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=50,
            check=False,
        )


def write(folder: Path, name: str, code: str, *, group: str = "taskiq_flow", version: str = "2.3") -> Path:
    """Write a small distribution with one package, and give its folder."""
    package = name.replace("-", "_")
    project = folder / name
    (project / package).mkdir(parents=True)
    text = ENTRY_POINTS.format(
        name=name, version=version, group=group, package=package, points=f'{name} = "{package}"'
    )
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    (project / package / "__init__.py").write_text(dedent(code), encoding="utf-8")
    return project


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The sources: five of ``new-plugin``, and four by hand."""
    folder = tmp_path_factory.mktemp("projects")
    made = {}
    for kind in KINDS:
        assert main(["new-plugin", f"acme-{kind}", "--kind", kind, "--directory", str(folder)]) == 0
        made[f"acme-{kind}"] = folder / f"acme-{kind}"
    made["acme-text"] = write(folder, "acme-text", TASKS, group="taskiq_flow.tasks")
    made["house-rules"] = write(folder, "house-rules", HOUSE_RULES)
    made["acme-broken"] = write(folder, "acme-broken", BROKEN)
    made["other-house"] = write(folder, "other-house", DUPLICATE)
    return made


@pytest.fixture(scope="session")
def wheels(projects: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The wheel of each, built without any index."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-index"]
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    done = subprocess.run(
        [*command, *options, *map(str, projects.values())], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {path.name.split("-")[0].replace("_", "-"): path for path in folder.glob("*.whl")}


@pytest.fixture(scope="session")
def make_environment(
    wheels: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Environment]:
    """Make an environment with some of the distributions."""

    def make(*names: str) -> Environment:
        return Environment(tmp_path_factory.mktemp("environment"), [wheels[name] for name in names])

    return make


@pytest.fixture(scope="session")
def house(make_environment: Callable[..., Environment]) -> Environment:
    """All that is as it should be."""
    return make_environment(*(f"acme-{kind}" for kind in KINDS), "acme-text", "house-rules")
