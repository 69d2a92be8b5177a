"""Between values and payloads: the one place that picks a serializer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskiq_flow.errors import PayloadError
from taskiq_flow.payloads import ClaimCheck, ListedValue, Payload, Value
from taskiq_flow.serializer import Serializer

__all__ = ["Codec"]


class Codec:
    """Encodes with one serializer, decodes with whichever wrote the payload.

    :param serializers: Those that are installed, by id.
    :param default: The id of the one that encodes where a node names none.

    :ivar classes: What is installed, for another process to make its own codec of.
    """

    def __init__(self, serializers: Mapping[str, type[Serializer]], default: str) -> None:
        self.classes: tuple[tuple[str, type[Serializer]], ...] = tuple(sorted(serializers.items()))
        self._factories = serializers
        self._made: dict[str, Serializer] = {}
        self.default = default
        self.serializer(default)

    def serializer(self, name: str) -> Serializer:
        """Give the serializer of an id.

        :raises PayloadError: it is not installed here.
        """
        made = self._made.get(name)
        if made is None:
            factory = self._factories.get(name)
            if factory is None:
                there = ", ".join(repr(known) for known in sorted(self._factories))
                raise PayloadError(
                    f"a payload was written by serializer {name!r}, which is not installed here; "
                    f"there are {there}; install the plugin that offers it (taskiq-flow-serializers?)"
                )
            made = self._made[name] = factory()
        return made

    def encode(self, value: Any, serializer: str | None = None) -> Payload:
        """Encode a value.

        :raises PayloadError: it cannot be encoded.
        """
        name = serializer or self.default
        made = self._made.get(name) or self.serializer(name)
        return Payload(name, made.dumps(value))

    def decode(self, value: Value, type_: Any = Any) -> Any:
        """Decode a value by an annotation.

        :raises PayloadError: it is damaged, does not fit, or its serializer is not installed.
        """
        payload = value if type(value) is Payload else self.flat(value)
        if isinstance(payload, ClaimCheck):
            raise PayloadError(f"the blob {payload.key!r} must be fetched before it can be decoded")
        made = self._made.get(payload.serializer) or self.serializer(payload.serializer)
        return made.loads(payload.data, type_)

    def read(self, value: Value) -> Any:
        """Decode a value to plain data; what guards and filters look at."""
        return self.decode(value)

    def flat(self, value: Value) -> Payload | ClaimCheck:
        """Give a list that is kept as its elements as one payload; other values as they are."""
        if not isinstance(value, ListedValue):
            return value
        parts = [self.flat(part) for part in value.parts]
        names = {part.serializer for part in parts}
        if len(names) == 1 and not any(isinstance(part, ClaimCheck) for part in parts):
            name = names.pop()
            return Payload(name, self.serializer(name).join(part.data for part in parts))  # type: ignore[union-attr]
        return self.encode([self.decode(part) for part in parts])

    def items(self, value: Value) -> tuple[Value, ...]:
        """Give the elements of an encoded list.

        :raises PayloadError: it is no list.
        """
        if isinstance(value, ListedValue):
            return value.parts
        if isinstance(value, ClaimCheck):
            raise PayloadError(f"the blob {value.key!r} must be fetched before it can be mapped over")
        parts = self.serializer(value.serializer).split(value.data)
        return tuple(Payload(value.serializer, part) for part in parts)
