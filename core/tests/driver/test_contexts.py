"""Nobody runs in somebody else's context variables."""

from __future__ import annotations

import asyncio
import decimal
from contextvars import Context, ContextVar
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Flow, GiveUp, MemoryStore, Pipeline, Retry, RetryPolicy, hookimpl
from taskiq_flow.driver.contexts import create_clean_task, run_in_context
from taskiq_flow.retry import CellView, FailedAttempt, RetryDecision

user: ContextVar[str] = ContextVar("user", default="nobody")


async def test_a_cell_runs_in_the_context_of_whoever_started_its_run(broker: InMemoryBroker) -> None:
    go = asyncio.Event()

    @broker.task
    async def wait(x: int) -> str:
        await go.wait()
        return user.get()

    @broker.task
    async def who(x: int) -> str:
        await asyncio.sleep(0)
        return user.get()

    @broker.task
    def who_in_a_thread(x: Any) -> str:
        return f"{user.get()} {decimal.getcontext().prec}"

    async def request(name: str, precision: int, pipeline: Pipeline) -> Any:
        user.set(name)
        with decimal.localcontext() as context:
            context.prec = precision
            handle = await pipeline.kiq(1)
        # What comes after the start is none of the run's business.
        user.set("somebody else")
        return await handle.result(timeout=20)

    ada = asyncio.create_task(request("ada", 3, Pipeline(broker, wait)))
    await asyncio.sleep(0.01)
    bob = request("bob", 7, Pipeline(broker).group(who, who_in_a_thread))
    assert await asyncio.create_task(bob) == ["bob", "bob 7"]
    go.set()
    assert await ada == "ada"


async def test_an_attempt_changes_no_context_but_its_own(broker: InMemoryBroker) -> None:
    @broker.task
    async def enter(x: int) -> int:
        user.set("a task")
        return x

    @broker.task
    async def look(x: int) -> str:
        return user.get()

    user.set("ada")
    assert await (await Pipeline(broker, enter).call_next(look).kiq(1)).result(timeout=20) == "ada"
    assert await (await Pipeline(broker, look).kiq(1)).result(timeout=20) == "ada"
    assert user.get() == "ada"


async def test_a_run_that_a_task_starts_has_the_context_of_that_task(broker: InMemoryBroker) -> None:
    @broker.task
    async def look(x: int) -> str:
        return user.get()

    @broker.task
    async def outer(x: int) -> Any:
        user.set("outer")
        found: Any = await (await Pipeline(broker, look).kiq(1)).result(timeout=20)
        return [found, user.get()]

    user.set("ada")
    assert await (await Pipeline(broker, outer).kiq(1)).result(timeout=20) == ["outer", "outer"]


class Once(RetryPolicy):
    """Gives one more attempt."""

    name = "once"

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        return Retry(delay=0.0) if attempt == 1 else GiveUp(reason="enough")


async def test_a_task_that_is_tried_again_on_its_own_keeps_its_context(broker: InMemoryBroker) -> None:
    flow = Flow(broker, retry=Once())
    seen: list[str] = []

    @broker.task
    async def look(x: int) -> int:
        seen.append(user.get())
        if len(seen) == 1:
            raise ValueError("as expected")
        return x

    user.set("ada")
    sent = await look.kiq(7)
    user.set("bob")
    while len(seen) < 2:
        await asyncio.sleep(0.01)
    assert (await sent.wait_result(timeout=20)).return_value == 7
    assert seen == ["ada", "ada"]
    await asyncio.gather(*flow.host.tasks, return_exceptions=True)
    assert len(flow.hosts.contexts) == 0


async def test_contexts_are_forgotten_with_their_runs(broker: InMemoryBroker) -> None:
    flow = Flow(broker)
    go = asyncio.Event()

    @broker.task
    async def wait(x: int) -> int:
        await go.wait()
        return x

    @broker.task
    async def fails(x: int) -> int:
        raise ValueError("as expected")

    handles = [await Pipeline(broker, task).kiq(1) for task in (wait, fails, wait)]
    assert len(flow.hosts.contexts) >= 2
    await handles[2].cancel()
    go.set()
    for handle in handles:
        await handle.wait_result(timeout=20)
    await asyncio.gather(*flow.host.tasks, return_exceptions=True)
    assert len(flow.hosts.contexts) == 0


async def test_what_a_host_begins_inherits_nothing(broker: InMemoryBroker) -> None:
    started: list[str] = []

    class Notes(MemoryStore):
        async def startup(self) -> None:
            started.append(user.get())

    class Observer:
        @hookimpl
        def flow_run_started(self, record: Any) -> None:
            started.append(user.get())

    Flow(broker, store=Notes(), plugins=[Observer()])

    @broker.task
    async def look(x: int) -> str:
        return user.get()

    user.set("ada")
    assert await (await Pipeline(broker, look).kiq(1)).result(timeout=20) == "ada"
    assert started == ["nobody", "nobody"]


def test_where_a_run_was_started_elsewhere_its_cells_run_in_a_clean_context() -> None:
    broker = InMemoryBroker()
    calls: list[str] = []

    @broker.task
    async def look(x: int) -> int:
        calls.append(user.get())
        if len(calls) == 1:
            await asyncio.Event().wait()
        return x

    async def begin() -> str:
        user.set("ada")
        handle = await Pipeline(broker, look).kiq(1)
        async for event in handle.events():
            if type(event).__name__ == "CellStarted":
                break
        return handle.id

    async def go_on(run: str) -> Any:
        user.set("bob")
        flow = Flow.of(broker)
        return await flow.handle_of(await flow.store.runs.get(run)).result(timeout=20)

    assert asyncio.run(go_on(asyncio.run(begin()))) != {}
    assert calls == ["ada", "nobody"]
    broker.executor.shutdown()


# What that is made of


async def test_a_coroutine_is_awaited_in_another_context() -> None:
    context, told = Context(), list[str]()

    async def inner() -> str:
        told.append(user.get())
        user.set("inner")
        await asyncio.sleep(0)
        told.append(user.get())
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)
        except asyncio.TimeoutError:
            told.append(f"{user.get()} timed out")
        return "value"

    user.set("outer")
    assert await run_in_context(context, inner()) == "value"
    assert told == ["nobody", "inner", "inner timed out"]
    assert (user.get(), context[user]) == ("outer", "inner")


async def test_a_cancellation_reaches_a_coroutine_in_another_context() -> None:
    ended: list[str] = []

    async def inner() -> None:
        user.set("inner")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(user.get())

    async def outer() -> None:
        await run_in_context(Context(), inner())

    task = asyncio.create_task(outer())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["inner"]


async def test_an_error_comes_out_of_another_context() -> None:
    async def inner() -> None:
        await asyncio.sleep(0)
        raise LookupError("as expected")

    with pytest.raises(LookupError, match="as expected"):
        await run_in_context(Context(), inner())


async def test_a_clean_task_inherits_nothing() -> None:
    async def look() -> str:
        return user.get()

    user.set("ada")
    assert await create_clean_task(look()) == "nobody"
