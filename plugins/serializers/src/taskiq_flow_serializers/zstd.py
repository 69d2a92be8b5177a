"""Compression with Zstandard (RFC 8878)."""

from __future__ import annotations

from typing import Any, ClassVar

from taskiq_flow.errors import PayloadError, PluginError
from taskiq_flow.serializer import ByteCodec
from taskiq_flow_serializers._words import import_extra

__all__ = ["ZstdCodec"]

_LEVELS = range(1, 23)


class ZstdCodec(ByteCodec):
    """Compresses values; a value that is short, or does not get shorter, stays as it is.

    ::

        Flow(broker, codecs=["zstd"])
        Flow(broker, codecs=[ZstdCodec(level=10)])

    :param level: From 1, the fastest, to 22, the smallest.
    :param min_bytes: The size in bytes from which values are compressed.
    :param max_bytes: The largest size of a decompressed value; by default the flow's limit for values.
    :raises PluginError: zstandard is not installed, or a value is impossible.
    """

    name: ClassVar[str] = "zstd"

    def __init__(self, level: int = 3, *, min_bytes: int = 256, max_bytes: int | None = None) -> None:
        problems = []
        if isinstance(level, bool) or level not in _LEVELS:
            problems.append(f"the level is {level!r}; give a number from 1 to 22")
        if isinstance(min_bytes, bool) or not isinstance(min_bytes, int) or min_bytes < 0:
            problems.append(f"min_bytes is {min_bytes!r}; give a number of bytes, 0 or more")
        if problems:
            raise PluginError(f"codec 'zstd' cannot be made: {'; '.join(problems)}")
        _library()
        self.level = level
        self.min_bytes = min_bytes
        self.max_bytes = max_bytes

    def __repr__(self) -> str:
        return f"ZstdCodec(level={self.level}, min_bytes={self.min_bytes}, max_bytes={self.max_bytes})"

    def encode(self, data: bytes) -> bytes:
        """Compress, where that makes the data shorter."""
        if len(data) < self.min_bytes:
            return data
        # A compressor belongs to one thread, and making one is cheap beside its work.
        packed: bytes = _library().ZstdCompressor(level=self.level).compress(data)
        return packed if len(packed) < len(data) else data

    def decode(self, data: bytes) -> bytes:
        """Decompress.

        :raises PayloadError: the data is damaged, or would become longer than it may.
        """
        zstd = _library()
        try:
            # A frame contains the length of its content, so one that would fill the memory is refused first.
            length: int = zstd.frame_content_size(data)
            if length < 0:
                raise PayloadError("the data does not say how long it was, and was not written by this codec")
            if self.max_bytes is not None and length > self.max_bytes:
                raise PayloadError(
                    f"the data would become {length} bytes long, and {self.max_bytes} are allowed; "
                    "raise max_value_bytes where you trust it"
                )
            plain: bytes = zstd.ZstdDecompressor().decompress(data, allow_extra_data=False)
        except (zstd.ZstdError, MemoryError) as error:
            raise PayloadError(f"the data is damaged, or was cut: {error}") from error
        if len(plain) != length:
            raise PayloadError(f"the data has {len(plain)} bytes instead of {length}; it is damaged")
        return plain


def _library() -> Any:
    return import_extra("zstandard", "codec 'zstd'", "zstd")
