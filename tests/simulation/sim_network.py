"""The broker's side of a simulated world: messages that travel, get lost, come twice and overtake each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from taskiq import BrokerMessage

from taskiq_flow.messages.envelope import ENVELOPE

if TYPE_CHECKING:
    from sim_process import Process
    from sim_world import World

__all__ = ["Network", "attempt_of"]

_REDELIVERED_AFTER = 10.0


class Network:
    """Carries messages to workers; none is told which one it will be.

    :ivar lost: The attempts whose messages are gone for good.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.lost: set[str] = set()
        self.carried = 0

    def accept(self, message: BrokerMessage, sender: Process) -> None:
        """Take a message, or refuse to.

        :raises ConnectionError: by chance.
        """
        world, chaos, random = self.world, self.world.chaos, self.world.random
        name = attempt_of(message.message)
        if world.stormy and random.random() < chaos.refused_kicks:
            world.tell(f"{sender.name} cannot send {name}")
            raise ConnectionError("the broker cannot be reached")
        self.carried += 1
        world.tell(f"{sender.name} sends {name}")
        if world.stormy and random.random() < chaos.losses:
            self._lose(name)
            return
        self.lost.discard(name)
        copies = 2 if world.stormy and random.random() < chaos.duplicates else 1
        for _ in range(copies):
            self._carry(message.message, random.uniform(0, chaos.delay if world.stormy else 0.1))

    def again(self, message: bytes) -> None:
        """Give a message again that a worker could not handle."""
        self._carry(message, self.world.random.uniform(0.5, 3.0))

    def drop(self, message: bytes) -> None:
        """Do what a broker does when a worker is gone that had a message and has not acknowledged it."""
        world = self.world
        if world.stormy and world.random.random() < world.chaos.losses:
            self._lose(attempt_of(message))
        else:
            self._carry(message, world.random.uniform(1.0, _REDELIVERED_AFTER))

    def _lose(self, name: str) -> None:
        self.world.tell(f"{name} is lost for good")
        self.lost.add(name)

    def _carry(self, message: bytes, seconds: float) -> None:
        self.world.clock.call_later(seconds, lambda: self._deliver(message))

    def _deliver(self, message: bytes) -> None:
        world, random = self.world, self.world.random
        workers = [each for each in world.processes if each.works and not each.unwell and not each.retiring]
        if not workers:
            self._carry(message, 1.0)
            return
        if world.stormy and random.random() < world.chaos.drops:
            world.tell(f"{attempt_of(message)} is dropped for now")
            self._carry(message, random.uniform(1.0, _REDELIVERED_AFTER))
            return
        worker = random.choice(workers)
        world.tell(f"{worker.name} gets {attempt_of(message)}")
        worker.receive(message)


def attempt_of(message: bytes) -> str:
    """Name the attempt that a message is about."""
    _, _, run, cell, attempt, *_ = json.loads(message)["kwargs"][ENVELOPE]
    return f"{run}:{cell}#{attempt}"
