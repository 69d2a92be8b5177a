"""Annotations that come back to a graph from the tasks that a process has."""

from __future__ import annotations

from taskiq import InMemoryBroker

from taskiq_flow.graph import build_graph
from taskiq_flow.graph.model import Graph, Input, InputSpec, MapNode, Output, TaskNode
from taskiq_flow.wiring.restoring import restore_annotations, restore_for_outputs


async def load(x: int) -> list[str]:
    return [str(x)]


async def measure(text: str) -> float:
    return float(text)


def make_broker() -> InMemoryBroker:
    broker = InMemoryBroker()
    broker.task("load")(load)
    broker.task("measure")(measure)
    return broker


def make_graph() -> Graph:
    texts = TaskNode(name="texts", task="load", params={"x": Input("x")}, outputs=("of_texts",))
    other = TaskNode(name="other", task="load", params={"x": Input("x")}, outputs=("of_other",))
    inner = TaskNode(name="inner", task="measure", params={"text": Input("item")}, outputs=("size",))
    body = build_graph(
        [inner],
        inputs={"item": InputSpec()},
        outputs={"size": Output("inner", "size"), "item": Input("item")},
    )
    each = MapNode(
        name="each",
        body=body,
        items=Output("texts", "of_texts"),
        outputs=("sizes", "items"),
        collects=("size", "item"),
    )
    return build_graph(
        [texts, other, each], inputs={"x": InputSpec()}, outputs={"sizes": Output("each", "sizes")}
    )


def test_the_nodes_that_say_how_outputs_are_read_have_their_annotations() -> None:
    graph, broker = make_graph(), make_broker()
    restored, whole = restore_for_outputs(graph, broker), restore_annotations(graph, broker)
    assert restored.nodes["each"] == whole.nodes["each"]
    assert restored.nodes["texts"].returns == (list[str],)  # type: ignore[union-attr]
    assert restored.nodes["other"] is graph.nodes["other"]


def test_an_input_that_is_an_output_is_read_by_all_that_consume_it() -> None:
    broker, node = make_broker(), make_graph().nodes["texts"]
    graph = build_graph(
        [node],
        inputs={"x": InputSpec()},
        outputs={"given": Input("x"), "of_texts": Output("texts", "of_texts")},
    )
    assert restore_for_outputs(graph, broker).inputs["x"].annotation is int
