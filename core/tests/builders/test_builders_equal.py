"""Random dataflows, flat and nested: a part that becomes a pipeline of its own changes nothing that can be seen."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from attrs import frozen
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, Pipeline, name_task

DEFAULTS = {"rate": 5, "limit": 7}
INPUTS = {"a": 1, "b": 2}


@frozen
class Step:
    """A task: its name, which is that of its output too, and the names that it takes; defaults are in ``DEFAULTS``."""

    name: str
    takes: tuple[str, ...]


def random_steps(random: Random) -> list[Step]:
    known, steps = list(INPUTS), []
    for number in range(random.randint(2, 7)):
        takes = random.sample(known, random.randint(1, min(3, len(known))))
        defaults = [name for name in DEFAULTS if random.random() < 0.3]
        steps.append(Step(f"t{number}", (*takes, *defaults)))
        known.append(f"t{number}")
    return steps


class Book:
    """The steps as tasks, and how often each was called."""

    def __init__(self, steps: list[Step]) -> None:
        self.broker = InMemoryBroker()
        self.calls: Counter[str] = Counter()
        self.tasks = {step.name: self._task(step) for step in steps}

    def _task(self, step: Step) -> Any:
        async def call(**given: int) -> int:
            self.calls[step.name] += 1
            return value_of(step, given)

        parameters = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=DEFAULTS.get(name, inspect.Parameter.empty),
                annotation=int,
            )
            for name in step.takes
        ]
        call.__name__ = step.name
        call.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
        call.__annotations__ = {**dict.fromkeys(step.takes, int), "return": int}
        return self.broker.register_task(call, task_name=step.name)


def value_of(step: Step, given: dict[str, int]) -> int:
    total = len(step.name) + int(step.name[1:])
    for name in step.takes:
        total = (3 * total + given.get(name, DEFAULTS.get(name, 0))) % 10_007
    return total


def evaluate(
    steps: list[Step], given: dict[str, int], wanted: list[str]
) -> tuple[dict[str, int], Counter[str]]:
    """Return the wanted outputs, and which steps are called for them."""
    by_name, made, calls = {step.name: step for step in steps}, dict(given), Counter[str]()

    def get(name: str) -> int:
        if name not in made:
            step = by_name[name]
            values = {each: get(each) for each in step.takes if each in made or each not in DEFAULTS}
            made[name] = value_of(step, values)
            calls[name] += 1
        return made[name]

    return {name: get(name) for name in wanted}, calls


def nest(random: Random, book: Book, steps: list[Step], wanted: list[str]) -> DataflowPipeline:
    """Return a dataflow, some of whose steps are in a pipeline within it, under other names."""
    first = random.randrange(len(steps))
    part = steps[first : random.randint(first + 1, len(steps))]
    rest = [step for step in steps if step not in part]
    names = {step.name: step.name.replace("t", random.choice(("t", "inner_"))) for step in part}
    inner = DataflowPipeline.from_tasks(book.broker, [book.tasks[step.name] for step in part])
    inner.rename({old: new for old, new in names.items() if old != new})
    if random.random() < 0.3:
        inner.scope("deep")
        names = {old: f"deep.{new}" for old, new in names.items()}
    inputs = {name: name.rpartition(".")[2] for name in inner.inputs if "." in name}
    outputs = {new: old for old, new in names.items()}
    whole = DataflowPipeline(book.broker, outputs=wanted)
    if random.random() < 0.5:
        whole.add(inner, inputs=inputs, outputs=outputs, name="part")
    else:
        # Once more within a chain or a dataflow.
        whole.add(DataflowPipeline(book.broker).add(inner, inputs=inputs, outputs=outputs))
    for step in rest:
        task = book.tasks[step.name]
        if random.random() < 0.3 and step.takes[0] not in DEFAULTS:
            chain = Pipeline(book.broker, task)
            whole.add(name_task(chain, f"chain_{step.name}", output=step.name))
        else:
            whole.add(task)
    return whole


@pytest.mark.parametrize("block", range(3))
async def test_a_nested_dataflow_gives_what_the_flat_one_gives(
    block: int, scaled: Callable[[int], int]
) -> None:
    for number in range(scaled(500)):
        seed = f"{block}/{number}"
        random = Random(seed)
        steps = random_steps(random)
        book = Book(steps)
        wanted = random.sample([step.name for step in steps], random.randint(1, min(2, len(steps))))
        flat = DataflowPipeline.from_tasks(book.broker, list(book.tasks.values()), outputs=wanted)
        nested = nest(random, book, steps, wanted)
        given = dict(INPUTS)
        given.update((name, random.randint(10, 99)) for name in DEFAULTS if random.random() < 0.4)
        for pipeline in (flat, nested):
            more = {name: 4 for name in flat.graph.nodes if name not in wanted and random.random() < 0.2}
            if pipeline is nested:
                more = {name: 4 for name in more if name in nested._list_products()}
            values = {**given, **more}
            known = {*pipeline.inputs, *pipeline._list_products()}
            values = {name: value for name, value in values.items() if name in known}
            expected, calls = evaluate(steps, {**INPUTS, **values}, wanted)
            book.calls.clear()
            assert await pipeline.kiq_dataflow(**values) == expected, seed
            assert book.calls == calls, seed
