"""Random graphs run the same whether their values are small, large, or hidden."""

from __future__ import annotations

import asyncio
import json
import random
import zlib
from collections.abc import Iterator
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from carried_values import Listening, Masked, Shelf, Shorter
from graph_strategies import graphs, is_list
from taskiq_flow import Flow
from taskiq_flow.graph import Graph, MapNode, Node, TaskNode
from taskiq_flow.serializer import ByteCodec

# It stays long, whatever compresses it.
NOISE = random.Random(0).randbytes(5000).hex()

WORDS: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    2,
    1.0,
    "",
    "word",
    "long " * 1000,
    NOISE,
    [],
    [0],
    [0] * 3000,
    ["a", "b"],
    {},
    {"a": True},
    {"a": False, "b": [NOISE]},
]


def told(graph: Graph) -> Graph:
    """Give a graph whose tasks are named after what they shall give: lists, or anything."""
    nodes: dict[str, Node] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, TaskNode):
            nodes[name] = evolve(
                node, task="".join("l" if is_list(output) else "x" for output in node.outputs) or "-"
            )
        else:
            nodes[name] = evolve(node, body=told(node.body))
    return evolve(graph, nodes=nodes)


def tasks_of(graph: Graph) -> Iterator[str]:
    for node in graph.nodes.values():
        if isinstance(node, MapNode):
            yield from tasks_of(node.body)
        else:
            yield node.task


def answer(task: str, arguments: dict[str, Any]) -> Any:
    """Give what follows from the arguments, and looks like anything."""
    seed = zlib.crc32(json.dumps([task, arguments], sort_keys=True).encode())
    values = [
        [WORDS[(seed + place + number) % len(WORDS)] for number in range(seed % 4)]
        if kind == "l"
        else WORDS[(seed + 7 * place) % len(WORDS)]
        for place, kind in enumerate(task)
    ]
    return values[0] if len(values) == 1 else values


async def run(graph: Graph, inputs: dict[str, Any], claim_check: int | None, codecs: list[ByteCodec]) -> Any:
    broker, shelf = Listening(await_inplace=True), Shelf()
    flow = Flow(broker, blobs=shelf, claim_check=claim_check, codecs=codecs)
    for name in set(tasks_of(graph)):

        @broker.task(name)
        async def anything(_name: str = name, **arguments: Any) -> Any:
            return answer(_name, arguments)

    handle = await flow.submit(graph, inputs)
    found = await handle.wait_result(timeout=20)
    failures = {failed.cell: failed.kind for failed in await handle.failures()}
    states = {path: state.name for path, state in (await handle._replay()).cells.states().items()}
    had_blobs = bool(shelf.kept)
    outputs = await handle.outputs()

    # The log alone says how it went.
    shelf.kept.clear()
    again = {path: state.name for path, state in (await handle._replay()).cells.states().items()}
    assert again == states
    await flow.store.runs.delete(handle.id)
    assert shelf.kept == {}
    await broker.shutdown()
    return (found.return_value, outputs, failures, states), had_blobs


@given(
    graph=graphs(options=False, max_nodes=5).map(told),
    claim_check=st.sampled_from([4096, 8000, 20_000]),
    codecs=st.sampled_from([[], [Masked()], [Shorter(), Masked()]]),
    data=st.data(),
)
def test_a_graph_runs_the_same_with_blobs_and_codecs(
    graph: Graph, claim_check: int, codecs: list[ByteCodec], data: st.DataObject
) -> None:
    inputs = {
        name: data.draw(
            st.lists(st.sampled_from(WORDS), max_size=3) if is_list(name) else st.sampled_from(WORDS)
        )
        for name, spec in graph.inputs.items()
        if spec.required or data.draw(st.booleans())
    }
    plain, had_blobs = asyncio.run(run(graph, inputs, None, []))
    assert not had_blobs
    carried, _ = asyncio.run(run(graph, inputs, claim_check, codecs))
    assert carried == plain
