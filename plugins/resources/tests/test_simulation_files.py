"""What is read from files: traces, durations, events; and what is said when they are something else."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from taskiq_flow.errors import UsageError
from taskiq_flow.graph import TaskNode, predecessors
from taskiq_flow.machine.events import CellSucceeded, MapExpanded, RunStarted
from taskiq_flow.machine.wire import encode_event
from taskiq_flow.payloads import Payload
from taskiq_flow_resources.simulation import Durations, Past, read_events, read_trace
from taskiq_flow_resources.simulation.wfformat import trace_of

TRACES = Path(__file__).resolve().parents[3] / "benchmarks" / "traces"


def instance(**tasks: dict[str, Any]) -> dict[str, Any]:
    """A workflow of these tasks; what stands under ``ran`` goes to its execution."""
    specified = [
        {"id": name, "name": f"program-{name}", **{key: each for key, each in task.items() if key != "ran"}}
        for name, task in tasks.items()
    ]
    executed = [{"id": name, **task["ran"]} for name, task in tasks.items() if "ran" in task]
    return {
        "name": "small",
        "schemaVersion": "1.6",
        "workflow": {"specification": {"tasks": specified}, "execution": {"tasks": executed}},
    }


def test_a_trace_becomes_a_graph_with_run_times_cores_and_memory() -> None:
    trace = trace_of(
        instance(
            a={"children": ["c/1"], "ran": {"runtimeInSeconds": 2, "coreCount": 4, "memoryInBytes": 3 << 20}},
            b={"ran": {"runtimeInSeconds": 0.5}},
            **{"c/1": {"parents": ["b"], "ran": {"runtimeInSeconds": 1.5, "coreCount": 0.5}}},
        )
    )
    nodes = trace.graph.nodes
    assert trace.graph.name == "small"
    assert {name: (node.task, sorted(predecessors(node))) for name, node in nodes.items()} == {  # type: ignore[union-attr]
        "a": ("program-a", []),
        "b": ("program-b", []),
        "c_1": ("program-c/1", ["a", "b"]),
    }
    assert {name: node.options.resources for name, node in nodes.items()} == {
        "a": {"cpu": 4.0, "ram_mb": 3.0},
        "b": {"cpu": 1.0},
        "c_1": {"cpu": 0.5},
    }
    assert trace.durations == Durations({"a": 2.0, "b": 0.5, "c_1": 1.5})


@pytest.mark.parametrize(
    ("name", "tasks", "edges", "seconds"),
    [("montage-500.json.gz", 495, 1336, 117419.553), ("rnaseq-500.json.gz", 441, 0, 203.028)],
)
def test_the_traces_of_the_repository_are_whole(name: str, tasks: int, edges: int, seconds: float) -> None:
    trace = read_trace(TRACES / name)
    assert len(trace.graph.nodes) == tasks
    assert sum(len(predecessors(node)) for node in trace.graph.nodes.values()) == edges
    assert sum(numbers[0] for numbers in trace.durations.table.values()) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "'x' is no WfFormat instance; expected an object with schemaVersion and workflow"),
        (
            {"schemaVersion": "1.3", "workflow": {"tasks": []}},
            "'x' is of WfFormat 1.3; expected one of 1.5, 1.6, to which `wfcommons` converts older ones",
        ),
        (instance(), "'x' has no tasks in workflow.specification.tasks"),
        (
            instance(
                a={"parents": ["z"], "ran": {"runtimeInSeconds": -1}},
                b={"children": ["y"]},
            ),
            "'x' cannot be used:\n"
            "task 'a' has 'z' among its parents, which is not specified\n"
            "task 'b' has 'y' among its children, which is not specified\n"
            "task 'b' is not in workflow.execution.tasks, so its duration is unknown\n"
            "task 'a' has runtimeInSeconds -1; expected seconds, 0 or more",
        ),
        (
            instance(
                a={"parents": ["b"], "ran": {"runtimeInSeconds": 1}},
                b={"parents": ["a"], "ran": {"runtimeInSeconds": 1, "coreCount": "two"}},
            ),
            "'x' cannot be used:\ntask 'b' has coreCount 'two'; expected a number, 0 or more",
        ),
        (
            instance(
                a={"parents": "bc", "children": [{"id": "b"}], "ran": {"runtimeInSeconds": 1e300}},
                b={"id": ["b"], "ran": {"runtimeInSeconds": 1}},
                c={"id": "a", "ran": {"runtimeInSeconds": 1, "id": "a"}},
            ),
            "'x' cannot be used:\n"
            "task 'a' is 2 times in workflow.specification.tasks; expected it once\n"
            "workflow.specification.tasks has 1 without an id; expected a text that is not empty\n"
            "task 'a' is 2 times in workflow.execution.tasks; expected it once\n"
            "task 'a' has 'bc' for its parents; expected a list of ids\n"
            "task 'a' has {'id': 'b'} among its children, which is not specified\n"
            "task 'a' has runtimeInSeconds 1e+300; expected seconds, 0 or more",
        ),
    ],
)
def test_what_is_wrong_with_a_trace_is_said(document: Any, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        trace_of(document, "x")
    assert str(caught.value) == said


def test_a_circle_in_a_trace_is_said() -> None:
    ran = {"runtimeInSeconds": 1}
    with pytest.raises(UsageError, match="wait for each other"):
        trace_of(instance(a={"parents": ["b"], "ran": ran}, b={"parents": ["a"], "ran": ran}))


def test_files_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"{}" * 1000)[:-20])
    (tmp_path / "words.json").write_text("hello")
    for name, said in {
        "none.json": "cannot read",
        "cut.gz": "cannot read",
        "words.json": "is no JSON",
    }.items():
        with pytest.raises(UsageError, match=said):
            read_trace(tmp_path / name)


def test_durations_are_read_from_json_and_from_csv(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(json.dumps({"load": 2, "work": [1.0, 3.5]}))
    (tmp_path / "d.csv").write_text("name,seconds\nload, 2\n\n# measured on Monday\nwork,1\nwork,3.5\n")
    expected = Durations({"load": 2.0, "work": [1.0, 3.5]}, 0.5)
    (tmp_path / "e.csv").write_text("\ufeffload,2\nwork,1\nwork,3.5\n", encoding="utf-8")
    for name in ("d.json", "d.csv", "e.csv"):
        assert Durations.read(tmp_path / name, default=0.5) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there are no durations in "),
        ("name,seconds\n", "there are no durations in "),
        ("a,1\nb,two\nc\n", "line 2 of .* is 'b,two'; expected name,seconds\nline 3 of .* is 'c'; expected"),
        ("[1, 2]", "are a list; expected an object"),
        ('{"a": ', "are no JSON"),
        ('{"a": "1"}', r"'a' takes '1'; give seconds, from 0 to 1e\+15"),
        ('{"a": [1, NaN, true]}', "'a' takes nan s; give seconds, .*\n'a' takes True; give"),
        ("a,-1\n", "'a' takes -1 s"),
        ('{"a": []}', r"'a' takes nothing; give seconds"),
        ('{"a": 1%s}' % ("0" * 400), "'a' takes 10"),
    ],
)
def test_what_is_wrong_with_durations_is_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "d").write_text(text)
    with pytest.raises(UsageError, match=said):
        Durations.read(tmp_path / "d")


def test_events_of_a_run_are_read_back(tmp_path: Path) -> None:
    one = Payload("json", b"1")
    events = [
        RunStarted(inputs={"x": one}),
        MapExpanded(cell="each", items=(one, one)),
        CellSucceeded(cell="each[0]/work", attempt=2, outputs=(one,), seconds=1.5),
    ]
    (tmp_path / "e").write_text("\n".join(map(encode_event, events)) + "\n\n")
    assert read_events(tmp_path / "e") == events
    past = Past.of(events)
    assert past == Past(
        seconds={"each[0]/work": 1.5},
        items={"each": ((one, one),)},
        outputs={"each[0]/work": (one,)},
        inputs={"x": one},
    )
    for text, said in {"": "there are no events", '{"v": 1}': "line 1 of .* is no event"}.items():
        (tmp_path / "e").write_text(text)
        with pytest.raises(UsageError, match=said):
            read_events(tmp_path / "e")


def test_cells_that_were_not_measured_get_the_mean_of_their_node_or_task() -> None:
    from taskiq_flow.graph import build_graph

    graph = build_graph(
        [TaskNode(name="a", task="t"), TaskNode(name="b", task="t"), TaskNode(name="c", task="u")]
    )
    durations = Durations({}, 9.0).over(Durations.from_measurements({"a": 3.0}, graph))
    found = {
        node.name: durations.of(node.name, node)
        for node in graph.nodes.values()
        if isinstance(node, TaskNode)
    }
    assert found == {"a": 3.0, "b": 3.0, "c": 9.0}
