"""Annotations are those that Python's rules give: of signatures, decorators, callables and abstract classes."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import (
    Callable,
    Collection,
    Container,
    Generator,
    Iterable,
    Iterator,
    Reversible,
    Sequence,
    Sized,
)
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Generic, Optional, TypedDict, TypeVar, Union

import pytest
from taskiq import InMemoryBroker, TaskiqDepends
from typing_extensions import NotRequired, Required, Unpack

from taskiq_flow import DataflowPipeline, GraphError, PayloadError, Pipeline, pipeline_task
from taskiq_flow.tasks.signatures import TaskParameter, TaskSignature, read_signature

if TYPE_CHECKING:
    from nowhere import Unknown

T = TypeVar("T")


@dataclass
class Section:
    title: str


class Options(TypedDict, total=False):
    since: date
    until: Required[date]


class More(Options):
    limit: int
    note: NotRequired[str]


def give() -> int: ...


def day_of(day: date, sections: list[Section]) -> tuple[date, Section]:
    return day, sections[0]


def wrapped(function: Callable[..., T]) -> Callable[..., T]:
    @functools.wraps(function)
    def around(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return around


def signed(function: Callable[..., Any]) -> Callable[..., Any]:
    def around(**kwargs: Any) -> Any:
        return function(**kwargs)

    around.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return around


class Scaler(Generic[T]):
    def __call__(self, day: date, sections: list[Section]) -> tuple[date, Section]:
        return day_of(day, sections)

    def scale(self, day: date, sections: list[Section]) -> tuple[date, Section]:
        return day_of(day, sections)

    @classmethod
    def make(cls, day: date, sections: list[Section]) -> tuple[date, Section]:
        return day_of(day, sections)

    @staticmethod
    def plain(day: date, sections: list[Section]) -> tuple[date, Section]:
        return day_of(day, sections)


class Unhashable(Scaler[int]):
    __hash__ = None  # type: ignore[assignment]


CALLABLES: dict[str, Callable[..., Any]] = {
    "function": day_of,
    "wrapped": wrapped(day_of),
    "wrapped twice": wrapped(wrapped(day_of)),
    "signed": signed(day_of),
    "partial": functools.partial(day_of),
    "partial of wrapped": functools.partial(wrapped(day_of)),
    "callable": Scaler[int](),
    "partial of callable": functools.partial(Scaler[int]()),
    "without a hash": Unhashable(),
    "bound method": Scaler[int]().scale,
    "class method": Scaler.make,
    "static method": Scaler.plain,
}


@pytest.mark.parametrize("function", CALLABLES.values(), ids=CALLABLES)
def test_every_callable_has_its_annotations(function: Callable[..., Any]) -> None:
    assert read_signature(function) == TaskSignature(
        parameters=(TaskParameter("day", date), TaskParameter("sections", list[Section])),
        returns=tuple[date, Section],
    )


def test_what_a_partial_has_bound_is_no_parameter_or_has_a_default() -> None:
    by_name = read_signature(functools.partial(day_of, sections=[]))
    assert by_name.by_name["sections"] == TaskParameter("sections", list[Section], True, True)
    assert read_signature(functools.partial(day_of, date(2024, 5, 1))).names == ("sections",)


def test_one_that_cannot_be_resolved_takes_no_other_with_it() -> None:
    def show(unknown: Unknown, day: date, other: list[Unknown]) -> Section: ...

    signature = read_signature(show)
    assert signature.accepts == {"day": date}
    assert signature.returns is Section


def test_names_of_an_enclosing_function_are_found_where_it_uses_them() -> None:
    class Local:
        pass

    def show(value: Local) -> None:
        assert Local

    assert read_signature(show).accepts == {"value": Local}


def test_a_default_of_none_allows_none() -> None:
    def show(a=None, b=None, c=None, d=None) -> None: ...  # type: ignore[no-untyped-def]

    show.__annotations__.update(a=int, b=Annotated[int, "x"], c=Optional[int], d=Any)
    assert read_signature(show).accepts == {
        "a": Optional[int],
        "b": Optional[Annotated[int, "x"]],
        "c": Optional[int],
    }


def test_dependencies_are_found_in_any_form() -> None:
    def show(a: Annotated[int, TaskiqDepends(give)], b: int = TaskiqDepends(give), *, c: int) -> None: ...

    signature = read_signature(wrapped(show))
    assert (signature.names, signature.dependencies) == (("c",), {"a", "b"})


def test_keywords_have_annotations() -> None:
    def every(**sections: Section) -> None: ...
    def some(x: int, **options: Unpack[More]) -> None: ...
    def any_(**options: Any) -> None: ...

    signature = read_signature(every)
    assert signature.extra_keywords
    assert (signature.accepts.get("intro"), signature.accepts.get("outro", Any)) == (Section, Section)
    assert read_signature(any_).accepts.get("intro", Any) is Any
    assert read_signature(some).parameters == (
        TaskParameter("x", int),
        TaskParameter("since", date, True, True),
        TaskParameter("until", date, False, True),
        TaskParameter("limit", int, False, True),
        TaskParameter("note", str, True, True),
    )
    assert not read_signature(some).extra_keywords


async def test_keywords_are_read_by_their_annotations() -> None:
    broker = InMemoryBroker()

    @broker.task
    @pipeline_task(output="intro")
    def intro(x: int) -> Section:
        return Section("Intro")

    @broker.task
    @pipeline_task(output="kinds", inputs=["intro"])
    def bind(**sections: Section) -> list[str]:
        return [type(section).__name__ for section in sections.values()]

    @broker.task
    def listed(x: int, **options: Unpack[More]) -> list[str]:
        return [type(each).__name__ for each in options.values()]

    assert (await DataflowPipeline.from_tasks(broker, [intro, bind]).kiq_dataflow(x=1))["kinds"] == [
        "Section"
    ]
    pipeline = Pipeline(broker).call_next(listed, until=date(2024, 5, 1), limit=3)
    assert await (await pipeline.kiq(1)).result(timeout=10) == ["date", "int"]
    with pytest.raises(GraphError, match="requires 'until', 'limit'"):
        Pipeline(broker, intro).call_next(listed).graph.digest  # noqa: B018
    with pytest.raises(GraphError, match="has no parameter 'untill'"):
        Pipeline(broker).call_next(listed, untill=3, until=date(2024, 5, 1), limit=3).graph.digest  # noqa: B018


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is that of Python 3.12")
def test_the_syntax_of_type_parameters() -> None:
    names: dict[str, Any] = {}
    exec(
        "type Numbers = list[int]\ndef show[T: int](xs: Numbers, x: T, y: 'T | None') -> list[T]: ...", names
    )
    accepts = read_signature(names["show"]).accepts
    assert accepts["xs"] is names["Numbers"]
    assert [str(each) for each in accepts.values()] == ["Numbers", "T", "typing.Optional[T]"]


def spread(values: Iterable[int]) -> int:
    return max(values) - min(values)


def count(values: Collection[date]) -> list[str]:
    return [type(value).__name__ for value in values] * len(values)


def first(values: Iterator[date]) -> list[str]:
    return [type(next(values)).__name__, type(next(values)).__name__]


def size(values: Sized) -> int:
    return len(values)


def backwards(values: Reversible[int]) -> list[int]:
    return list(reversed(values))


def holds(values: Container[int]) -> bool:
    return 2 in values


def nested(values: dict[str, Iterable[int]]) -> int:
    return sum(len(list(each)) for each in values.values())


def perhaps(values: Union[Iterable[int], None]) -> int:
    return 0 if values is None else sum(values)


def either(values: Sequence[Iterable[int]]) -> list[int]:
    return [sum(each) for each in values]


@pytest.mark.parametrize(
    ("function", "value", "wanted"),
    [
        (spread, [1, 5], 4),
        (count, [date(2024, 5, 1)], ["date"]),
        (first, [date(2024, 5, 1), date(2024, 5, 2)], ["date", "date"]),
        (size, [1, 2, 3], 3),
        (size, {"a": 1}, 1),
        (size, "four", 4),
        (backwards, [1, 2], [2, 1]),
        (holds, [1, 2], True),
        (nested, {"a": [1], "b": [2, 3]}, 3),
        (perhaps, [1, 2], 3),
        (perhaps, None, 0),
        (either, [[1], [2, 3]], [1, 5]),
    ],
)
async def test_abstract_collections_are_what_python_says(function: Any, value: Any, wanted: Any) -> None:
    broker = InMemoryBroker()
    handle = await Pipeline(broker, broker.task(function)).kiq(value)
    assert await handle.result(timeout=10) == wanted


@pytest.mark.parametrize("value", [5, ["x"], None])
async def test_what_is_no_such_collection_does_not_fit(value: Any) -> None:
    broker = InMemoryBroker()
    handle = await Pipeline(broker, broker.task(spread)).kiq(value)
    with pytest.raises(PayloadError) as caught:
        await handle.result(timeout=10)
    assert re.match(
        r"parameter 'values' of task .*spread.*': the value does not fit .*Iterable", str(caught.value)
    )
    assert re.search(r"Iterable\[int\]: (at \[0\]: )?(value error, )?input should be", str(caught.value))


def lazily(count: int) -> Iterable[date]:
    yield from [date(2024, 5, 1)] * count


def stepwise(count: int) -> Iterator[int]:
    return iter(range(count))


def generated(count: int) -> Generator[int, None, str]:
    yield from range(count)
    return "done"


@pipeline_task(outputs=["ones", "rest"])
def both(count: int) -> tuple[Iterator[int], Iterable[int]]:
    return iter([1]), (each for each in range(count))


async def test_what_can_be_read_once_is_handed_over_as_a_list() -> None:
    broker = InMemoryBroker()
    for function, wanted in [(lazily, [date(2024, 5, 1)] * 2), (stepwise, [0, 1]), (generated, [0, 1])]:
        handle = await Pipeline(broker, broker.task(function)).kiq(2)
        assert await handle.result(timeout=10) == wanted
    outputs = await DataflowPipeline.from_tasks(broker, [broker.task(both)]).kiq_dataflow(count=2)
    assert outputs == {"ones": [1], "rest": [0, 1]}


@pytest.mark.parametrize(
    ("returns", "refused"),
    [
        (list, True),
        (list[int], True),
        (dict[str, int], True),
        (str, True),
        (bool, False),
        (Any, False),
        (Union[bool, None], False),
        (Annotated[bool, "x"], False),
        (int, False),
    ],
)
def test_a_predicate_returns_a_bool_on_every_python(returns: Any, refused: bool) -> None:
    broker = InMemoryBroker()

    def decide(x: int) -> Any: ...

    decide.__annotations__["return"] = returns
    pipeline = Pipeline(broker).branch(broker.task(decide), broker.task(backwards))
    if not refused:
        assert pipeline.graph.nodes
        return
    with pytest.raises(GraphError, match="task 'decide' decides a branch but returns"):
        pipeline.graph.digest  # noqa: B018
