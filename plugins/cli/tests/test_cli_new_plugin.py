"""``taskiq flow new-plugin``: what it writes, what it refuses, and that it never overwrites."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taskiq_flow.errors import UsageError
from taskiq_flow_cli.app import main
from taskiq_flow_cli.scaffold import writing
from taskiq_flow_cli.scaffold.kinds import KINDS
from taskiq_flow_cli.scaffold.names import make_names

ROOT = Path(__file__).resolve().parents[3]


def write(folder: Path, name: str, kind: str) -> Path:
    assert main(["new-plugin", name, "--kind", kind, "--directory", str(folder)]) == 0
    return folder / name


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_whole(kind: str, tmp_path: Path) -> None:
    folder = write(tmp_path, "acme", kind)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    module = KINDS[kind].module
    assert files == {
        "README.md",
        "pyproject.toml",
        "src/acme/__init__.py",
        "src/acme/plugin.py",
        "src/acme/py.typed",
        f"src/acme/{module}.py",
        "tests/test_acme.py",
    }
    for path in folder.rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        assert "{{" not in text.replace("{{}}", ""), f"{path} has a word that nothing took the place of"
        if path.suffix == ".py":
            assert ast.get_docstring(ast.parse(text))


def test_it_says_what_to_do_next(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "acme", "store")
    said = capfd.readouterr().out
    assert said.startswith(f"{tmp_path / 'acme'}: store 'acme'\n")
    assert "  src/acme/plugin.py    the hook that offers the class\n" in said
    assert "  src/acme/py.typed\n  " in said
    assert f"  cd {tmp_path / 'acme'}\n  pip install -e '.[test]'\n  pytest\n" in said
    assert "TASKIQ_FLOW_STORE=acme:// taskiq flow plugins" in said


@pytest.mark.parametrize(
    ("given", "distribution", "package", "cls"),
    [
        ("acme", "acme", "acme", "AcmeScheduler"),
        ("Acme_Flow.scheduler", "acme-flow-scheduler", "acme_flow_scheduler", "AcmeFlowScheduler"),
        ("a--b__c", "a-b-c", "a_b_c", "ABCScheduler"),
        ("scheduler", "scheduler", "scheduler", "MyScheduler"),
    ],
)
def test_names_are_made_of_the_one_that_is_given(
    given: str, distribution: str, package: str, cls: str
) -> None:
    names = make_names(given, KINDS["scheduler"])
    assert (names.distribution, names.package, names.cls) == (distribution, package, cls)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "'' cannot be the name of a distribution"),
        ("-acme", "with a letter or digit at both ends"),
        ("../acme", "cannot be the name of a distribution"),
        ("acme plugin", "cannot be the name of a distribution"),
        ("ačme", "cannot be the name of a distribution"),
        ("a" * 61, "use up to 60 letters"),
        ("7up", "a package '7up' cannot be imported, because it does not begin with a letter"),
        ("class", "'class' is a word of Python"),
        ("match", "'match' is a word of Python"),
        ("asyncio", "a package 'asyncio' would hide the one that Python has"),
        ("tests", "would hide the one that Python has or projects use"),
        ("Taskiq.Flow_Core", "a distribution 'taskiq-flow-core' is installed already ("),
        ("taskiq-flow", "a package 'taskiq_flow' can be imported already"),
        ("fifo", "a scheduler 'fifo' is offered by taskiq-flow-core"),
        ("defaults", "the plugin of taskiq-flow-core 2."),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(
    given: str, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["new-plugin", "--kind", "scheduler", "--directory", str(tmp_path), "--", given]) == 2
    assert said in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["new-plugin", "acme", "--kind", "queue", "--directory", str(tmp_path)]) == 2
    assert (
        "there is no kind 'queue'; there are scheduler, retry, serializer, discoverer, store"
        in capfd.readouterr().err
    )
    assert main(["new-plugin", "acme", "--kind", "schedulr", "--directory", str(tmp_path)]) == 2
    assert "(did you mean 'scheduler'?)" in capfd.readouterr().err
    assert main(["new-plugin", "acme"]) == 2


def test_what_is_there_is_never_touched(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "acme" / "README.md"
    mine.parent.mkdir()
    mine.write_text("mine", encoding="utf-8")
    arguments = ["new-plugin", "acme", "--kind", "retry", "--directory", str(tmp_path)]
    assert main(arguments) == 2
    assert f"{tmp_path / 'acme'} is there already; nothing was written" in capfd.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["acme", "README.md"]
    mine.unlink()
    assert main(arguments) == 0
    mine.parent.rename(tmp_path / "moved")
    (tmp_path / "acme").write_text("a file", encoding="utf-8")
    assert main(arguments) == 2
    assert (tmp_path / "acme").read_text(encoding="utf-8") == "a file"


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    def full(self: Path, *arguments: Any, **options: Any) -> int:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UsageError, match=r"cannot write .*acme: no space left on device"):
        writing.new_plugin("acme", "retry", str(tmp_path / "deep" / "down"))
    assert list((tmp_path / "deep" / "down").iterdir()) == []


@pytest.mark.slow
def test_the_code_keeps_the_rules_of_this_repository(tmp_path: Path) -> None:
    if importlib.util.find_spec("ruff") is None or importlib.util.find_spec("mypy") is None:
        pytest.skip("ruff and mypy are not installed here")
    folders = [write(tmp_path, f"acme-{kind}", kind) for kind in KINDS]
    sources = [str(folder / part) for folder in folders for part in ("src", "tests")]
    rules = ["--config", str(ROOT / "pyproject.toml"), "--config", "src=['*/src']", "--no-cache"]
    # All at once: most of the time goes into what they import.
    types = ["--strict", "--cache-dir", os.devnull, "--follow-imports", "silent"]
    for command in (
        ["ruff", "check", *rules, "."],
        ["ruff", "format", "--check", *rules, "."],
        ["mypy", *types, *sources],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
