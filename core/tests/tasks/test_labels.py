"""Labels in pipelines: whatever taskiq carries for a plain task, a cell's message carries as well."""

from __future__ import annotations

import enum
import math
import re
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taskiq import Context, InMemoryBroker, TaskiqDepends, TaskiqMessage
from taskiq.labels import parse_label, prepare_label

from taskiq_flow import DataflowPipeline, Flow, GraphError, Pipeline
from taskiq_flow.graph.model import Graph
from taskiq_flow.messages.envelope import Envelope
from taskiq_flow.tasks.labels import from_plain, keep_from_middlewares, refuses_retries, to_plain


class Colour(str, enum.Enum):
    """A text that is more."""

    RED = "red"


class Level(enum.IntEnum):
    """A number that is more."""

    HIGH = 3


LABELS: dict[str, Any] = {
    "text": "x",
    "empty": "",
    "number": 7,
    "large": 10**30,
    "fraction": 0.1,
    "nan": math.nan,
    "infinite": -math.inf,
    "yes": True,
    "no": False,
    "bytes": b"\x00\xff",
    "nothing": None,
    "list": [1, "a"],
    "mapping": {"a": 1},
    "looks like bytes": {"taskiq.bytes": "AA=="},
    "looks odd": {"taskiq.bytes": 1},
    "decimal": Decimal("1.10"),
    "colour": Colour.RED,
    "level": Level.HIGH,
    "id": uuid.UUID(int=1),
    "class": ValueError,
}


def told(labels: dict[str, Any]) -> dict[str, str]:
    return {name: repr(value) for name, value in labels.items() if name in LABELS}


def seen_by(context: Context = TaskiqDepends()) -> dict[str, str]:  # noqa: B008
    """The labels of a message, as a task sees them."""
    return told(context.message.labels)


@pytest.mark.parametrize("where", ["task", "kicker"])
async def test_a_cell_has_the_labels_that_a_plain_task_has(broker: InMemoryBroker, where: str) -> None:
    Flow(broker)
    task: Any = broker.task(**(LABELS if where == "task" else {}))(seen_by)
    kicker = task.kicker().with_labels(**LABELS) if where == "kicker" else task.kicker()
    plain = (await (await kicker.kiq()).wait_result(0.01, timeout=20)).return_value
    assert plain.keys() == LABELS.keys()
    pipeline: Any = Pipeline(broker).call_next(kicker)
    assert await (await pipeline.kiq()).result(timeout=20) == plain
    outputs = await DataflowPipeline.from_tasks(broker, [kicker]).kiq_dataflow()
    assert outputs["seen_by"] == plain
    assert Graph.from_json(pipeline.graph.to_json()) == pipeline.graph


@given(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary())
    | st.lists(st.integers())
    | st.dictionaries(st.sampled_from(["taskiq.bytes", "taskiq.float", "a"]), st.text())
)
def test_taskiq_makes_the_same_of_a_label_that_has_stood_in_a_graph(value: Any) -> None:
    assert parse_of(from_plain(to_plain(value))) == parse_of(value)


def parse_of(value: Any) -> str:
    return repr(parse_label(*prepare_label(value)))


def test_a_label_whose_text_raises_is_refused_by_name() -> None:
    class Mute:
        def __str__(self) -> str:
            raise OSError("no text")

    broker = InMemoryBroker()
    Flow(broker)
    with pytest.raises(
        GraphError, match="the label 'silent', a Mute, travels as text, and its text raises OSError"
    ):
        broker.task(silent=Mute())(seen_by)


@pytest.mark.parametrize("types", [ValueError, "ValueError", (ValueError, 3), 5])
def test_types_of_exceptions_are_classes(types: Any) -> None:
    broker = InMemoryBroker()
    Flow(broker)
    with pytest.raises(GraphError, match=r"types_of_exceptions is .*; give a tuple of exception classes"):
        broker.task(types_of_exceptions=types)(seen_by)


def test_numbers_in_text_are_numbers_as_for_taskiq() -> None:
    broker = InMemoryBroker()
    Flow(broker)
    task: Any = broker.task(timeout="1.5", max_retries="4")(seen_by)
    node: Any = Pipeline(broker, task).graph.nodes["seen_by"]
    assert (node.options.timeout, dict(node.options.retry)) == (1.5, {"max_retries": 4})
    assert task.labels["max_retries"] == 4


@pytest.mark.parametrize(
    "words",
    [
        {"max_retries": 2, "retry_on_error": True, "delay": 1.5, "_retries": 1},
        {"types_of_exceptions": (ValueError,), "ack_type": "when_saved", "queue_name": "slow"},
        {"timeout": 3, "priority": 4, "schedule": [{"cron": "* * * * *"}]},
    ],
    ids=lambda words: next(iter(words)),
)
@pytest.mark.parametrize("early", [True, False], ids=["before the flow", "after"])
def test_taskiqs_words_are_no_misspelt_ones_of_ours(
    caplog: pytest.LogCaptureFixture, words: dict[str, Any], early: bool
) -> None:
    broker = InMemoryBroker()
    if not early:
        Flow(broker)
    task: Any = broker.task(**words)(seen_by)
    Flow.of(broker)
    assert Pipeline(broker).call_next(task.kicker().with_labels(**words)).graph.nodes
    assert caplog.text == ""


# What a user says about retries


def message(**labels: Any) -> TaskiqMessage:
    found = {name: prepare_label(value) for name, value in labels.items()}
    return TaskiqMessage(
        task_id="1",
        task_name="t",
        args=[],
        kwargs={},
        labels={name: text for name, (text, _) in found.items()},
        labels_types={name: kind for name, (_, kind) in found.items()},
    )


@pytest.mark.parametrize(
    ("said", "refused"),
    [(False, True), ("False", True), ("no", True), (0, True), (True, False), ("true", False), (1, False)],
)
def test_a_no_is_what_taskiq_takes_for_one(said: Any, refused: bool) -> None:
    assert refuses_retries({"retry_on_error": said}) is refused


@pytest.mark.parametrize("said", [{}, {"retry_on_error": True}])
def test_our_no_to_the_middlewares_is_no_users_no_when_the_message_comes_again(said: dict[str, Any]) -> None:
    first = message(**said)
    first.parse_labels()
    keep_from_middlewares(first)
    again = TaskiqMessage.model_validate_json(first.model_dump_json())
    again.parse_labels()
    assert not again.labels["retry_on_error"]
    assert not refuses_retries(again.labels)


# Ids


@pytest.mark.parametrize("run", ["3f2a", "3f2a~2", "a/b", "a.b"])
@pytest.mark.parametrize("cell", ["step", "tracks[3]/features", "tracks-3--features", "größe", "a.b", "a b"])
def test_the_id_of_a_message_can_stand_in_a_url(run: str, cell: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.~-]+\.1", Envelope("default", run, cell, 1).message_id)


@given(st.lists(st.tuples(st.text(), st.text(), st.integers(1, 20)), min_size=2, max_size=2, unique=True))
def test_different_attempts_have_different_ids(attempts: list[tuple[str, str, int]]) -> None:
    first, second = (Envelope("default", *each).message_id for each in attempts)
    assert first != second
