"""Pipelines of whatever is installed: the smallest graph that produces what is asked for."""

from __future__ import annotations

import asyncio
from inspect import Parameter, Signature
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taskiq import InMemoryBroker, async_shared_broker

from installed_packages import TEXT, Shelf
from taskiq_flow import DataflowPipeline, Flow, pipeline_task
from taskiq_flow.discoverer import Discoverer, Origin, TaskSource
from taskiq_flow.discoverers.entry_points import EntryPointDiscoverer
from taskiq_flow.discovery import Catalogue
from taskiq_flow.discovery.choosing import choose
from taskiq_flow.errors import GraphError, PluginError
from taskiq_flow.tasks.options import origin_of

pytestmark = pytest.mark.usefixtures("alone")

SHARED = """
    from taskiq import async_shared_broker
    @async_shared_broker.task(task_name="sum")
    def total(x: int): ...
"""


def task(name: str, parameters: str, output: str) -> str:
    return f"@pipeline_task(output={output!r})\ndef {name}({parameters}) -> int:\n    return 1\n"


def module(*tasks: str) -> str:
    return "\n".join(["from taskiq_flow import pipeline_task", *tasks])


def nodes(pipeline: DataflowPipeline) -> dict[str, str]:
    return {node.name: getattr(node, "task", "") for node in pipeline.graph.nodes.values()}


def refused(outputs: list[str], **options: Any) -> str:
    with pytest.raises(GraphError) as caught:
        DataflowPipeline.from_installed(outputs=outputs, **options)
    return str(caught.value)


def test_the_words_of_the_guide(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    pipeline = DataflowPipeline.from_installed(outputs=["report"])
    assert nodes(pipeline) == {
        "report": "acme_text:report",
        "load": "acme_text:load",
        "count": "count_words",
    }
    assert list(pipeline.graph.inputs) == ["book"]
    assert asyncio.run(pipeline.kiq_dataflow(book="Emma")) == {"report": "Report: 2 pages, 4 words"}
    assert isinstance(pipeline.broker, InMemoryBroker)


def test_a_run_is_given_defaults_and_produced_data(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    pipeline = DataflowPipeline.from_installed(outputs=["report"])
    assert list(pipeline.inputs) == ["book", "limit", "title"]
    assert asyncio.run(pipeline.kiq_dataflow(book="Emma", limit=1, title="R")) == {
        "report": "R: 1 pages, 2 words"
    }
    assert asyncio.run(pipeline.kiq_dataflow(pages=["a"])) == {"report": "Report: 1 pages, 1 words"}


def test_only_what_is_needed_is_taken_and_registered(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    broker = InMemoryBroker()
    pipeline = DataflowPipeline.from_installed(broker, outputs=["counts"])
    assert sorted(broker.local_task_registry) == ["acme_text:load", "count_words"]
    assert list(pipeline.graph.outputs) == ["counts"]
    assert str(origin_of(broker.find_task("count_words"))) == "acme-text 1.2 (acme_text:count)"


def test_the_default_broker_of_shared_tasks_is_the_default_here(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    broker = InMemoryBroker()
    async_shared_broker.default_broker(broker)
    assert DataflowPipeline.from_installed(outputs=["pages"]).broker is broker


def test_tasks_of_several_distributions_are_joined_by_the_names_of_data(shelf: Shelf) -> None:
    shelf.offer("acme-a", "1", acme_a=module(task("load", "path: str", "raw")))
    shelf.offer(
        "acme-b", "1", acme_b=module(task("load", "raw: int", "clean"), task("other", "raw", "unused"))
    )
    pipeline = DataflowPipeline.from_installed(outputs=["clean"])
    assert nodes(pipeline) == {"load": "acme_a:load", "load_2": "acme_b:load"}
    assert list(pipeline.graph.inputs) == ["path"]


def test_a_default_is_no_reason_to_take_a_task_in(shelf: Shelf) -> None:
    shelf.offer("acme-a", "1", acme_a=module(task("use", "x: int, strict: int = 0", "y")))
    shelf.offer("acme-b", "1", acme_b=module(task("make", "z: int", "strict")))
    alone_ = DataflowPipeline.from_installed(outputs=["y"])
    assert nodes(alone_) == {"use": "acme_a:use"}
    both = DataflowPipeline.from_installed(outputs=["y", "strict"])
    assert "strict" in both.graph.nodes["use"].params


def test_an_unknown_output_names_close_ones_where_was_looked_and_what_is_broken(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    shelf.offer("acme-broken", "0.1", acme_broken="import nowhere_at_all")
    assert refused(["reprot", "pages", "xyzzy"]) == (
        "no installed task produces 'reprot' (did you mean 'report'?), 'xyzzy'; looked at acme-broken 0.1, "
        "acme-text 1.2, whose tasks produce 'counts', 'pages', 'report'\n"
        "tasks 'acme_broken' of acme-broken 0.1 (acme_broken) cannot be used: No module named 'nowhere_at_all'"
    )
    # What is broken is no concern of those who ask for something else; the log has it.
    assert caplog.text.count("cannot be used: No module named 'nowhere_at_all'") == 1
    assert nodes(DataflowPipeline.from_installed(outputs=["pages"])) == {"load": "acme_text:load"}


def test_nothing_is_installed(shelf: Shelf) -> None:
    assert refused(["report"]) == (
        "no installed task produces 'report'; no distribution offers tasks, or none of them is let in: install one "
        "that does, or allow it"
    )


def test_two_producers_are_told_and_one_can_be_preferred(shelf: Shelf) -> None:
    for name in ("a", "b"):
        shelf.offer(f"acme-{name}", "1", **{f"acme_{name}": module(task(f"load_{name}", "path", "raw"))})
    said = "'raw' is produced by task 'acme_a:load_a' of acme-a 1 and by task 'acme_b:load_b' of acme-b 1; "
    assert refused(["raw"]) == f"{said}choose one with prefer={{'raw': 'acme-a'}}, or deny the other"
    for choice in ("acme-b", "Acme_B", "acme_b:load_b"):
        pipeline = DataflowPipeline.from_installed(outputs=["raw"], prefer={"raw": choice})
        assert nodes(pipeline) == {"load_b": "acme_b:load_b"}
    assert refused(["raw"], prefer={"raw": "acme-c"}) == (
        f"{said}prefer says 'acme-c', which is none of them (did you mean 'acme-b' or 'acme-a'?)"
    )
    assert refused(["raw"], prefer={"raw": "zzz"}).endswith(
        "which is none of them; give the name of one of these, task or distribution"
    )
    assert "prefer names 'rwa', which no installed task produces (did you mean 'raw'?)" in refused(
        ["raw"], prefer={"rwa": "acme-b"}
    )


def test_two_producers_in_one_distribution(shelf: Shelf) -> None:
    shelf.offer("acme-a", "1", acme_a=module(task("one", "path", "raw"), task("two", "path", "raw")))
    assert refused(["raw"]).endswith(
        "choose one by its name with prefer={'raw': 'acme_a:one'}, or deny the other"
    )
    assert "fits 2 of them" in refused(["raw"], prefer={"raw": "acme-a"})
    assert nodes(DataflowPipeline.from_installed(outputs=["raw"], prefer={"raw": "acme_a:two"})) == {
        "two": "acme_a:two"
    }


def test_a_name_that_two_distributions_claim_matters_to_those_who_need_it(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    shelf.offer("acme-a", "1", acme_a=SHARED)
    shelf.offer("acme-b", "1", acme_b=SHARED)
    assert refused(["total"]) == (
        "'total': task 'sum' is offered by acme-a 1 (acme_a:total) and by acme-b 1 (acme_b:total); deny one of "
        "them, or give it a prefix"
    )
    assert nodes(DataflowPipeline.from_installed(outputs=["pages"])) == {"load": "acme_text:load"}


def test_every_task_that_cannot_be_registered_is_told(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    broker = InMemoryBroker()
    for name in ("acme_text:load", "count_words"):
        broker.register_task(lambda: None, task_name=name)
    with pytest.raises(GraphError) as caught:
        DataflowPipeline.from_installed(broker, outputs=["report"])
    assert [text.split(" is one ")[0] for text in caught.value.problems] == [
        "task 'count_words' of acme-text 1.2 (acme_text:count)",
        "task 'acme_text:load' of acme-text 1.2 (acme_text:load)",
    ]


def test_what_is_no_list_of_outputs(shelf: Shelf) -> None:
    with pytest.raises(GraphError, match=r"outputs is 'report'; give a list of names"):
        DataflowPipeline.from_installed(outputs="report")
    with pytest.raises(GraphError, match="outputs is empty"):
        DataflowPipeline.from_installed(outputs=[])
    wrong: Any
    for wrong in (None, 3, ["report", 3]):
        with pytest.raises(GraphError, match=r"outputs is .*; give a list of names, such as \['report'\]"):
            DataflowPipeline.from_installed(outputs=wrong)
    for wrong in ("acme-text", {"report": 3}):
        with pytest.raises(GraphError, match=r"prefer is .*; say by the name of an output which"):
            DataflowPipeline.from_installed(outputs=["report"], prefer=wrong)


def test_a_broken_task_is_told_to_those_who_need_it(shelf: Shelf) -> None:
    shelf.offer("acme-odd", "1", acme_odd=module("@pipeline_task(output='x')\ndef f(a: 'Gone'): ..."))
    assert refused(["x"]) == (
        "task 'acme_odd:f' of acme-odd 1 (acme_odd:f) cannot be registered: NameError: name 'Gone' is not defined"
    )


def test_a_discoverer_can_be_given(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)

    class Nobody(Discoverer):
        name = "nobody"

        def find(self) -> list[Any]:
            return []

    assert "no distribution offers tasks" in refused(["pages"], discoverer=Nobody())
    broker = InMemoryBroker()
    Flow(broker, discover=Nobody())
    with pytest.raises(GraphError, match="no distribution offers tasks"):
        DataflowPipeline.from_installed(broker, outputs=["pages"])
    again = DataflowPipeline.from_installed(broker, outputs=["pages"], discoverer=EntryPointDiscoverer())
    assert nodes(again) == {"load": "acme_text:load"}
    with pytest.raises(PluginError, match=r"no discoverer 'entry-point'.*did you mean 'entry-points'"):
        DataflowPipeline.from_installed(broker, outputs=["pages"], discoverer="entry-point")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (lambda: 1 / 0, "failed to find tasks: ZeroDivisionError: division by zero"),
        (lambda: None, "failed to find tasks: TypeError: 'NoneType' object is not iterable"),
        (lambda: [3, "x"], "must give objects of type TaskSource, found int, str"),
    ],
    ids=["raises", "nothing", "something else"],
)
def test_a_discoverer_that_fails_is_named(found: Any, said: str) -> None:
    class Failing(Discoverer):
        name = "failing"

        def find(self) -> Any:
            return found()

    with pytest.raises(PluginError) as caught:
        DataflowPipeline.from_installed(outputs=["x"], discoverer=Failing())
    assert str(caught.value).startswith("discoverer 'failing' (")
    assert str(caught.value).endswith(said)


async def test_what_is_added_is_produced_as_well(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    broker = InMemoryBroker()

    @broker.task
    def shout(page: str) -> str:
        return page.upper()

    pipeline = DataflowPipeline.from_installed(broker, outputs=["counts"])
    pipeline.map(shout, over="pages", output="loud")
    assert await pipeline.kiq_dataflow(book="Emma") == {"counts": {"words": 4}, "loud": ["EMMA 0", "EMMA 1"]}


names = st.sampled_from("abcdefgh")
offered = st.lists(
    st.tuples(names, st.sets(names, max_size=3)), min_size=1, max_size=8, unique_by=lambda it: it[0]
)


@given(offered, st.data())
def test_the_graph_is_the_smallest_that_produces_what_is_asked(
    produced: list[tuple[str, set[str]]], data: st.DataObject
) -> None:
    needs = dict(produced)
    wanted = data.draw(st.lists(st.sampled_from(sorted(needs)), min_size=1, unique=True))

    def function(output: str) -> Any:
        def task(**inputs: Any) -> int: ...

        parameters = [Parameter(name, Parameter.KEYWORD_ONLY) for name in sorted(needs[output])]
        task.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        task.__name__ = f"make_{output}"
        return pipeline_task(output=output)(task)

    origin = Origin(distribution="acme", version="1", target="acme")
    source = TaskSource(name="acme", origin=origin, load=lambda: [function(output) for output in needs])
    chosen = choose(Catalogue.load([source]), wanted)
    expected, ahead = set(), list(wanted)
    while ahead:
        output = ahead.pop()
        if output in needs and output not in expected:
            expected.add(output)
            ahead += needs[output]
    assert {task.outputs[0] for task in chosen} == expected
    assert len(chosen) == len(expected)
