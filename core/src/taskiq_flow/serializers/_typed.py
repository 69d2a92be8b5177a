"""The base of serializers of plain data: types by annotation, and errors that name the place."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from taskiq_flow.errors import PayloadError
from taskiq_flow.serializer import Serializer
from taskiq_flow.serializers._annotations import Adapters, is_missing
from taskiq_flow.serializers._proving import write_proven
from taskiq_flow.serializers._surveying import is_plain
from taskiq_flow.serializers._telling import (
    cannot_encode,
    cannot_read_by,
    damage_error,
    does_not_fit,
    first_line,
)

__all__ = ["TypedSerializer"]

# A strict model requires instances, which plain data does not have. After these errors alone, fit() is lax.
_ABOUT_CLASSES = frozenset(
    {
        "bytes_type",
        "dataclass_exact_type",
        "dataclass_type",
        "date_type",
        "datetime_type",
        "decimal_type",
        "frozen_set_type",
        "is_instance_of",
        "model_type",
        "path_type",
        "set_type",
        "time_delta_type",
        "time_type",
        "tuple_type",
    }
)


class TypedSerializer(Serializer):
    """A serializer that is made of two methods: one writes plain data, one reads it.

    This class decodes by the annotation, and makes errors that name the type and the place. A subclass defines
    :meth:`write` and :meth:`read`; either may raise any exception. To write an object that the format does not know,
    lower it with :func:`taskiq_flow.typed.lower`.

    :cvar advice: The end of the error about a value that cannot be written: the next step.
    """

    advice: ClassVar[str] = ""

    def __init__(self) -> None:
        self._adapters = Adapters(self.special, self._echo)

    @abstractmethod
    def write(self, value: Any) -> bytes:
        """Encode a value.

        :raises Exception: it cannot be encoded.
        """

    @abstractmethod
    def read(self, data: bytes) -> Any:
        """Decode the output of :meth:`write` to plain data.

        :raises Exception: the data is damaged.
        """

    def special(self, kind: type[Any]) -> Any:
        """Return the annotation for a class that this format reads in its own way.

        :returns: ``None`` for most classes.
        """
        return None

    def carries(self, value: Any) -> bool:
        """Whether the format has a form of its own for an object, from which exactly that object comes back.

        Objects for which this is false are read back by their own class when they are written, and compared.
        """
        return False

    def write_plain(self, value: Any) -> bytes | None:
        """Encode a value in which everything comes back by its own type.

        :returns: ``None`` where it may have anything else in it; then :meth:`dumps` looks closer.
        :raises Exception: it cannot be encoded.
        """
        return self.write(value) if is_plain(value) else None

    def dumps(self, value: Any) -> bytes:
        """Encode a value, of which every object comes back by its own class as it was.

        :raises PayloadError: the value cannot be encoded, or would come back as another; the message names
            the offending type and where it is.
        """
        # Any exception: models have serializers and validators of their own, here and in loads().
        try:
            return self._dump(value)
        except Exception as error:
            raise cannot_encode(value, error, self._dump, self.name, self.advice) from error

    def _dump(self, value: Any) -> bytes:
        data = self.write_plain(value)
        return write_proven(self, value) if data is None else data

    def _echo(self, value: Any) -> Any:
        return self.read(self.write(value))

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        """Decode the output of :meth:`dumps`.

        :param type_: The annotation to decode by; :data:`typing.Any` when there is none.
        :raises PayloadError: the data is damaged, or does not fit the annotation.
        """
        try:
            value = self.read(data)
        except PayloadError:
            raise
        except Exception as error:
            raise damage_error(error, self.name) from error
        return value if is_missing(type_) else self.fit(value, type_)

    def fit(self, value: Any, type_: Any) -> Any:
        """Convert plain data to the type of an annotation.

        :raises PayloadError: the data does not fit.
        """
        adapter = self._adapter(type_)
        try:
            return adapter.validator.validate_python(value, by_alias=True, by_name=True)
        except ValidationError as error:
            kinds = {each["type"] for each in error.errors(include_input=False, include_url=False)}
            if not _ABOUT_CLASSES.issuperset(kinds):
                raise does_not_fit(type_, error, self.name) from error
            wanted = error
        except Exception as error:
            raise cannot_read_by(type_, first_line(error), self.name) from error
        try:
            return adapter.validator.validate_python(value, strict=False, by_alias=True, by_name=True)
        except Exception as error:
            raise does_not_fit(type_, wanted, self.name) from error

    def describe(self, type_: Any) -> str:
        """Return what pydantic makes of an annotation, as text: its classes are named in it.

        :raises PayloadError: the annotation cannot be read by.
        """
        return str(self._adapter(type_).core_schema)

    def _adapter(self, type_: Any) -> TypeAdapter[Any]:
        try:
            return self._adapters.get(type_)
        except Exception as error:
            raise cannot_read_by(type_, first_line(error), self.name) from error
