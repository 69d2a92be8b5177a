"""The inputs of hand-chained pipelines: those of the first step, renamed after the steps are compiled."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from taskiq_flow._words import quote
from taskiq_flow.builders.arguments import inputs_by_name
from taskiq_flow.builders.builder import Builder
from taskiq_flow.builders.chain import Compiled, compile_chain
from taskiq_flow.builders.steps import Chain
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import Graph
from taskiq_flow.wiring.given import find_known_names, refuse_ambiguous
from taskiq_flow.wiring.renaming import graph_renamed

__all__ = ["ChainInputs"]


class ChainInputs(Builder):
    """The part of a hand-chained pipeline that is about its inputs."""

    _positional: tuple[str, ...] = ()
    _renames: Mapping[str, str] = MappingProxyType({})

    def _prepare(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Graph, Mapping[str, Any], str | None]:
        single = next(iter(self.graph.outputs))  # compiles, which finds the order of the inputs
        positional = tuple(name for name in self._positional if name not in self._bound)
        return *self._read_inputs(inputs_by_name(positional, args, kwargs)), single

    def _check_given(self, graph: Graph, names: Iterable[str]) -> None:
        refuse_ambiguous(graph, names)

    def _compile(self) -> Graph:
        compiled: Compiled = compile_chain(self.broker, self._chain())
        self._positional = tuple(self._renames.get(name, name) for name in compiled.positional)
        return graph_renamed(compiled.graph, self._renames) if self._renames else compiled.graph

    def _rename(self, names: Mapping[str, str]) -> None:
        known = self._list_names()
        taken = [new for new in names.values() if new in known and new not in names]
        if taken:
            raise GraphError(f"there is a {quote(taken)} already; choose another name")
        renames = {old: names.get(name, name) for old, name in self._renames.items()}
        renames.update((old, new) for old, new in names.items() if old not in self._renames.values())
        self._renames = renames

    def _list_names(self) -> Iterable[str]:
        return find_known_names(self.graph)

    def _list_products(self) -> Iterable[str]:
        inputs = self.inputs
        return [name for name in find_known_names(self.graph) if name not in inputs]

    def _name_wanted(self) -> tuple[str, ...]:
        return tuple(self.graph.outputs)

    def _has_own_inputs(self) -> bool:
        """Whether there is more to it than its steps: other inputs, or what follows them."""
        return bool(self._renames or self._bound or self._follow_ups)

    @abstractmethod
    def _chain(self) -> Chain: ...
