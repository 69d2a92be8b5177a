"""The README's commands, without what they install."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

RUN = Path(__file__).resolve().parents[2] / "run.py"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """``run.py``, with the user somewhere else."""
    spec = importlib.util.spec_from_file_location("run_of_the_readme", RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    return module


@pytest.mark.parametrize("words", [["example", "root=sources"], ["test", "-e", "lint"]])
@pytest.mark.skipif(os.name == "nt", reason="programs are not replaced there")
def test_the_program_takes_the_place_of_the_command(
    words: list[str], program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called: list[Any] = []
    monkeypatch.setattr(program, "programs_of", lambda *_: Path("programs"))
    monkeypatch.setattr(os, "execv", lambda path, command: called.append((path, command, Path.cwd())))
    monkeypatch.setattr(subprocess, "run", lambda command, check: subprocess.CompletedProcess(command, 0))
    program.main(words)
    [(path, command, folder)] = called
    assert command[0] == path
    assert command[-len(words) + 1 :] == words[1:]
    # Paths that a user gives to the example are meant from where the user stands; tox wants its own folder.
    assert folder == (tmp_path if words[0] == "example" else RUN.parent)
    assert ("--app-dir" in command) == (words[0] == "example")


@pytest.mark.parametrize("own", [True, False])
def test_environments_are_made_without_ensurepip_too(
    own: bool, program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[Any] = []

    def create(home: Path, *, clear: bool, with_pip: bool) -> None:
        home.mkdir(parents=True)
        calls.append(with_pip)

    monkeypatch.setattr(program, "ROOT", tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if own else None)
    monkeypatch.setattr(venv, "create", create)
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))
    programs = program.programs_of("probe", ["acme"])
    assert programs.parent == tmp_path / ".run" / "probe"
    python = str(programs / "python")
    start = [python, "-m", "pip"] if own else [sys.executable, "-m", "pip", "--python", python]
    assert calls == [own, [*start, "install", "--quiet", "--disable-pip-version-check", "acme"]]
    # Once is enough.
    program.programs_of("probe", ["acme"])
    assert len(calls) == 2


def test_an_environment_that_cannot_be_made_is_one_line(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> Path:
        raise subprocess.CalledProcessError(1, ["pip", "install"])

    monkeypatch.setattr(program, "programs_of", fail)
    assert program.main(["example"]) == 1
    assert capsys.readouterr().err.startswith("cannot set up the environment: ")


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), ([], 2), (["exampel"], 2)])
def test_the_usage_is_said(
    words: list[str], code: int, program: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(words) == code
    said = capsys.readouterr()
    assert (said.err if code else said.out).startswith("usage: python run.py example ")
