"""One simulated world from beginning to end, and what must be true of it then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import frozen
from sim_world import SimulatedRun, World

from machine_compare import follows
from machine_model import plain
from taskiq_flow.errors import InvalidTransition
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.testing.invariants import snapshot

__all__ = ["Report", "silence", "simulate"]


@frozen
class Report:
    """What came of a simulation.

    :ivar problems: What was wrong; empty where nothing was.
    :ivar journal: The logs of all runs, as text, where that was asked for.
    :ivar counts: How often what happened.
    """

    seed: int
    problems: tuple[str, ...]
    journal: str
    counts: dict[str, int]

    def __str__(self) -> str:
        lines = "\n  ".join(problem[:1000] for problem in self.problems)
        return (
            f"seed {self.seed}:\n  {lines}\n"
            f"see how it came to that: python tests/simulation --seed {self.seed} --trace"
        )


def simulate(
    seed: int, *, make_world: Callable[..., World] = World, journal: bool = False, **options: Any
) -> Report:
    """Simulate a world and check all that can be checked.

    :param seed: Decides everything.
    :param make_world: Makes the world.
    :param journal: Whether to report the logs.
    :param options: For the world.
    """
    with silence():
        world = make_world(seed, **options)
        asyncio.run(world.run())
    problems = list(world.watch.problems)
    if not problems:
        for run in world.runs:
            problems += [f"{run.record.id}: {problem}" for problem in _problems_of(world, run)]
        problems += world.watch.problems
    counts = dict(world.counts)
    counts["refused"] = world.watch.refusals
    counts["messages"] = world.network.carried
    counts["attempts"] = sum(world.executed.values())
    counts["runs"] = len(world.runs)
    counts["seconds"] = round(world.clock.now() - 1_000_000.0)
    return Report(seed, tuple(problems), world.watch.journal() if journal else "", counts)


@contextmanager
def silence() -> Iterator[None]:
    """Let nobody complain of simulated faults: thousands of them are meant."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _problems_of(world: World, run: SimulatedRun) -> Iterator[str]:
    entry = world.store._state.runs.get(run.record.id)
    if entry is None:
        if not run.deleted:
            yield "it is not in the store any more"
        return
    outcome, machine = entry.record.outcome, world.watch.machines[run.record.id]
    if outcome is None:
        yield "it has no outcome"
        return
    if list(entry.history.since(0)) != world.watch.events[run.record.id]:
        yield "its log has other events than were appended"
    again = world.watch.machine(run.record)
    try:
        for event in entry.history.since(0):
            again.apply(event)
    except InvalidTransition as error:
        yield f"its log cannot be applied again: {error}"
        return
    if snapshot(again) != snapshot(machine):
        yield "its log, applied again, leads to another state"
    if again.outstanding() and not _only_finish(again):
        yield f"it is over, and {again.outstanding()} is still to be done"
    outputs = {name: plain(value) for name, value in outcome.outputs.items()}
    if outcome.status is not machine.status or outputs != {
        name: plain(value) for name, value in machine.outputs().items()
    }:
        yield f"its outcome {outcome.status.value} {outcome.reason!r} is not what its log says, {machine.status.value}"
        return
    world.watch.check_attempts(run.record.id)
    yield from _differences(world, run, machine, outputs)


def _only_finish(machine: RunMachine) -> bool:
    return all(type(each).__name__ in ("FinishRun", "Stop") for each in machine.outstanding())


def _differences(
    world: World, run: SimulatedRun, machine: RunMachine, outputs: dict[str, Any]
) -> Iterator[str]:
    """Compare with the fault-free result: exactly, or as far as a run that was ended early can be compared."""
    expected = world.expected(run)
    states = {path: state.word for path, state in machine.cells.states().items()}
    if machine.status is RunStatus.CANCELLED:
        if not run.cancelled:
            yield "it was cancelled, and nobody had asked for that"
    elif machine.timed_out or expected.stoppers:
        if machine.status is not RunStatus.FAILED:
            yield f"it is {machine.status.value}, and must have failed"
    else:
        status = RunStatus.FAILED if expected.failed else RunStatus.SUCCEEDED
        if machine.status is not status:
            yield f"it is {machine.status.value} instead of {status.value}: {machine.failures}"
        if outputs != expected.outputs:
            yield f"its outputs are {outputs} instead of {expected.outputs}"
        if set(machine.failures) != expected.failures or set(machine.suppressed) != expected.suppressed:
            yield f"cells {set(machine.failures)} failed instead of {expected.failures}"
        if states != {path: state for path, state in expected.states.items() if "/" not in path}:
            yield f"its cells are {states} instead of {expected.states}"
        return
    failures = {**machine.failures, **machine.suppressed}.items()
    given_up = frozenset(path for path, (_, failure) in failures if not failure.type.endswith("Broken"))
    expected = world.expected(run, given_up=given_up)
    if not outputs.items() <= expected.outputs.items():
        yield f"its outputs are {outputs}, which are not among {expected.outputs}"
    # What follows others also runs where a run is broken off.
    failed, left_out = (
        {path for path in each if not follows(path)} for each in (machine.failures, machine.suppressed)
    )
    if not failed <= expected.failures or not left_out <= expected.suppressed:
        yield f"cells {failed} failed, which are not among {expected.failures}"
    for path, state in states.items():
        if state == "failed" and any(
            follows(each) and each.startswith(f"{path}[") for each in machine.failures
        ):
            continue
        if state == "cancelled" if follows(path) else state not in (expected.states[path], "cancelled"):
            yield f"{path} is {state} instead of {expected.states[path]}"
