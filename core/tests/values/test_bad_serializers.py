"""Serializers that raise what they should not: the run that needs them fails, and no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Flow, Pipeline, Serializer, hookimpl
from taskiq_flow.values.codec import Codec

SECONDS = 20


class Panic(BaseException):
    """What extension modules in Rust raise is no ``Exception``."""


class Clumsy(Serializer):
    """Writes JSON, and raises where it is told to."""

    name = "clumsy"
    raises: ClassVar[Mapping[str, BaseException]] = {}

    def _stumble(self, method: str) -> None:
        if method in self.raises:
            raise self.raises[method]

    def dumps(self, value: Any) -> bytes:
        self._stumble("dumps")
        return json.dumps(value).encode()

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        self._stumble("loads")
        return json.loads(data)

    def split(self, data: bytes) -> Iterator[bytes]:  # type: ignore[override]
        for element in json.loads(data):
            yield json.dumps(element).encode()
            self._stumble("split")

    def join(self, parts: Iterable[bytes]) -> bytes:
        self._stumble("join")
        return b"[" + b",".join(parts) + b"]"


@hookimpl
def flow_register_serializers() -> list[type[Serializer]]:
    return [Clumsy]


PLUGIN = SimpleNamespace(flow_register_serializers=flow_register_serializers)
ERRORS = [RuntimeError("oh"), asyncio.CancelledError("oh"), Panic("oh")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["dumps", "loads", "split", "join"])
async def test_a_run_fails_for_its_serializer_and_others_go_on(
    broker: InMemoryBroker, method: str, error: BaseException, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    Flow(broker, plugins=[PLUGIN])
    monkeypatch.setattr(Clumsy, "raises", {method: error})

    @broker.task(serializer="clumsy")
    def pair(value: int) -> list[int]:
        return [value, value]

    @broker.task(serializer="clumsy")
    def one(value: int) -> int:
        return value

    @broker.task
    async def is_long(values: list[int]) -> bool:
        return len(values) > 1

    @broker.task
    async def add_one(value: int) -> int:
        return value + 1

    mapped = await Pipeline(broker, pair).map(add_one).kiq(1)
    collected = await Pipeline(broker).group(one, one).call_next(is_long).kiq(1)
    guarded = await Pipeline(broker, pair).filter(add_one).kiq(1)
    other = await Pipeline(broker, add_one).kiq(1)

    assert await other.result(timeout=SECONDS) == 2
    outcomes = await asyncio.gather(
        *(handle.result(timeout=SECONDS) for handle in (mapped, collected, guarded)), return_exceptions=True
    )
    told = [str(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]
    assert told
    for text in told:
        assert "serializer 'clumsy' cannot" in text
        assert f"{type(error).__name__}: oh" in text


def test_what_ends_the_process_is_no_fault_of_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clumsy, "raises", {"dumps": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        Codec({"clumsy": Clumsy}, "clumsy").encode(1)
