"""The protocol of serializers: from values to bytes and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
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
        """Decode the output of :meth:`dumps`.

        :param type_: The annotation to decode by; :data:`typing.Any` when there is none.
        :raises PayloadError: the data is damaged, or does not fit the annotation.
        """

    def reader(self, type_: Any) -> Callable[[bytes], Any] | None:
        """Return a faster form of :meth:`loads`; for data that does not fit it may raise anything.

        :param type_: The annotation to decode by, as for :meth:`loads`.
        :returns: The function; ``None`` where there is nothing faster than :meth:`loads`.
        """
        return None

    def split(self, data: bytes) -> list[bytes]:
        """Return the encoded elements of an encoded list.

        :raises PayloadError: the data is not a list.
        """
        from taskiq_flow.errors import PayloadError

        value = self.loads(data)
        if not isinstance(value, (list, tuple)):
            raise PayloadError(f"expected a list, found {type(value).__name__}")
        return [self.dumps(element) for element in value]

    def join(self, parts: Iterable[bytes]) -> bytes:
        """Return the encoded list of encoded elements."""
        return self.dumps([self.loads(part) for part in parts])

    def split_mapping(self, data: bytes) -> tuple[list[bytes], list[bytes]] | None:
        """Return the encoded keys and the encoded values of an encoded dictionary.

        :returns: ``None`` when the data is no dictionary.
        :raises PayloadError: the data is damaged.
        """
        value = self.loads(data)
        if not isinstance(value, Mapping):
            return None
        return [self.dumps(key) for key in value], [self.dumps(each) for each in value.values()]

    def join_mapping(self, keys: Iterable[bytes], values: Iterable[bytes]) -> bytes:
        """Return the encoded dictionary of encoded keys and values."""
        pairs = zip(keys, values, strict=True)
        return self.dumps({self.loads(key): self.loads(value) for key, value in pairs})


class ByteCodec(ABC):
    """Changes encoded values as they go into messages, logs and blobs, and back: compresses or encrypts them.

    Codecs run one after the other behind a serializer. A payload's id names those that changed it, in their order:
    ``json+zstd+encrypted``. One object may be used from several threads at once. Objects that are given to a flow with
    a pool of processes can be pickled. Implementations pass ``taskiq_flow.testing.ByteCodecKit``.

    :cvar name: The name that selects the codec and is stored with every payload that it changed; without ``+``. Never
        use the name for another format.
    :ivar max_bytes: The largest result of :meth:`decode` in bytes; the flow sets it where it is ``None``. A codec whose
        output can be much longer than its input must stop there.
    """

    name: ClassVar[str]
    max_bytes: int | None = None

    @abstractmethod
    def encode(self, data: bytes) -> bytes:
        """Change the bytes.

        :returns: The changed bytes; or ``data`` itself, the same object, to leave it as it is. Then the payload's id
            does not name the codec.
        """

    @abstractmethod
    def decode(self, data: bytes) -> bytes:
        """Return the original bytes of :meth:`encode`.

        :raises PayloadError: the data is damaged, was tampered with, or would become too long.
        """
