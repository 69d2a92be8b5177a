"""Short words for events and instructions, so that what a machine does is a table that can be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from machine_model import encode, plain
from taskiq_flow.graph import (
    Graph,
    Input,
    InputSpec,
    MapNode,
    NodeOptions,
    Output,
    Source,
    TaskNode,
    build_graph,
)
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.testing.invariants import FinalStates, check_invariants, snapshot

Row = tuple[ev.Event, list[str]]


# Graphs: a text stands for an output of the node of the same name, or for an input where it begins with "in".


def source(short: str | Source) -> Source:
    if not isinstance(short, str):
        return short
    return Input(short) if short.startswith("in") or short == "item" else Output(short, short)


def task(
    name: str, /, *, node: dict[str, Any] | None = None, options: dict[str, Any] | None = None, **params: Any
) -> TaskNode:
    """A task node with one output of its own name, unless ``node`` says something else."""
    more: dict[str, Any] = {"outputs": (name,), **(node or {})}
    return TaskNode(
        name=name,
        task=f"tasks:{name}",
        params={param: source(short) for param, short in params.items()},
        options=NodeOptions(**(options or {})),
        **more,
    )


def mapped(
    name: str, body: Graph | list[Any], items: Any, *, options: dict[str, Any] | None = None, **more: Any
) -> MapNode:
    """A map node with one list of its own name; a body given as nodes answers with its last one."""
    if isinstance(body, list):
        inputs = {"item": InputSpec(), **{each: InputSpec() for each in more.get("params", {})}}
        last = body[-1].name
        body = build_graph(body, inputs=inputs, outputs={last: Output(last, body[-1].outputs[0])})
    params = {param: source(short) for param, short in more.pop("params", {}).items()}
    also = {item: source(short) for item, short in more.pop("also", {}).items()}
    fields: dict[str, Any] = {"outputs": (name,), "collects": tuple(body.outputs)[:1], **more}
    return MapNode(
        name=name,
        body=body,
        items=source(items),
        also=also,
        params=params,
        options=NodeOptions(**(options or {})),
        **fields,
    )


def pipeline(*nodes: Any, inputs: Sequence[str] = (), gives: Any = None, **more: Any) -> Graph:
    """A graph that answers with the output of its last node as ``out``, or with what ``gives`` says."""
    last = nodes[-1]
    outputs = {"out": Output(last.name, last.outputs[0])} if gives is None and last.outputs else gives or {}
    specs = {name.rstrip("?"): InputSpec(required=not name.endswith("?")) for name in inputs}
    return build_graph(nodes, inputs=specs, outputs=outputs, **more)


# Events


def start(at: float = 0.0, window: int = 0, **inputs: Any) -> ev.Event:
    return ev.RunStarted(inputs={name: encode(value) for name, value in inputs.items()}, window=window, at=at)


def placed(cell: str, attempt: int = 1, worker: str = "", queue: str = "") -> ev.Event:
    return ev.CellDispatched(cell=cell, attempt=attempt, worker=worker, queue=queue)


def began(cell: str, attempt: int = 1, worker: str = "w1", at: float = 0.0) -> ev.Event:
    return ev.CellStarted(cell=cell, attempt=attempt, worker=worker, at=at)


def ok(cell: str, *outputs: Any, attempt: int = 1) -> ev.Event:
    return ev.CellSucceeded(cell=cell, attempt=attempt, outputs=tuple(map(encode, outputs)))


def broke(cell: str, attempt: int = 1, *, kind: str = "exception", **more: Any) -> ev.Event:
    failure = Failure(kind=FailureKind(kind), message="broken")
    return ev.AttemptFailed(cell=cell, attempt=attempt, failure=failure, **more)


def gone(cell: str, attempt: int = 1, *, holds_slot: bool = False) -> ev.Event:
    return ev.CellCancelled(cell=cell, attempt=attempt, holds_slot=holds_slot)


def freed(cell: str, attempt: int = 1) -> ev.Event:
    return ev.SlotFreed(cell=cell, attempt=attempt)


def expanded(cell: str, *items: Any, also: Sequence[Sequence[Any]] = (), keys: Any = None) -> ev.Event:
    return ev.MapExpanded(
        cell=cell,
        items=tuple(map(encode, items)),
        also=tuple(tuple(map(encode, each)) for each in also),
        keys=None if keys is None else tuple(map(encode, keys)),
    )


def lost(worker: str) -> ev.Event:
    return ev.WorkerLost(worker=worker)


def fired(timer: str) -> ev.Event:
    return ev.TimerFired(timer=timer)


def cancel(reason: str = "") -> ev.Event:
    return ev.CancelRequested(reason=reason)


# Instructions


def word(order: do.Instruction, machine: RunMachine) -> str:
    """Everything that an instruction says, in a line; what is empty is left out."""
    if isinstance(order, do.FinishRun):
        return f"finish {machine.status.value}"
    if isinstance(order, do.StartTimer):
        return f"start {order.timer} due {order.due:g}"
    if isinstance(order, do.StopTimer):
        return f"stop {order.timer}"
    if isinstance(order, do.Prefer):
        return f"prefer {order.run}"
    if isinstance(order, do.Withdraw):
        return f"withdraw {order.cell}"
    if isinstance(order, do.Expand):
        return " ".join(
            [f"expand {order.cell}", *(json.dumps(plain(each)) for each in (order.items, *order.also))]
        )
    words = [type(order).__name__.lower(), f"{order.cell}#{order.attempt}"]
    if isinstance(order, do.Enqueue):
        words += [f"{name}={amount:g}" for name, amount in order.resources.items()]
        words += [f"queue={order.queue}"] if order.queue else []
        words += [f"priority={order.priority}"] if order.priority else []
    if isinstance(order, do.Dispatch):
        words += [f"{name}={json.dumps(plain(value))}" for name, value in order.params.items()]
        words += [f"via {order.queue}"] if order.queue else []
    if isinstance(order, do.AskPolicy):
        words[0] = "ask"
        words += [f"about {order.failure.kind.value}", *(["holds_slot"] if order.holds_slot else [])]
    if isinstance(order, (do.Dispatch, do.Stop)) and order.worker:
        words.append(f"to {order.worker}")
    return " ".join(words)


class Table:
    """A machine, and everything that went in and came out."""

    def __init__(self, graph: Graph, *, window: int = 256) -> None:
        self.graph, self.window = graph, window
        self.machine = RunMachine(graph, read=plain, window=window)
        self.finals = FinalStates()
        self.logged: list[ev.Event] = []

    def __call__(self, *events: ev.Event) -> list[str]:
        """Apply events, and give what the machine wants done for all of them."""
        words = []
        for event in events:
            version, before = self.machine.version, snapshot(self.machine)
            orders = self.machine.apply(event)
            check_invariants(self.machine)
            self.finals.observe(self.machine)
            if self.machine.version != version:
                self.logged.append(event)
            else:
                assert snapshot(self.machine) == before, f"{event} is not logged and changes something"
            words += [word(order, self.machine) for order in orders]
        return words

    def replayed(self) -> Table:
        """Another machine, with nothing but the log."""
        other = Table(self.graph, window=self.window)
        other(*self.logged)
        assert snapshot(other.machine) == snapshot(self.machine)
        return other

    def outstanding(self) -> list[str]:
        return [word(order, self.machine) for order in self.machine.outstanding()]

    @property
    def outputs(self) -> dict[str, Any]:
        return {name: plain(value) for name, value in self.machine.outputs().items()}

    @property
    def states(self) -> dict[str, str]:
        return {path: state.word for path, state in self.machine.cells.states().items()}

    @property
    def failures(self) -> dict[str, str]:
        found = {**self.machine.failures, **self.machine.suppressed}
        return {path: f"#{attempt} {failure.message}" for path, (attempt, failure) in found.items()}

    @property
    def occupying(self) -> list[str]:
        return [f"{cell.path}#{cell.attempt} on {cell.worker}" for cell in self.machine.occupying()]


def play(graph: Graph, rows: Sequence[Row], **more: Any) -> Table:
    """Apply events one by one, and compare all that came out with the table at once."""
    table = Table(graph, **more)
    found = [(event, table(event)) for event, _ in rows]
    lines = [
        f"{event}\n  expected {wanted}\n  found    {got}"
        for (event, wanted), (_, got) in zip(rows, found, strict=True)
    ]
    assert found == list(rows), "\n".join(["the tables differ:", *lines])
    return table
