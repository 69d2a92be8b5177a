"""The page about discovery: its package is offered, its programs run, its settings are understood."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from taskiq import InMemoryBroker

from installed_packages import Shelf
from taskiq_flow import Flow

pytestmark = pytest.mark.usefixtures("alone")

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "discovery.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_program_of_the_page(
    shelf: Shelf, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads(blocks("toml")[0])
    package, use, let_in, own = blocks("py")
    said = project["project"]
    points = said["entry-points"]["taskiq_flow.tasks"]
    shelf.offer(said["name"], said["version"], points, acme_text=package)
    names: dict[str, Any] = {}
    for program in (use, let_in, own):
        exec(program, names)
    all_tasks = ["text.acme.count", "text.acme_text:write_report"]
    assert capsys.readouterr().out.splitlines() == [
        "['count', 'load', 'write_report']",
        "['book']",
        str(all_tasks),
        "['acme.count']",
    ]
    (shelf.folder / "pyproject.toml").write_text(blocks("toml")[1])
    monkeypatch.chdir(shelf.folder)
    flow = Flow(InMemoryBroker(), discover=True, plugins=["taskiq_flow_discovery.plugin"])
    assert list(flow.catalogue.tasks) == all_tasks


def test_the_environment_of_the_page(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.offer("acme-text", "1.2", {"text": "acme_text"}, acme_text=blocks("py")[0])
    settings = re.findall(r"`(TASKIQ_FLOW_\w+)=([^`]+)`", PAGE)
    assert len(settings) == 3
    for name, value in settings:
        monkeypatch.setenv(name, value)
    flow = Flow(InMemoryBroker(), discover=True, plugins=["taskiq_flow_discovery.plugin"])
    assert list(flow.catalogue.tasks) == ["text.acme.count", "text.acme_text:write_report"]
