"""Compares a simulated run with what the naive model says that it must come to."""

from __future__ import annotations

from machine_model import Expected, evaluate, plain
from machine_sim import Simulation
from taskiq_flow.machine.transitions import RunStatus

__all__ = ["compare", "expected_of", "follows"]


def expected_of(simulation: Simulation) -> Expected:
    """What the run comes to when the cells that chance has failed count as failing."""
    return evaluate(
        simulation.graph,
        simulation.inputs,
        lambda path: path in simulation.chaos_failures or simulation.fails(path),
    )


def compare(simulation: Simulation) -> None:
    """Compare a run with the model: exactly, or as far as a run that was ended early can be compared."""
    machine, expected = simulation.machine, expected_of(simulation)
    outputs = {name: plain(value) for name, value in machine.outputs().items()}
    states = {path: state.word for path, state in machine.cells.states().items()}
    if machine.status is RunStatus.CANCELLED:
        assert simulation.cancelled
    elif machine.timed_out or expected.stoppers:
        assert machine.status is RunStatus.FAILED
    else:
        assert machine.status is (RunStatus.FAILED if expected.failed else RunStatus.SUCCEEDED)
        assert outputs == expected.outputs
        assert set(machine.failures) == expected.failures
        assert set(machine.suppressed) == expected.suppressed
        assert states == {path: state for path, state in expected.states.items() if "/" not in path}
        return
    assert outputs.items() <= expected.outputs.items()
    # What follows others also runs where a run is broken off.
    assert {path for path in machine.failures if not follows(path)} <= expected.failures
    assert {path for path in machine.suppressed if not follows(path)} <= expected.suppressed
    for path, state in states.items():
        if follows(path):
            node = simulation.graph.nodes[path]
            certain = node.follows.when == "always" and not node.params
            assert state in (("succeeded", "failed") if certain else ("succeeded", "failed", "skipped")), path
            continue
        if state == "failed" and any(
            follows(each) and each.startswith(f"{path}[") for each in machine.failures
        ):
            continue
        assert state in (expected.states[path], "cancelled")
        if state == "succeeded":
            assert path not in machine.failures


def follows(path: str) -> bool:
    """Whether a cell follows others; in random graphs their names begin with a ``w``."""
    return path.rpartition("/")[2].startswith("w")
