"""Values with arrays and tables whose bytes are kept, and the script that adds bytes for new values.

Run ``python plugins/serializers/tests/golden_arrays.py``; what is there stays as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import pyarrow

FOLDER = Path(__file__).parent / "golden"
KEY = "a key that everybody can read"

#: By label: the value, and the annotation that it is read by.
ARRAYS: Mapping[str, tuple[Any, Any]] = {
    "integers": (numpy.arange(6, dtype="<i4").reshape(2, 3), numpy.ndarray),
    "columns-first": (numpy.asfortranarray(numpy.arange(6, dtype="<f8").reshape(2, 3)), numpy.ndarray),
    "big-endian": (numpy.arange(3, dtype=">i2"), numpy.ndarray),
    "empty": (numpy.zeros((0, 3), "<f4"), numpy.ndarray),
    "without-dimensions": (numpy.array(5, "<i8"), numpy.ndarray),
    "text": (numpy.array(["a", "ž"]), numpy.ndarray),
    "moments": (numpy.array(["2026-02-28", "NaT"], "<M8[ns]"), numpy.ndarray),
    "structures": (
        numpy.array([(1, "a", (2.0, 3.0))], [("a", "<i4"), ("b", "<U1"), ("c", "<f8", (2,))]),
        Any,
    ),
    "scalars": ([numpy.float32(1.5), numpy.bool_(True), numpy.datetime64("2026-02-28")], Any),
    "in-plain-data": ({"x": numpy.ones(2, "<f8"), "n": [1, "text"]}, Any),
}

_TABLE = pyarrow.table({"a": [1, None], "b": ["x", "y"], "c": [[1.5], []]})

#: By label: the value, and the annotation that it is read by.
TABLES: Mapping[str, tuple[Any, Any]] = {
    "table": (_TABLE, pyarrow.Table),
    "batch": (_TABLE.to_batches()[0], pyarrow.RecordBatch),
    "array": (pyarrow.array(["a", None]), pyarrow.Array),
    "chunks": (pyarrow.chunked_array([[1], [2, 3]]), pyarrow.ChunkedArray),
    "in-plain-data": ({"t": _TABLE, "n": [1, "text"]}, Any),
}


def alike(left: Any, right: Any) -> bool:
    """Whether values are equal and of equal types, arrays and tables within them too."""
    if type(left) is not type(right):
        return False
    if isinstance(left, (numpy.ndarray, numpy.generic)):
        return (
            left.dtype == right.dtype
            and left.shape == right.shape
            and left.tobytes("A") == right.tobytes("A")
            and left.flags.f_contiguous == right.flags.f_contiguous
        )
    if isinstance(left, (pyarrow.Table, pyarrow.RecordBatch, pyarrow.Array, pyarrow.ChunkedArray)):
        return bool(left.equals(right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(alike(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(alike, left, right))
    return bool(left == right)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3] / "core" / "tests"))
    from golden_values import VALUES, extend
    from taskiq_flow_serializers.arrow import ArrowSerializer
    from taskiq_flow_serializers.cbor import CborSerializer
    from taskiq_flow_serializers.msgpack import MsgpackSerializer
    from taskiq_flow_serializers.numpy import NumpySerializer
    from taskiq_flow_serializers.pickle import PickleSerializer

    extend(FOLDER / "msgpack.txt", MsgpackSerializer(), VALUES)
    extend(FOLDER / "cbor.txt", CborSerializer(), VALUES)
    extend(FOLDER / "pickle.txt", PickleSerializer(KEY), VALUES)
    extend(FOLDER / "numpy.txt", NumpySerializer(), ARRAYS)
    extend(FOLDER / "arrow.txt", ArrowSerializer(), TABLES)
