"""Random hand-chained pipelines, three times: as a description, as a pipeline, and as what Python would do.

The naive evaluator walks through the description. It knows the library's words (a branch, a map that leaves items
out), and none of its parts: no graph, no machine, no events.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, Union

from attrs import field, frozen
from taskiq import InMemoryBroker

from taskiq_flow import Failure, Pipeline

__all__ = ["Chain", "ChainTasks", "Evaluation", "Lost", "build", "random_chain"]


class Boom(Exception):
    """What the tasks here fail with."""


class Lost(Exception):
    """The value that a step needs is not there, because a cell before it failed."""


@frozen
class Call:
    """A task with its extra arguments; ``aside`` when the value stays the same."""

    task: str
    extra: tuple[tuple[str, int], ...] = ()
    aside: bool = False


@frozen
class Each:
    """A map, or a filter.

    :param fills: What stands in the place of a failed item: ``none`` or ``failure``; a task behind the map takes it.
    :param chunk: How many elements the body takes at once.
    :param keyed: Whether a dictionary is gone through, which is made of the list, and made a list again.
    """

    body: Runnable
    keep: bool = False
    skip_errors: bool = False
    max_parallel: int | None = None
    fills: str = ""
    chunk: int | None = None
    keyed: bool = False


@frozen
class Tree:
    """A reduction in a tree."""

    task: str
    fan_in: int


@frozen
class Group:
    """Several side by side; ``settled`` when a task behind them takes the failures of some."""

    members: tuple[Runnable, ...]
    settled: bool = False


@frozen
class Branch:
    """Two sides, one of which runs."""

    predicate: Call
    then: Runnable
    otherwise: Runnable | None


@frozen
class Chain:
    """Steps, each of which takes the value of the one before it."""

    steps: tuple[Step, ...]


Runnable = Union[Call, Chain]
Step = Union[Call, Each, Tree, Group, Branch, Chain]

Function = Callable[..., Any]


def _functions() -> dict[str, Function]:
    """What the tasks do: ``n`` takes a number, ``l`` a list of numbers; the second letter is what comes out."""

    def nn_add(x: int, by: int = 1) -> int:
        return x + by

    def nn_halve(x: int) -> int:
        if x % 5 == 3:
            raise Boom(f"cannot halve {x}")
        return x // 2

    def nl_spread(x: int, count: int = 3) -> list[int]:
        return [x + number for number in range(x % (count + 1))]

    def ln_total(xs: list[int]) -> int:
        return sum(xs)

    def ln_first(xs: list[int]) -> int:
        if not xs:
            raise Boom("nothing to take the first of")
        return xs[0]

    def ll_turn(xs: list[int], times: int = 1) -> list[int]:
        return (xs * times)[::-1]

    def nb_odd(x: int) -> bool:
        return x % 2 == 1

    def nb_small(x: int, limit: int = 6) -> bool:
        if x % 11 == 7:
            raise Boom(f"cannot tell whether {x} is small")
        return x < limit

    def lb_many(xs: list[int]) -> bool:
        return len(xs) > 2

    def nn_note(x: int) -> None:
        if x % 13 == 4:
            raise Boom(f"cannot note {x}")

    def fl_settle(xs: list[int | Failure | None]) -> list[int]:
        return [x if isinstance(x, int) else -1 for x in xs]

    def ld_key(xs: list[int]) -> dict[str, int]:
        return {f"key {place}": x for place, x in enumerate(xs)}

    def dl_values(xs: dict[str, int]) -> list[int]:
        return [*xs.values(), len(xs)]

    return {name: each for name, each in locals().items() if callable(each)}


FUNCTIONS = _functions()
_EXTRAS = {"nn_add": "by", "nl_spread": "count", "ll_turn": "times", "nb_small": "limit"}
_BY_KIND = {kind: [name for name in FUNCTIONS if name.startswith(kind) and name != "nn_note"] for kind in
            ("nn", "nl", "ln", "ll", "nb", "lb")}  # fmt: skip


class ChainTasks:
    """The functions as tasks of a broker, which count their calls."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self.broker = broker
        self.calls: Counter[tuple[str, str]] = Counter()
        self.tasks = {name: self._task(name, function) for name, function in FUNCTIONS.items()}

    def _task(self, name: str, function: Function) -> Any:
        signature = inspect.signature(function)

        @functools.wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            (_, value), *extra = signature.bind(*args, **kwargs).arguments.items()
            if name == "fl_settle":
                value = [None if isinstance(each, Failure) else each for each in value]
            self.calls[name, repr((value, tuple(extra)))] += 1
            return function(*args, **kwargs)

        return self.broker.register_task(call, task_name=name)


class Evaluation:
    """What a description must come to with ``on_error("continue")``: values, calls, failed cells and skipped ones.

    :ivar calls: How often each task is called with each value.
    :ivar failures: The texts of the failed cells that count.
    :ivar left_out: Those of cells that a map left out.
    :ivar skipped: How many cells outside of maps are skipped.
    """

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.failures: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.skipped = 0
        self._forgiving = 0
        self._depth = 0
        self._absorbed = False

    def run(self, runnable: Runnable | Step, value: Any, *, absorbed: bool = False) -> Any:
        """Return the value of a step.

        :param value: What it takes; :class:`Lost` where that was lost, and a group may have a task that takes failures.
        :param absorbed: Whether everything behind the step leads to such a task.
        :raises Lost: a cell that it needs has failed.
        """
        before, self._absorbed = self._absorbed, absorbed
        try:
            return self._run(runnable, value)
        finally:
            self._absorbed = before

    def _run(self, runnable: Runnable | Step, value: Any) -> Any:
        if value is Lost and not isinstance(runnable, (Chain, Group)):
            raise Lost
        if isinstance(runnable, Call):
            return self._call(runnable, value)
        if isinstance(runnable, Chain):
            return self._chain(runnable, value)
        if isinstance(runnable, Each):
            return self._each(runnable, value)
        if isinstance(runnable, Tree):
            return self._tree(runnable, value)
        if isinstance(runnable, Group):
            return self._group(runnable, value)
        return self._branch(runnable, value)

    def _call(self, call: Call, value: Any) -> Any:
        self.calls[call.task, repr((value, call.extra))] += 1
        try:
            result = FUNCTIONS[call.task](value, **dict(call.extra))
        except Boom as error:
            (self.left_out if self._forgiving or self._absorbed else self.failures)[str(error)] += 1
            raise Lost from None
        return value if call.aside else result

    def _chain(self, chain: Chain, value: Any) -> Any:
        behind = [self._absorbed]
        for step in reversed(chain.steps):
            behind.append(_absorbs(step, behind[-1]))
        for step, absorbed in zip(chain.steps, behind[-2::-1], strict=True):
            try:
                value = self.run(step, value, absorbed=absorbed)
            except Lost:
                value = Lost
        if value is Lost:
            raise Lost
        return value

    def _each(self, each: Each, values: list[int]) -> list[Any]:
        keys = list(self._call(Call("ld_key"), values)) if each.keyed else []
        items: list[Any] = values if each.chunk is None else _chunks(values, each.chunk)
        found: list[Any] = []
        kept, lost = [], False
        tolerant = each.skip_errors or self._absorbed
        self._forgiving += tolerant
        self._depth += 1
        for place, value in enumerate(items):
            try:
                result = self.run(each.body, value)
            except Lost:
                lost = lost or not each.skip_errors
                if not each.fills:
                    continue
                result = None
            if not each.keep or result:
                found.append(value if each.keep else result)
                kept += keys[place : place + 1]
        self._forgiving -= tolerant
        self._depth -= 1
        if lost:
            raise Lost
        if each.fills:
            return self._call(Call("fl_settle"), found)
        return self._call(Call("dl_values"), dict(zip(kept, found, strict=True))) if each.keyed else found

    def _tree(self, tree: Tree, values: list[int]) -> Any:
        level, first = values, True
        while first or len(level) > 1:
            groups = _chunks(level, tree.fan_in) or [[]]
            level, lost = [], False
            for group in groups:
                try:
                    alone = len(group) == 1 and not first
                    level.append(group[0] if alone else self._call(Call(tree.task), group))
                except Lost:
                    lost = True
            if lost:
                raise Lost
            first = False
        return level[0]

    def _group(self, group: Group, value: Any) -> list[Any]:
        found, lost = [], False
        for member in group.members:
            try:
                found.append(self.run(member, value, absorbed=group.settled or self._absorbed))
            except Lost:
                lost = lost or not group.settled
                found.append(None)
        if lost:
            raise Lost
        return self._call(Call("fl_settle"), found) if group.settled else found

    def _branch(self, branch: Branch, value: Any) -> Any:
        answer = self._call(branch.predicate, value)
        taken, other = (branch.then, branch.otherwise) if answer else (branch.otherwise, branch.then)
        if other is not None and not self._depth:
            self.skipped += count_nodes(other)
        return value if taken is None else self.run(taken, value, absorbed=self._absorbed)


def _absorbs(step: Runnable | Step, behind: bool) -> bool:
    """Whether everything that takes the value of a step leads to a task that takes failures.

    :param behind: The same of what takes the value that the step gives.
    """
    if isinstance(step, Chain):
        return functools.reduce(lambda found, each: _absorbs(each, found), reversed(step.steps), behind)
    if isinstance(step, Group):
        return all(_absorbs(member, step.settled or behind) for member in step.members)
    return behind


def _chunks(values: list[Any], size: int) -> list[list[Any]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def count_nodes(runnable: Runnable | Step) -> int:
    """Return how many nodes a step becomes, those inside of maps not counted."""
    if isinstance(runnable, Each):
        return 1 + bool(runnable.fills) + 2 * runnable.keyed
    if isinstance(runnable, (Call, Tree)):
        return 1
    if isinstance(runnable, Chain):
        return sum(map(count_nodes, runnable.steps))
    if isinstance(runnable, Group):
        return sum(map(count_nodes, runnable.members)) + runnable.settled
    sides = count_nodes(runnable.then) + (
        0 if runnable.otherwise is None else count_nodes(runnable.otherwise)
    )
    return 1 + sides


@frozen(eq=False)
class Maker:
    """Makes random chains; every step fits the one before it."""

    random: Random
    names: dict[str, list[str]] = field(factory=lambda: _BY_KIND)

    def call(self, kind: str) -> Call:
        """Return a task of a kind."""
        name = self.random.choice(self.names[kind])
        extra = _EXTRAS.get(name)
        if extra is None or self.random.random() < 0.5:
            return Call(name)
        return Call(name, ((extra, self.random.randint(1, 4)),))

    def chain(self, start: str, end: str | None, depth: int, most: int) -> Chain:
        """Return steps from a kind of value to another one, ``n`` or ``l``; ``None`` for any."""
        random, kind = self.random, start
        steps: list[Step] = []
        for _ in range(random.randint(1, most)):
            step, kind = self.step(kind, depth, first=not steps)
            steps.append(step)
        if end is not None and kind != end:
            steps.append(self.call(kind + end))
        return Chain(tuple(steps))

    def step(self, kind: str, depth: int, *, first: bool) -> tuple[Step, str]:
        """Return a step that takes a kind of value, and the kind that comes out."""
        random = self.random
        choice = random.random()
        if kind == "n" and not first and choice < 0.08:
            return Call("nn_note", aside=True), "n"
        if depth == 0 or choice < 0.4:
            end = random.choice("nl")
            return self.call(kind + end), end
        if choice < 0.5:
            end = random.choice("nl")
            return self.runnable(kind, end, depth, whole=True), end
        if kind == "l" and choice < 0.75:
            return self.each(depth), "l"
        if kind == "l" and choice < 0.82:
            return Tree(random.choice(self.names["ln"]), random.randint(2, 4)), "n"
        if choice < 0.88 or first:
            members = tuple(self.runnable(kind, "n", depth) for _ in range(random.randint(1, 3)))
            # What waits for a side effect without a value has nothing to take in its place.
            return Group(members, settled=random.random() < 0.4 and "aside=True" not in repr(members)), "l"
        then, otherwise = self.runnable(kind, kind, depth), None
        if random.random() < 0.6:
            otherwise = self.runnable(kind, kind, depth)
        return Branch(Call(random.choice(self.names[f"{kind}b"])), then, otherwise), kind

    def each(self, depth: int) -> Each:
        """Return a map or a filter for a list of numbers."""
        random = self.random
        skip, limit, kind = random.random() < 0.4, random.choice((None, None, 1, 2)), random.random()
        if kind < 0.3:
            return Each(self.call("nb"), keep=True, skip_errors=skip, max_parallel=limit)
        if kind < 0.45:
            body = self.runnable("l", "n", depth)
            return Each(body, skip_errors=skip, max_parallel=limit, chunk=random.randint(1, 3))
        body = self.runnable("n", "n", depth)
        if kind < 0.65:
            fills = random.choice(("none", "failure"))
            return Each(body, skip_errors=True, max_parallel=limit, fills=fills)
        return Each(body, skip_errors=skip, max_parallel=limit, keyed=kind < 0.8)

    def runnable(self, start: str, end: str, depth: int, *, whole: bool = False) -> Runnable:
        """Return a task or a chain."""
        if not whole and self.random.random() < 0.5:
            return self.call(start + end)
        return self.chain(start, end, depth - 1, 3)


def random_chain(random: Random) -> Chain:
    """Return a chain whose first value is a number."""
    return Maker(random).chain("n", None, 2, 6)


def build(chain: Chain, tasks: ChainTasks) -> Pipeline[Any, Any]:
    """Return the pipeline of a description."""
    pipeline: Pipeline[Any, Any] = Pipeline(tasks.broker)
    for step in chain.steps:
        if isinstance(step, Call):
            extra = dict(step.extra)
            task = tasks.tasks[step.task]
            if step.aside:
                pipeline.call_after(task, "x", **extra)
            else:
                pipeline.call_next(task, **extra)
        elif isinstance(step, Chain):
            pipeline.call_next(build(step, tasks))
        elif isinstance(step, Each):
            _add_each(pipeline, step, tasks)
        elif isinstance(step, Tree):
            pipeline.reduce(tasks.tasks[step.task], tree=True, fan_in=step.fan_in)
        elif isinstance(step, Group):
            pipeline.group(*(_whole(member, tasks) for member in step.members))
            if step.settled:
                pipeline.call_next(tasks.tasks["fl_settle"])
        else:
            sides = [_whole(side, tasks) for side in (step.then, step.otherwise) if side is not None]
            pipeline.branch(tasks.tasks[step.predicate.task], *sides)
    return pipeline


def _add_each(pipeline: Pipeline[Any, Any], step: Each, tasks: ChainTasks) -> None:
    body, extra = _part(step.body, tasks)
    if step.keep:
        pipeline.filter(body, skip_errors=step.skip_errors, max_parallel=step.max_parallel, **extra)
        return
    if step.keyed:
        pipeline.call_next(tasks.tasks["ld_key"])
    skip: Any = step.fills or step.skip_errors
    pipeline.map(body, skip_errors=skip, max_parallel=step.max_parallel, chunk=step.chunk, **extra)
    if step.keyed or step.fills:
        pipeline.call_next(tasks.tasks["dl_values" if step.keyed else "fl_settle"])


def _part(runnable: Runnable, tasks: ChainTasks) -> tuple[Any, dict[str, int]]:
    if isinstance(runnable, Chain):
        return build(runnable, tasks), {}
    return tasks.tasks[runnable.task], dict(runnable.extra)


def _whole(runnable: Runnable, tasks: ChainTasks) -> Any:
    """Return a task, or a pipeline where a member or a side has arguments of its own."""
    if isinstance(runnable, Call) and not runnable.extra:
        return tasks.tasks[runnable.task]
    return build(runnable if isinstance(runnable, Chain) else Chain((runnable,)), tasks)
