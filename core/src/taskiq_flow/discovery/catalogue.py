"""The catalogue: all tasks of installed distributions, and the problems of their sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, field, frozen
from taskiq import AsyncBroker

from taskiq_flow._logs import open_log
from taskiq_flow.discoverer import Origin, TaskSource
from taskiq_flow.discovery.installed import InstalledTask
from taskiq_flow.discovery.reading import Offers, function_of, read_offers
from taskiq_flow.errors import FlowError, GraphError, PluginError
from taskiq_flow.tasks.annotations import name_of
from taskiq_flow.wiring.places import TaskPlace

__all__ = ["Catalogue", "SourceProblem"]

logger = open_log("taskiq_flow")


@frozen(kw_only=True)
class SourceProblem:
    """A problem that makes a source, or a task in it, unusable.

    :param source: The source's name.
    :param origin: The distribution of the source.
    :param error: The problem, as a sentence.
    """

    source: str
    origin: Origin
    error: str

    def __str__(self) -> str:
        return f"tasks {self.source!r} of {self.origin} cannot be used: {self.error}"


@frozen(kw_only=True)
class Catalogue:
    """The tasks of installed distributions.

    :param sources: The sources that were searched, by name.
    :param tasks: The tasks, by their name.
    :param clashes: The tasks that share a name, by that name; none of them is in ``tasks``.
    :param problems: The sources and tasks that cannot be used.
    """

    sources: tuple[TaskSource, ...] = ()
    tasks: Mapping[str, InstalledTask] = field(factory=dict)
    clashes: Mapping[str, Sequence[InstalledTask]] = field(factory=dict)
    problems: tuple[SourceProblem, ...] = ()

    @classmethod
    def load(cls, sources: Iterable[TaskSource]) -> Catalogue:
        """Load each source by itself: a source that fails becomes a problem, and the others are loaded."""
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
                except Exception as error:  # noqa: BLE001 - a third party's discoverer
                    problem = f"naming task {offer.name!r} failed: {_describe_error(error)}"
                    problems.append(SourceProblem(source=source.name, origin=source.origin, error=problem))
                    continue
                if name is None:
                    continue
                if not isinstance(name, str) or not name:
                    problem = f"task {offer.name!r} would be named {name!r}, which is no name"
                    problems.append(SourceProblem(source=source.name, origin=source.origin, error=problem))
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
        """The searched distributions, each with its version."""
        return tuple(sorted({source.origin.release for source in self.sources}))

    def clash(self, name: str) -> str:
        """Return the error for a name that several tasks share."""
        return (
            f"task {name!r} is offered by {' and by '.join(str(task.origin) for task in self.clashes[name])}; "
            "deny one of them, or give it a prefix"
        )

    def bind(self, broker: AsyncBroker) -> None:
        """Register all tasks with a broker, as a worker does at its start; a broken task is logged.

        :raises PluginError: several tasks share a name, or the application has another task of that name.
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
        # The user pressed Ctrl-C during an import.
        raise
    except BaseException as error:  # noqa: BLE001 - a third party's module may even call sys.exit()
        return Offers(problems=(_describe_error(error),))


def _describe_error(error: BaseException) -> str:
    # "No module named 'x'" is clear by itself; the texts of other classes, such as "'key'", need the class name.
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
