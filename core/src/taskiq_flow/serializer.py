"""The protocol of serializers: from values to bytes and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

__all__ = ["ByteCodec", "Serializer"]


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

    def reader(self, type_: Any) -> Callable[[bytes], Any] | None:
        """Give what does the work of :meth:`loads` where nothing is wrong; it may raise anything where something is.

        :param type_: As for :meth:`loads`.
        :returns: ``None`` where there is nothing faster than :meth:`loads`.
        """
        return None

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


class ByteCodec(ABC):
    """Changes encoded values as they go into messages, logs and blobs, and back: compresses or encrypts them.

    Codecs stand in a row behind a serializer, and a payload's id names those that changed it, in their order:
    ``json+zstd+encrypted``. One object may be used from several threads at once. Objects that are given to a flow with
    a pool of processes can be pickled. Implementations pass ``taskiq_flow.testing.ByteCodecKit``.

    :cvar name: What selects the codec, and what is stored with every payload that it changed; without ``+``. Never
        give the name to another format.
    :ivar max_bytes: How much :meth:`decode` may give at most; the flow sets it where it is ``None``. A codec whose
        output can be much longer than its input must not make more than that.
    """

    name: ClassVar[str]
    max_bytes: int | None = None

    @abstractmethod
    def encode(self, data: bytes) -> bytes:
        """Change the bytes.

        :returns: The changed bytes; or ``data`` itself, the very object, to leave it as it is. The payload's id does
            not name the codec then.
        """

    @abstractmethod
    def decode(self, data: bytes) -> bytes:
        """Give the bytes back that :meth:`encode` was given.

        :raises PayloadError: they are damaged, were tampered with, or are too long.
        """
