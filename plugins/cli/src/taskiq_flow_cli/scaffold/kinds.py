"""The kinds of plugins that can be written, and the words for their files."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

__all__ = ["KINDS", "Kind"]


@frozen(kw_only=True)
class Kind:
    """A kind of plugin.

    :param word: Its name for people.
    :param base: The protocol that it implements.
    :param base_module: The module of the protocol.
    :param hook: The hook that offers it.
    :param table: The attribute of ``Plugins`` with the offers.
    :param setting: The setting that selects it.
    :param argument: The argument of ``Flow`` that selects it.
    :param more: A further paragraph for its README.
    """

    word: str
    base: str
    base_module: str
    hook: str
    table: str
    setting: str
    argument: str
    more: str = ""

    @property
    def module(self) -> str:
        """The name of the module with the implementation."""
        return self.word.split()[-1] if self.word != "retry policy" else "policy"

    @property
    def suffix(self) -> str:
        """The end of the class's name."""
        return self.module.capitalize()


KINDS: Mapping[str, Kind] = {
    "scheduler": Kind(
        word="scheduler",
        base="Scheduler",
        base_module="taskiq_flow.scheduler",
        hook="flow_register_schedulers",
        table="schedulers",
        setting="scheduler",
        argument="scheduler",
        more="`taskiq flow simulate` tries it on a graph, without running any task.",
    ),
    "retry": Kind(
        word="retry policy",
        base="RetryPolicy",
        base_module="taskiq_flow.retry",
        hook="flow_register_retry_policies",
        table="retry_policies",
        setting="retry",
        argument="retry",
        more='Its options come from tasks and pipelines: `@broker.task(retry_policy={"max_retries": 3})`.',
    ),
    "serializer": Kind(
        word="serializer",
        base="Serializer",
        base_module="taskiq_flow.serializer",
        hook="flow_register_serializers",
        table="serializers",
        setting="serializer",
        argument="serializer",
        more="Install it wherever values are read: its name is stored with each of them.",
    ),
    "discoverer": Kind(
        word="discoverer",
        base="Discoverer",
        base_module="taskiq_flow.discoverer",
        hook="flow_register_discoverers",
        table="discoverers",
        setting="discoverer",
        argument="discover",
        more="Its settings stand in `[tool.taskiq-flow.tasks]`, or in `TASKIQ_FLOW_TASKS_FOLDER` and the like.",
    ),
    "store": Kind(
        word="store",
        base="RunStore",
        base_module="taskiq_flow.store",
        hook="flow_register_stores",
        table="stores",
        setting="store",
        argument="store",
        more="Five of its six parts are in memory at first; the class says in which order to replace them.",
    ),
}
