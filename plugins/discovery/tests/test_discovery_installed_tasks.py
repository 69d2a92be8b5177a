"""The discoverer ``installed``: what is let in, and under which names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from taskiq import InMemoryBroker

from installed_packages import TEXT, Shelf
from taskiq_flow import DataflowPipeline, Flow, GraphError, PluginError
from taskiq_flow.discoverer import Discoverer
from taskiq_flow.discoverers import EntryPointDiscoverer
from taskiq_flow.discovery import Catalogue
from taskiq_flow.testing import DiscovererKit
from taskiq_flow_discovery import InstalledTasks

pytestmark = pytest.mark.usefixtures("alone")

OTHER = """
    from taskiq_flow import pipeline_task
    @pipeline_task(output="pages")
    def fetch(url: str) -> list[str]: ...
"""


class TestInstalledTasks(DiscovererKit):
    def make(self) -> Discoverer:
        return InstalledTasks()


class TestInstalledTasksWithSettings(DiscovererKit):
    def make(self) -> Discoverer:
        return InstalledTasks(deny=["acme-*"], prefix={"*": "x."})


@pytest.fixture
def full(shelf: Shelf) -> Shelf:
    """A shelf with three distributions."""
    shelf.offer("Acme.Text", "1.2", {"text": "acme_text"}, acme_text=TEXT)
    shelf.offer("acme_web", "2.0", {"web": "acme_web"}, acme_web=OTHER)
    shelf.offer("other", "0.1", {"odd näme [1]/*": "other_tasks"}, other_tasks="raise SystemExit")
    return shelf


def found(**settings: Any) -> list[str]:
    return [source.name for source in InstalledTasks(**settings).find()]


def tasks(**settings: Any) -> list[str]:
    return list(Catalogue.load(InstalledTasks(**settings).find()).tasks)


def test_without_settings_it_finds_what_the_core_finds(full: Shelf) -> None:
    plain = [(source.name, source.origin) for source in EntryPointDiscoverer().find()]
    assert [(source.name, source.origin) for source in InstalledTasks().find()] == plain
    assert tasks() == ["acme_text:load", "acme_text:report", "acme_web:fetch", "count_words"]


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"allow": ["acme-*"]}, ["text", "web"]),
        ({"allow": ["ACME_text"]}, ["text"]),
        ({"allow": ["we?"]}, ["web"]),
        ({"allow": ["odd näme [[]1]/[*]"]}, ["odd näme [1]/*"]),
        ({"deny": ["acme.w*", "odd*"]}, ["text"]),
        ({"allow": ["acme-*"], "deny": ["text"]}, ["web"]),
        ({"allow": ["nobody"]}, []),
        ({"deny": ["*"]}, []),
    ],
)
def test_patterns_of_distributions_and_sources(
    full: Shelf, settings: dict[str, list[str]], names: list[str]
) -> None:
    assert found(**settings) == names


def test_what_is_denied_is_never_imported(full: Shelf, tmp_path: Path) -> None:
    mark = tmp_path / "imported"
    full.offer("acme-eager", "1", acme_eager=f"open({str(mark)!r}, 'w').close()")
    assert "count_words" in tasks(deny=["acme-eager", "other"])
    assert not mark.exists()


def test_patterns_of_tasks_and_prefixes(full: Shelf) -> None:
    assert tasks(deny_tasks=["acme_text:*"]) == ["acme_web:fetch", "count_words"]
    assert tasks(allow_tasks=["count_*", "*:fetch"], deny_tasks=["*:fetch"]) == ["count_words"]
    prefixed = {"acme-text": "a.", "web": "b."}
    assert tasks(prefix=prefixed) == [
        "a.acme_text:load",
        "a.acme_text:report",
        "a.count_words",
        "b.acme_web:fetch",
    ]
    # Tasks can be named as their authors did, and as they are registered.
    assert tasks(prefix=prefixed, deny_tasks=["a.*", "acme_web:*"]) == []
    assert tasks(prefix={"acme-*": "first.", "web": "second."}, allow_tasks=["*fetch"]) == [
        "first.acme_web:fetch"
    ]


def test_a_prefix_parts_tasks_of_one_name(shelf: Shelf) -> None:
    for name in ("a", "b"):
        code = f"""
            from taskiq import async_shared_broker
            from taskiq_flow import pipeline_task
            @async_shared_broker.task(task_name="sum")
            @pipeline_task(output="{name}_total")
            def total(x: int) -> int:
                return x + {ord(name)}
        """
        shelf.offer(f"acme-{name}", "1", **{f"acme_{name}": code})
    broker = InMemoryBroker()
    Flow(broker, discover=InstalledTasks(prefix={"acme-b": "b."}))
    pipeline = DataflowPipeline.from_installed(broker, outputs=["a_total", "b_total"])
    assert {getattr(node, "task", "") for node in pipeline.graph.nodes.values()} == {"sum", "b.sum"}


async def test_each_of_two_tasks_of_one_name_is_run_as_itself(shelf: Shelf) -> None:
    test_a_prefix_parts_tasks_of_one_name(shelf)
    broker = InMemoryBroker()
    Flow(broker, discover=InstalledTasks(prefix={"acme-a": "a.", "acme-b": "b."}))
    pipeline = DataflowPipeline.from_installed(broker, outputs=["a_total", "b_total"])
    assert await pipeline.kiq_dataflow(x=0) == {"a_total": ord("a"), "b_total": ord("b")}


def test_denying_one_of_two_producers(full: Shelf) -> None:
    with pytest.raises(
        GraphError, match=r"'pages' is produced by task 'acme_text:load' of Acme.Text 1.2 and by "
    ):
        DataflowPipeline.from_installed(outputs=["pages"])
    pipeline = DataflowPipeline.from_installed(
        outputs=["pages"], discoverer=InstalledTasks(deny=["acme-text"])
    )
    assert list(pipeline.graph.inputs) == ["url"]


def test_settings_from_the_environment(full: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.taskiq-flow.tasks]\nallow = ['nobody']\ndeny-tasks = ['*:report']\nprefix = {'acme-*' = 'file.'}\n"
    )

    def names(**environment: str) -> list[str]:
        with monkeypatch.context() as patch:
            for key, value in environment.items():
                patch.setenv(f"TASKIQ_FLOW_TASKS_{key}", value)
            flow = Flow(InMemoryBroker(), discover=True, plugins=["taskiq_flow_discovery.plugin"])
        return list(flow.catalogue.tasks)

    assert names() == []
    # Each setting by itself: what the environment says goes over the file, and the others of the file stay.
    assert names(ALLOW="acme-*, ,other,") == [
        "file.acme_text:load",
        "file.acme_web:fetch",
        "file.count_words",
    ]
    assert names(ALLOW="", PREFIX="acme-text=a., acme-web = b.", DENY="other") == [
        "a.acme_text:load",
        "a.count_words",
        "b.acme_web:fetch",
    ]


def test_every_mistake_in_the_settings_is_told() -> None:
    wrong = {"dney": ["x"], "allow": 5, "deny_tasks": [""], "prefix": {"a": 1}, "colour": "red"}
    with pytest.raises(PluginError) as caught:
        InstalledTasks.from_settings(wrong)
    assert str(caught.value) == (
        "settings of discoverer 'installed' cannot be used: there is no setting 'dney' (did you mean 'deny'?); "
        "'allow' must be a list of patterns, such as ['acme-*'], found 5; "
        "'deny_tasks' must be a list of patterns, such as ['acme-*'], found ['']; "
        "'prefix' must say by distribution or source what goes before the names of its tasks, such as "
        "{'acme-text': 'acme.'}, found {'a': 1}; "
        "there is no setting 'colour'; there are 'allow', 'deny', 'allow_tasks', 'deny_tasks', 'prefix'"
    )
    with pytest.raises(PluginError, match=r"'deny' must be a list of patterns.* found 'acme-\*'"):
        InstalledTasks(deny="acme-*")
    with pytest.raises(PluginError, match=r"found \{'acme': ''\}"):
        InstalledTasks.from_settings({"prefix": "acme"})


def test_it_is_offered_by_its_name() -> None:
    from taskiq_flow.plugins import Plugins

    plugins = Plugins.load(explicit=["taskiq_flow_discovery.plugin"])
    assert plugins.discoverers["installed"] is InstalledTasks
    assert plugins.selection("discoverer").name == "installed"
