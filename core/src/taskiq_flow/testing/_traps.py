"""Data that runs code when it is unpickled or evaluated, and a watch over unpickling."""

from __future__ import annotations

import base64
import pickle
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Trap", "forge", "traps", "watch_unpickling"]

_sprung: list[str] = []
_unpickled: list[str] = []
_watching = False
_hooked = False
_ME = __name__


def spring() -> None:
    """Record that a trap ran."""
    _sprung.append("sprung")


class Trap:
    """An object that runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return spring, ()


def traps() -> Iterator[bytes]:
    """Yield data that runs code when it is unpickled, evaluated, or read as YAML or JSON with Python's own tags."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.dumps(Trap(), protocol)
    yield base64.b64encode(pickle.dumps(Trap()))
    yield zlib.compress(pickle.dumps(Trap()))
    call = f"__import__({_ME!r}, fromlist=['spring']).spring()"
    yield call.encode()
    yield f"[{call}]".encode()
    yield f"!!python/object/apply:{_ME}.spring []\n".encode()
    yield f'{{"py/reduce": [{{"py/function": "{_ME}.spring"}}, {{"py/tuple": []}}]}}'.encode()
    yield f'{{"__class__": "{_ME}.Trap", "__reduce__": ["{_ME}.spring", []]}}'.encode()


def forge(data: bytes) -> Iterator[bytes]:
    """Yield copies of written data with a trap in place of each pickle."""
    trap = pickle.dumps(Trap())
    for start in range(len(data) - 1):
        if data[start] == 0x80 and 2 <= data[start + 1] <= pickle.HIGHEST_PROTOCOL:
            yield data[:start] + trap


@contextmanager
def watch_unpickling() -> Iterator[tuple[list[str], list[str]]]:
    """Watch for traps and unpickling within the context.

    :returns: A list that grows when a trap runs, and the names of objects that unpickling looked up.
    """
    global _hooked, _watching  # noqa: PLW0603 - a hook of the interpreter cannot be taken out again
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True
    _sprung.clear()
    _unpickled.clear()
    _watching = True
    try:
        yield _sprung, _unpickled
    finally:
        _watching = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event == "pickle.find_class":
        _unpickled.append(f"{arguments[0]}.{arguments[1]}")
