"""``taskiq flow dead list``, ``replay`` and ``discard``."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TextIO, TypeVar

from attrs import asdict, frozen

from taskiq_flow import Flow, RunHandle
from taskiq_flow.errors import FlowError, UsageError
from taskiq_flow.store import RunStatus
from taskiq_flow.targets import find_flow
from taskiq_flow.terminal import reserve_stdout
from taskiq_flow_retry.dead.letters import DeadLetters

__all__ = ["Query", "discard_letters", "list_letters", "replay_runs"]

T = TypeVar("T")

FAILED = 1
_IN_MEMORY = (
    "the store of {target} is memory://, which only its own process has: "
    "this command sees no more than what the module did when it was imported"
)


@frozen(kw_only=True)
class Query:
    """The options that all three commands share.

    :param target: ``MODULE:NAME``.
    :param task: Only letters of this task.
    :param as_json: Write one JSON object to the standard output, and nothing else.
    :param app_dir: A folder to search for the module.
    """

    target: str
    task: str | None = None
    as_json: bool = False
    app_dir: str | None = None


def list_letters(query: Query, *, run: str | None, limit: int, replayed: bool, traceback: bool) -> int:
    """List letters.

    :param run: Only letters of this run.
    :param limit: The most letters to list.
    :param replayed: Include letters of replayed runs.
    :param traceback: Whether to show tracebacks.
    :returns: The exit code.
    :raises UsageError: there is no such flow.
    """
    with _flow_of(query) as (flow, stdout):
        dead = DeadLetters(flow)
        letters = _answer(flow, lambda: dead.list(limit=limit, task=query.task, run=run, replayed=replayed))
        if query.as_json:
            _write_json(
                stdout, {"letters": [{**asdict(letter), "labels": dict(letter.labels)} for letter in letters]}
            )
        else:
            from taskiq_flow_retry.dead.table import write_letters

            write_letters(letters, stdout, limit=limit, traceback=traceback)
    return 0


def replay_runs(query: Query, runs: tuple[str, ...], *, everything: bool, wait: bool) -> int:
    """Replay runs, and write the ids of the new runs.

    :param runs: Their ids.
    :param everything: Replay every run that has letters.
    :param wait: Wait for the new runs to end.
    :returns: The exit code.
    :raises UsageError: there is no such flow, or it is not clear what to replay.
    """
    _check_choice("replay", runs[0] if runs else None, query, everything=everything)
    # taskiq would log the exceptions of tasks, but the list shows them afterwards.
    for name in ("taskiq.receiver.receiver", "taskiq_flow.runs", "taskiq_flow.cells"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    with _flow_of(query) as (flow, stdout):
        answers = _answer(flow, lambda: _replay(flow, runs, query.task, wait=wait))
        if query.as_json:
            _write_json(stdout, {"runs": answers})
        else:
            _write_replayed(stdout, answers)
    good = (None, RunStatus.SUCCEEDED.value)
    return FAILED if any(answer["error"] or answer["status"] not in good for answer in answers) else 0


def discard_letters(query: Query, run: str | None, cell: str | None, *, everything: bool) -> int:
    """Discard letters.

    :param run: The run with the letters.
    :param cell: Only the letter of this cell.
    :param everything: Discard every letter.
    :returns: The exit code: 1 when a named letter does not exist.
    :raises UsageError: there is no such flow, or it is not clear what to discard.
    """
    _check_choice("discard", run, query, everything=everything)
    with _flow_of(query) as (flow, stdout):
        dead = DeadLetters(flow)
        if run is None:
            gone = _answer(flow, lambda: dead.discard_all(task=query.task))
        else:
            gone = _answer(flow, lambda: dead.discard(run, cell))
            if not gone:
                there = _answer(flow, lambda: dead.list(run=run, limit=1000))
                sys.stderr.write(f"{_nothing(run, cell, [letter.cell for letter in there])}\n")
        if query.as_json:
            _write_json(stdout, {"discarded": [{"run": letter.run, "cell": letter.cell} for letter in gone]})
        elif gone or everything:
            stdout.write(f"{_count(len(gone), 'letter')} discarded\n")
    return 0 if gone or everything else FAILED


def _check_choice(verb: str, run: str | None, query: Query, *, everything: bool) -> None:
    if run is None and not everything:
        raise UsageError(f"name a run to {verb}, or say --all; `taskiq flow dead list` shows what there is")
    if run is not None and everything:
        raise UsageError(f"run {run!r} and --all contradict each other; give one of them")
    if run is not None and query.task is not None:
        raise UsageError(
            f"--task chooses among all letters; give it with --all, or {verb} run {run!r} without it"
        )


@contextlib.contextmanager
def _flow_of(query: Query) -> Iterator[tuple[Flow, TextIO]]:
    """Yield the flow and the standard output; with JSON, output of modules and tasks goes to the standard error."""
    with reserve_stdout(query.as_json) as stdout:
        flow = find_flow(query.target, query.app_dir)
        # With another place for blobs, the store itself is the inner one of two.
        if "memory" in getattr(flow.store, "store", flow.store).schemes:
            sys.stderr.write(f"{_IN_MEMORY.format(target=query.target)}\n")
        yield flow, stdout
        stdout.flush()


def _answer(flow: Flow, ask: Callable[[], Awaitable[T]]) -> T:
    async def answer() -> T:
        await flow.broker.startup()
        try:
            return await ask()
        finally:
            await flow.broker.shutdown()

    return asyncio.run(answer())


async def _replay(flow: Flow, runs: tuple[str, ...], task: str | None, *, wait: bool) -> list[dict[str, Any]]:
    dead = DeadLetters(flow)
    answers: Mapping[str, RunHandle[Any] | FlowError]
    if runs:
        answers = {run: await _attempt(dead, run) for run in dict.fromkeys(runs)}
    else:
        answers = await dead.replay_all(task=task)
    rows: list[dict[str, Any]] = []
    for run, answer in answers.items():
        row: dict[str, Any] = {"run": run, "resumed_as": None, "status": None, "error": ""}
        if isinstance(answer, RunHandle):
            row["resumed_as"] = answer.id
            # Runs of an in-memory broker end with this process, so wait for them.
            if wait or flow.in_memory:
                await answer.wait_result()
                row["status"] = (await answer.status()).value
        else:
            row["error"] = str(answer)
        rows.append(row)
    return rows


async def _attempt(dead: DeadLetters, run: str) -> RunHandle[Any] | FlowError:
    try:
        return await dead.replay(run)
    except FlowError as error:
        return error


def _write_replayed(stdout: TextIO, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["error"]:
            sys.stderr.write(f"{row['error']}\n")
        else:
            status = "" if row["status"] is None else f": {row['status']}"
            stdout.write(f"{row['run']} is replayed as {row['resumed_as']}{status}\n")
    if not rows:
        stdout.write("no dead letters\n")


def _nothing(run: str, cell: str | None, there: list[str]) -> str:
    if cell is None or not there:
        return f"run {run!r} has no dead letters"
    near = difflib.get_close_matches(cell, there, n=3)
    hint = (
        f" (did you mean {' or '.join(map(repr, near))}?)"
        if near
        else f"; they are of {', '.join(map(repr, there[:5]))}"
    )
    return f"run {run!r} has no dead letter of cell {cell!r}{hint}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _write_json(stdout: TextIO, data: Mapping[str, Any]) -> None:
    stdout.write(f"{json.dumps(data)}\n")
