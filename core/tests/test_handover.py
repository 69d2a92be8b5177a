"""Messages of an in-memory broker: handed over where nobody can tell, and bytes where somebody could."""

from __future__ import annotations

from typing import Any

import pytest
from taskiq import BrokerMessage, Context, InMemoryBroker, TaskiqDepends, TaskiqMessage, TaskiqMiddleware
from taskiq.formatters.proxy_formatter import ProxyFormatter
from taskiq.serializers import JSONSerializer

from taskiq_flow import Flow, Pipeline

LABELS = {"text": "x", "count": 3, "share": 0.5, "on": True, "none": None, "nested": {"a": [1]}}


class Wired(InMemoryBroker):
    """A broker of somebody's own: it sees what a wire would."""

    def __init__(self, times: int = 1) -> None:
        super().__init__(await_inplace=True)
        self.messages: list[bytes] = []
        self.times = times

    async def kick(self, message: BrokerMessage) -> None:
        self.messages.append(message.message)
        for _ in range(self.times):
            await super().kick(message)


class Dumping(TaskiqMiddleware):
    """Looks at messages before they are executed, as one that logs or traces does."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        self.seen.append(message.model_dump_json())
        return message


class Counting(JSONSerializer):
    """A serializer of somebody's own."""

    read = 0

    def loadb(self, value: bytes) -> Any:
        type(self).read += 1
        return super().loadb(value)


class Keeping(ProxyFormatter):
    """A formatter of somebody's own."""

    def __init__(self, broker: InMemoryBroker) -> None:
        super().__init__(broker)
        self.read: list[bytes] = []

    def loads(self, message: bytes) -> TaskiqMessage:
        self.read.append(message)
        return super().loads(message)


@pytest.fixture
def inplace() -> bool:
    return True


async def double(broker: InMemoryBroker) -> Any:
    """Run a task that doubles 21, with the fixed labels, and give what it got and gave."""

    async def twice(value: int, context: Context = TaskiqDepends()) -> dict[str, Any]:  # noqa: B008
        known = {name: context.message.labels[name] for name in LABELS if name in context.message.labels}
        return {"value": 2 * value, "labels": {name: repr(each) for name, each in known.items()}}

    task = broker.task("twice", labels=LABELS)(twice)
    return await (await Pipeline(broker).call_next(task).kiq(21)).result(timeout=30)


async def test_a_message_that_stays_in_the_process_is_neither_written_nor_read(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("the message was read from bytes")

    monkeypatch.setattr(ProxyFormatter, "loads", refuse)

    assert (await double(broker))["value"] == 42


async def test_labels_arrive_as_they_do_over_a_wire(broker: InMemoryBroker) -> None:
    wired = Wired()

    over_a_wire = await double(wired)

    assert len(wired.messages[0]) > 0
    assert over_a_wire["labels"].keys() >= {"text", "count", "share", "on", "nested"}
    assert await double(broker) == over_a_wire


async def test_a_broker_of_somebodys_own_gets_bytes() -> None:
    wired = Wired()

    await double(wired)

    message = TaskiqMessage.model_validate_json(wired.messages[0])
    assert (message.task_name, message.args) == ("twice", [])


async def test_a_message_that_comes_twice_is_executed_once() -> None:
    calls = []
    wired = Wired(times=2)

    @wired.task
    async def note(value: int) -> int:
        calls.append(value)
        return value

    assert await (await Pipeline(wired).call_next(note).kiq(1)).result(timeout=30) == 1
    assert calls == [1]


async def test_what_was_handed_over_can_be_read_again(broker: InMemoryBroker) -> None:
    """A broker may deliver one message twice without being somebody's own: a callback may be called again."""
    flow, calls = Flow(broker), []
    callback = broker.receiver.callback

    async def called_twice(*args: Any, **kwargs: Any) -> None:
        await callback(*args, **kwargs)
        await callback(*args, **kwargs)

    broker.receiver.callback = called_twice  # type: ignore[method-assign]

    @broker.task
    async def note(value: int) -> int:
        calls.append(value)
        return value

    assert Flow.of(broker) is flow
    assert await (await Pipeline(broker).call_next(note).kiq(1)).result(timeout=30) == 1
    assert calls == [1]


async def test_a_middleware_can_dump_what_it_sees(broker: InMemoryBroker) -> None:
    dumping = Dumping()
    broker.add_middlewares(dumping)

    assert (await double(broker))["value"] == 42
    assert len(dumping.seen) == 1


async def test_a_serializer_of_the_broker_is_used(broker: InMemoryBroker) -> None:
    read = Counting.read

    assert (await double(broker.with_serializer(Counting())))["value"] == 42
    assert Counting.read == read + 1


async def test_a_formatter_of_the_broker_is_used(broker: InMemoryBroker) -> None:
    before = Keeping(broker)
    broker.with_formatter(before)

    assert (await double(broker))["value"] == 42
    assert len(before.read) == 1


async def test_a_formatter_that_comes_after_the_flow_is_used(broker: InMemoryBroker) -> None:
    Flow(broker)
    after = Keeping(broker)
    broker.with_formatter(after)

    assert (await double(broker))["value"] == 42
    assert len(after.read) == 1
