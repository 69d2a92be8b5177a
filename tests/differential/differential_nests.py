"""Random expressions, three times: as pipelines of both kinds within each other, and as what Python would do.

An expression takes a number and gives one: a task, several expressions in a row, or a branch. Whoever builds it chooses
at each place anew which kind of pipeline stands there.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any, Union

from attrs import define, frozen
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, Pipeline, name_task

__all__ = ["Branch", "Call", "Expression", "Nester", "Row", "TaskBook", "evaluate", "random_expression"]


@frozen
class Call:
    """A task, by its number."""

    task: int


@frozen
class Row:
    """Expressions, each of which gets the number that the one before gives."""

    parts: tuple[Expression, ...]


@frozen
class Branch:
    """One of two expressions; without the second, the number stays the same."""

    judge: int
    then: Expression
    otherwise: Expression | None


Expression = Union[Call, Row, Branch]


def random_expression(random: Random, depth: int = 3) -> Expression:
    """Return an expression."""
    choice = random.random()
    if not depth or choice < 0.35:
        return Call(random.randrange(6))
    if choice < 0.65:
        return Row(tuple(random_expression(random, depth - 1) for _ in range(random.randint(1, 3))))
    other = random_expression(random, depth - 1) if random.random() < 0.7 else None
    return Branch(random.randrange(4), random_expression(random, depth - 1), other)


def compute(task: int, number: int, rate: int) -> int:
    """Return what a task makes of a number."""
    return (number * 3 + task * rate) % 1009


def judge(task: int, number: int) -> bool:
    """Return what a predicate says of a number."""
    return (number + task) % 2 == 0


def evaluate(expression: Expression, number: int, rate: int, calls: Counter[str]) -> int:
    """Return the value of an expression.

    :param calls: How often each task is called is added to it.
    """
    if isinstance(expression, Call):
        calls[f"task_{expression.task}"] += 1
        return compute(expression.task, number, rate)
    if isinstance(expression, Row):
        for part in expression.parts:
            number = evaluate(part, number, rate, calls)
        return number
    calls[f"judge_{expression.judge}"] += 1
    side = expression.then if judge(expression.judge, number) else expression.otherwise
    return number if side is None else evaluate(side, number, rate, calls)


class TaskBook:
    """The tasks of the expressions, and how often each was called."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self.broker = broker
        self.calls: Counter[str] = Counter()
        self.tasks = [self._task(number) for number in range(6)]
        self.judges = [self._judge(number) for number in range(4)]

    def _task(self, number: int) -> Any:
        async def call(x: int, rate: int = 1) -> int:
            self.calls[f"task_{number}"] += 1
            return compute(number, x, rate)

        call.__name__ = f"task_{number}"
        return self.broker.register_task(call, task_name=call.__name__)

    def _judge(self, number: int) -> Any:
        async def call(x: int) -> bool:
            self.calls[f"judge_{number}"] += 1
            return judge(number, x)

        call.__name__ = f"judge_{number}"
        return self.broker.register_task(call, task_name=call.__name__)


@define
class Nester:
    """Builds an expression in a random way."""

    random: Random
    book: TaskBook
    count: int = 0

    def anything(self, expression: Expression) -> Any:
        """Return a task or a pipeline."""
        choice = self.random.random()
        if isinstance(expression, Call) and choice < 0.4:
            return self.book.tasks[expression.task]
        return self.chain(expression) if choice < 0.7 else self.dataflow(expression)

    def chain(self, expression: Expression, pipeline: Any = None) -> Any:
        """Return a hand-chained pipeline, or the given one with more steps."""
        pipeline = Pipeline(self.book.broker) if pipeline is None else pipeline
        if isinstance(expression, Call):
            return pipeline.call_next(self.book.tasks[expression.task])
        if isinstance(expression, Row):
            for part in expression.parts:
                if self.random.random() < 0.5:
                    self.chain(part, pipeline)
                else:
                    pipeline.call_next(self.anything(part))
            return pipeline
        sides = [self.anything(each) for each in (expression.then, expression.otherwise) if each is not None]
        return pipeline.branch(self.book.judges[expression.judge], *sides)

    def dataflow(self, expression: Expression) -> DataflowPipeline:
        """Return a dataflow from ``x`` to ``y``."""
        pipeline = DataflowPipeline(self.book.broker, outputs=["y"])
        self._put(pipeline, expression, "x", "y")
        return pipeline

    def _put(self, pipeline: DataflowPipeline, expression: Expression, source: str, target: str) -> None:
        if isinstance(expression, Row) and self.random.random() < 0.6:
            names = [source, *(self._name() for _ in expression.parts[1:]), target]
            for part, start, end in zip(expression.parts, names, names[1:], strict=False):
                self._put(pipeline, part, start, end)
        elif isinstance(expression, Branch) and self.random.random() < 0.7:
            sides: list[Any] = [
                source if each is None else self._wired(each, source)
                for each in (expression.then, expression.otherwise)
            ]
            predicate = name_task(self.book.judges[expression.judge], self._name(), inputs={"x": source})
            pipeline.branch(predicate, *sides, output=target)
        else:
            pipeline.add(self._wired(expression, source), target)

    def _wired(self, expression: Expression, source: str) -> Any:
        part = self.anything(expression)
        chained = isinstance(part, (Pipeline, DataflowPipeline))
        entry = next(name for name, spec in part.graph.inputs.items() if spec.required) if chained else "x"
        return name_task(part, self._name(), inputs={entry: source})

    def _name(self) -> str:
        self.count += 1
        return f"v{self.count}"
