"""Values as signed pickles: any object that Python can pickle, from processes with the key."""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import pickle
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

from pydantic import WrapValidator

from taskiq_flow.errors import PayloadError, PluginError
from taskiq_flow.typed import TypedSerializer
from taskiq_flow_serializers._times import fit_times

__all__ = ["KEY_VARIABLE", "PickleNotAllowed", "PickleSerializer"]

KEY_VARIABLE = "TASKIQ_FLOW_PICKLE_KEY"
_MAGIC = b"TFP1"
_SHORTEST = 16
_SIGNATURE = hashlib.sha256().digest_size
_PROTOCOL = 5
# The instruction that finds a class or a function. Plain data has none, but may have the byte in its text.
_CLASS = pickle.STACK_GLOBAL


class PickleNotAllowed(PluginError, PayloadError):
    """There is no key to sign and check pickles with, or a key is too short."""


class PickleSerializer(TypedSerializer):
    """Pickles, each signed with a key: unpickling can run any code of the writer, so only known writers are trusted.

    Nothing is unpickled before its signature is checked. The first key signs, and all keys are accepted. So a new key
    can be put in front of the old one until no payload of the old one is left.

    :param key: A key of at least 16 bytes, or several; by default those of ``TASKIQ_FLOW_PICKLE_KEY``, with commas
        between them.
    :raises PickleNotAllowed: there is no key, or one is too short.
    """

    name: ClassVar[str] = "pickle"
    advice: ClassVar[str] = "give what can be pickled"

    def __init__(self, key: str | bytes | Iterable[str | bytes] | None = None) -> None:
        super().__init__()
        if key is None:
            key = [each.strip() for each in os.environ.get(KEY_VARIABLE, "").split(",") if each.strip()]
        given = [key] if isinstance(key, (str, bytes)) else list(key)
        self._keys = tuple(each.encode() if isinstance(each, str) else bytes(each) for each in given)
        if not self._keys:
            raise PickleNotAllowed(
                "pickle is not allowed here, because reading a pickle runs code; to allow it among processes that "
                f"trust each other, set {KEY_VARIABLE} for all of them to one secret of at least {_SHORTEST} bytes, "
                "such as `python -c 'import secrets; print(secrets.token_hex(32))'` prints"
            )
        if short := [len(each) for each in self._keys if len(each) < _SHORTEST]:
            raise PickleNotAllowed(
                f"a key for pickles has {', '.join(map(str, short))} bytes, expected at least {_SHORTEST}; a key is a "
                "secret that nobody can guess, not a word"
            )

    def write(self, value: Any) -> bytes:
        """Pickle and sign a value.

        :raises Exception: it cannot be pickled.
        """
        data = pickle.dumps(value, _PROTOCOL)
        return _MAGIC + _signature(self._keys[0], data) + data

    def write_plain(self, value: Any) -> bytes:
        """Pickle and sign any value: a pickle brings back whatever can be pickled, and unpickled again.

        :raises Exception: it cannot.
        """
        data = self.write(value)
        if _CLASS in data:
            self.read(data)
        return data

    def special(self, kind: type[Any]) -> Any:
        """Return the annotation for a class of pydantic, whose objects are accepted as they are."""
        if not hasattr(kind, "__pydantic_fields__"):
            return None

        def pass_(value: Any, read: Any) -> Any:
            return value if isinstance(value, kind) else read(value)

        model: Any = kind
        return Annotated[model, WrapValidator(pass_)]

    def read(self, data: bytes) -> Any:
        """Check the signature, then unpickle.

        :raises PayloadError: none of the keys has signed it.
        :raises Exception: it cannot be unpickled.
        """
        start = len(_MAGIC) + _SIGNATURE
        if data[: len(_MAGIC)] != _MAGIC or len(data) < start:
            raise PayloadError("cannot decode as pickle: it is no signed pickle, and was not unpickled")
        signature, pickled = data[len(_MAGIC) : start], data[start:]
        if not any(hmac.compare_digest(_signature(key, pickled), signature) for key in self._keys):
            raise PayloadError(
                "cannot decode as pickle: none of the keys here has signed it, so it was not unpickled; "
                f"it was changed, or {KEY_VARIABLE} lacks the key of its writer"
            )
        return pickle.load(io.BytesIO(pickled))

    def fit(self, value: Any, type_: Any) -> Any:
        """Convert a value to the type of an annotation.

        :raises PayloadError: it does not fit.
        """
        return super().fit(fit_times(self, value, type_), type_)


def _signature(key: bytes, pickled: bytes) -> bytes:
    return hmac.digest(key, _MAGIC + pickled, "sha256")
