"""Values with Arrow tables in them: MessagePack, with each table as an Arrow IPC stream inside."""

from __future__ import annotations

import functools
import struct
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

from taskiq_flow_serializers._frames import from_frame, is_frame, to_pandas
from taskiq_flow_serializers._words import import_extra
from taskiq_flow_serializers.msgpack import MsgpackSerializer

__all__ = ["ArrowSerializer"]

# The codes of the extensions are part of the format: never change the meaning of one.
TABLE, BATCH, ARRAY, CHUNKED_ARRAY = 32, 33, 34, 35
_COLUMN = "values"
# The key by which the first compressing versions of Arrow marked compression; readers still understand it.
_OLD_COMPRESSION = b"ARROW:experimental_compression"


class ArrowSerializer(MsgpackSerializer):
    """Arrow tables, record batches and arrays, alone or anywhere in plain data.

    DataFrames of pandas and of polars are written as tables. They come back as DataFrames by annotation, and as tables
    without one. Nothing is ever pickled: a column of Python objects is refused.
    """

    name: ClassVar[str] = "arrow"
    advice: ClassVar[str] = (
        "give an Arrow table, record batch or array, a DataFrame, plain data, a dataclass or a pydantic model"
    )

    def __init__(self) -> None:
        super().__init__()
        self._arrow = import_extra("pyarrow", "serializer 'arrow'", "arrow")

    def carries(self, value: Any) -> bool:
        """Whether the format has a form of its own for an object, from which exactly that object comes back."""
        arrow = self._arrow
        kinds = (arrow.Table, arrow.RecordBatch, arrow.Array, arrow.ChunkedArray)
        return isinstance(value, kinds) or is_frame(value)

    def extension(self, value: Any) -> tuple[int, bytes] | None:
        """Return the code and the data of an object's extension; ``None`` where the format has none for it."""
        arrow = self._arrow
        if isinstance(value, arrow.Table):
            return TABLE, self._stream(value.schema, value.to_batches())
        if isinstance(value, arrow.RecordBatch):
            return BATCH, self._stream(value.schema, [value])
        if isinstance(value, arrow.Array):
            batch = arrow.record_batch([value], names=[_COLUMN])
            return ARRAY, self._stream(batch.schema, [batch])
        if isinstance(value, arrow.ChunkedArray):
            table = arrow.table([value], names=[_COLUMN])
            return CHUNKED_ARRAY, self._stream(table.schema, table.to_batches())
        if is_frame(value):
            return self.extension(from_frame(arrow, value))
        return super().extension(value)

    def object(self, code: int, data: bytes) -> Any:
        """Return the object of an extension.

        :raises ValueError: there is no such extension, or its data is damaged.
        """
        if code not in (TABLE, BATCH, ARRAY, CHUNKED_ARRAY):
            return super().object(code, data)
        if any(_is_compressed(message) for message in self._arrow.ipc.MessageReader.open_stream(data)):
            raise ValueError("compressed batches, which could fill the memory, are not written here")
        source = self._arrow.BufferReader(data)
        with self._arrow.ipc.open_stream(source) as reader:
            table = reader.read_all()
            if source.tell() != len(data):
                raise ValueError("there is more behind the table")
        # In tampered data, reading a cell could reach beyond the buffers.
        table.validate(full=True)
        if code == TABLE:
            return table
        if code == CHUNKED_ARRAY:
            return table.column(0)
        batches = table.to_batches()
        if not batches:
            batches = [self._arrow.RecordBatch.from_pylist([], schema=table.schema)]
        if len(batches) != 1:
            raise ValueError(f"one record batch is written as one, found {len(batches)}")
        return batches[0] if code == BATCH else batches[0].column(0)

    def special(self, kind: type[Any]) -> Any:
        """Return the annotation for a DataFrame class, which is read as a table."""
        if kind.__name__ != "DataFrame":
            return None
        package = kind.__module__.partition(".")[0]
        if package == "pandas":
            make: Any = self._to_pandas
        elif package == "polars":
            make = functools.partial(self._to_polars, kind)
        else:
            return None
        frame: Any = kind
        return Annotated[frame, BeforeValidator(make)]

    def _stream(self, schema: Any, batches: list[Any]) -> bytes:
        sink = self._arrow.BufferOutputStream()
        with self._arrow.ipc.new_stream(sink, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        data: bytes = sink.getvalue().to_pybytes()
        return data

    def _to_pandas(self, value: Any) -> Any:
        return to_pandas(value) if isinstance(value, self._arrow.Table) else value

    def _to_polars(self, kind: Any, value: Any) -> Any:
        return kind(value) if isinstance(value, self._arrow.Table) else value


def _is_compressed(message: Any) -> bool:
    """Whether the buffers of a message are compressed; only its description (a FlatBuffer) shows that."""
    if message.type == "schema":
        return False
    data = memoryview(message.metadata)
    if _OLD_COMPRESSION in bytes(data):
        return True
    batch = _table(data, _field(data, _table(data, 0), 2))
    if message.type == "dictionary":
        batch = _table(data, _field(data, batch, 1))
    return _field(data, batch, 3) != 0


def _table(data: memoryview, place: int) -> int:
    """Return the beginning of the table that a field refers to."""
    (distance,) = struct.unpack_from("<I", data, place)
    return place + int(distance)


def _field(data: memoryview, table: int, number: int) -> int:
    """Return the place of a table's field; 0 for a missing one."""
    (distance,) = struct.unpack_from("<i", data, table)
    fields = table - int(distance)
    (size,) = struct.unpack_from("<H", data, fields)
    if 4 + 2 * number >= size:
        return 0
    (offset,) = struct.unpack_from("<H", data, fields + 4 + 2 * number)
    return table + int(offset) if offset else 0
