"""Random pipelines that are wired by names, twice: as a pipeline, and as what Python would do.

A description is a list of producers, each of which knows only names: what it takes and what it gives. The naive
evaluator asks for a name, and calls the function of whoever produces it, once.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any, Union

from attrs import field, frozen
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, pipeline_task

__all__ = ["Dataflow", "Evaluator", "Lost", "TaskBook", "build", "random_dataflow"]


class Boom(Exception):
    """What the tasks here fail with."""


class Lost(Exception):
    """Some data is not there, because a cell failed."""


@frozen
class Function:
    """What a task does: a number or a list from everything that it takes.

    :param params: Its parameters, each with its default; ``None`` for a required one.
    :param gives: The kinds of its outputs: ``n`` for a number, ``l`` for a list of numbers.
    :param salt: Makes functions differ.
    :param fragile: Whether it fails for some numbers.
    """

    params: tuple[tuple[str, int | None], ...]
    gives: str
    salt: int
    fragile: bool

    def call(self, given: Mapping[str, Any]) -> Any:
        """Return what it makes of its arguments.

        :raises Boom: it fails.
        """
        total = self.salt
        for name, default in self.params:
            value = given.get(name, default)
            assert value is not None
            total = 3 * total + (sum(value) + len(value) if isinstance(value, list) else value)
        total %= 1_000
        if self.fragile and total % 6 == 1:
            raise Boom(f"{self.salt} cannot take {total}")
        made = [total if kind == "n" else [total + each for each in range(total % 4)] for kind in self.gives]
        return made[0] if len(made) == 1 else tuple(made)


@frozen
class Task:
    """A task in the pipeline."""

    function: Function
    outputs: tuple[str, ...]


@frozen
class Map:
    """A task, or tasks of which the last one gives the result, for each element of a list."""

    body: tuple[Task, ...]
    over: str
    item: str
    output: str
    skip_errors: bool
    max_parallel: int | None


@frozen
class Reduce:
    """A task for a whole list."""

    function: Function
    over: str
    output: str


Producer = Union[Task, Map, Reduce]


@frozen
class Dataflow:
    """A description.

    :param producers: In an order in which each needs only those before it.
    :param wanted: The wanted outputs; ``None`` for all.
    :param given: The inputs of the run, with defaults that are given and produced data that is overridden.
    """

    producers: tuple[Producer, ...]
    wanted: tuple[str, ...] | None
    given: Mapping[str, Any]


class TaskBook:
    """Makes each function a task once, and counts calls."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self.broker = broker
        self.calls: Counter[tuple[Function, str]] = Counter()
        self._tasks: dict[tuple[Function, tuple[str, ...]], Any] = {}

    def task(self, function: Function, outputs: tuple[str, ...]) -> Any:
        """Return a function as a task."""
        made = self._tasks.get((function, outputs))
        if made is None:
            made = self._tasks[function, outputs] = self._make(function, outputs)
        return made

    def _make(self, function: Function, outputs: tuple[str, ...]) -> Any:
        async def call(**given: Any) -> Any:
            arguments = {
                **{name: default for name, default in function.params if default is not None},
                **given,
            }
            self.calls[function, repr(sorted(arguments.items()))] += 1
            return function.call(given)

        call.__name__ = f"task_{len(self._tasks)}"
        call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=inspect.Parameter.empty if default is None else default,
                )
                for name, default in function.params
            ]
        )
        call.__annotations__ = {}
        decorated = pipeline_task(outputs=list(outputs))(call) if outputs else call
        return self.broker.register_task(decorated, task_name=f"task_{len(self._tasks)}")


class Evaluator:
    """Gives data by name.

    :ivar calls: How often each function is called with each value.
    :ivar failures: The texts of the failed cells that count.
    :ivar left_out: Those of cells that a map left out.
    """

    def __init__(self, dataflow: Dataflow) -> None:
        self.calls: Counter[tuple[Function, str]] = Counter()
        self.failures: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self._forgiving = False
        self._dataflow = dataflow
        self._producers: dict[str, Producer] = {
            name: producer for producer in dataflow.producers for name in outputs_of(producer)
        }
        self._made: dict[str, Any] = dict(dataflow.given)

    def evaluate(self) -> tuple[dict[str, Any], bool]:
        """Return the outputs that are there in the end, and whether these are all."""
        wanted = self._dataflow.wanted or tuple(self._producers)
        found: dict[str, Any] = {}
        for name in wanted:
            try:
                found[name] = self._get(name)
            except Lost:
                continue
        return found, len(found) == len(wanted)

    def _get(self, name: str) -> Any:
        if name not in self._made:
            producer = self._producers[name]
            try:
                values = self._produce(producer)
            except Lost:
                values = (Lost,) * len(outputs_of(producer))
            for output, value in zip(outputs_of(producer), values, strict=True):
                self._made.setdefault(output, value)
        if self._made[name] is Lost:
            raise Lost
        return self._made[name]

    def _produce(self, producer: Producer) -> tuple[Any, ...]:
        if isinstance(producer, Task):
            result = self._call(producer.function, self._arguments(producer.function, {}))
            return tuple(result) if len(producer.outputs) > 1 else (result,)
        if isinstance(producer, Reduce):
            return (self._call(producer.function, self._arguments(producer.function, {})),)
        return (self._map(producer),)

    def _arguments(self, function: Function, inside: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a function gets: what is inside of a map first, then what there is by name.

        Everything is asked for before one of them counts as lost: other tasks run as well.
        """
        found, lost = {}, False
        for name, default in function.params:
            if name in inside:
                found[name] = inside[name]
            elif default is None or name in self._made or name in self._producers:
                try:
                    found[name] = self._get(name)
                except Lost:
                    lost = True
        if lost:
            raise Lost
        return found

    def _call(self, function: Function, arguments: Mapping[str, Any]) -> Any:
        whole = {**{name: default for name, default in function.params if default is not None}, **arguments}
        self.calls[function, repr(sorted(whole.items()))] += 1
        try:
            return function.call(arguments)
        except Boom as error:
            (self.left_out if self._forgiving else self.failures)[str(error)] += 1
            raise Lost from None

    def _map(self, producer: Map) -> list[Any]:
        # What the body takes from outside is made before the map begins.
        inner = {name for task in producer.body for name in task.outputs}
        lost, shared = False, {}
        for task in producer.body:
            outside = evolve_params(task.function, inner | {producer.item})
            try:
                shared.update(self._arguments(outside, {}))
            except Lost:
                lost = True
        try:
            values = self._get(producer.over)
        except Lost:
            lost = True
        if lost:
            raise Lost
        found = []
        self._forgiving = producer.skip_errors
        for value in values:
            try:
                found.append(self._item(producer, value, shared))
            except Lost:
                lost = lost or not producer.skip_errors
        self._forgiving = False
        if lost:
            raise Lost
        return found

    def _item(self, producer: Map, value: Any, shared: Mapping[str, Any]) -> Any:
        data = {**shared, producer.item: value}
        result = None
        for task in producer.body:
            known = {name: data[name] for name, _ in task.function.params if name in data}
            result = data[task.outputs[0]] = self._call(task.function, known)
        return result


def outputs_of(producer: Producer) -> tuple[str, ...]:
    """Return the names of what a producer gives."""
    return producer.outputs if isinstance(producer, Task) else (producer.output,)


def evolve_params(function: Function, without: set[str]) -> Function:
    """Return a function without some of its parameters."""
    kept = tuple((name, default) for name, default in function.params if name not in without)
    return Function(kept, function.gives, function.salt, function.fragile)


@frozen(eq=False)
class Maker:
    """Makes random descriptions."""

    random: Random
    kinds: dict[str, str] = field(factory=lambda: {"a": "n", "b": "n", "xs": "l"})

    def function(
        self, gives: str, *, of: list[str], extra: tuple[str, ...] = (), inside: bool = False
    ) -> Function:
        """Return a function of some of the data there is, and of ``extra``.

        :param inside: Whether it stands in a pipeline within the pipeline, whose defaults only inputs replace.
        """
        random = self.random
        rest = [name for name in of if name not in extra]
        names = [*extra, *random.sample(rest, random.randint(0 if extra else 1, min(3, len(rest))))]
        params: list[tuple[str, int | None]] = [(name, None) for name in names]
        if random.random() < 0.3:
            params.append((random.choice(("rate", "limit")), random.randint(1, 3)))
        numbers = [
            name
            for name in of
            if self.kinds[name] == "n" and name not in names and (name in ("a", "b") or not inside)
        ]
        if numbers and random.random() < 0.2:
            params.append((random.choice(numbers), 5))
        return Function(tuple(params), gives, random.randint(1, 9), random.random() < 0.3)

    def dataflow(self) -> Dataflow:
        """Return a description."""
        random, kinds = self.random, self.kinds
        producers: list[Producer] = []
        for number in range(random.randint(1, 7)):
            name, data = f"d{number}", list(kinds)
            lists = [each for each in data if kinds[each] == "l"]
            choice = random.random()
            if choice < 0.3:
                producers.append(self.map(name, random.choice(lists), data))
                kinds[name] = "l"
            elif choice < 0.4:
                over = random.choice(lists)
                producers.append(Reduce(self.function("n", of=data, extra=(over,)), over, name))
                kinds[name] = "n"
            else:
                gives = random.choice(("n", "n", "l", "nl"))
                outputs = (name,) if len(gives) == 1 else (name, f"e{number}")
                producers.append(Task(self.function(gives, of=data), outputs))
                kinds.update(zip(outputs, gives, strict=True))
        return self.start(tuple(producers))

    def map(self, output: str, over: str, data: list[str]) -> Map:
        """Return a map."""
        random = self.random
        of = [name for name in data if name != over]
        several = random.random() < 0.4
        body = [Task(self.function("n", of=of, extra=("item",), inside=several), ("made",))]
        if several:
            body.append(Task(self.function("n", of=of, extra=("made",), inside=True), ("last",)))
        limit = random.choice((None, None, 1, 2))
        return Map(tuple(body), over, "item", output, random.random() < 0.4, limit)

    def start(self, producers: tuple[Producer, ...]) -> Dataflow:
        """Choose what a run produces and is given."""
        random, kinds = self.random, self.kinds
        produced = [name for producer in producers for name in outputs_of(producer)]
        wanted = (
            tuple(random.sample(produced, random.randint(1, len(produced))))
            if random.random() < 0.5
            else None
        )
        given: dict[str, Any] = {}
        if wanted is not None and random.random() < 0.4:
            # What is wanted is produced in any case, so only other data can be given.
            for name in random.sample(produced, min(2, len(produced))):
                if name not in wanted:
                    given[name] = self.value(kinds[name])
        needed, defaults = needs(producers, wanted or tuple(produced), given)
        given = {name: value for name, value in given.items() if name in needed}
        for name in ("a", "b", "xs"):
            if name in needed:
                given[name] = self.value(kinds[name])
        for name in sorted(defaults):
            if random.random() < 0.5:
                given[name] = self.value("n")
        return Dataflow(producers, wanted, given)

    def value(self, kind: str) -> Any:
        """Return a value of a kind."""
        random = self.random
        number = random.randint(1, 30)
        return number if kind == "n" else [number + each for each in range(random.randint(0, 4))]


def needs(
    producers: tuple[Producer, ...], wanted: tuple[str, ...], given: Mapping[str, Any]
) -> tuple[set[str], set[str]]:
    """Return all data that a run needs, and the defaults that it may be given."""
    by_name = {name: producer for producer in producers for name in outputs_of(producer)}
    needed: set[str] = set()
    defaults: set[str] = set()
    ask = list(wanted)
    while ask:
        name = ask.pop()
        if name in needed:
            continue
        needed.add(name)
        if name in given or name not in by_name:
            continue
        producer = by_name[name]
        inner: set[str] = set()
        functions = (
            [producer.function]
            if not isinstance(producer, Map)
            else [task.function for task in producer.body]
        )
        if isinstance(producer, Map):
            inner = {producer.item, *(each for task in producer.body for each in task.outputs)}
            ask.append(producer.over)
        for function in functions:
            for param, default in function.params:
                if param in inner:
                    continue
                if default is None or param in by_name:
                    ask.append(param)
                elif default is not None:
                    defaults.add(param)
    return needed, defaults


def random_dataflow(random: Random) -> Dataflow:
    """Return a description."""
    return Maker(random).dataflow()


def build(dataflow: Dataflow, book: TaskBook) -> DataflowPipeline:
    """Return the pipeline of a description."""
    tasks = [book.task(each.function, each.outputs) for each in dataflow.producers if isinstance(each, Task)]
    pipeline = DataflowPipeline.from_tasks(book.broker, tasks, outputs=dataflow.wanted)
    for each in dataflow.producers:
        if isinstance(each, Map):
            inner = [book.task(task.function, task.outputs) for task in each.body]
            body = inner[0]
            if len(inner) > 1:
                body = DataflowPipeline.from_tasks(book.broker, inner, outputs=each.body[-1].outputs)
            pipeline.map(
                body,
                each.over,
                each.output,
                item_param=each.item,
                skip_errors=each.skip_errors,
                max_parallel=each.max_parallel,
            )
        elif isinstance(each, Reduce):
            pipeline.reduce(book.task(each.function, ()), each.over, each.output)
    return pipeline
