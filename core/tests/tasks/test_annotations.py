"""What task authors say of their tasks, above and below ``@broker.task``."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, NamedTuple

import pytest
from taskiq import Context, InMemoryBroker, TaskiqDepends

from taskiq_flow.errors import GraphError
from taskiq_flow.tasks.annotations import (
    CPUProfile,
    RAMProfile,
    TaskInfo,
    TaskSpec,
    name_of,
    pipeline_task,
    pipeline_task_multi_output,
    signature_of,
    spec_of,
    task_of,
)
from taskiq_flow.tasks.signatures import TaskParameter, TaskSignature

INFO = TaskInfo(
    name="extract", description="from the info", parameters={"rate": {"type": "int"}}, outputs=["a"]
)
DECORATORS: dict[str, Callable[[Any], Any]] = {
    "pipeline_task": pipeline_task(output="features", inputs=["data"]),
    "cpu": CPUProfile(cpu_units=2),
    "ram": RAMProfile(ram_mb=2048),
    "info": INFO,
}
EVERYTHING = TaskSpec(
    outputs=("features",),
    inputs=("data",),
    description="from the info",
    resources={"cpu": 2, "ram_mb": 2048},
    info=INFO,
)


def plain(data: list[str], rate: int = 5) -> dict[str, int]:
    return dict.fromkeys(data, rate)


async def asynchronous(data: list[str], rate: int = 5) -> dict[str, int]:
    return dict.fromkeys(data, rate)


def fresh(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function of its own, as decorators change it."""

    def sync(data: list[str], rate: int = 5) -> dict[str, int]:
        return plain(data, rate)

    async def coroutine(data: list[str], rate: int = 5) -> dict[str, int]:
        return await asynchronous(data, rate)

    return coroutine if inspect.iscoroutinefunction(function) else sync


@pytest.mark.parametrize("function", [plain, asynchronous])
@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("order", list(itertools.permutations(DECORATORS)), ids="-".join)
def test_any_order_above_and_below(function: Any, position: int, order: tuple[str, ...]) -> None:
    broker = InMemoryBroker()
    decorated: Any = fresh(function)
    for index, name in enumerate((*order, None)):
        if index == position:
            decorated = broker.task(decorated)
        if name is not None:
            same = DECORATORS[name](decorated)
            assert same is decorated
    assert spec_of(decorated) == EVERYTHING
    assert spec_of(decorated.kicker()) == EVERYTHING
    result = decorated(["x"], rate=1)
    assert (asyncio.run(result) if inspect.isawaitable(result) else result) == {"x": 1}


def test_a_plain_function_keeps_everything_it_had() -> None:
    def told(thing: Any) -> tuple[Any, ...]:
        return thing.__name__, thing.__qualname__, thing.__doc__, thing.__defaults__, inspect.signature(thing)

    function = fresh(plain)
    before = told(function)
    assert pipeline_task(outputs=["head", "tail"])(function) is function
    assert told(function) == before
    assert not hasattr(function, "__wrapped__")
    assert spec_of(function) == TaskSpec(outputs=("head", "tail"))


def test_nothing_was_said() -> None:
    assert spec_of(plain) == TaskSpec()
    assert spec_of(InMemoryBroker().task(fresh(plain))) == TaskSpec()


def test_what_is_said_of_a_task_stays_with_that_task() -> None:
    function = CPUProfile(cpu_units=1)(fresh(plain))
    one, other = InMemoryBroker().task(function), InMemoryBroker().task(function)
    pipeline_task(output="one")(one)
    assert spec_of(one) == TaskSpec(outputs=("one",), resources={"cpu": 1})
    assert spec_of(other) == spec_of(function) == TaskSpec(resources={"cpu": 1})
    RAMProfile(ram_mb=5)(function)  # said later, below both
    assert spec_of(one) == TaskSpec(outputs=("one",), resources={"cpu": 1, "ram_mb": 5})


@pytest.mark.parametrize("above", [True, False])
def test_a_description_of_the_use_goes_over_the_documentation(above: bool) -> None:
    decorators = [INFO, pipeline_task(output="x", description="of the use")]
    function = fresh(plain)
    for decorator in decorators if above else reversed(decorators):
        decorator(function)
    assert spec_of(function).description == "of the use"


def test_multi_output_is_the_same_as_outputs() -> None:
    one = pipeline_task_multi_output(outputs=["x", "y"], inputs=["z"], description="d")(fresh(plain))
    other = pipeline_task(outputs=["x", "y"], inputs=["z"], description="d")(fresh(plain))
    assert spec_of(one) == spec_of(other) == TaskSpec(outputs=("x", "y"), inputs=("z",), description="d")


def test_task_info_is_a_record_too() -> None:
    assert (INFO.name, INFO.description, INFO.outputs) == ("extract", "from the info", ("a",))
    with pytest.raises(AttributeError):
        INFO.name = "other"  # type: ignore[misc]


WRONG: list[tuple[str, Callable[[], Any], list[str]]] = [
    (
        "both",
        lambda: pipeline_task(output="a", outputs=["b"]),
        ["output='a' and outputs=['b'] are both given; give one of them"],
    ),
    (
        "no outputs",
        lambda: pipeline_task(outputs=[]),
        ["outputs is empty; name what the task produces, or leave outputs out"],
    ),
    (
        "no name",
        lambda: pipeline_task(output=""),
        ["output has ''; a name is a word that a parameter could have"],
    ),
    (
        "all at once",
        lambda: pipeline_task(outputs=["a", "a", "1x", "class"], inputs="raw"),
        [
            "outputs has '1x', 'class'; a name is a word that a parameter could have",
            "outputs has 'a' more than once; name each thing once",
            "inputs is 'raw'; give a list of names, such as ['first', 'second']",
        ],
    ),
    (
        "not a text",
        lambda: pipeline_task(output=5),
        ["output has 5; a name is a word that a parameter could have"],
    ),  # type: ignore[arg-type]
    (
        "without parentheses",
        lambda: pipeline_task(plain),  # type: ignore[arg-type]
        ["pipeline_task stands there without its options; write @pipeline_task(output=...)"],
    ),
    (
        "a class",
        lambda: pipeline_task(output="a")(int),
        ["only a function or a task can be annotated, found 'int'"],
    ),
    (
        "a value",
        lambda: CPUProfile(cpu_units=1)(5),
        ["only a function or a task can be annotated, found 'int'"],
    ),
    (
        "a built-in",
        lambda: CPUProfile(cpu_units=1)(len),
        ["'len' cannot be annotated; wrap it in a function of its own"],
    ),
    *(
        (
            f"cpu {value!r}",
            lambda value=value: CPUProfile(cpu_units=value),
            [f"cpu_units is {value!r}; give a number of cores above 0, such as 0.5 or 2"],
        )
        for value in (0, -1, True, "2", None, float("nan"), float("inf"))
    ),
    *(
        (
            f"ram {value!r}",
            lambda value=value: RAMProfile(ram_mb=value),
            [f"ram_mb is {value!r}; give a number of mebibytes, 0 or more, such as 2048"],
        )
        for value in (-1, False, "1 GB", float("nan"))
    ),
]


@pytest.mark.parametrize(("make", "problems"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_wrong_annotations(make: Callable[[], Any], problems: list[str]) -> None:
    with pytest.raises(GraphError) as caught:
        make()
    assert list(caught.value.problems) == problems


@pytest.mark.parametrize(("units", "megabytes"), [(0.5, 0), (1, 0.5), (64, 1 << 20)])
def test_right_profiles(units: float, megabytes: float) -> None:
    function = RAMProfile(ram_mb=megabytes)(CPUProfile(cpu_units=units)(fresh(plain)))
    assert spec_of(function).resources == {"cpu": units, "ram_mb": megabytes}
    assert (CPUProfile().cpu_units, RAMProfile().ram_mb) == (1, 0)


def test_contradictions_are_refused_and_repetitions_are_not() -> None:
    function = CPUProfile(cpu_units=2)(pipeline_task(output="a", inputs=["data"])(fresh(plain)))
    pipeline_task(output="a", inputs=["data"])(function)
    CPUProfile(cpu_units=2)(function)
    before = spec_of(function)
    with pytest.raises(GraphError) as caught:
        pipeline_task(output="b", inputs=["rate"])(function)
    assert list(caught.value.problems) == [
        "the output of 'sync' is declared twice, as ['a'] and as ['b']; keep one of them",
        "the input of 'sync' is declared twice, as ['data'] and as ['rate']; keep one of them",
    ]
    with pytest.raises(GraphError, match="the resource 'cpu' of 'sync' is declared twice, as 2 and as 4"):
        CPUProfile(cpu_units=4)(function)
    assert spec_of(function) == before


class Split(NamedTuple):
    head: str
    tail: int


def signature(function: Callable[..., Any]) -> TaskSignature:
    return signature_of(function)


def test_a_signature_says_what_data_can_be_wired_to() -> None:
    def everything(
        fixed: bytes,
        /,
        data: list[str],
        untyped,  # type: ignore[no-untyped-def]
        rate: Annotated[int, "hertz"] = 5,
        *args: int,
        strict: bool,
        ctx: Annotated[Context, TaskiqDepends()],
        other: Context = TaskiqDepends(),  # noqa: B008
        progress_callback: Any = None,
        **extra: str,
    ) -> Coroutine[Any, Any, dict[str, int]]: ...

    assert signature(everything) == TaskSignature(
        parameters=(
            TaskParameter("data", list[str]),
            TaskParameter("untyped"),
            TaskParameter("rate", Annotated[int, "hertz"], has_default=True),
            TaskParameter("strict", bool, keyword_only=True),
        ),
        dependencies=frozenset({"ctx", "other"}),
        reports_progress=True,
        extra_keywords=True,
        extra_annotation=str,
        positional_only=("fixed",),
        returns=dict[str, int],
    )
    assert signature(everything).names == ("data", "untyped", "rate", "strict")
    assert signature(everything).required == ("data", "untyped", "strict")
    assert signature(everything).accepts == {
        "data": list[str],
        "rate": Annotated[int, "hertz"],
        "strict": bool,
    }


def test_one_unknown_annotation_leaves_the_others_known() -> None:
    def half(good: list[int], bad: Nowhere) -> Awaitable[float]: ...  # type: ignore[name-defined]  # noqa: F821

    assert signature(half).accepts == {"good": list[int]}
    assert signature(half).names == ("good", "bad")
    assert signature(half).returns is float


def test_a_signature_is_read_once() -> None:
    broker = InMemoryBroker()
    task = broker.task(fresh(plain))
    assert signature_of(task) is signature_of(task) is signature_of(task.kicker())


RETURNS: list[tuple[Any, int, Any]] = [
    (Any, 3, ()),
    (int, 0, ()),
    (int, 1, (int,)),
    (tuple[int, str], 1, (tuple[int, str],)),
    (tuple[int, str], 2, (int, str)),
    (Annotated[tuple[int, str], "extra"], 2, (int, str)),
    (tuple[int, ...], 3, (int, int, int)),
    (list[str], 2, (str, str)),
    (Split, 2, (str, int)),
    (list, 2, ()),
    (tuple[int, str], 3, "which has 2 elements"),
    (Split, 3, "Split, which has 2 elements"),
    (int, 2, "int, which is no sequence"),
    (dict[str, int], 2, "which is no sequence"),
    (type(None), 2, "which is no sequence"),
]


@pytest.mark.parametrize(("returns", "count", "expected"), RETURNS, ids=str)
def test_the_annotation_of_each_output(returns: Any, count: int, expected: Any) -> None:
    known = TaskSignature(returns=returns)
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            known.returns_for([f"out{number}" for number in range(count)])
    else:
        assert known.returns_for([f"out{number}" for number in range(count)]) == expected


def test_names_and_tasks_behind_objects() -> None:
    broker = InMemoryBroker()
    task = broker.task(fresh(plain))
    assert (name_of(task), name_of(task.kicker()), name_of(plain)) == ("sync", "sync", "plain")
    again = InMemoryBroker().task(task.original_func)  # renamed by taskiq a second time
    assert name_of(again) == "sync"
    assert task_of(task) is task
    assert task_of(task.kicker()) is task
    lost = task.kicker().with_broker(InMemoryBroker())
    for wrong, problem in [
        (plain, "'plain' is a plain function; decorate it with @broker.task first"),
        (5, "expected a task, found int"),
        (lost, f"task {task.task_name!r} is not known to its broker; import the module that has it"),
    ]:
        with pytest.raises(GraphError) as caught:
            task_of(wrong)
        assert str(caught.value) == problem
