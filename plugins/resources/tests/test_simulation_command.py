"""``taskiq flow simulate`` as people use it, and the charts that it draws."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskiq_flow import RunHandle
from taskiq_flow.graph import NodeOptions, TaskNode, build_graph
from taskiq_flow.scheduler import WorkerView
from taskiq_flow_cli.app import main
from taskiq_flow_resources.simulation import Past, compare
from taskiq_flow_resources.simulation.gantt import draw_gantt
from taskiq_flow_resources.simulation.page import write_page
from taskiq_flow_resources.simulation.words import columns, seconds

ROOT = Path(__file__).resolve().parents[3]
MONTAGE = str(ROOT / "benchmarks" / "traces" / "montage-500.json.gz")

STUDIO = """
from taskiq import InMemoryBroker
from taskiq_flow import CPUProfile, DataflowPipeline, Flow, Placement, ResourceAwareWorkerPool, Scheduler, pipeline_task

broker = InMemoryBroker()
pool = ResourceAwareWorkerPool(workers=[{"cpu_cores": 4}, {"cpu_cores": 2}])
flow = Flow(broker, pool=pool)


@broker.task
@pipeline_task(output="tracks")
def scan(folder: str) -> list[str]:
    return [folder, folder]


@broker.task
@CPUProfile(cpu_units=2)
def features(track: str) -> int:
    return 1


pipeline = DataflowPipeline.from_tasks(broker, [scan], name="studio").map(features, over="tracks", output="sizes")


class Lazy(Scheduler):
    name = "lazy"

    def place(self, ready, workers, running):
        return [Placement(run=c.run, path=c.path, worker="worker-1") for c in ready[: 1 - len(running)]]


class Faulty(Lazy):
    name = "faulty"

    def place(self, ready, workers, running):
        raise RuntimeError("no idea")


number = 3
"""


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "studio.py").write_text(STUDIO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    sys.modules.pop("studio", None)


def simulate(*words: str) -> int:
    return main(["simulate", *words])


def test_schedulers_are_compared_in_a_table(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = simulate(
        "studio:pipeline", "--items", "tracks=4", "--scheduler", "fifo", "--scheduler", "studio:Lazy"
    )
    assert code == 0
    assert capsys.readouterr().out.splitlines() == [
        "studio",
        "5 cells, 5.00 s of work; 1x cpu=4; 1x cpu=2",
        "lower bound 2.00 s (critical path 2.00 s, work: cpu 1.50 s)",
        "critical path: scan → features[0]/features",
        "",
        "scheduler  makespan  of the bound  cpu used  mean wait",
        "fifo         3.00 s        1.50 ×      50 %      0.2 s",
        "lazy         5.00 s        2.50 ×      30 %     1.20 s",
    ]


def test_one_scheduler_shows_what_each_worker_did(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--items", "tracks=3", "--workers", "2x cpu=2", "--workers", "cpu=1", "--scheduler", "fifo"]
    assert simulate("studio:pipeline", *words) == 0
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "worker  cells   busy  cpu used",
        "w1          3  100 %      83 %",
        "w2          1   33 %      33 %",
        "w3          0    0 %       0 %",
    ]


def test_a_trace_is_simulated_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("chart.svg", "chart.html"):
        assert simulate(MONTAGE, "--scheduler", "fifo", "--gantt", str(tmp_path / name)) == 0
    chart = ET.parse(tmp_path / "chart.svg").getroot()
    bars = [each for each in chart.iter("{http://www.w3.org/2000/svg}rect") if len(each)]
    assert len(bars) == 495
    page = (tmp_path / "chart.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "http" not in page.replace("http://www.w3.org/2000/svg", ""), "it needs nothing from elsewhere"
    assert "Montage-synthetic-instance" in capsys.readouterr().out


def test_json_has_everything(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("studio:pipeline", "--items", "tracks=2", "--json", "--limit", "db=3") == 0
    (found,) = json.loads(capsys.readouterr().out)["simulations"]
    assert (found["scheduler"], found["makespan"], found["lower_bound"]) == ("best-fit", 2.0, 2.0)
    assert [each["cell"] for each in found["attempts"]] == [
        "scan",
        "features[0]/features",
        "features[1]/features",
    ]
    assert found["limits"] == {"db": 3.0}


def test_what_a_module_prints_is_not_in_the_json(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (studio / "studio.py").write_text(f"print('noise')\n{STUDIO}")
    assert simulate("studio:pipeline", "--items", "tracks=2", "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out).keys() == {"simulations"}
    assert "noise" in err


def test_a_past_run_tells_durations_and_items(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "studio:pipeline", "folder=x", "--events", "events.jsonl", "--quiet"]) == 0
    capsys.readouterr()
    assert simulate("studio:pipeline", "--events", "events.jsonl", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["simulations"]
    assert len(found["attempts"]) == 3
    assert found["serial"] < 1


def test_a_run_in_the_store_tells_the_same(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    studio_module = importlib.import_module("studio")

    async def run() -> RunHandle[Any]:
        handle = await studio_module.flow.submit(studio_module.pipeline.graph, {"folder": "x"})
        await handle.result(timeout=10)
        return handle

    handle = asyncio.run(run())
    assert (
        simulate("studio:flow", "--run", handle.id, "--scheduler", "fifo", "--seconds", "100", "--json") == 0
    )
    (found,) = json.loads(capsys.readouterr().out)["simulations"]
    assert sorted(each["cell"] for each in found["attempts"]) == [
        "features[0]/features",
        "features[1]/features",
        "scan",
    ]
    assert found["serial"] < 1, "nothing is left to the usual seconds"


def test_a_faulty_scheduler_is_reported_and_makes_the_exit_code_1(
    studio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate("studio:pipeline", "--items", "tracks=2", "--scheduler", "studio:Faulty") == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-2:] == [
        "faulty gave answers that the core refused; the default placed cells in its stead:",
        "  it raised RuntimeError: no idea",
    ]
    assert err == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scheduler", "bestfit"], "no scheduler 'bestfit'; there are "),
        (["--scheduler", "studio:number"], "'studio:number' is of type int; expected a Scheduler"),
        (["--pool", "studio:number"], "'studio:number' is of type int; expected a WorkerPool"),
        (
            ["--pool", "studio:pool", "--workers", "2"],
            "--pool and --workers both say which workers there are",
        ),
        (["--run", "a", "--events", "b"], "--run and --events both name a past run"),
        (["--run", "a"], "no run 'a' in this store"),
        (["--events", "none"], "cannot read the events in 'none'"),
        (["--durations", "none"], "cannot read the durations in 'none'"),
        (["--gantt", "chart.png"], "--gantt is 'chart.png'; give a file that ends in .svg or .html"),
        (["--gantt", "no/folder/chart.svg"], "cannot write the chart to 'no/folder/chart.svg': No such file"),
        (["--items", "tracks"], "--items is 'tracks'; expected a list and how many items it has: tracks=50"),
        (["--value", "tracks"], "--value is 'tracks'; expected an input or an output and its JSON"),
        (["--workers", "four"], "--workers has 'four'; expected each name once with an amount"),
        (["--workers", "4x cpu=4,cpu=2"], "--workers has 'cpu=2'; expected each name once with an amount"),
        (
            ["--workers", ""],
            "--workers is ''; expected a number of workers and what each has",
        ),
        (
            ["--workers", f"{'9' * 5000}x cpu=4"],
            "x cpu=4'; expected each name once with an amount",
        ),
        (
            ["--workers", "0x cpu=4"],
            "--workers is '0x cpu=4'; expected a number of workers and what each has",
        ),
        (["--limit", "cpu=1"], "'cpu' is a limit of the pool and a resource of worker 'worker-2'"),
        (["--workers", "4 cpu=4"], "--workers has '4 cpu=4'; expected each name once with an amount"),
        (["--items", f"tracks={10**30}"], "give a whole number from 0 to 1,000,000"),
        (["--limit", "db=-1"], "--limit has 'db=-1'; expected each name once with an amount"),
        (["--outputs", "sises"], "output 'sises' is wanted, which no node produces"),
    ],
)
def test_misuse_is_said(
    studio: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    given = [] if any(word.startswith("--items") for word in words) else ["--items", "tracks=2"]
    assert simulate("studio:pipeline", *given, *words) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_neither_trace_nor_graph_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.json").write_text("{}")
    assert simulate(str(tmp_path / "x.json")) == 2
    assert "is neither a workflow trace (WfFormat) nor a graph" in capsys.readouterr().err
    (tmp_path / "g.json").write_text(build_graph([TaskNode(name="a", task="t")]).to_json())
    assert simulate(str(tmp_path / "g.json")) == 0
    assert simulate(str(tmp_path / "none.json")) == 2


def test_what_users_name_is_escaped_in_charts() -> None:
    name = "<b>&\"'"
    graph = build_graph([TaskNode(name=name, task=f"t{name}", options=NodeOptions())], name=name)
    reports = compare(graph, [WorkerView(id=name, capacity={"cpu": 1.0})], ["fifo", "best-fit"])
    ET.fromstring(draw_gantt(reports))
    page = write_page(reports)
    assert "<b>&" not in page
    ET.fromstring(page.removeprefix("<!doctype html>\n").replace('<meta charset="utf-8">', ""))


def test_charts_of_nothing_and_of_no_time_can_be_drawn() -> None:
    workers = [WorkerView(id=f"w{number}", capacity={"cpu": 1.0}) for number in range(100)]
    for graph in (build_graph([]), build_graph([TaskNode(name="a", task="t")])):
        ET.fromstring(
            draw_gantt(compare(graph, workers, ["fifo"], durations={} if not graph.nodes else {"a": 0.0}))
        )


def test_times_are_written_as_people_read_them() -> None:
    written = [seconds(each) for each in (0, 0.0042, 0.5, 9.999, 59.94, 245, 7380)]
    assert written == ["0 s", "0.0042 s", "0.5 s", "10.00 s", "59.9 s", "4 min 05 s", "2 h 03 min"]
    assert columns([["a", "b"], ["ccc", "1"]]) == ["a    b", "ccc  1"]


def test_one_core_is_one_line_although_some_cells_take_no_time() -> None:
    graph = build_graph([TaskNode(name=name, task=name) for name in "abc"])
    seconds_of = {"a": 1.0, "b": 0.0, "c": 2.0}
    (report,) = compare(graph, [WorkerView(id="w", capacity={"cpu": 1.0})], ["fifo"], durations=seconds_of)
    chart = ET.fromstring(draw_gantt([report]))
    bars = [each for each in chart.iter("{http://www.w3.org/2000/svg}rect") if len(each)]
    assert len({bar.get("y") for bar in bars}) == 1
    assert len(bars) == 3


def test_bars_that_are_thinner_than_lines_keep_their_colour() -> None:
    graph = build_graph([TaskNode(name=name, task=name) for name in "ab"])
    workers = [WorkerView(id="w", capacity={"cpu": 1.0})]
    chart = ET.fromstring(draw_gantt(compare(graph, workers, ["fifo"], durations={"a": 0.001, "b": 9.0})))
    bars = [each for each in chart.iter("{http://www.w3.org/2000/svg}rect") if len(each)]
    assert [bar.get("class") for bar in bars] == [None, "a"]


def test_durations_that_are_given_count_more_than_those_of_a_trace_or_of_a_past_run(
    studio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (studio / "d.json").write_text('{"mProject": 0}')
    assert simulate(MONTAGE, "--durations", "d.json", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["simulations"]
    took = {each["ended"] - each["began"] for each in found["attempts"] if each["task"] == "mProject"}
    assert took == {0}
    graph = build_graph([TaskNode(name="a", task="t"), TaskNode(name="b", task="u")])
    past = Past(seconds={"a": 5.0, "b": 7.0})
    (report,) = compare(
        graph, [WorkerView(id="w", capacity={"cpu": 1.0})], ["fifo"], durations={"t": 1.0}, past=past
    )
    assert {each.cell: each.seconds for each in report.attempts} == {"a": 1.0, "b": 7.0}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Nameless", "scheduler 'Nameless' has no name; write name = "),
        ("Wanting", "scheduler 'Wanting' cannot be made without arguments (TypeError: "),
    ],
)
def test_a_scheduler_that_cannot_be_made_is_said(
    studio: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    (studio / "studio.py").write_text(
        STUDIO
        + """
class Nameless(Scheduler):
    def place(self, ready, workers, running):
        return None


class Wanting(Lazy):
    def __init__(self, width):
        self.width = width
"""
    )
    assert simulate("studio:pipeline", "--items", "tracks=2", "--scheduler", f"studio:{name}") == 2
    assert said in capsys.readouterr().err


def test_the_traceback_of_a_scheduler_can_be_seen(studio: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = ("studio:pipeline", "--items", "tracks=2", "--scheduler", "studio:Faulty")
    assert simulate(*words) == 1
    assert caplog.text == ""
    assert simulate(*words, "--traceback") == 1
    assert 'raise RuntimeError("no idea")' in caplog.text


def test_a_long_name_of_a_graph_leaves_room_for_the_scheduler() -> None:
    graph = build_graph([TaskNode(name="a", task="t")], name="long " * 40)
    chart = ET.fromstring(draw_gantt(compare(graph, [WorkerView(id="w")], ["fifo"])))
    titles = [
        each.text or "" for each in chart.iter("{http://www.w3.org/2000/svg}text") if each.get("class") == "t"
    ]
    assert [title.endswith("…: fifo") and len(title) < 100 for title in titles] == [True]
