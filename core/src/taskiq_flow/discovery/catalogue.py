"""All tasks that were found in installed distributions, and what could not be used."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, field, frozen
from taskiq import AsyncBroker

from taskiq_flow.discoverer import Origin, TaskSource
from taskiq_flow.discovery.installed import InstalledTask
from taskiq_flow.discovery.reading import Offers, function_of, read_offers
from taskiq_flow.errors import FlowError, GraphError, PluginError
from taskiq_flow.tasks.annotations import name_of
from taskiq_flow.wiring.places import TaskPlace

__all__ = ["Catalogue", "SourceProblem"]

logger = logging.getLogger("taskiq_flow")


@frozen(kw_only=True)
class SourceProblem:
    """Something that keeps a source, or a task in it, from being used.

    :param source: The source's name.
    :param origin: Where it comes from.
    :param error: What is wrong, as a sentence.
    """

    source: str
    origin: Origin
    error: str

    def __str__(self) -> str:
        return f"tasks {self.source!r} of {self.origin} cannot be used: {self.error}"


@frozen(kw_only=True)
class Catalogue:
    """The tasks of installed distributions.

    :param sources: Where they were looked for, by name.
    :param tasks: The tasks, by their name.
    :param clashes: Names that several tasks would have; none of them is in ``tasks``.
    :param problems: What could not be loaded, or not be used.
    """

    sources: tuple[TaskSource, ...] = ()
    tasks: Mapping[str, InstalledTask] = field(factory=dict)
    clashes: Mapping[str, Sequence[InstalledTask]] = field(factory=dict)
    problems: tuple[SourceProblem, ...] = ()

    @classmethod
    def load(cls, sources: Iterable[TaskSource]) -> Catalogue:
        """Load all sources, each by itself: one that fails becomes a problem and keeps no other from anything."""
        sources = tuple(sources)
        found: dict[str, list[InstalledTask]] = {}
        problems: list[SourceProblem] = []
        for source in sources:
            offers = _load_offers(source)
            problems += [
                SourceProblem(source=source.name, origin=source.origin, error=each)
                for each in offers.problems
            ]
            for offer in offers.tasks:
                try:
                    name = source.rename(offer.name)
                except Exception as error:  # noqa: BLE001 - somebody else's discoverer
                    said = f"naming task {offer.name!r} failed: {_describe_error(error)}"
                    problems.append(SourceProblem(source=source.name, origin=source.origin, error=said))
                    continue
                if name is None:
                    continue
                if not isinstance(name, str) or not name:
                    said = f"task {offer.name!r} would be named {name!r}, which is no name"
                    problems.append(SourceProblem(source=source.name, origin=source.origin, error=said))
                    continue
                task = _make_task(source, name, offer.place)
                others = found.setdefault(name, [])
                # One distribution may offer a task twice, by itself and with its whole module.
                if not any(_same(task, other) for other in others):
                    others.append(task)
        return cls(
            sources=sources,
            tasks={name: tasks[0] for name, tasks in sorted(found.items()) if len(tasks) == 1},
            clashes={name: tasks for name, tasks in sorted(found.items()) if len(tasks) > 1},
            problems=tuple(problems),
        )

    @property
    def releases(self) -> tuple[str, ...]:
        """The distributions that were looked at, each with its version."""
        return tuple(sorted({source.origin.release for source in self.sources}))

    def clash(self, name: str) -> str:
        """Say which distributions have a task of one name."""
        return (
            f"task {name!r} is offered by {' and by '.join(str(task.origin) for task in self.clashes[name])}; "
            "deny one of them, or give it a prefix"
        )

    def bind(self, broker: AsyncBroker) -> None:
        """Register all tasks with a broker, as a worker does when it starts; one that is broken is logged.

        :raises PluginError: several tasks have one name, or the application has one of that name already.
        """
        errors = [self.clash(name) for name in self.clashes]
        for task in self.tasks.values():
            try:
                task.bind(broker)
            except GraphError as error:
                errors += error.problems
            except PluginError as error:
                logger.error("%s", error)
        if errors:
            raise PluginError("\n".join(errors))


def _load_offers(source: TaskSource) -> Offers:
    try:
        return read_offers(source.load())
    except KeyboardInterrupt:
        # Somebody wants to leave; that it came out of an import is chance.
        raise
    except BaseException as error:  # noqa: BLE001 - somebody else's module may even leave the interpreter
        return Offers(problems=(_describe_error(error),))


def _describe_error(error: BaseException) -> str:
    # "No module named 'x'" says enough; "1" or "'key'" of other classes does not.
    if isinstance(error, (ImportError, FlowError)) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _make_task(source: TaskSource, name: str, place: TaskPlace) -> InstalledTask:
    module = getattr(function_of(place.task), "__module__", None) or source.origin.target.partition(":")[0]
    return InstalledTask(
        name=name,
        source=source.name,
        origin=evolve(source.origin, target=f"{module}:{name_of(place.task)}"),
        place=place,
    )


def _same(one: InstalledTask, other: InstalledTask) -> bool:
    return one.origin == other.origin and function_of(one.place.task) is function_of(other.place.task)
