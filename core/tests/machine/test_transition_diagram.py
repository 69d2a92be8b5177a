"""The table of transitions: complete, without dead rows, and drawn in the documentation as it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest

from machine_graphs import random_graph
from machine_sim import Chaos, Simulation
from machine_tables import pipeline, start, task
from taskiq_flow.errors import PayloadError
from taskiq_flow.graph import Guard, Literal
from taskiq_flow.machine import cells, transitions
from taskiq_flow.machine import run_state as course
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.machine.transitions import FINAL_STATES, TRANSITIONS, CellState, RunStatus, Trigger

ROOT = Path(__file__).resolve().parents[3]


def test_every_state_and_every_trigger_is_in_the_table() -> None:
    assert {trigger for _, trigger in TRANSITIONS} == set(Trigger)
    assert {state for state, _ in TRANSITIONS} == set(CellState) - FINAL_STATES
    assert set(TRANSITIONS.values()) == set(CellState) - {CellState.PENDING}


def test_states_say_themselves_whether_they_are_final() -> None:
    assert {state for state in CellState if state.final} == FINAL_STATES
    assert {status for status in RunStatus if not status.final} == {RunStatus.RUNNING, RunStatus.CANCELLING}


@pytest.mark.parametrize("state", CellState, ids=lambda state: state.word)
def test_every_state_is_reached_and_left(state: CellState) -> None:
    def reachable(start: CellState) -> set[CellState]:
        found, todo = {start}, [start]
        while todo:
            here = todo.pop()
            new = {after for (before, _), after in TRANSITIONS.items() if before is here} - found
            found |= new
            todo += new
        return found

    assert state in reachable(CellState.PENDING)
    assert reachable(state) & FINAL_STATES
    assert state not in FINAL_STATES or reachable(state) == {state}


@pytest.mark.parametrize("state", CellState, ids=lambda state: state.word)
def test_the_prose_names_every_state(state: CellState) -> None:
    assert transitions.__doc__ is not None
    assert f"*{state.word}*" in transitions.__doc__


def test_every_row_of_the_table_is_taken_by_some_run(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: set[Any] = set()

    class Watched(dict[Any, Any]):
        def __getitem__(self, key: Any) -> Any:
            taken.add(key)
            return super().__getitem__(key)

        def get(self, key: Any, default: Any = None) -> Any:
            taken.add(key)
            return super().get(key, default)

    watched = Watched(TRANSITIONS)
    monkeypatch.setattr(cells, "_NEXT", watched)
    monkeypatch.setattr(course, "TRANSITIONS", watched)
    chaos = Chaos(
        failing=0.2, retried=0.4, losses=0.05, duplicates=0.1, cancelling=0.03, strange_cancels=0.05
    )
    for seed in range(60):
        Simulation(random_graph(Random(seed)), Random(seed), chaos).run()

    def refuse(_: object) -> None:
        raise PayloadError("not readable")

    RunMachine(pipeline(task("a", node={"when": Guard(Literal(1), 1)})), read=refuse).apply(start())
    assert {(state.word, trigger.name) for state, trigger in taken} == {
        (state.word, trigger.name) for state, trigger in TRANSITIONS
    }


def test_states_and_triggers_are_found_by_value() -> None:
    """They have fast hashes of their own, which must agree with equality."""
    assert TRANSITIONS[(CellState(0), Trigger("all sources arrived"))] is CellState.READY
    assert {CellState.FAILED: 1}[6] == 1  # type: ignore[index]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generator", ROOT / "tools" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_diagram_has_every_row() -> None:
    diagram = generator().states().splitlines()
    for (before, trigger), after in TRANSITIONS.items():
        assert f"    {before.word} --> {after.word}: {trigger.value}" in diagram
    for state in FINAL_STATES:
        assert f"    {state.word} --> [*]" in diagram


def test_the_diagram_in_the_documentation_is_current() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    wanted = f"<!-- generated: states -->\n{generator().states()}\n<!-- end of states -->"
    assert wanted in page, "run: python tools/docs.py --write"
