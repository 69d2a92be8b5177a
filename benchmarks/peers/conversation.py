"""The parent's end of the protocol: a program that is started, asked, and ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from benchmarks.peers.protocol import NotOffered
from benchmarks.peers.roster import Side

__all__ = ["Conversation", "PeerFailed"]

PATIENCE = 180.0
"""Seconds that a program has for an answer: a server may have to start, a database to be made."""

FAREWELL = 20.0
"""Seconds that a program has to end after its input has ended."""


class PeerFailed(Exception):
    """A program did not do what it was asked; the text says why."""


class Conversation:
    """One program in a process of its own.

    :param side: Whose program.
    :param process: The process.
    :param errors: What it writes besides answers.
    """

    def __init__(self, side: Side, process: asyncio.subprocess.Process, errors: IO[bytes]) -> None:
        self.side = side
        self.version = ""
        self.python = ""
        self._process = process
        self._errors = errors

    @classmethod
    async def start(cls, side: Side, python: str, folders: Sequence[str], home: Path) -> Conversation:
        """Start a program and wait for its greeting.

        :param side: Whose program.
        :param python: The interpreter.
        :param folders: Where it looks for modules besides its own environment.
        :param home: The folder in which it is started and leaves its files.
        :raises PeerFailed: it ended or kept silent.
        """
        errors = _errors_in(home)
        command = [python, "-m", side.program, *side.arguments]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=home,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # it may have processes of its own, which end with it
        )
        program = cls(side, process, errors)
        try:
            greeting = await program._answer()
        except BaseException:
            await program.close()
            raise
        program.version, program.python = greeting["version"], greeting["python"]
        return program

    async def prepare(self, shape: str, count: int) -> None:
        """Have a graph made.

        :param shape: The shape of work.
        :param count: How many nodes.
        :raises NotOffered: the peer has no such thing.
        :raises PeerFailed: it could not.
        """
        await self._ask("prepare", shape, count)

    async def turn(self, shape: str, count: int) -> dict[str, Any]:
        """Have the work done once.

        :param shape: The shape of work, prepared before.
        :param count: How many nodes.
        :returns: ``value``, and the seconds ``processor`` and ``wall``.
        :raises PeerFailed: it could not.
        """
        return await self._ask("turn", shape, count)

    async def close(self) -> None:
        """End the input, and the process and its children if that is not enough."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), FAREWELL)
        except asyncio.TimeoutError:
            pass
        finally:
            self._end_all()
            await self._process.wait()
            self._errors.close()

    def _end_all(self) -> None:
        try:
            if os.name == "nt":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # all have ended by themselves

    async def _ask(self, do: str, shape: str, count: int) -> dict[str, Any]:
        if self._process.stdin is None:
            raise PeerFailed("it has no input")
        try:
            self._process.stdin.write((json.dumps([do, shape, count]) + "\n").encode())
            await self._process.stdin.drain()
        except ConnectionError:
            raise PeerFailed(self._last_words()) from None
        return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise PeerFailed("it has no output")
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)
        except asyncio.TimeoutError:
            self._end_all()
            raise PeerFailed(f"no answer within {PATIENCE:.0f} seconds") from None
        if not line:
            raise PeerFailed(self._last_words())
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            raise PeerFailed(
                f"it did not speak the protocol: {line.decode(errors='replace').strip()}"
            ) from None
        if "not_offered" in answer:
            raise NotOffered(answer["not_offered"])
        if "error" in answer:
            raise PeerFailed(answer["error"])
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"its process ended: {lines[-1]}" if lines else "its process ended"


def _errors_in(home: Path) -> IO[bytes]:
    home.mkdir()
    return (home / "errors.txt").open("w+b")
