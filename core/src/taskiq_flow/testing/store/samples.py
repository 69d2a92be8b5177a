"""Sample objects for stores: small, but complete, so that a lost field is noticed."""

from __future__ import annotations

from taskiq_flow.graph.model import (
    Graph,
    Guard,
    Input,
    InputSpec,
    Literal,
    MapNode,
    NodeOptions,
    Output,
    TaskNode,
)
from taskiq_flow.machine import events as ev
from taskiq_flow.payloads import ClaimCheck, Failure, FailureKind, ListedValue, Payload, Value
from taskiq_flow.store import Notice, RunOutcome, RunRecord, RunStatus

__all__ = [
    "FAILURE",
    "VALUE",
    "graph",
    "notice",
    "one_of_each_event",
    "outcome",
    "record",
    "some_events",
    "start",
]

TEXT = Payload("json", '{"größe": [1, 2.5, null, "\\u0000"]}'.encode())
BINARY = Payload("acme", b"\x00\xff\xfe\x80\n")
CHECK = ClaimCheck("json", "outputs/0", 1_000_000)
VALUE: Value = ListedValue((TEXT, BINARY, ListedValue((CHECK,)), ListedValue(())))
"""One value with every kind of value in it."""

FAILURE = Failure(
    kind=FailureKind.EXCEPTION,
    message="no such\nfile: 'größe'",
    type="builtins:FileNotFoundError",
    traceback="Traceback (most recent call last):\n  …\n",
    args=(2, "no such file", None, 0.5, ["nested", {"key": True}]),
)


def graph() -> Graph:
    """Return a graph with both kinds of node, a guard, options and literals."""
    body = Graph(
        nodes={
            "size": TaskNode(name="size", task="lib:size", params={"path": Input("item")}, outputs=("size",))
        },
        inputs={"item": InputSpec()},
        outputs={"size": Output("size", "size")},
        name="body",
    )
    listing = TaskNode(
        name="listing",
        task="lib:listing",
        params={"root": Input("root"), "pattern": Literal({"glob": ["*.py", None]})},
        optional=frozenset({"pattern"}),
        outputs=("paths", "found"),
        options=NodeOptions(timeout=2.5, retry={"max_retries": 2}, queue="slow", resources={"cpu": 2.0}),
        description="finds files",
    )
    sizes = MapNode(
        name="sizes",
        body=body,
        items=Output("listing", "paths"),
        outputs=("sizes",),
        collects=("size",),
        max_parallel=4,
        when=Guard(Output("listing", "found")),
    )
    return Graph(
        nodes={"listing": listing, "sizes": sizes},
        inputs={"root": InputSpec(), "pattern": InputSpec(required=False)},
        outputs={"sizes": Output("sizes", "sizes")},
        name="sample",
        on_error="continue",
        timeout=60.0,
    )


def record(run: str = "run", *, pool: str = "pool", created_at: float = 100.0) -> RunRecord:
    """Return a run that has just begun."""
    return RunRecord(
        id=run,
        pool=pool,
        graph=graph(),
        inputs={"root": VALUE, "größe": TEXT},
        created_at=created_at,
        labels={"team": "größe", "empty": ""},
        resumes="before",
        origins={"lib:size": "acme-größe 1.2 (lib:size)"},
    )


def outcome(status: RunStatus = RunStatus.FAILED, *, at: float = 200.0) -> RunOutcome:
    """Return an outcome."""
    return RunOutcome(
        status=status,
        outputs={"sizes": VALUE},
        failures={"sizes[3]/size": (2, FAILURE)},
        left_out={"sizes[5]/size": (1, FAILURE)},
        reason="because",
        at=at,
    )


def start(cell: str = "listing", attempt: int = 1, *, worker: str = "w1") -> ev.CellStarted:
    """Return the event that a worker began an attempt."""
    return ev.CellStarted(cell=cell, attempt=attempt, worker=worker, at=101.0)


def notice(number: int = 0, run: str = "run") -> Notice:
    """Return a notice that is unique to its number."""
    return Notice(
        run=run, event=ev.CellSucceeded(cell=f"cell{number}", attempt=1, outputs=(VALUE,), at=102.0)
    )


def some_events(count: int, *, start: int = 0) -> list[ev.Event]:
    """Return events that all differ."""
    numbers = range(start, start + count)
    return [ev.CellProgressed(cell="listing", attempt=1, progress=number / 8, at=103.0) for number in numbers]


def one_of_each_event() -> list[ev.Event]:
    """Return an event of every type, with every field away from its default."""
    cell, attempt, at = "sizes[3]/size", 2, 1_700_000_000.125
    failed = ev.AttemptFailed(
        cell=cell,
        attempt=attempt,
        failure=FAILURE,
        retry_at=at + 5,
        reason="as the policy says",
        resources={"cpu": 1.5, "ram_mb": 512.0},
        queue="big",
        priority=-3,
        holds_slot=True,
        requeues=1,
        at=at,
    )
    return [
        ev.RunStarted(inputs={"root": VALUE}, window=64, at=at),
        ev.MapExpanded(
            cell="sizes",
            items=(TEXT, BINARY, CHECK, ListedValue((CHECK, BINARY), (TEXT, BINARY))),
            also=((VALUE,), ()),
            keys=(TEXT, BINARY, TEXT, TEXT),
            at=at,
        ),
        ev.CellDispatched(cell=cell, attempt=attempt, worker="w1", queue="q", at=at),
        ev.CellStarted(cell=cell, attempt=attempt, worker="w1", at=at),
        ev.CellProgressed(cell=cell, attempt=attempt, progress=0.25, at=at),
        ev.PlaceLent(cell=cell, attempt=attempt, run="other", at=at),
        ev.PlaceTakenBack(cell=cell, attempt=attempt, at=at),
        ev.CellSucceeded(
            cell=cell, attempt=attempt, outputs=(VALUE, TEXT), seconds=0.1, taken_from="before", at=at
        ),
        failed,
        ev.CellCancelled(cell=cell, attempt=attempt, holds_slot=True, at=at),
        ev.SlotFreed(cell=cell, attempt=attempt, at=at),
        ev.StopRequested(cell=cell, attempt=attempt, at=at),
        ev.WorkerLost(worker="w1", at=at),
        ev.TimerFired(timer="run timeout", at=at),
        ev.CancelRequested(reason="enough", at=at),
    ]
