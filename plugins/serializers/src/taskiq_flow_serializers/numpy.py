"""Values with NumPy arrays in them: MessagePack, with each array as a ``.npy`` file inside."""

from __future__ import annotations

import io
import math
from typing import Any, ClassVar

from taskiq_flow.errors import PayloadError
from taskiq_flow_serializers._times import fit_times
from taskiq_flow_serializers._words import import_extra
from taskiq_flow_serializers.msgpack import MsgpackSerializer

__all__ = ["NumpySerializer"]

# The codes of the extensions are part of the format: never change the meaning of one.
ARRAY, SCALAR = 16, 17


class NumpySerializer(MsgpackSerializer):
    """NumPy arrays and scalars, alone or anywhere in plain data; nothing is ever pickled.

    Each keeps its type, shape and order in memory. An array that was read may be changed. A consumer whose annotation
    wants plain lists or numbers gets them.
    """

    name: ClassVar[str] = "numpy"
    advice: ClassVar[str] = (
        "give arrays of numbers, text, dates or structures of these, plain data, a dataclass or a pydantic model"
    )

    def __init__(self) -> None:
        super().__init__()
        self._numpy = import_extra("numpy", "serializer 'numpy'", "numpy")
        self._format = import_extra("numpy.lib.format", "serializer 'numpy'", "numpy")

    def carries(self, value: Any) -> bool:
        """Whether the format has a form of its own for an object, from which exactly that object comes back."""
        return isinstance(value, (self._numpy.generic, self._numpy.ndarray))

    def extension(self, value: Any) -> tuple[int, bytes] | None:
        """Return the code and the data of an object's extension; ``None`` where the format has none for it."""
        if isinstance(value, self._numpy.generic):
            return SCALAR, self._file(self._numpy.asarray(value))
        if isinstance(value, self._numpy.ndarray):
            if type(value) not in (self._numpy.ndarray, self._numpy.memmap):
                raise TypeError(
                    "only the array in it would come back; give its parts, or numpy.asarray of it"
                )
            return ARRAY, self._file(value)
        return super().extension(value)

    def object(self, code: int, data: bytes) -> Any:
        """Return the object of an extension.

        :raises ValueError: there is no such extension, or its data is damaged.
        """
        if code == ARRAY:
            return self._array(data)
        if code == SCALAR:
            return self._array(data)[()]
        return super().object(code, data)

    def split(self, data: bytes) -> list[bytes]:
        """Return the encoded elements of an encoded list, or of an array along its first axis.

        :raises PayloadError: the data is neither.
        """
        if not _is_array(data):
            return super().split(data)
        array = self.loads(data)
        if array.ndim == 0:
            raise PayloadError("expected a list or an array of some dimensions, found one of none")
        return [self.dumps(element) for element in array]

    def fit(self, value: Any, type_: Any) -> Any:
        """Convert data to the type of an annotation, with lists and numbers in place of arrays where it wants those.

        :raises PayloadError: the data does not fit.
        """
        value = fit_times(self, value, type_)
        try:
            return super().fit(value, type_)
        except PayloadError:
            plain = self._plain(value)
            if plain is value:
                raise
            try:
                return super().fit(plain, type_)
            except PayloadError:
                pass
            raise

    def _file(self, array: Any) -> bytes:
        dtype = array.dtype
        if dtype.hasobject:
            raise TypeError(f"an array of {dtype} holds Python objects, which only a pickle could carry")
        described = self._format.descr_to_dtype(self._format.dtype_to_descr(dtype))
        if described != dtype or dtype.itemsize == 0:
            raise TypeError(f"an array of {dtype} would come back as one of {described}")
        stream = io.BytesIO()
        self._format.write_array(stream, array, allow_pickle=False)
        # Readers refuse longer descriptions, because parsing them may take for ever.
        if stream.getbuffer().nbytes - array.nbytes > 10_000:
            raise TypeError("the description of its type is too long to be read back")
        return stream.getvalue()

    def _array(self, data: bytes) -> Any:
        stream = io.BytesIO(data)
        version = self._format.read_magic(stream)
        read = {
            (1, 0): self._format.read_array_header_1_0,
            (2, 0): self._format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"version {version} of the array format is not written here")
        shape, fortran, dtype = read(stream)
        start, count = stream.tell(), math.prod(shape)
        if dtype.hasobject or dtype.itemsize == 0 or min(shape, default=0) < 0:
            raise ValueError(f"an array of {dtype} and shape {shape} is not written here")
        if len(data) - start != count * dtype.itemsize:
            raise ValueError(
                f"an array of {dtype} and shape {shape} has {count * dtype.itemsize} bytes, found {len(data) - start}"
            )
        if count == 0:
            return self._numpy.empty(shape, dtype, order="F" if fortran else "C")
        # A copy that belongs to the array, so that it can be changed.
        flat = self._numpy.frombuffer(bytearray(memoryview(data)[start:]), dtype, count)
        return flat.reshape(shape, order="F" if fortran else "C")

    def _plain(self, value: Any) -> Any:
        """Return lists and numbers in place of arrays; the same object where there are none."""
        if isinstance(value, (self._numpy.ndarray, self._numpy.generic)):
            return value.tolist()
        if type(value) is list:
            parts = [self._plain(each) for each in value]
            return value if all(new is old for new, old in zip(parts, value, strict=True)) else parts
        if type(value) is dict:
            pairs = {key: self._plain(each) for key, each in value.items()}
            return value if all(pairs[key] is each for key, each in value.items()) else pairs
        return value


def _is_array(data: bytes) -> bool:
    head = data[:1]
    if head in (b"\xc7", b"\xc8", b"\xc9"):
        place = 1 + (1 << (head[0] - 0xC7))
        return data[place : place + 1] == bytes([ARRAY])
    return False
