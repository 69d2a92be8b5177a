"""Pickles: only with a key, and never before the signature is checked."""

from __future__ import annotations

import hashlib
import hmac
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Flow, PayloadError, PluginError
from taskiq_flow.payloads import Payload
from taskiq_flow_serializers.pickle import KEY_VARIABLE, PickleSerializer

OLD, NEW = "the key of last year", b"the key of this year"


class Anything:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Anything) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]


ran: list[str] = []


class Trap:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return ran.append, ("ran",)


def test_any_object_survives_and_must_fit_the_annotation() -> None:
    serializer = PickleSerializer(NEW)
    value = [Anything({1: {2}}), Anything(None)]
    assert serializer.loads(serializer.dumps(value), list[Anything]) == value
    assert serializer.loads(serializer.dumps(value)) == value
    with pytest.raises(PayloadError, match="does not fit"):
        serializer.loads(serializer.dumps(value), list[int])
    with pytest.raises(
        PayloadError, match=r"\(at result\[0\]\.?.*\) as pickle: .*; give what can be pickled"
    ):
        serializer.dumps([lambda: 1])


@pytest.mark.parametrize(
    "forge",
    [
        lambda data: data,
        lambda data: b"TFP1" + b"\0" * 32 + data,
        lambda data: b"TFP1" + hashlib.sha256(data).digest() + data,
        lambda data: b"TFP1" + hmac.digest(b"another key entirely", b"TFP1" + data, "sha256") + data,
        lambda data: b"TFP1" + hmac.digest(NEW, data, "sha256") + data,
        lambda data: b"TFP1" + hmac.digest(b"", b"TFP1" + data, "sha256") + data,
        lambda data: b"TFP1" + data,
        lambda data: PickleSerializer(NEW).dumps(1)[:36] + data,
    ],
)
def test_nothing_is_unpickled_that_no_key_has_signed(forge: Callable[[bytes], bytes]) -> None:
    ran.clear()
    with pytest.raises(PayloadError, match="not unpickled"):
        PickleSerializer(NEW).loads(forge(pickle.dumps(Trap())))
    assert ran == []


def test_keys_can_be_changed_while_payloads_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    before = PickleSerializer(OLD)
    monkeypatch.setenv(KEY_VARIABLE, f" {NEW.decode()} , {OLD},")
    between = PickleSerializer()
    after = PickleSerializer(NEW)
    assert between.loads(before.dumps(1)) == 1
    assert after.loads(between.dumps(2)) == 2
    for reader, writer in ((before, between), (after, before)):
        with pytest.raises(PayloadError, match="none of the keys here has signed it"):
            reader.loads(writer.dumps(3))


def test_keys_that_can_be_guessed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("secret", b"x" * 15, [NEW, "short"]):
        with pytest.raises(PluginError, match="expected at least 16"):
            PickleSerializer(key)
    for nothing in ("", " , ,"):
        monkeypatch.setenv(KEY_VARIABLE, nothing)
        with pytest.raises(PluginError, match=f"pickle is not allowed here, .* set {KEY_VARIABLE} "):
            PickleSerializer()


def test_a_flow_without_a_key_neither_writes_nor_reads_pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(PluginError, match="pickle is not allowed here"):
        Flow(InMemoryBroker(), serializer="pickle")
    flow = Flow(InMemoryBroker())
    with pytest.raises(PayloadError, match="pickle is not allowed here"):
        flow.codec.decode(Payload("pickle", PickleSerializer(NEW).dumps(1)))
    with pytest.raises(PayloadError, match="pickle is not allowed here"):
        flow.codec.encode(1, "pickle")


def test_what_was_signed_and_cannot_be_read_is_refused() -> None:
    damaged = pickle.dumps([1, 2, 3])[:-3]
    with pytest.raises(PayloadError, match="cannot decode as pickle"):
        PickleSerializer(NEW).loads(b"TFP1" + hmac.digest(NEW, b"TFP1" + damaged, "sha256") + damaged)
