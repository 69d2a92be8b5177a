"""The protocol of serializers: from values to bytes and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

__all__ = ["Serializer"]


class Serializer(ABC):
    """Encodes values; stateless, deterministic, usable from several threads.

    Implementations pass ``taskiq_flow.testing.SerializerKit``.

    :cvar name: The id that is stored with every payload; never change it for another format.
    """

    name: ClassVar[str]

    @abstractmethod
    def dumps(self, value: Any) -> bytes:
        """Encode a value.

        :raises PayloadError: the value cannot be encoded; the message names the offending type.
        """

    @abstractmethod
    def loads(self, data: bytes, type_: Any = Any) -> Any:
        """Decode what :meth:`dumps` wrote.

        :param type_: The annotation to decode by; :data:`typing.Any` when there is none.
        :raises PayloadError: the data is damaged, or does not fit the annotation.
        """

    def split(self, data: bytes) -> list[bytes]:
        """Give the encoded elements of an encoded list.

        :raises PayloadError: the data is not a list.
        """
        from taskiq_flow.errors import PayloadError

        value = self.loads(data)
        if not isinstance(value, (list, tuple)):
            raise PayloadError(f"expected a list, found {type(value).__name__}")
        return [self.dumps(element) for element in value]

    def join(self, parts: Iterable[bytes]) -> bytes:
        """Give the encoded list of encoded elements."""
        return self.dumps([self.loads(part) for part in parts])
