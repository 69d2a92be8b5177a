"""Arrays and tables: every kind comes back as it was, alone and within plain data, and nothing is pickled."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import attrs
import msgpack  # type: ignore[import-untyped]
import numpy
import numpy.typing
import pyarrow
import pytest
from golden_arrays import alike
from pydantic import BaseModel, ConfigDict

from taskiq_flow.errors import PayloadError, PluginError
from taskiq_flow_serializers.arrow import TABLE as TABLE_CODE
from taskiq_flow_serializers.arrow import ArrowSerializer
from taskiq_flow_serializers.numpy import NumpySerializer


@dataclasses.dataclass
class Batch:
    x: numpy.ndarray
    y: numpy.typing.NDArray[numpy.float64]
    name: str = ""


@attrs.frozen
class Pair:
    left: Batch
    right: numpy.ndarray | None = None


class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    x: numpy.ndarray


@dataclasses.dataclass
class Report:
    table: pyarrow.Table
    rows: int = 0


NESTED = [("a", "<i4"), ("b", "<U3"), ("c", [("d", ">f8")], (2,))]
TABLE = pyarrow.table({"a": [1, 2, None], "b": ["x", None, "z"]})


@pytest.mark.parametrize(
    "array",
    [
        numpy.arange(6).reshape(2, 3),
        numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)),
        numpy.arange(6, dtype=">i4"),
        numpy.zeros((0, 3)),
        numpy.zeros((3, 0, 2)),
        numpy.array(5),
        numpy.array(["a", "bcd"]),
        numpy.array([b"a"]),
        numpy.array(["2026-01-01", "NaT"], "M8[ns]"),
        numpy.array([1], "m8[s]"),
        numpy.zeros(3, NESTED),
        numpy.zeros(2, numpy.dtype([("a", "i1"), ("b", "f8")], align=True)),
        numpy.array([1 + 2j]),
        numpy.array([True]),
    ],
)
def test_an_array_comes_back_as_it_was_and_can_be_changed(array: Any) -> None:
    found = NumpySerializer().loads(NumpySerializer().dumps(array))
    assert alike(found, array)
    assert found.flags.writeable
    assert not numpy.shares_memory(found, NumpySerializer().loads(NumpySerializer().dumps(array)))


@pytest.mark.parametrize(
    "array",
    [
        numpy.arange(20)[::3],
        numpy.broadcast_to(numpy.arange(3), (2, 3)),
        numpy.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    ],
)
def test_a_view_comes_back_with_its_values(array: Any) -> None:
    found = NumpySerializer().loads(NumpySerializer().dumps(array))
    assert found.dtype == array.dtype
    assert found.tolist() == array.tolist()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (numpy.array([object()]), "type ndarray as numpy: an array of object holds Python objects"),
        (
            {"a": [numpy.zeros(1, [("a", "O")])]},
            "(at result['a'][0]) as numpy: an array of [('a', 'O')] holds",
        ),
        (numpy.ma.array([1], mask=[True]), "only the array in it would come back"),
        (numpy.zeros(2, "V0"), "would come back as one of"),
        (numpy.zeros(1, [(f"f{n}", "i1") for n in range(2000)]), "the description of its type is too long"),
    ],
)
def test_what_would_need_a_pickle_or_change_is_refused(value: Any, said: str) -> None:
    with pytest.raises(PayloadError) as caught:
        NumpySerializer().dumps(value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (Batch(numpy.arange(2), numpy.ones(2)), Batch),
        (Pair(Batch(numpy.arange(2), numpy.ones(2), "n"), numpy.zeros(1)), Pair),
        ({"k": [Batch(numpy.arange(2), numpy.ones(2))]}, dict[str, list[Batch]]),
        (Model(x=numpy.arange(2)), Model),
        ((numpy.arange(2), 1), tuple[numpy.ndarray, int]),
    ],
)
def test_arrays_within_classes_come_back_by_the_annotation(value: Any, annotation: Any) -> None:
    found = NumpySerializer().loads(NumpySerializer().dumps(value), annotation)
    assert type(found) is type(value)
    assert repr(found) == repr(value)


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (numpy.arange(3), list[int], [0, 1, 2]),
        (numpy.int64(4), int, 4),
        (numpy.bool_(True), bool, True),
        ([numpy.float32(0.5)], list[float], [0.5]),
        ({"a": numpy.ones((1, 2))}, dict[str, list[list[float]]], {"a": [[1.0, 1.0]]}),
    ],
)
def test_who_wants_plain_values_gets_them(value: Any, annotation: Any, expected: Any) -> None:
    found = NumpySerializer().loads(NumpySerializer().dumps(value), annotation)
    assert found == expected
    assert type(found) is type(expected)


def test_an_array_is_split_along_its_first_axis() -> None:
    serializer = NumpySerializer()
    parts = serializer.split(serializer.dumps(numpy.arange(6).reshape(3, 2)))
    assert alike([serializer.loads(part) for part in parts], list(numpy.arange(6).reshape(3, 2)))
    assert alike(
        serializer.loads(serializer.join(parts)),
        [numpy.array([0, 1]), numpy.array([2, 3]), numpy.array([4, 5])],
    )
    with pytest.raises(PayloadError, match="of some dimensions"):
        serializer.split(serializer.dumps(numpy.array(1)))


@pytest.mark.parametrize(
    "value",
    [
        TABLE,
        TABLE.schema.empty_table(),
        TABLE.slice(1, 1),
        TABLE.replace_schema_metadata({"k": "v"}),
        TABLE.to_batches()[0],
        pyarrow.RecordBatch.from_pylist([], schema=TABLE.schema),
        pyarrow.array([1, None]),
        pyarrow.array([], pyarrow.int8()),
        pyarrow.array(["a", "b", "a"]).dictionary_encode(),
        pyarrow.chunked_array([[1], [2, 3]]),
        pyarrow.chunked_array([], pyarrow.int8()),
        {"t": [TABLE, 1], "n": None},
    ],
)
def test_a_table_comes_back_as_it_was(value: Any) -> None:
    assert alike(ArrowSerializer().loads(ArrowSerializer().dumps(value)), value)


def test_a_table_within_a_class_comes_back_by_the_annotation() -> None:
    found = ArrowSerializer().loads(ArrowSerializer().dumps([Report(TABLE, 3)]), list[Report])
    assert found == [Report(TABLE, 3)]


def test_frames_of_pandas_come_back_by_the_annotation() -> None:
    pandas = pytest.importorskip("pandas")

    serializer = ArrowSerializer()
    frame = pandas.DataFrame({"a": [1, 2], "s": ["x", None]}, index=pandas.Index([5, 6], name="i"))
    pandas.testing.assert_frame_equal(serializer.loads(serializer.dumps(frame), pandas.DataFrame), frame)
    pandas.testing.assert_frame_equal(
        serializer.loads(serializer.dumps([frame]), list[pandas.DataFrame])[0], frame
    )
    assert type(serializer.loads(serializer.dumps(frame))) is pyarrow.Table
    found = serializer.loads(
        serializer.dumps({"frame": frame, "name": "n"}), dict[str, pandas.DataFrame | str]
    )
    pandas.testing.assert_frame_equal(found["frame"], frame)
    with pytest.raises(PayloadError, match="type DataFrame as arrow: "):
        serializer.dumps(pandas.DataFrame({"o": [object(), 1]}))


def test_frames_of_polars_come_back_by_the_annotation() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, 2], "s": ["x", None]})
    found = ArrowSerializer().loads(ArrowSerializer().dumps(frame), polars.DataFrame)
    assert found.equals(frame)


@pytest.mark.parametrize(("make", "name"), [(NumpySerializer, "numpy"), (ArrowSerializer, "pyarrow")])
def test_a_missing_package_is_an_error_that_says_what_to_install(
    make: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def missing(module: str, *arguments: Any) -> Any:
        if module.partition(".")[0] == name:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(module, *arguments)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(PluginError) as caught:
        make()
    # A worker that was sent such a value refuses the value, and goes on.
    assert isinstance(caught.value, PayloadError)
    assert f'install "taskiq-flow-serializers[{make.name}]"' in str(caught.value)


@pytest.mark.parametrize("column", [[0] * 100_000, pyarrow.array(["a" * 1000] * 100).dictionary_encode()])
def test_compressed_tables_are_refused_before_they_fill_the_memory(column: Any) -> None:
    table = pyarrow.table({"a": column})

    def read(**options: Any) -> Any:
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(
            sink, table.schema, options=pyarrow.ipc.IpcWriteOptions(**options)
        ) as writer:
            writer.write_table(table)
        data = msgpack.packb(msgpack.ExtType(TABLE_CODE, sink.getvalue().to_pybytes()))
        return ArrowSerializer().loads(data)

    assert read() == table
    for codec in ("zstd", "lz4"):
        with pytest.raises(PayloadError, match="compressed batches, which could fill the memory"):
            read(compression=codec)


def test_tables_that_are_compressed_in_the_oldest_way_are_refused() -> None:
    batch = pyarrow.record_batch([pyarrow.array([1, 2])], names=["a"])
    options = pyarrow.ipc.IpcWriteOptions(metadata_version=pyarrow.ipc.MetadataVersion.V4)
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch, custom_metadata={"ARROW:experimental_compression": "zstd"})
    data = msgpack.packb(msgpack.ExtType(TABLE_CODE, sink.getvalue().to_pybytes()))
    with pytest.raises(PayloadError, match="compressed batches"):
        ArrowSerializer().loads(data)
