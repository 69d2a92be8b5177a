"""Writing what comes back: every object in a value is read by its own class, and compared with what it was."""

from __future__ import annotations

import functools
from typing import Any, Protocol

from taskiq_flow.errors import PayloadError
from taskiq_flow.serializers._comparing import Unproven, difference
from taskiq_flow.serializers._lowering import spell
from taskiq_flow.serializers._records import is_spelled, open_fields
from taskiq_flow.serializers._surveying import Survey

__all__ = ["write_proven"]


class _Format(Protocol):
    def write(self, value: Any) -> bytes: ...
    def read(self, data: bytes) -> Any: ...
    def loads(self, data: bytes, type_: Any = ...) -> Any: ...
    def carries(self, value: Any) -> bool: ...


def write_proven(format_: _Format, value: Any) -> bytes:
    """Write a value, of which each object has been read back by its own class and found to be the same.

    An object of a class that is written for others in a way that it does not read itself (under other names, or without
    some fields) is written as the dictionary of its fields under their own names, which every reader takes as well.

    :raises Exception: an object would not come back, or cannot be written.
    """
    survey = Survey(format_.carries)
    settled = survey.settle(value)
    drafts: dict[int, Any] = {}
    data: bytes | None
    try:
        data = format_.write(settled)
    except Exception:
        if not any(map(is_spelled, survey.objects)):
            raise
        data = None
    for kind, objects in survey.objects.items():
        _prove(format_, kind, list(objects.values()), settled, data, drafts)
    for kind, keys in survey.keys.items():
        _prove_keys(format_, kind, list(keys.values()))
    if drafts or data is None:
        settled = _put(settled, drafts)
        data = format_.write(settled)
    if survey.deep:
        format_.read(data)
    return data


def _prove(
    format_: _Format,
    kind: Any,
    objects: list[Any],
    settled: Any,
    data: bytes | None,
    drafts: dict[int, Any],
) -> None:
    skipped = open_fields(kind)
    carries = format_.carries
    try:
        if len(objects) == 1:
            written = data if objects[0] is settled and data is not None else format_.write(objects[0])
            found = [format_.loads(written, kind)]
        else:
            whole = data is not None and type(settled) is list and len(settled) == len(objects)
            whole = whole and all(map(_is, settled, objects))
            found = format_.loads(
                data if whole and data is not None else format_.write(objects), _list_of(kind)
            )
        if all(
            difference(one, other, carries, skipped) is None
            for one, other in zip(objects, found, strict=True)
        ):
            return
    except Exception:  # noqa: BLE001 - each is tried on its own, below
        pass
    for each in objects:
        try:
            _prove_one(format_, each, each)
        except Exception:
            if not is_spelled(kind):
                raise
            draft = spell(each)
            try:
                _prove_one(format_, each, draft)
            except Exception:  # noqa: BLE001 - what is wrong with the usual form says more
                draft = None
            if draft is None:
                raise
            drafts[id(each)] = draft


def _prove_one(format_: _Format, value: Any, form: Any) -> None:
    kind = type(value)
    data = format_.write(form)
    try:
        found = format_.loads(data, kind)
    except PayloadError as error:
        raise Unproven("", f"it could not be read back, {error}") from error
    if (told := difference(value, found, format_.carries, open_fields(kind))) is not None:
        raise Unproven(*told)


def _prove_keys(format_: _Format, kind: type[Any], keys: list[Any]) -> None:
    for key in keys:
        data = format_.write({key: None})
        annotation: Any = dict
        try:
            found = format_.loads(data, annotation[kind, Any])
        except PayloadError as error:
            raise Unproven("", f"the key {kind.__qualname__} could not be read back, {error}") from error
        if (told := difference(key, next(iter(found), None), format_.carries)) is not None:
            raise Unproven(f", key {kind.__qualname__}{told[0]}", told[1])


def _put(value: Any, drafts: dict[int, Any]) -> Any:
    """Return settled data with the drafts in place of their objects."""
    if id(value) in drafts:
        return drafts[id(value)]
    kind = type(value)
    if kind is list:
        return [_put(each, drafts) for each in value]
    if kind is tuple:
        return tuple([_put(each, drafts) for each in value])
    if kind is dict:
        return {key: _put(each, drafts) for key, each in value.items()}
    if (kind is set or kind is frozenset) and any(id(each) in drafts for each in value):
        raise Unproven("", "an element of a set is not read as it is written")
    return value


def _is(one: Any, other: Any) -> bool:
    return one is other


# Annotations are known by their identity, so each class has one.
@functools.lru_cache(maxsize=2048)
def _list_of(kind: Any) -> Any:
    return list.__class_getitem__(kind)
