"""What the runs of a pipeline are given, and under which names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from typing_extensions import Self

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import Graph, InputSpec, Literal
from taskiq_flow.tasks.names import normalise, normalise_keys
from taskiq_flow.wiring.following import FollowUp
from taskiq_flow.wiring.given import find_known_names, free_inputs, graph_given, read_given
from taskiq_flow.wiring.renaming import check_new_names, check_prefix, check_values
from taskiq_flow.wiring.values import literal

__all__ = ["InputsOfRuns"]

_MOST_GIVEN = 64


class InputsOfRuns(ABC):
    """The part of both kinds of pipeline that is about inputs: which there are, their names, and fixed values."""

    _given: dict[frozenset[str], Graph]
    _bound: Mapping[str, Literal]
    _follow_ups: tuple[FollowUp, ...]

    @property
    @abstractmethod
    def graph(self) -> Graph:
        """The graph of the pipeline's runs."""

    @property
    def inputs(self) -> Mapping[str, InputSpec]:
        """Everything that a run may be given: first the inputs of the graph, then the parameters left at a default.

        :raises GraphError: with every problem of the graph.
        """
        return MappingProxyType({**self.graph.inputs, **free_inputs(self.graph)})

    def graph_given(self, names: Iterable[str]) -> Graph:
        """Return the graph of a run that is given some inputs.

        A parameter with a default becomes an input of every node that has one of that name. Data that a task would
        produce becomes an input in its place, and nodes that only it needs are left out. An unknown name changes
        nothing; starting a run refuses it.

        :param names: Names of inputs, of parameters with a default, or of produced data.
        :raises GraphError: the graph has problems, or a name means two things; all of them are listed.
        """
        graph = self.graph
        given = frozenset(names)
        if given <= graph.inputs.keys():
            return graph
        found = self._given.get(given)
        if found is None:
            self._check_given(graph, given)
            if len(self._given) >= _MOST_GIVEN:
                self._given.clear()
            found = self._given[given] = graph_given(graph, given, self._name_wanted())
        return found

    def rename(self, names: Mapping[str, str]) -> Self:
        """Give inputs and outputs other names.

        Parameters with a default have names too. Nodes keep theirs, and so do the parameters of tasks::

            pipeline.rename({"sample_rate": "rate", "features": "spectrum"})

        :param names: New names by the old ones.
        :returns: The pipeline.
        :raises GraphError: there is no data of an old name, or a new one cannot be used.
        """
        new = check_new_names(normalise_keys(names), self._renameable())
        bound = [name for name in new.values() if name in self._bound]
        if bound:
            raise GraphError(f"{quote(bound)} is bound to a value in this pipeline; choose another name")
        return self._rename_all(new)

    def scope(self, prefix: str, *, exclude: Iterable[str] = ()) -> Self:
        """Put a word before the names of all inputs and outputs: ``audio`` becomes ``left.audio``.

        A run is given such inputs together, or one by one::

            pipeline.scope("left", exclude=["rate"])
            await pipeline.kiq(left={"audio": "a.wav"}, rate=8000)
            await pipeline.kiq(**{"left.audio": "a.wav"}, rate=8000)

        :param prefix: The word.
        :param exclude: Names that stay as they are.
        :returns: The pipeline.
        :raises GraphError: it is no word that a parameter could have, or there is nothing of an excluded name.
        """
        return self._rename_all(check_prefix(prefix, exclude, self._renameable()))

    def bind(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> Self:
        """Fix the values of inputs, or of parameters with a default; runs are not given them any more.

        A value holds for every task that takes data of that name, also for those that are added later.

        :param values: Values by name, for names that are no words of Python, such as ``left.rate``.
        :param more: Values by name.
        :returns: The pipeline.
        :raises GraphError: there is no such input, or a value has no JSON form; all of them are listed.
        """
        wanted = normalise_keys({**check_values(values), **more})
        outputs = self._list_products()
        known = [name for name in self._list_names() if name not in outputs]
        like = Suggestions(known)
        problems: list[str] = []
        bound: dict[str, Literal] = {}
        for name, value in wanted.items():
            if name in outputs:
                problems.append(
                    f"{name!r} is produced by a task, so it cannot be bound; give it to a run instead"
                )
            elif name not in known:
                problems.append(f"there is no input {name!r} to bind{like.hint(name)}")
            try:
                bound[name] = literal(value, parameter=name, task="the pipeline")
            except GraphError as error:
                problems += error.problems
        if problems:
            raise GraphError(problems)
        self._bound = {**self._bound, **bound}
        return self._forget_graph()

    def _read_inputs(self, inputs: Mapping[str, Any]) -> tuple[Graph, Mapping[str, Any]]:
        """Return the graph of a run, and those of its inputs that it needs.

        :raises GraphError: the graph has problems, or inputs are missing, unknown or bound.
        """
        if inputs.keys() <= self.graph.inputs.keys():
            return self.graph, inputs
        inputs = normalise_keys(inputs)
        inputs = _spread(inputs, find_known_names(self.graph))
        bound = [
            f"{name!r} is bound to {self._bound[name].value!r} in this pipeline; bind it to something else, in a copy()"
            for name in inputs
            if name in self._bound and name not in self.graph.inputs
        ]
        if bound:
            raise GraphError(bound)
        graph = self.graph_given(inputs)
        if inputs.keys() <= graph.inputs.keys():
            return graph, inputs
        return graph, read_given(self.graph, graph, inputs)

    def _rename_all(self, names: Mapping[str, str]) -> Self:
        self._rename(names)
        self._follow_ups = tuple(each.rename(names) for each in self._follow_ups)
        return self._forget_graph()

    def _renameable(self) -> list[str]:
        return [name for name in self._list_names() if name not in self._bound]

    def _check_given(self, graph: Graph, names: Iterable[str]) -> None:  # noqa: B027 - not every builder checks
        """Check the names that a run is given, before there is a graph for them.

        :raises GraphError: a name means two things.
        """

    @abstractmethod
    def _forget_graph(self) -> Self: ...

    @abstractmethod
    def _rename(self, names: Mapping[str, str]) -> None: ...

    @abstractmethod
    def _list_names(self) -> Iterable[str]:
        """Return the names of everything that the pipeline takes, can take, and produces."""

    @abstractmethod
    def _list_products(self) -> Iterable[str]:
        """Return the names of everything that the pipeline produces."""

    @abstractmethod
    def _name_wanted(self) -> Iterable[str] | None:
        """Return the outputs that every run has; ``None`` if those that only replaced data needs may be missing."""


def _spread(inputs: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return inputs one by one, where those of a scope are given together.

    :raises GraphError: one is given both ways.
    """
    spread: dict[str, Any] = {}
    for name, value in inputs.items():
        together = (
            name not in known
            and isinstance(value, Mapping)
            and any(it.startswith(f"{name}.") for it in known)
        )
        found = (
            _spread({f"{name}.{normalise(inner)}": it for inner, it in value.items()}, known)
            if together
            else {name: value}
        )
        twice = [each for each in found if each in spread]
        if twice:
            raise GraphError(f"input {quote(twice)} is given twice; give it once")
        spread.update(found)
    return spread
