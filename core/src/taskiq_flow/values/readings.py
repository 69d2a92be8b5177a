"""How the outputs of a run are read: each value by the annotation of whoever made it.

A value that came from one of several places, such as a side of a branch, says from which: it is a
:class:`~taskiq_flow.payloads.Chosen`. So a reading follows the sources of the graph in step with the value. Nothing is
read by a union of several annotations, unless an older version has written it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, get_origin

from attrs import frozen

from taskiq_flow.errors import PayloadError
from taskiq_flow.graph._shapes import is_mapping
from taskiq_flow.graph.model import (
    Conditional,
    FirstOf,
    Graph,
    Input,
    Literal,
    MapNode,
    Output,
    Source,
)
from taskiq_flow.graph.types import comparable_or_any, dict_of, list_of, members, union_of
from taskiq_flow.machine.plan import LONGEST_ROW
from taskiq_flow.payloads import FAILURES, NULL, Chosen, Failure, ListedValue, Payload, Value, bare
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.values.codec import Codec
from taskiq_flow.values.elements import elements_of, pair_of

__all__ = [
    "ByAnnotation",
    "ByPlace",
    "EachItem",
    "EachMember",
    "FilledPlace",
    "GivenValue",
    "Reading",
    "read_inputs",
    "read_made",
    "reading_of",
]


class Reading(ABC):
    """How one value is read."""

    @property
    @abstractmethod
    def annotation(self) -> Any:
        """The annotation that holds for the whole value, whoever made it."""

    @abstractmethod
    def read(self, value: Value, codec: Codec) -> Any:
        """Decode a value whose blobs have been fetched.

        :raises PayloadError: it does not fit.
        """

    @abstractmethod
    def of_element(self) -> Reading:
        """Return the reading of an element of the value."""


@frozen(eq=False)
class ByAnnotation(Reading):
    """Reads what one task made, by the annotation of its result."""

    annotation: Any = Any

    def read(self, value: Value, codec: Codec) -> Any:
        """Decode by the annotation."""
        return codec.decode(value, self.annotation)

    def of_element(self) -> Reading:
        """Read an element by its annotation."""
        values = pair_of(self.annotation)[1]
        wanted = elements_of(self.annotation, 1) if values is Any else [values]
        if wanted is not None:
            return ByAnnotation(wanted[0])
        elements = _elements_of_row(self.annotation)
        if all(each == elements[0] for each in elements):
            return ByAnnotation(elements[0])
        return ByPlace(tuple(map(ByAnnotation, elements)))


@frozen(eq=False)
class GivenValue(Reading):
    """Reads what the client gave: nobody but its consumers says what it is, and they may never have got it.

    :param annotation: The annotation of the parameters that it feeds.
    :param kind: The class of the value; ``None`` where that is unknown.
    """

    annotation: Any = Any
    kind: type | None = None

    def read(self, value: Value, codec: Codec) -> Any:
        """Decode by the annotation if that gives what was given, and else as the value itself is."""
        found = None if self.annotation is Any else self.read_as_given(value, codec)
        if found is not None:
            return found
        if self.kind is not None and self.kind not in _JSON_KINDS:
            try:
                return codec.decode(value, self.kind)
            except PayloadError:
                pass  # its class alone does not say enough to read it
        return codec.decode(value)

    def read_as_given(self, value: Value, codec: Codec) -> Any:
        """Decode by the annotation; ``None`` where that does not give what was given."""
        try:
            found = codec.decode(value, self.annotation)
            if type(found) is self.kind or (self.kind is None and _is_faithful(found, value, codec)):
                return found
        except PayloadError:
            pass  # it was given to somebody else
        return None

    def of_element(self) -> Reading:
        """Read an element in the same way."""
        return GivenValue(ByAnnotation(self.annotation).of_element().annotation)


@frozen(eq=False)
class ByPlace(Reading):
    """Reads a value that came from one of several places."""

    readings: tuple[Reading, ...]

    @property
    def annotation(self) -> Any:
        """The union."""
        return union_of(each.annotation for each in self.readings)

    def read(self, value: Value, codec: Codec) -> Any:
        """Decode as the place says."""
        if type(value) is Chosen and value.index < len(self.readings):
            return self.readings[value.index].read(value.value, codec)
        return codec.decode(value, self.annotation)

    def of_element(self) -> Reading:
        """Read an element of a list that came from one of several places."""
        return ByPlace(tuple(each.of_element() for each in self.readings))


@frozen(eq=False)
class EachMember(Reading):
    """Reads a list, or a dictionary, with an element from each of several places.

    :param readings: How each element is read.
    :param keys: The annotation of the keys, if it is a dictionary.
    """

    readings: tuple[Reading, ...]
    keys: Any = Any

    @property
    def annotation(self) -> Any:
        """The list of the union."""
        return list[union_of(each.annotation for each in self.readings)]  # type: ignore[misc]

    def read(self, value: Value, codec: Codec) -> Any:
        """Decode each element by its place."""
        listed = _take_apart(value, codec)
        if len(listed) != len(self.readings):
            return codec.decode(value, self.annotation)
        pairs = zip(self.readings, listed.parts, strict=True)
        return _put_together(
            listed.keys, self.keys, [reading.read(part, codec) for reading, part in pairs], codec
        )

    def of_element(self) -> Reading:
        """Read an element, which says its place."""
        return ByPlace(self.readings)


@frozen(eq=False)
class EachItem(Reading):
    """Reads a list, or a dictionary, whose elements are all read in the same way.

    :param reading: How an element is read.
    :param keys: The annotation of the keys, if it is a dictionary.
    :param keyed: Whether it is certainly a dictionary.
    """

    reading: Reading
    keys: Any = Any
    keyed: bool = False

    @property
    def annotation(self) -> Any:
        """The list, or the dictionary, of the elements' annotation."""
        element = self.reading.annotation
        return dict_of(element, self.keys) if self.keyed else list_of(element)

    def read(self, value: Value, codec: Codec) -> Any:
        """Decode all elements at once where they have one annotation."""
        if isinstance(value, ListedValue) and value.keys is not None:
            if isinstance(self.reading, ByAnnotation):
                return codec.decode(value, dict_of(self.reading.annotation, self.keys))
            elements = [self.reading.read(part, codec) for part in value.parts]
            return _put_together(value.keys, self.keys, elements, codec)
        if isinstance(self.reading, ByAnnotation):
            return codec.decode(value, self.annotation)
        if isinstance(self.reading, GivenValue):
            found = GivenValue(self.annotation).read_as_given(value, codec)
            if found is not None:
                return found
        listed = _take_apart(value, codec)
        elements = [self.reading.read(part, codec) for part in listed.parts]
        return _put_together(listed.keys, self.keys, elements, codec)

    def of_element(self) -> Reading:
        """Read an element."""
        return self.reading


@frozen(eq=False)
class FilledPlace(Reading):
    """Reads an element of a map that fills the places of failed items.

    :param reading: How the element is read where its item has not failed.
    :param filler: The annotation of what stands there otherwise.
    """

    reading: Reading
    filler: Any

    @property
    def annotation(self) -> Any:
        """The union."""
        return union_of((self.reading.annotation, self.filler))

    def read(self, value: Value, codec: Codec) -> Any:
        """Decode what stands there."""
        there = bare(value)
        if type(there) is Payload and (there.serializer == FAILURES or there == NULL):
            return codec.decode(there)
        return self.reading.read(value, codec)

    def of_element(self) -> Reading:
        """Read an element of an element."""
        return self.reading.of_element()


# What has been decoded fits whatever wrote it.
_FITTER = JsonSerializer()

_JSON_KINDS = frozenset({type(None), bool, int, float, str, list, dict})


def read_inputs(graph: Graph, kinds: Mapping[str, type]) -> dict[str, Reading]:
    """Return how the inputs of a run are read.

    :param kinds: The class of each input's value, where it is known.
    """
    return {
        name: GivenValue(Any if spec.annotation is None else spec.annotation, kinds.get(name))
        for name, spec in graph.inputs.items()
    }


def read_made(value: Value, made: Reading | None, type_: Any, codec: Codec) -> Any:
    """Decode a value as its maker made it, and fit it to the annotation of whoever gets it.

    :param made: How what the maker has made is read; ``None`` where the maker is unknown.
    :param type_: The annotation of the one who gets it.
    :raises PayloadError: it cannot be decoded, or does not fit.
    """
    if made is not None:
        try:
            return _FITTER.fit(made.read(value, codec), type_)
        except PayloadError:
            pass  # only another reading of it fits
    return codec.decode(value, type_)


def _take_apart(value: Value, codec: Codec) -> ListedValue:
    # Its elements keep the places that they came from, where they say so.
    return value if isinstance(value, ListedValue) else codec.take_apart(value)


def _put_together(keys: tuple[Value, ...] | None, type_: Any, elements: list[Any], codec: Codec) -> Any:
    if keys is None:
        return elements
    return dict(zip([codec.decode(key, type_) for key in keys], elements, strict=True))


def _elements_of_row(annotation: Any) -> list[Any]:
    counts = range(LONGEST_ROW + 1)
    return next((found for count in counts if (found := elements_of(annotation, count))), None) or [Any]


def _is_faithful(found: Any, value: Value, codec: Codec) -> bool:
    """Whether a decoded value is written as the value from which it was read."""
    value = codec.flat(bare(value))
    return isinstance(value, Payload) and codec.encode(found, value.serializer.partition("+")[0]) == value


def reading_of(graph: Graph, source: Source, given: Mapping[str, Reading]) -> Reading:
    """Return how the value of a source is read.

    :param graph: The graph of the source, with its annotations.
    :param given: How the inputs of the graph are read, by name.
    """
    if isinstance(source, Output):
        return _of_output(graph, source, given)
    if isinstance(source, Input):
        # An optional input of a map's body may be given by nobody; then null stands there.
        return given.get(source.name) or ByAnnotation()
    if isinstance(source, Conditional):
        return reading_of(graph, source.source, given)
    if isinstance(source, Literal):
        return ByAnnotation()
    readings = tuple(reading_of(graph, each, given) for each in source.sources)
    return ByPlace(readings) if isinstance(source, FirstOf) else EachMember(readings)


def _of_output(graph: Graph, source: Output, given: Mapping[str, Reading]) -> Reading:
    node = graph.nodes[source.node]
    place = node.outputs.index(source.name)
    if not isinstance(node, MapNode):
        return ByAnnotation(node.returns[place] if node.returns else Any)
    lists = reading_of(graph, node.items, given)
    keys, keyed = _keys_of(node, lists)
    if node.keep == "items":
        return EachItem(lists.of_element(), keys, keyed)
    inside = {name: reading_of(graph, each, given) for name, each in node.params.items()}
    for name, items in (
        (node.item, lists),
        *((name, reading_of(graph, each, given)) for name, each in node.also.items()),
    ):
        inside[name] = items.of_element() if node.chunk is None else EachItem(items.of_element())
    body = node.body
    if node.keep == "one":
        # On later levels the body gets what it has given.
        inside[node.item] = ByAnnotation()
    element = reading_of(body, body.outputs[node.collects[place]], inside)
    if node.fills:
        element = FilledPlace(element, None if node.fills == "none" else Failure)
    return element if node.keep == "one" else EachItem(element, keys, keyed)


def _keys_of(node: MapNode, items: Reading) -> tuple[Any, bool]:
    """Return the annotation of the keys of what a map goes over, and whether it is certainly a dictionary."""
    if node.also or node.chunk is not None:
        return Any, False
    if isinstance(items, EachItem):
        return items.keys, items.keyed
    if isinstance(items, (ByPlace, EachMember)):
        return Any, False
    keys = pair_of(items.annotation)[0]
    kinds = [get_origin(each) or each for each in members(comparable_or_any(items.annotation))]
    return keys, all(isinstance(each, type) and is_mapping(each) for each in kinds)
