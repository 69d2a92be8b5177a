"""What guards and filters see of large values: the same as of small ones."""

from __future__ import annotations

from typing import Any

import pytest

from carried_values import Listening, Masked, Shelf, SizeTasks, value_of
from taskiq_flow import Flow, Pipeline
from taskiq_flow.graph import Guard, Input, InputSpec, ListOf, MapNode, Output, TaskNode, build_graph


@pytest.fixture
def broker_class() -> type[Listening]:
    return Listening


# What guards and filters see


WORDS: list[Any] = [
    "",
    "a",
    "yes",
    0,
    1,
    2.5,
    None,
    True,
    False,
    [],
    [1, "a"],
    ["yes"],
    {},
    {"a": 1},
    "long " * 9,
]


@pytest.mark.parametrize("claim_check", [0, 8])
@pytest.mark.parametrize("codecs", [[], [Masked()]], ids=["plain", "masked"])
async def test_guards_and_filters_decide_as_they_do_without_blobs(
    claim_check: int, codecs: list[Any]
) -> None:
    async def decisions(claim_check: int | None) -> Any:
        broker = Listening(await_inplace=True)
        Flow(broker, claim_check=claim_check, codecs=codecs)

        @broker.task
        async def word(item: Any) -> Any:
            return item

        @broker.task
        async def words() -> list[Any]:
            return WORDS

        @broker.task
        async def then(item: Any) -> Any:
            return ["then", item]

        @broker.task
        async def otherwise(item: Any) -> Any:
            return ["otherwise", item]

        body = Pipeline(broker, word).branch(word, then, otherwise)
        maps = await value_of(Pipeline(broker, words).map(body))
        nested = await value_of(Pipeline(broker, words).map(word).filter(word).map(body))
        # The filter's own input is an input of the run.
        given = await value_of(Pipeline(broker).filter(word), WORDS)
        return maps, nested, given

    assert await decisions(claim_check) == await decisions(None)


@pytest.mark.parametrize("wanted", WORDS, ids=repr)
async def test_a_guard_that_wants_a_certain_value(wanted: Any) -> None:
    async def ran(claim_check: int | None) -> list[dict[str, Any]]:
        broker = Listening(await_inplace=True)
        flow = Flow(broker, claim_check=claim_check)

        @broker.task("pass")
        async def passed(value: Any) -> Any:
            return value

        def node(name: str, source: Any, guard: Guard | None = None) -> TaskNode:
            return TaskNode(name=name, task="pass", params={"value": source}, outputs=(name,), when=guard)

        first = Output("first", "first")
        graph = build_graph(
            [
                node("first", Input("value")),
                node("by_output", Input("value"), Guard(first, wanted)),
                node("by_input", first, Guard(Input("value"), wanted)),
                node("by_list", first, Guard(ListOf((first, Input("value"))), [wanted, wanted])),
            ],
            inputs={"value": InputSpec()},
            outputs={name: Output(name, name) for name in ("by_output", "by_input", "by_list")},
        )
        return [await (await flow.submit(graph, {"value": value})).result(timeout=20) for value in WORDS]

    assert await ran(0) == await ran(None)


async def test_a_value_that_nobody_decides_by_is_not_fetched_to_decide(broker: Listening) -> None:
    shelf = Shelf()
    Flow(broker, blobs=shelf, claim_check=100)
    tasks = SizeTasks(broker)

    @broker.task
    async def is_short(value: str) -> bool:
        return False

    handle = await Pipeline(broker, tasks.make).branch(is_short, tasks.same, tasks.size).kiq(1000)
    assert await handle.result(timeout=20) == 1000
    # The predicate and the side that runs; the driver asks for nothing.
    assert len([call for call in shelf.calls if call.startswith("get")]) == 2


async def test_a_replay_needs_no_blob_to_decide(broker: Listening) -> None:
    shelf = Shelf()
    Flow(broker, blobs=shelf, claim_check=0)
    tasks = SizeTasks(broker)
    handle = await Pipeline(broker, tasks.make).branch(tasks.size, tasks.same, tasks.size).kiq(10)
    assert await handle.result(timeout=20) == "x" * 10

    shelf.kept.clear()
    machine = await handle._replay()
    assert machine.status.value == "succeeded"
    states = {path: state.name for path, state in machine.cells.states().items()}
    assert [name for name, state in states.items() if state == "SKIPPED"] == ["size_3"]


@pytest.mark.parametrize("over", ["given", "mapped"])
@pytest.mark.parametrize("wanted", [True, False, ["long " * 9, "yes", [1, "a"]], ["yes"]], ids=repr)
async def test_guards_that_look_at_items_and_at_what_a_filter_keeps(over: str, wanted: Any) -> None:
    async def ran(claim_check: int | None) -> list[Any]:
        broker = Listening(await_inplace=True)
        flow = Flow(broker, claim_check=claim_check)

        @broker.task("pass")
        async def passed(value: Any) -> Any:
            return value

        def node(name: str, source: Any, guard: Guard | None = None) -> TaskNode:
            return TaskNode(name=name, task="pass", params={"value": source}, outputs=(name,), when=guard)

        item = {"item": InputSpec()}
        same = build_graph(
            [node("same", Input("item"))], inputs=item, outputs={"same": Output("same", "same")}
        )
        echo = build_graph([], inputs=item, outputs={"echo": Input("item")})
        looks = build_graph(
            [node("yes", Input("item"), Guard(Input("item"), "yes")), node("no", Input("item"))],
            inputs=item,
            outputs={"yes": Output("yes", "yes"), "no": Output("no", "no")},
        )
        items = Input("items") if over == "given" else Output("mapped", "mapped")
        graph = build_graph(
            [
                MapNode(
                    name="mapped", body=same, items=Input("items"), outputs=("mapped",), collects=("same",)
                ),
                MapNode(
                    name="kept", body=echo, items=items, outputs=("kept",), collects=("echo",), keep="items"
                ),
                MapNode(
                    name="looked", body=looks, items=items, outputs=("yeses", "all"), collects=("yes", "no")
                ),
                node("guarded", Output("kept", "kept"), Guard(Output("kept", "kept"), wanted)),
            ],
            inputs={"items": InputSpec()},
            outputs={
                "guarded": Output("guarded", "guarded"),
                "yeses": Output("looked", "yeses"),
                "mapped": Output("mapped", "mapped"),
            },
        )
        lists: list[Any] = [["long " * 9, "", "yes", 0, [1, "a"]], ["", 0], ["yes", ""], []]
        handles = [await flow.submit(graph, {"items": each}) for each in lists]
        return [await handle.result(timeout=20) for handle in handles]

    assert await ran(0) == await ran(None)
    assert await ran(10) == await ran(None)
