"""What guards and filters see of large values: a blob is true, and equal to nothing that they ask for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from carried_values import Listening, Masked, Shelf, Shorter, SizeTasks, value_of
from graph_strategies import plain_values
from machine_tables import pipeline, placed, source, start, task
from taskiq_flow import Flow, GraphError, Pipeline
from taskiq_flow.graph import (
    Graph,
    Guard,
    Input,
    InputSpec,
    ListOf,
    Literal,
    MapNode,
    Output,
    TaskNode,
    build_graph,
)
from taskiq_flow.machine import events as ev
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.payloads import ClaimCheck, ListedValue, Payload, Value
from taskiq_flow.serializer import ByteCodec
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.values.codec import Codec

LEAST = 4096


@pytest.fixture
def broker_class() -> type[Listening]:
    return Listening


# The same decisions as without blobs


LONG = "long " * 1000
SMALL: list[Any] = [
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
]
LARGE: list[Any] = [LONG, [0] * 3000, {"a": False, "b": [LONG]}]
WORDS = [*SMALL, *LARGE]


@pytest.mark.parametrize("claim_check", [LEAST, 6000])
@pytest.mark.parametrize("codecs", [[], [Masked()]], ids=["plain", "masked"])
async def test_guards_and_filters_decide_as_they_do_without_blobs(
    claim_check: int, codecs: list[Any]
) -> None:
    async def decisions(claim_check: int | None) -> Any:
        broker, shelf = Listening(await_inplace=True), Shelf()
        Flow(broker, blobs=shelf, claim_check=claim_check, codecs=codecs)

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
        assert bool(shelf.calls) is (claim_check is not None)
        return maps, nested, given

    assert await decisions(claim_check) == await decisions(None)


@pytest.mark.parametrize("wanted", SMALL, ids=repr)
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

    assert await ran(LEAST) == await ran(None)


# What is false, whatever wrote it and however it is hidden, and what is as long as one likes.
_texts = st.builds(lambda text, times: text * times, st.text(max_size=5), st.integers(0, 3000))
_values = st.one_of(
    plain_values,
    _texts,
    st.builds(lambda value, times: [value] * times, plain_values, st.integers(0, 2000)),
    st.dictionaries(st.text(max_size=3), _texts | plain_values, max_size=3),
)
_codecs = st.lists(st.sampled_from([Shorter(), Masked()]), max_size=2, unique_by=lambda codec: codec.name)


def guarded(condition: Any, wanted: Any) -> Graph:
    try:
        return pipeline(task("p"), task("q"), task("a", node={"when": Guard(condition, wanted)}))
    except GraphError:
        # It is longer than what a guard may compare with.
        assume(False)
        raise


def carried(value: Value, threshold: int) -> Value:
    """Give a value as it travels with blobs."""
    if isinstance(value, ListedValue):
        return ListedValue(tuple(carried(part, threshold) for part in value.parts))
    if isinstance(value, Payload) and len(value.data) > threshold:
        return ClaimCheck(value.serializer, "key", len(value.data))
    return value


def outcome(graph: Graph, codec: Codec, *outputs: Value) -> Any:
    """Give what became of the guarded cell when the two tasks before it gave these outputs."""
    machine = RunMachine(graph, read=codec.read)
    for event in (start(), placed("p"), placed("q")):
        machine.apply(event)
    for cell, output in zip("pq", outputs, strict=True):
        machine.apply(ev.CellSucceeded(cell=cell, attempt=1, outputs=(output,)))
    return machine.cells.states()["a"]


@given(
    first=_values,
    second=_values,
    other=plain_values,
    wants=st.sampled_from(["true", "false", "itself", "other"]),
    over=st.sampled_from(["value", "list", "apart"]),
    threshold=st.integers(LEAST, 20_000),
    codecs=_codecs,
)
def test_a_guard_decides_about_any_json_value_as_it_does_without_blobs(
    first: Any, second: Any, other: Any, wants: str, over: str, threshold: int, codecs: list[ByteCodec]
) -> None:
    codec = Codec({"json": JsonSerializer}, "json", codecs=codecs)
    whole = [first, second] if over == "list" else first
    wanted = {"true": True, "false": False, "itself": whole, "other": other}[wants]
    condition = ListOf((source("p"), source("q"))) if over == "list" else source("p")
    graph = guarded(condition, wanted)
    outputs: list[Value] = [codec.encode(first), codec.encode(second)]
    if over == "apart" and isinstance(first, list):
        outputs[0] = codec.take_apart(outputs[0])
    with_blobs = [carried(output, threshold) for output in outputs]
    assert outcome(graph, codec, *with_blobs) == outcome(graph, codec, *outputs)


@given(value=_values, codecs=_codecs)
def test_what_is_kept_as_a_blob_is_true(value: Any, codecs: list[ByteCodec]) -> None:
    codec = Codec({"json": JsonSerializer}, "json", codecs=codecs)
    payload = codec.encode(value)
    if isinstance(carried(payload, LEAST), ClaimCheck):
        assert bool(codec.read(payload))


@pytest.mark.parametrize(("wanted", "runs"), [(True, True), (False, False), (1, False), ("x", False)])
def test_a_blob_is_true_and_equal_to_nothing(wanted: Any, runs: bool) -> None:
    codec = Codec({"json": JsonSerializer}, "json")
    blob, graph = ClaimCheck("json", "key", 5000), guarded(source("p"), wanted)
    assert outcome(graph, codec, blob, blob).name == ("READY" if runs else "SKIPPED")


class Empty(JsonSerializer):
    """Reads everything as something that is long and false."""

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        return NoRows(data)


class NoRows:
    def __init__(self, columns: bytes) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return 0


def test_something_long_that_is_false_is_true_as_a_blob() -> None:
    codec = Codec({"json": Empty}, "json")
    payload = codec.encode(LONG)
    assert not codec.read(payload)
    assert codec.read(carried(payload, LEAST))


# What is not fetched


async def test_a_value_that_nobody_decides_by_is_not_fetched_to_decide(broker: Listening) -> None:
    shelf = Shelf()
    Flow(broker, blobs=shelf, claim_check=LEAST)
    tasks = SizeTasks(broker)

    @broker.task
    async def is_short(value: str) -> bool:
        return False

    handle = await Pipeline(broker, tasks.make).branch(is_short, tasks.same, tasks.size).kiq(10_000)
    assert await handle.result(timeout=20) == 10_000
    # The predicate and the side that runs; the driver asks for nothing.
    assert len([call for call in shelf.calls if call.startswith("get")]) == 2


async def test_no_blob_is_fetched_to_decide_by_it_nor_to_replay_that(broker: Listening) -> None:
    shelf = Shelf()
    Flow(broker, blobs=shelf, claim_check=LEAST)
    tasks = SizeTasks(broker)

    @broker.task
    async def echo(value: str) -> Any:
        return {"value": value}

    handle = await Pipeline(broker, tasks.make).branch(echo, tasks.same, tasks.size).kiq(10_000)
    assert await handle.result(timeout=20) == "x" * 10_000
    # The predicate, the side that runs, and the result: nobody fetches what the predicate gave.
    assert [call for call in shelf.calls if call.startswith("put outputs/echo/")]
    assert not [call for call in shelf.calls if call.startswith("get outputs/echo/")]

    shelf.kept.clear()
    machine = await handle._replay()
    assert machine.status.value == "succeeded"
    states = {path: state.name for path, state in machine.cells.states().items()}
    assert [name for name, state in states.items() if state == "SKIPPED"] == ["size_2"]


async def test_a_filter_keeps_the_items_whose_answer_is_a_blob(broker: Listening) -> None:
    shelf = Shelf()
    Flow(broker, blobs=shelf, claim_check=LEAST)

    @broker.task
    async def answer(item: int) -> Any:
        return [0] * item

    handle = await Pipeline(broker).filter(answer).kiq([0, 5000, 1, 0])
    assert await handle.result(timeout=20) == [5000, 1]
    assert [call.partition(".")[0] for call in shelf.calls if call.startswith("put")] == [
        "put outputs/answer[1]/answer/1/answer"
    ]


@pytest.mark.parametrize("over", ["given", "mapped"])
@pytest.mark.parametrize("wanted", [True, False, [1, "yes", [1, "a"]], ["yes"]], ids=repr)
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
        lists: list[Any] = [[LONG, "", "yes", 0, [1, "a"]], [1, "yes", [1, "a"]], ["", 0], ["yes", ""], []]
        handles = [await flow.submit(graph, {"items": each}) for each in lists]
        return [await handle.result(timeout=20) for handle in handles]

    assert await ran(LEAST) == await ran(None)


# What guards may compare with


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1022,
        "\N{SNOWMAN}" * 170,
        [0] * 341,
        (1, 2.5, None),
        {"a" * 500: "b" * 516},
        10**1023,
        [1e300] * 3,
        [],
        {},
        None,
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_guard_may_compare_with_1_kib(value: Any) -> None:
    node = TaskNode(name="a", task="t", when=Guard(Literal(1), value))
    assert build_graph([node]).nodes["a"].when == Guard(Literal(1), value)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1023,
        "\N{SNOWMAN}" * 171,
        [0] * 342,
        {"a" * 500: "b" * 517},
        10**1024,
        10**100_000,
        [1e300] * 4,
    ],
    ids=lambda value: (
        f"{type(value).__name__}-{len(value) if hasattr(value, '__len__') else value.bit_length()}"
    ),
)
def test_a_guard_that_compares_with_more_is_refused(value: Any) -> None:
    item = {"item": InputSpec()}
    with pytest.raises(GraphError) as inner:
        build_graph([TaskNode(name="c", task="t", when=Guard(Input("item"), value))], inputs=item)
    echo = build_graph([], inputs=item, outputs={"echo": Input("item")})
    with pytest.raises(GraphError) as caught:
        build_graph(
            [
                TaskNode(name="a", task="t", when=Guard(Literal(1), value)),
                MapNode(name="b", body=echo, items=Literal([1]), when=Guard(Literal(1), [value])),
            ]
        )
    assert [problem for error in (inner, caught) for problem in error.value.problems] == [
        f"the value that the guard of node {name!r} compares with is longer than 1024 bytes as JSON; "
        "let a task compare, and guard the node by what it answers"
        for name in "cab"
    ]
