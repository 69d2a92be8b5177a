"""The wire form: everything comes back as it was, damage is refused, and old files stay readable."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any, get_args

import pytest
from attrs import define, evolve, fields
from hypothesis import example, given
from hypothesis import strategies as st

from taskiq_flow.errors import StoreError
from taskiq_flow.machine import events as ev
from taskiq_flow.machine.wire import (
    decode_event,
    decode_failure,
    decode_value,
    decode_values,
    encode_event,
    encode_failure,
    encode_value,
    encode_values,
)
from taskiq_flow.payloads import ClaimCheck, Failure, FailureKind, ListedValue, Payload, Value
from taskiq_flow.store import Notice, RunOutcome, RunStatus, WorkerInfo
from taskiq_flow.stores import wire as codec
from taskiq_flow.testing.store import samples

GOLDEN = Path(__file__).parents[1] / "golden"
EVENTS = get_args(ev.Event)
NAMES = [kind.__name__ for kind in EVENTS]

texts = st.text(max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
values: st.SearchStrategy[Value] = st.recursive(
    st.builds(Payload, texts, st.binary(max_size=12) | texts.map(lambda text: text.encode(errors="replace")))
    | st.builds(ClaimCheck, texts, texts, st.integers(min_value=0)),
    lambda inner: (
        st.builds(ListedValue, st.lists(inner, max_size=3).map(tuple))
        | st.lists(st.tuples(inner, inner), max_size=3).map(
            lambda pairs: ListedValue(tuple(part for part, _ in pairs), tuple(key for _, key in pairs))
        )
    ),
    max_leaves=6,
)
failures = st.builds(
    Failure,
    kind=st.sampled_from(FailureKind),
    message=st.text(st.characters(), max_size=12),
    type=texts,
    traceback=texts,
    args=st.none() | st.lists(plain, max_size=3).map(tuple),
)
many = st.lists(values, max_size=3).map(tuple)
resources = st.dictionaries(texts, numbers, max_size=2)

# By the name of the field: a new field of an event needs a line here, and the property then covers it.
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "inputs": st.dictionaries(texts, values, max_size=3),
    "window": st.integers(),
    "cell": texts,
    "attempt": st.integers(),
    "items": many,
    "also": st.lists(many, max_size=2).map(tuple),
    "keys": st.none() | many,
    "worker": texts,
    "queue": texts,
    "progress": numbers,
    "run": texts,
    "outputs": many,
    "seconds": numbers,
    "taken_from": texts,
    "failure": failures,
    "retry_at": st.none() | numbers,
    "reason": st.text(st.characters(), max_size=12),
    "resources": resources,
    "priority": st.none() | st.integers(),
    "holds_slot": st.booleans(),
    "requeues": st.integers(),
    "timer": texts,
    "at": numbers,
}
OPTIONAL = {"AttemptFailed.resources": st.none() | resources, "AttemptFailed.queue": st.none() | texts}


def any_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    chosen = {
        field.name: OPTIONAL.get(f"{kind.__name__}.{field.name}", FIELDS[field.name])
        for field in fields(kind)
    }
    return st.builds(kind, **chosen)


events = st.one_of([any_of(kind) for kind in EVENTS])


@given(events)
@example(ev.CancelRequested(reason="half a pair \udcff"))
@example(ev.CancelRequested(reason="\0 zero and 𝄞"))
def test_every_event_comes_back(event: ev.Event) -> None:
    text = encode_event(event)
    assert decode_event(text) == event
    assert decode_event(text.encode()) == event
    assert "\0" not in text


def test_the_samples_have_every_event_with_every_field() -> None:
    sample = samples.one_of_each_event()
    assert [type(event) for event in sample] == list(EVENTS)
    for event in sample:
        written = json.loads(encode_event(event))
        assert set(written) == {"v", "event"} | {field.name for field in fields(type(event))}


@pytest.mark.parametrize("kind", EVENTS, ids=NAMES)
def test_an_event_without_its_optional_fields_comes_back(kind: type[Any]) -> None:
    required = {
        "cell": "a",
        "attempt": 1,
        "items": (),
        "failure": samples.FAILURE,
        "worker": "w",
        "timer": "t",
        "run": "r",
    }
    names = {field.name for field in fields(kind)}
    event = kind(**{name: value for name, value in required.items() if name in names}, **_progress(names))
    assert decode_event(encode_event(event)) == event


def _progress(names: set[str]) -> dict[str, float]:
    return {"progress": 0.5} if "progress" in names else {}


@given(values)
def test_every_value_comes_back(value: Value) -> None:
    assert decode_value(encode_value(value)) == value


@given(st.dictionaries(texts, values, max_size=3))
def test_named_values_come_back(named: dict[str, Value]) -> None:
    assert decode_values(encode_values(named)) == named


@given(failures)
def test_every_failure_comes_back(failure: Failure) -> None:
    assert decode_failure(encode_failure(failure)) == failure


@given(events, texts)
def test_every_notice_comes_back(event: ev.Event, run: str) -> None:
    notice = Notice(run=run, event=event)
    assert codec.decode_notice(codec.encode_notice(notice)) == notice


outcomes = st.builds(
    RunOutcome,
    status=st.sampled_from(RunStatus),
    outputs=st.dictionaries(texts, values, max_size=3),
    failures=st.dictionaries(texts, st.tuples(st.integers(), failures), max_size=2),
    reason=texts,
    at=numbers,
)


@given(outcomes)
def test_every_outcome_comes_back(outcome: RunOutcome) -> None:
    assert codec.decode_outcome(codec.encode_outcome(outcome)) == outcome


@given(
    st.builds(
        WorkerInfo,
        id=texts,
        pool=texts,
        capacity=resources,
        tasks=st.none() | st.frozensets(texts, max_size=3),
        queue=texts,
        expires_at=numbers,
    )
)
def test_every_worker_comes_back(worker: WorkerInfo) -> None:
    assert codec.decode_worker(codec.encode_worker(worker)) == worker


def test_a_run_comes_back_with_its_graph() -> None:
    record = samples.record()
    ended = evolve(record, outcome=samples.outcome())
    for each in (record, ended):
        found = codec.decode_record(codec.encode_record(each))
        assert found == each
        assert found.graph == each.graph


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Payload("json", b'[1, "\xc3\xb6"]'), '{"v":1,"s":"json","text":"[1, \\"ö\\"]"}'),
        (Payload("pickle", b"\x80\x04."), '{"v":1,"s":"pickle","b64":"gAQu"}'),
        (Payload("raw", b"a\0b"), '{"v":1,"s":"raw","b64":"YQBi"}'),
        (ClaimCheck("json", "k7", 9), '{"v":1,"s":"json","blob":"k7","size":9}'),
        (ListedValue((Payload("json", b"1"),)), '{"v":1,"list":[{"s":"json","text":"1"}]}'),
    ],
)
def test_values_are_written_so(value: Value, text: str) -> None:
    assert encode_value(value) == text


def golden(name: str) -> list[str]:
    return (GOLDEN / name).read_text(encoding="utf-8").splitlines()


def test_the_golden_events_are_read_and_written_as_ever() -> None:
    lines, sample = golden("events.jsonl"), samples.one_of_each_event()
    assert [decode_event(line) for line in lines] == sample
    assert [encode_event(event) for event in sample] == lines


def test_the_golden_store_documents_are_read_and_written_as_ever() -> None:
    record, outcome, notice, worker = golden("store.jsonl")
    info = WorkerInfo(
        id="w1", pool="p", capacity={"cpu": 2.0}, tasks=frozenset({"b", "a"}), queue="q", expires_at=9.5
    )
    assert codec.decode_record(record) == samples.record()
    assert codec.decode_outcome(outcome) == samples.outcome()
    assert codec.decode_notice(notice) == samples.notice()
    assert codec.decode_worker(worker) == info
    assert codec.encode_outcome(samples.outcome()) == outcome
    assert codec.encode_notice(samples.notice()) == notice
    assert codec.encode_worker(info) == worker
    assert json.loads(codec.encode_record(samples.record())) == json.loads(record)


START = '{"v":1,"event":"CellStarted",'

REFUSED = [
    ("", "expected JSON"),
    ("null", "expected a JSON object with a version under 'v', found None"),
    ("{}", "expected a JSON object with a version"),
    ("[" * 100_000, "expected JSON"),
    (b"\xff\xfe\xfa", "expected JSON"),
    ('{"v":2,"event":"CellStarted"}', "it is in form 2, and this version of taskiq-flow-core reads form 1"),
    ('{"v":true,"event":"CellStarted"}', "it is in form True"),
    ('{"v":1}', "expected an object with the name of an event under 'event'"),
    ('{"v":1,"event":3}', "expected an object with the name of an event"),
    ('{"v":1,"event":"CellStartd"}', r"did you mean CellStarted or .*\?\), found 'CellStartd'"),
    (
        '{"v":1,"event":"Payload"}',
        "expected an event that this version of taskiq-flow-core knows, found 'Payload'",
    ),
    (START + '"cell":"a"}', "expected fields attempt in CellStarted, found"),
    (
        START + '"cell":"a","attempt":1,"colour":2}',
        "expected no other fields than cell, attempt, .* in CellStarted, found .'colour'",
    ),
    (START + '"cell":7,"attempt":1}', "at cell expected text, found 7"),
    (START + '"cell":"a","attempt":true}', "at attempt expected a whole number, found True"),
    (START + '"cell":"a","attempt":1.5}', "at attempt expected a whole number, found 1.5"),
    (START + '"cell":"a","attempt":1,"at":"x"}', "at at expected a number, found 'x'"),
    ('{"v":1,"event":"RunStarted","inputs":[]}', "at inputs expected an object"),
    ('{"v":1,"event":"RunStarted","inputs":{"a":3}}', r"at inputs\['a'\] expected a value"),
    ('{"v":1,"event":"MapExpanded","cell":"a","items":{}}', "at items expected a list"),
    ('{"v":1,"event":"MapExpanded","cell":"a","items":[{"s":"x","b64":"?"}]}', "cannot read an event"),
    (
        '{"v":1,"event":"MapExpanded","cell":"a","items":[{"s":"x","text":"","b64":""}]}',
        r"at items\[0\] expected a value",
    ),
    (
        '{"v":1,"event":"AttemptFailed","cell":"a","attempt":1,"failure":{"kind":"bad","message":""}}',
        "at failure.kind expected one of exception, timeout, .*, found 'bad'",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_is_no_event_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        decode_event(text)
    assert str(caught.value).startswith("cannot read an event: ")


@given(events, st.data())
def test_damage_is_refused_or_harmless(event: ev.Event, data: st.DataObject) -> None:
    text = encode_event(event)
    place = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:place] + data.draw(st.sampled_from(string.printable)) + text[place + 1 :]
    try:
        found = decode_event(damaged)
    except StoreError:
        return
    assert type(found) in EVENTS


@given(plain)
def test_garbage_is_refused_everywhere(garbage: Any) -> None:
    text = json.dumps(
        {"v": 1, "x": garbage} if not isinstance(garbage, dict) else {**garbage, "v": 1, "x": 0}
    )
    readers = (
        decode_event,
        decode_value,
        decode_values,
        decode_failure,
        codec.decode_notice,
        codec.decode_outcome,
        codec.decode_record,
        codec.decode_worker,
    )
    for read in readers:
        with pytest.raises(StoreError, match=r"^cannot read "):
            read(text)


def test_a_graph_that_cannot_be_read_is_a_store_error() -> None:
    data = json.loads(codec.encode_record(samples.record()))
    data["graph"] = {"format": "something else"}
    with pytest.raises(StoreError, match=r"^cannot read a run's graph: "):
        codec.decode_record(json.dumps(data))


@pytest.mark.parametrize("broken", [{1, 2}, float("nan"), b"bytes"], ids=repr)
def test_what_is_not_json_cannot_be_written(broken: Any) -> None:
    with pytest.raises(StoreError, match=r"^cannot write a failure: .*; it must hold plain JSON data only$"):
        encode_failure(Failure(kind=FailureKind.REJECTED, message="", args=(broken,)))


def test_only_events_are_written_as_events() -> None:
    @define
    class Invented:
        at: float = 0.0

    with pytest.raises(
        StoreError, match=r"expected an event of taskiq_flow\.machine\.events, found Invented"
    ):
        encode_event(Invented())  # type: ignore[arg-type]
