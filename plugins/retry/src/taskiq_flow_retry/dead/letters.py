"""The dead-letter list of a flow."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from taskiq_flow import Flow, RunHandle
from taskiq_flow.errors import FlowError, ResumeError, RunNotFound, UsageError
from taskiq_flow.store import RunRecord, RunStatus, id_of_resumption
from taskiq_flow_retry.dead.letter import DeadLetter, cells_given_up, letters_of, task_of
from taskiq_flow_retry.dead.marks import is_discarded, mark_discarded

__all__ = ["DeadLetters"]

_FIRST_PAGE = 100
_PAGE_GROWTH = 4
_TEXTS = {
    "run": "the id of a run, such as letter.run or handle.id",
    "cell": "the path of a cell, such as letter.cell",
    "task": "the name of a task, such as letter.task",
}


class DeadLetters:
    """The failures that the runs of a flow's pool have given up.

    The list is read from the runs themselves, so no letter has to be written, and none can be lost. A letter exists as
    long as its run does.

    ::

        dead = DeadLetters(flow)
        for letter in await dead.list(task="shop:charge"):
            print(letter.run, letter.cell, letter.summary)
        handle = await dead.replay(letter.run)

    :param flow: The flow.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._store = flow.store

    async def list(
        self, *, limit: int = 100, task: str | None = None, run: str | None = None, replayed: bool = False
    ) -> Sequence[DeadLetter]:
        """Return letters: the newest run first, and in a run the newest letter.

        :param limit: The most letters to return.
        :param task: Only letters of this task.
        :param run: Only letters of this run.
        :param replayed: Include letters of replayed runs.
        :raises RunNotFound: there is no run of that id.
        :raises UsageError: the limit is not a whole number, or a name is not a text; the other methods raise it too.
        """
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise UsageError(f"limit is {limit!r}; give a whole number of letters")
        _check_texts(run=run, task=task)
        found: list[DeadLetter] = []
        if limit > 0:
            async with aclosing(self._open(run, task, replayed=replayed)) as letters:
                async for letter in letters:
                    found.append(letter)
                    if len(found) == limit:
                        break
        return found

    async def replay(self, run: str) -> RunHandle[dict[str, Any]]:
        """Resume a run; its letters leave the list. A cell that fails again becomes a letter of the new run.

        Cells that succeeded are not executed again; see :meth:`taskiq_flow.Flow.resume`. All failed cells are tried
        again, also those with discarded letters.

        :param run: The run's id.
        :raises ResumeError: it has no dead letters, or was replayed already.
        :raises RunNotFound: there is no run of that id.
        :raises FlowError: it cannot run any more, for instance because one of its tasks is gone.
        """
        _check_texts(run=run)
        await self._flow.startup()
        record = await self._store.runs.get(run)
        if (
            record.outcome is not None
            and not await self._find_resumption(run)
            and not await self.list(run=run, limit=1)
        ):
            raise ResumeError(f"run {run!r} has no dead letters: {_why_none(record)}", run=run)
        return await self._flow.resume(run)

    async def replay_all(
        self, *, task: str | None = None
    ) -> Mapping[str, RunHandle[dict[str, Any]] | FlowError]:
        """Replay every run that has letters, the oldest first; a run that cannot be replayed does not stop the others.

        :param task: Only runs with letters of this task.
        :returns: For each run its new run, or the error.
        """
        _check_texts(task=task)
        letters = [letter.run async for letter in self._open(None, task)]
        answers: dict[str, RunHandle[dict[str, Any]] | FlowError] = {}
        for run in dict.fromkeys(reversed(letters)):
            try:
                answers[run] = await self._flow.resume(run)
            except FlowError as error:
                answers[run] = error
        return answers

    async def discard(self, run: str, cell: str | None = None) -> Sequence[DeadLetter]:
        """Take letters from the list. The run stays, with the outputs that it has.

        :param run: The run's id.
        :param cell: The path of the cell; ``None`` for all letters of the run.
        :returns: The letters that were on the list until now.
        :raises RunNotFound: there is no run of that id.
        """
        _check_texts(run=run, cell=cell)
        found = [letter async for letter in self._open(run, None) if cell in (None, letter.cell)]
        if found:
            await mark_discarded(self._store, run, cell, self._flow.clock.now())
        return found

    async def discard_all(self, *, task: str | None = None) -> Sequence[DeadLetter]:
        """Take all letters from the list.

        :param task: Only those of this task.
        :returns: The letters that were on the list until now.
        """
        _check_texts(task=task)
        found = [letter async for letter in self._open(None, task)]
        for letter in found:
            try:
                await mark_discarded(self._store, letter.run, letter.cell, self._flow.clock.now())
            except RunNotFound:
                continue  # deleted meanwhile, and its letters with it
        return found

    async def _open(
        self, run: str | None, task: str | None, *, replayed: bool = False
    ) -> AsyncGenerator[DeadLetter, None]:
        await self._flow.startup()
        async for record in self._records(run):
            cells = [cell for cell in cells_given_up(record) if task in (None, task_of(record.graph, cell))]
            if not cells or await is_discarded(self._store, record.id):
                continue
            resumed_as = await self._find_resumption(record.id)
            if resumed_as and not replayed:
                continue
            try:
                log = await self._store.log.read(record.id)
            except RunNotFound:
                continue  # deleted meanwhile
            for letter in letters_of(record, log, cells, resumed_as=resumed_as):
                if not await is_discarded(self._store, record.id, letter.cell):
                    yield letter

    async def _records(self, run: str | None) -> AsyncIterator[RunRecord]:
        """Yield one run, or all finished ones, read page by page as they are needed."""
        if run is not None:
            yield await self._store.runs.get(run)
            return
        seen: set[str] = set()
        limit = _FIRST_PAGE
        while True:
            page = await self._store.runs.list(pool=self._flow.pool, active=False, limit=limit)
            for record in page:
                if record.id not in seen:
                    seen.add(record.id)
                    yield record
            if len(page) < limit:
                return
            limit *= _PAGE_GROWTH

    async def _find_resumption(self, run: str) -> str:
        try:
            found = await self._store.runs.get(id_of_resumption(run))
        except RunNotFound:
            return ""
        return found.id if found.resumes == run else ""


def _check_texts(**given: object) -> None:
    """Refuse an object in place of its name, which would otherwise count as an unknown name."""
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{name} is {value!r:.200}; give {_TEXTS[name]}")


def _why_none(record: RunRecord) -> str:
    outcome = record.outcome
    if any(True for _ in cells_given_up(record)):
        return "they were discarded; Flow.resume tries it again all the same"
    if outcome is not None and outcome.status is RunStatus.CANCELLED:
        return "it was cancelled; Flow.resume lets it go on"
    return "it has succeeded"
