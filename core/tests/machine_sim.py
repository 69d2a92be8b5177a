"""A driver and workers of paper around a machine: everything happens when a source of chance says so.

Notices wait in a bag and are delivered in any order, twice, or late; messages wait in a broker until a worker claims
them; workers get lost, with or without a last word; policies answer late. The driver dies and is replaced by one that
knows nothing but the log. After every event the invariants are checked.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define, field

from machine_model import encode, input_values, plain, task_outputs
from taskiq_flow.graph import Graph
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.testing.invariants import FinalStates, check_invariants, snapshot

__all__ = ["Chaos", "Simulation", "replay"]

Key = tuple[str, int]


@define(kw_only=True)
class Chaos:
    """How often something goes wrong, as probabilities; what happens to attempts is fixed by cell and attempt."""

    failing: float = 0.0
    retried: float = 0.0
    hanging: float = 0.0
    losses: float = 0.0
    duplicates: float = 0.0
    cancelling: float = 0.0
    early_timers: float = 0.0
    takeovers: float = 0.0
    strange_cancels: float = 0.0


@define
class Attempt:
    order: do.Dispatch
    worker: str = ""
    started: bool = False
    over: bool = False


@define
class Simulation:
    """One run, simulated.

    :ivar log: The events that the machine wants logged, each with the instructions that followed.
    :ivar snapshots: The machine after each event of the log.
    :ivar chaos_failures: Cells that failed for good although their task would not have.
    """

    graph: Graph
    random: Random
    chaos: Chaos = field(factory=Chaos)
    window: int = 3
    machine: RunMachine = field(init=False)
    inputs: dict[str, Any] = field(init=False)
    log: list[tuple[ev.Event, list[do.Instruction]]] = field(factory=list)
    snapshots: list[object] = field(factory=list)
    finals: FinalStates = field(factory=FinalStates)
    chaos_failures: set[str] = field(factory=set)
    cancelled: bool = False
    finished: bool = False
    # What a driver knows, and loses when it dies.
    ready: dict[str, do.Enqueue] = field(factory=dict)
    timers: dict[str, float] = field(factory=dict)
    chores: list[ev.Event] = field(factory=list)
    # What outlives it.
    notices: list[ev.Event] = field(factory=list)
    delivered: list[ev.Event] = field(factory=list)
    attempts: dict[Key, Attempt] = field(factory=dict)
    workers: int = 3
    dispatched: dict[Key, int] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.machine = self.fresh()
        self.inputs = input_values(self.graph, self.random.randrange(1000))

    def fresh(self) -> RunMachine:
        return RunMachine(self.graph, read=plain, window=256)

    def start(self) -> None:
        inputs = {name: encode(value) for name, value in self.inputs.items()}
        self.apply(ev.RunStarted(inputs=inputs, window=self.window, at=0.0))

    def run(self) -> None:
        """Start, let chance rule for a while, and then bring everything to an end."""
        self.start()
        for _ in range(self.random.randrange(4, 200)):
            if not self.step():
                break
        self.drain()

    # Events in

    def apply(self, event: ev.Event) -> None:
        machine = self.machine
        version = machine.version
        instructions = machine.apply(event)
        check_invariants(machine)
        self.finals.observe(machine)
        after = snapshot(machine)
        if machine.version == version:
            assert after == self.snapshots[-1], f"{event} is not logged and changes something"
            assert not instructions, f"{event} is not logged and asks for something"
            return
        self.log.append((event, instructions))
        self.snapshots.append(after)
        for instruction in instructions:
            self.perform(instruction)

    # Instructions out

    def perform(self, order: do.Instruction) -> None:
        getattr(self, f"do_{type(order).__name__}")(order)

    def do_Enqueue(self, order: do.Enqueue) -> None:
        assert order.cell not in self.ready
        self.ready[order.cell] = order

    def do_Withdraw(self, order: do.Withdraw) -> None:
        del self.ready[order.cell]

    def do_Dispatch(self, order: do.Dispatch) -> None:
        # Sent again after a takeover, an attempt is claimed once all the same.
        self.attempts.setdefault((order.cell, order.attempt), Attempt(order))

    def do_Expand(self, order: do.Expand) -> None:
        first, *also = map(plain, (order.items, *order.also))
        keys = tuple(map(encode, first)) if isinstance(first, dict) else None
        first = list(first.values()) if isinstance(first, dict) else first
        if all(isinstance(each, list) for each in (first, *also)):
            items, *others = (tuple(map(encode, each)) for each in (first, *also))
            self.chores.append(ev.MapExpanded(cell=order.cell, items=items, also=tuple(others), keys=keys))
        else:
            failure = Failure(kind=FailureKind.REJECTED, message="no list")
            self.chores.append(ev.AttemptFailed(cell=order.cell, attempt=1, failure=failure))

    def do_AskPolicy(self, order: do.AskPolicy) -> None:
        assert not any(
            isinstance(chore, ev.AttemptFailed) and (chore.cell, chore.attempt) == (order.cell, order.attempt)
            for chore in self.chores
        ), "asked twice about one attempt"
        again = self.chance("ask", order.cell, order.attempt) < 0.6 and order.attempt < 4
        self.chores.append(
            ev.AttemptFailed(
                cell=order.cell,
                attempt=order.attempt,
                failure=order.failure,
                retry_at=1.0 if again else None,
                holds_slot=order.holds_slot,
            )
        )

    def do_Stop(self, order: do.Stop) -> None:
        attempt = self.attempts[(order.cell, order.attempt)]
        if not attempt.over and (attempt.worker or not attempt.started):
            attempt.over = True
            holds_slot = bool(attempt.worker) and self.random.random() < 0.3
            self.notices.append(
                ev.CellCancelled(cell=order.cell, attempt=order.attempt, holds_slot=holds_slot)
            )
            if holds_slot:
                self.notices.append(ev.SlotFreed(cell=order.cell, attempt=order.attempt))

    def do_StartTimer(self, order: do.StartTimer) -> None:
        self.timers[order.timer] = order.due

    def do_StopTimer(self, order: do.StopTimer) -> None:
        self.timers.pop(order.timer, None)

    def do_FinishRun(self, order: do.FinishRun) -> None:
        assert not self.finished, "the run was finished twice"
        self.finished = True

    # What may happen next

    def chance(self, *words: object) -> float:
        """A number that depends on nothing but the words and the simulation's own seed."""
        return Random(f"{self.inputs}|{words}").random()

    def step(self) -> bool:
        """Let one thing happen; say whether there was anything."""
        chaos, random = self.chaos, self.random
        if random.random() < chaos.duplicates and self.delivered:
            self.apply(random.choice(self.delivered))
        if random.random() < chaos.losses and not self.machine.status.final:
            self.lose(f"w{random.randrange(self.workers)}")
        if random.random() < chaos.cancelling:
            self.cancelled = True
            self.apply(ev.CancelRequested(reason="enough"))
        if random.random() < chaos.takeovers:
            self.take_over()
        if random.random() < chaos.strange_cancels:
            self.cancel_unasked()
        moves = self.moves(early_timers=random.random() < chaos.early_timers)
        if moves:
            random.choice(moves)()
        return bool(moves)

    def moves(self, *, early_timers: bool) -> list[Callable[[], None]]:
        moves: list[Callable[[], None]] = []
        moves += [lambda path=path: self.place(path) for path in self.ready]  # type: ignore[misc]
        moves += [lambda n=n: self.deliver(n) for n in range(len(self.notices))]  # type: ignore[misc]
        moves += [lambda n=n: self.apply(self.chores.pop(n)) for n in range(len(self.chores))]  # type: ignore[misc]
        for key, attempt in self.attempts.items():
            if not attempt.over and not attempt.started:
                moves.append(lambda key=key: self.claim(key))  # type: ignore[misc]
            elif not attempt.over and not self.hangs(key):
                moves.append(lambda key=key: self.end(key))  # type: ignore[misc]
        for timer in self.timers:
            if early_timers or timer.startswith("retry"):
                moves.append(lambda timer=timer: self.fire(timer))  # type: ignore[misc]
        return moves

    def place(self, path: str) -> None:
        order = self.ready.pop(path)
        key = (path, order.attempt)
        self.dispatched[key] = self.dispatched.get(key, 0) + 1
        worker = self.random.choice(["", *(f"w{number}" for number in range(self.workers))])
        self.apply(ev.CellDispatched(cell=path, attempt=order.attempt, worker=worker))

    def deliver(self, number: int) -> None:
        notice = self.notices.pop(number)
        self.delivered.append(notice)
        self.apply(notice)

    def claim(self, key: Key) -> None:
        attempt = self.attempts[key]
        attempt.started = True
        attempt.worker = f"w{self.random.randrange(self.workers)}"
        self.notices.append(ev.CellStarted(cell=key[0], attempt=key[1], worker=attempt.worker, at=1.0))
        if self.random.random() < 0.2:
            self.notices.append(ev.CellProgressed(cell=key[0], attempt=key[1], progress=0.5))

    def hangs(self, key: Key) -> bool:
        return self.chance("hang", *key) < self.chaos.hanging

    def fails(self, path: str) -> bool:
        """Whether the last attempt of a cell raises."""
        return self.chance("fail", path) < self.chaos.failing

    def end(self, key: Key) -> None:
        attempt = self.attempts[key]
        attempt.over = True
        path, number = key
        failure = Failure(kind=FailureKind.EXCEPTION, message="broken")
        if number < 3 and self.chance("retry", *key) < self.chaos.retried:
            event: ev.Event = ev.AttemptFailed(cell=path, attempt=number, failure=failure, retry_at=2.0)
        elif self.fails(path):
            event = ev.AttemptFailed(cell=path, attempt=number, failure=failure)
        else:
            params = {name: plain(value) for name, value in attempt.order.params.items()}
            outputs = tuple(map(encode, task_outputs(attempt.order.node, params)))
            event = ev.CellSucceeded(cell=path, attempt=number, outputs=outputs)
        self.notices.append(event)

    def fire(self, timer: str) -> None:
        due = self.timers.pop(timer)
        self.apply(ev.TimerFired(timer=timer, at=due))

    def lose(self, worker: str) -> None:
        """Lose a worker; its notices that say what it holds have come before that, others may come later."""
        for notice in [it for it in self.notices if isinstance(it, ev.CellStarted) and it.worker == worker]:
            self.notices.remove(notice)
            self.delivered.append(notice)
            self.apply(notice)
        for attempt in self.attempts.values():
            if attempt.worker == worker and not attempt.over:
                attempt.over = self.random.random() < 0.8
                attempt.worker = ""
        self.apply(ev.WorkerLost(worker=worker))

    def cancel_unasked(self) -> None:
        running = [key for key, attempt in self.attempts.items() if attempt.worker and not attempt.over]
        if running:
            path, number = self.random.choice(running)
            self.attempts[(path, number)].over = True
            self.notices.append(ev.CellCancelled(cell=path, attempt=number))

    def take_over(self) -> None:
        """Let the driver die, and another one go on from the log."""
        self.machine = replay(self, len(self.log))
        assert snapshot(self.machine) == self.snapshots[-1]
        self.ready.clear()
        self.timers.clear()
        self.chores.clear()
        self.finished = False
        for instruction in self.machine.outstanding():
            self.perform(instruction)
        check_invariants(self.machine)
        assert snapshot(self.machine) == self.snapshots[-1], "asking what is outstanding changed the state"

    def resume(self, other: Simulation, length: int) -> None:
        """Be the driver that finds a prefix of another simulation's log; the workers hold what they held then."""
        self.inputs = other.inputs
        self.log, self.snapshots = other.log[:length], other.snapshots[:length]
        for event, instructions in self.log:
            if isinstance(event, ev.CellStarted):
                attempt = self.attempts[(event.cell, event.attempt)]
                attempt.started, attempt.worker = True, event.worker
            elif (
                isinstance(event, (ev.CellSucceeded, ev.AttemptFailed))
                and (event.cell, event.attempt) in self.attempts
            ):
                self.attempts[(event.cell, event.attempt)].over = True
            for order in instructions:
                if isinstance(order, do.Dispatch):
                    self.do_Dispatch(order)
        self.take_over()

    def drain(self) -> None:
        """Give every attempt an outcome and every question an answer."""
        for _ in range(100_000):
            moves = self.moves(early_timers=False)
            if moves:
                self.random.choice(moves)()
                continue
            hung = [(key, attempt) for key, attempt in self.attempts.items() if not attempt.over]
            timers = [timer for timer in self.timers if timer.startswith("attempt")]
            if timers:
                self.fire(timers[0])
            elif hung and hung[0][1].worker:
                self.lose(hung[0][1].worker)
            elif hung:
                self.attempts[hung[0][0]].over = True
            else:
                break
        assert self.machine.status.final, "the run waits for nothing"
        assert self.finished
        assert not self.ready
        assert not self.timers
        assert not self.machine.cells.held_slots, "a slot stays occupied for ever"
        for path, (_, failure) in {**self.machine.failures, **self.machine.suppressed}.items():
            if failure.kind not in (FailureKind.EXCEPTION, FailureKind.REJECTED) or not self.fails(path):
                self.chaos_failures.add(path)


def replay(simulation: Simulation, length: int) -> RunMachine:
    """Make another machine from a prefix of a simulation's log, and compare all that it says."""
    machine = simulation.fresh()
    for number, (event, instructions) in enumerate(simulation.log[:length]):
        assert machine.apply(event) == instructions
        if number % 7 == 0 or number == length - 1:
            assert snapshot(machine) == simulation.snapshots[number]
    return machine
