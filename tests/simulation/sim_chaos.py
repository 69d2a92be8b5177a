"""What goes wrong in a simulated world, and how often; a seed decides."""

from __future__ import annotations

from random import Random

from attrs import define, frozen

__all__ = ["CALM", "Chaos", "Fault", "chaos_of"]


@define(kw_only=True)
class Chaos:
    """How often something goes wrong while the storm lasts; what happens to attempts is fixed by cell and attempt.

    Probabilities are per call of a store's method (``blips`` to ``deaths``), per message, per attempt or per run;
    times are in seconds.

    :param storm: How long it lasts; after that nothing goes wrong any more, and everything has to come to an end.
    :param blips: A call raises and has done nothing.
    :param lost_replies: A call raises although it has done its work.
    :param latencies: A call takes a while.
    :param pauses: The whole process stands still (before or after a call), longer than any lease at times.
    :param deaths: The process dies (before or after a call).
    :param kills: Processes that die at any moment, per second.
    :param retirements: Processes that are shut down in order and replaced, per second.
    :param refused_kicks: The broker raises when a message is sent.
    :param delay: How long a message travels at most.
    :param drops: A message is not handled, and comes again much later.
    :param losses: A message is lost for good; only a takeover sends it again.
    :param duplicates: A message comes twice.
    :param flaky: An attempt raises, and the next one may not.
    :param failing: A cell whose every attempt raises.
    :param hanging: The first attempt never ends by itself, where a time limit ends it.
    :param deaf: An attempt that goes on for a while when it is cancelled.
    :param cancelling: Somebody wants the run to end.
    :param deleting: Somebody deletes the run while it is active.
    :param orphaning: The client dies after it has created the run, and before it has said so.
    """

    storm: float = 0.0
    blips: float = 0.0
    lost_replies: float = 0.0
    latencies: float = 0.0
    pauses: float = 0.0
    deaths: float = 0.0
    kills: float = 0.0
    retirements: float = 0.0
    refused_kicks: float = 0.0
    delay: float = 0.1
    drops: float = 0.0
    losses: float = 0.0
    duplicates: float = 0.0
    flaky: float = 0.0
    failing: float = 0.0
    hanging: float = 0.0
    deaf: float = 0.0
    cancelling: float = 0.0
    deleting: float = 0.0
    orphaning: float = 0.0


CALM = Chaos()


@frozen
class Fault:
    """What happens to one call of a store's method.

    :param kind: ``blip``, ``lost reply``, ``latency``, ``pause`` or ``death``.
    :param after: Whether it happens after the work was done.
    :param seconds: How long it takes.
    """

    kind: str
    after: bool
    seconds: float


def chaos_of(random: Random) -> Chaos:
    """Draw a kind of weather: each fault is absent from many worlds, so that none of them hides another."""

    def some(share: float, most: float) -> float:
        return random.uniform(0, most) if random.random() < share else 0.0

    return Chaos(
        storm=random.uniform(3, 40),
        blips=some(0.3, 0.05),
        lost_replies=some(0.3, 0.05),
        latencies=some(0.4, 0.2),
        pauses=some(0.4, 0.03),
        deaths=some(0.5, 0.02),
        kills=some(0.4, 0.1),
        retirements=some(0.2, 0.1),
        refused_kicks=some(0.2, 0.2),
        delay=random.choice([0.05, 0.5, 5.0]),
        drops=some(0.3, 0.2),
        losses=some(0.15, 0.2),
        duplicates=some(0.5, 0.4),
        flaky=some(0.5, 0.4),
        failing=some(0.25, 0.2),
        hanging=some(0.3, 0.3),
        deaf=some(0.3, 0.5),
        cancelling=some(0.2, 0.6),
        deleting=some(0.1, 0.5),
        orphaning=some(0.1, 0.5),
    )
