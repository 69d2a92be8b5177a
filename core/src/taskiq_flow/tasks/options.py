"""The options of ``@broker.task(...)``: those for nodes, those of a flow, and plain labels."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen
from taskiq import AsyncBroker, AsyncTaskiqDecoratedTask

from taskiq_flow._logs import open_log
from taskiq_flow._words import find_lookalike
from taskiq_flow.discoverer import Origin
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import DEFAULT_OPTIONS, NodeOptions
from taskiq_flow.retry import RetryPolicy, option_problems, plain_options
from taskiq_flow.tasks.labels import MAX_RETRIES, TYPES_OF_EXCEPTIONS, to_plain

__all__ = [
    "TaskOptions",
    "find_registered_name",
    "keep_options",
    "keep_origin",
    "options_of",
    "origin_of",
    "policy_of",
    "task_options",
    "versions_of",
]

logger = open_log("taskiq_flow")

_OPTIONS = "__taskiq_flow_options__"
_ORIGIN = "__taskiq_flow_origin__"
_WORDS = ("name", "timeout", "max_retries", "retry_policy", "queue", "priority", "serializer", "labels")
_OTHER_SPELLINGS = {
    "retry_delay": "retry_policy={'delay': …}",
    "retry_backoff": "retry_policy={'backoff': …}",
    "backoff": "retry_policy={'backoff': …}",
    "retries": "max_retries",
    "max_attempts": "retry_policy={'max_attempts': …}",
    "time_limit": "timeout",
    "soft_time_limit": "timeout",
    "retry": "retry_policy",
    "resources": "@ResourceProfile(…) above the function",
    "cpu_units": "@CPUProfile(cpu_units=…) above the function",
    "ram_mb": "@RAMProfile(ram_mb=…) above the function",
}
# Labels of taskiq, its middlewares, brokers and schedule sources.
_WORDS_OF_OTHERS = ("queue_name", "schedule", "retry_on_error", "delay", "task_name")
# Brokers, schedule sources and middlewares read these labels from the task; a node's messages need not carry them.
_NOT_OF_NODES = ("queue_name", "schedule", MAX_RETRIES, TYPES_OF_EXCEPTIONS)


@frozen(kw_only=True)
class TaskOptions:
    """The options of ``@broker.task(...)``, sorted by their readers.

    :param name: The name to register under; ``None`` for taskiq's.
    :param former: The task's name in taskiq before that, if ``name`` is given.
    :param node: Options that nodes carry.
    :param policy: A policy object; it stays with the task and is never sent.
    :param only_counts: Whether retries were asked for by ``max_retries`` alone, a word of taskiq's middlewares too.
    :param types: The classes in taskiq's ``types_of_exceptions``; ``None`` for any.
    :param labels: The remaining options: the labels that taskiq sends.
    """

    name: str | None = None
    former: str | None = None
    node: NodeOptions = DEFAULT_OPTIONS
    policy: RetryPolicy | None = None
    only_counts: bool = False
    types: tuple[type[BaseException], ...] | None = None
    labels: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def read(cls, task: str, given: Mapping[str, Any]) -> TaskOptions:
        """Sort the keywords of a task's decorator.

        :raises GraphError: some have values of a wrong kind; all of them are listed.
        """
        left = dict(given)
        problems: list[str] = []
        name = left.pop("name", None)
        if name is not None and (not isinstance(name, str) or not name):
            problems.append(f"name is {name!r}; give a word, or leave it out")
        timeout = _number("timeout", left.pop("timeout", None), problems)
        priority = left.pop("priority", None)
        priority = 0 if priority is None else priority
        if isinstance(priority, str) and "labels" not in given:
            left["priority"], priority = priority, 0
        elif not isinstance(priority, int) or isinstance(priority, bool):
            problems.append(f"priority is {priority!r}; give a whole number")
        serializer = left.pop("serializer", None)
        if serializer is not None and (not isinstance(serializer, str) or not serializer):
            problems.append(
                f"serializer is {serializer!r}; give the name of one, such as 'json', or leave it out"
            )
        queue = left.pop("queue", None)
        said, count = left.pop("retry_policy", None), _count(left.pop(MAX_RETRIES, None), problems)
        retry, policy = _retry(said, count, problems)
        only_counts = said is None and count is not None
        types = _classes(left.get(TYPES_OF_EXCEPTIONS), problems)
        nested = left.pop("labels", None)
        if nested is not None and not (
            isinstance(nested, Mapping) and all(isinstance(key, str) for key in nested)
        ):
            problems.append(f"labels is {nested!r}; give a mapping from words to values")
            nested = None
        if nested and "timeout" in nested:
            problems.append(
                "labels has a 'timeout', by which taskiq limits a task; give timeout=..., or use another word"
            )
        if problems:
            raise GraphError([f"task {task!r}: {problem}" for problem in problems])
        labels = {**left, **(nested or {})}
        _warn_of_lookalikes(task, left)
        queue = queue or labels.get("queue_name")
        node = NodeOptions(
            timeout=timeout,
            retry=retry,
            queue=None if queue is None else str(queue),
            priority=priority,
            serializer=serializer,
            labels=_plain_labels(labels, problems),
        )
        if problems:
            raise GraphError([f"task {task!r}: {problem}" for problem in problems])
        if queue is not None:
            labels |= {"queue": str(queue), "queue_name": str(queue)}
        if timeout is not None:
            labels["timeout"] = timeout
        if only_counts:
            labels[MAX_RETRIES] = count
        if priority:
            # Some brokers order messages by this label; cells are ordered by the scheduler.
            labels.setdefault("priority", priority)
        return cls(
            name=name,
            former=None if name is None else task,
            node=DEFAULT_OPTIONS if node == DEFAULT_OPTIONS else node,
            policy=policy,
            only_counts=only_counts,
            types=types,
            labels=labels,
        )


def _warn_of_lookalikes(task: str, words: Iterable[str]) -> None:
    """Warn of labels that look like options and are none; what is in ``labels={…}`` is meant as one."""
    for word in words:
        meant = _OTHER_SPELLINGS.get(word) or find_lookalike(word, _WORDS, _WORDS_OF_OTHERS)
        if meant:
            logger.warning(
                "task %r: %s=… is a label, which nobody here reads; for the option write %s, for a label "
                "labels={%r: …}",
                task,
                word,
                meant if "…" in meant else f"{meant}=…",
                word,
            )


def _number(name: str, value: Any, problems: list[str]) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        # As text it is taskiq's label, which its receiver reads as a number.
        with contextlib.suppress(ValueError):
            value = float(value)
    # Not by math.isfinite(), which raises where a whole number is too large.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= sys.float_info.max:
        problems.append(f"{name} is {value!r}; give a number of seconds above 0, or None")
        return None
    return float(value)


def _count(value: Any, problems: list[str]) -> int | None:
    if value is None:
        return None
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        problems.append(f"max_retries is {value!r}; give a whole number, 0 or more")
        return None
    return number


def _classes(value: Any, problems: list[str]) -> tuple[type[BaseException], ...] | None:
    if value is None:
        return None
    found = tuple(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else (None,)
    if not all(isinstance(each, type) and issubclass(each, BaseException) for each in found):
        problems.append(f"types_of_exceptions is {value!r}; give a tuple of exception classes")
        return None
    return found


def _plain_labels(labels: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    found = {}
    for name, value in labels.items():
        if name in _NOT_OF_NODES:
            continue
        try:
            found[name] = to_plain(value)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - the text of somebody else's object
            problems.append(
                f"the label {name!r}, a {type(value).__name__}, travels as text, and its text raises {error!r:.200}"
            )
    return found


def _retry(
    policy: Any, max_retries: int | None, problems: list[str]
) -> tuple[Mapping[str, Any] | None, RetryPolicy | None]:
    if isinstance(policy, RetryPolicy):
        if max_retries is not None:
            problems.append("max_retries and a policy object are both given; say it to the object")
        return None, policy
    if policy is not None and not isinstance(policy, Mapping):
        problems.append(f"retry_policy is {policy!r}; give a mapping of options, or a RetryPolicy")
        policy = None
    if policy is None and max_retries is None:
        return None, None
    problems.extend(option_problems(policy or {}))
    options = plain_options(policy or {})
    if max_retries is not None and options.setdefault("max_retries", max_retries) != max_retries:
        problems.append(
            f"max_retries is {max_retries}, and retry_policy says {options['max_retries']!r}; give one of them"
        )
    return options, None


def keep_options(task: AsyncTaskiqDecoratedTask[Any, Any], options: TaskOptions) -> None:
    """Keep the decorator's options with a task, because its labels no longer have all of them."""
    task.__dict__[_OPTIONS] = options


def task_options(task: object) -> TaskOptions:
    """Return the options of a task's decorator; empty options for any other object.

    :raises GraphError: an option has an impossible value.
    """
    options = getattr(task, "__dict__", {}).get(_OPTIONS)
    if isinstance(options, TaskOptions):
        return options
    if isinstance(task, AsyncTaskiqDecoratedTask):
        return TaskOptions.read(task.task_name, task.labels)
    return TaskOptions()


def find_registered_name(task: AsyncTaskiqDecoratedTask[Any, Any]) -> str:
    """Return the name of a task in a broker with a flow.

    taskiq keeps ``name=`` of ``@broker.task(name=...)`` as a label; installing a flow makes it the task's name.
    Graphs may be compiled before the flow is installed.
    """
    name = None if _OPTIONS in task.__dict__ else task.labels.get("name")
    return name if isinstance(name, str) and name else task.task_name


def options_of(task: object) -> NodeOptions:
    """Return the node options of a task's decorator.

    :raises GraphError: an option has an impossible value.
    """
    return task_options(task).node


def policy_of(task: object) -> RetryPolicy | None:
    """Return the retry policy object that a task was decorated with, if any."""
    return task_options(task).policy


def keep_origin(task: AsyncTaskiqDecoratedTask[Any, Any], origin: Origin) -> None:
    """Keep the distribution with a task that was discovered in it."""
    task.__dict__[_ORIGIN] = origin


def origin_of(task: object) -> Origin | None:
    """Return the distribution that a task was discovered in; ``None`` for a task of the application."""
    origin = getattr(task, "__dict__", {}).get(_ORIGIN)
    return origin if isinstance(origin, Origin) else None


def versions_of(broker: AsyncBroker) -> dict[str, str]:
    """Return the distribution and version of each discovered task of a broker, by the task's name."""
    found = {name: origin_of(task) for name, task in broker.get_all_tasks().items()}
    return {name: origin.release for name, origin in found.items() if origin is not None}
