"""Tasks of one run that chose different serializers: their values stand in one list."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from taskiq import InMemoryBroker

from taskiq_flow import PayloadError, Pipeline

broker = InMemoryBroker()


@broker.task(serializer="numpy")
def samples(count: int) -> np.ndarray[Any, Any]:
    return np.arange(count)


@broker.task
def title(count: int) -> str:
    return f"{count} samples"


@broker.task(serializer="msgpack")
def packed(count: int) -> bytes:
    return b"\0" * count


@broker.task
def odd(count: int) -> bool:
    return count % 2 == 1


@broker.task
def show(parts: tuple[np.ndarray[Any, Any], str]) -> str:
    return f"{type(parts).__name__} {parts[1]}: {parts[0].tolist()}"


@broker.task
def kinds(parts: Any) -> list[str]:
    return [type(part).__name__ for part in parts]


@broker.task
def misfit(parts: tuple[np.ndarray[Any, Any], int]) -> None:
    raise AssertionError("its argument does not fit")


def new() -> Pipeline[Any, Any]:
    return Pipeline(broker)


@pytest.mark.parametrize(
    ("pipeline", "given", "wanted"),
    [
        (new().group(samples, title), 2, "[array([0, 1]), '2 samples']"),
        (new().group(samples, title).call_next(show), 2, "tuple 2 samples: [0, 1]"),
        (new().group(samples, title, packed).call_next(kinds), 2, "['ndarray', 'str', 'bytes']"),
        (new().map(new().branch(odd, samples, title)), [1, 2], "[array([0]), '2 samples']"),
        (new().map(new().branch(odd, samples, title)).call_next(kinds), [1, 2], "['ndarray', 'str']"),
        (new().group(new().group(samples, title), packed), 1, "[[array([0]), '1 samples'], b'\\x00']"),
    ],
)
async def test_each_element_is_read_by_what_wrote_it(
    pipeline: Pipeline[Any, Any], given: Any, wanted: str
) -> None:
    assert str(await (await pipeline.kiq(given)).result(timeout=10)) == wanted


async def test_an_element_that_does_not_fit_is_named() -> None:
    handle = await new().group(samples, title).call_next(misfit).kiq(2)
    with pytest.raises(PayloadError, match=r"parameter 'parts' of task .*misfit'.*: at \[1\]: "):
        await handle.result(timeout=10)
