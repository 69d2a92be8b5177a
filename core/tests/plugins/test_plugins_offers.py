"""What plugins offer by name: what is refused, what collides, and what is said about names that are not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import importlib_metadata
import pytest

from fake_distributions import Site, site
from taskiq_flow.command import Command
from taskiq_flow.errors import PluginError
from taskiq_flow.hookspecs import hookimpl
from taskiq_flow.plugins import FlowConfig, Plugins
from taskiq_flow.retries.none import NoRetry
from taskiq_flow.retry import RetryPolicy
from taskiq_flow.scheduler import Scheduler
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.serializer import Serializer
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.stores.memory import MemoryStore

pytestmark = pytest.mark.usefixtures("alone")

CONFIG = FlowConfig()
CORE = f"taskiq-flow-core {importlib_metadata.version('taskiq-flow-core')}"
HERE = f"given in code ({__name__}.Offering)"

SCHEDULERS = """
    from taskiq_flow.hookspecs import hookimpl
    from taskiq_flow.schedulers.fifo import FifoScheduler

    class Fit(FifoScheduler):
        name = "best-fit"

    @hookimpl
    def flow_register_schedulers():
        return [Fit]
"""


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as folder:
        yield folder


class Offering:
    """A plugin that gives what it was made with."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def _give(self, axis: str) -> Any:
        answer = self.answers.get(axis, [])
        if isinstance(answer, Exception):
            raise answer
        return answer

    @hookimpl
    def flow_register_retry_policies(self) -> Any:
        return self._give("retry_policies")

    @hookimpl
    def flow_register_schedulers(self) -> Any:
        return self._give("schedulers")

    @hookimpl
    def flow_register_serializers(self) -> Any:
        return self._give("serializers")

    @hookimpl
    def flow_register_stores(self) -> Any:
        return self._give("stores")

    @hookimpl
    def flow_register_discoverers(self) -> Any:
        return self._give("discoverers")

    @hookimpl
    def flow_register_commands(self) -> Any:
        yield from self._give("commands")


class Fit(FifoScheduler):
    name: ClassVar[str] = "best-fit"


class Redis(MemoryStore):
    schemes: ClassVar[tuple[str, ...]] = ("acme", "acme+tls")


class Again(NoRetry):
    name: ClassVar[str] = "again"


class Pack(JsonSerializer):
    name: ClassVar[str] = "pack"


class Wave(Command):
    name: ClassVar[str] = "wave"

    def register(self, app: Any) -> None: ...


class Nameless(Scheduler):
    def place(self, ready: Any, workers: Any, running: Any) -> None: ...


class Unfinished(Serializer):
    name: ClassVar[str] = "unfinished"


class Schemeless(MemoryStore):
    schemes: ClassVar[tuple[str, ...]] = ()


def load(**answers: Any) -> Plugins:
    return Plugins.load(CONFIG, explicit=[Offering(**answers)])


def refused(**answers: Any) -> str:
    with pytest.raises(PluginError) as caught:
        load(**answers)
    return str(caught.value)


def test_offers_stand_beside_the_defaults_by_name_with_their_plugin() -> None:
    plugins = load(
        schedulers=[Fit],
        stores=[Redis],
        retry_policies=(Again,),
        serializers=iter([Pack]),
        commands=[Wave],
        discoverers=None,
    )

    assert dict(plugins.schedulers) == {"best-fit": Fit, "fifo": FifoScheduler}
    assert dict(plugins.stores) == {"acme": Redis, "acme+tls": Redis, "memory": MemoryStore}
    assert dict(plugins.retry_policies) == {"again": Again, "none": NoRetry}
    assert dict(plugins.serializers) == {"json": JsonSerializer, "pack": Pack}
    assert dict(plugins.commands) == {"wave": Wave}
    assert str(plugins.schedulers.plugin_of("best-fit").origin) == HERE
    assert isinstance(plugins.open_store("acme+tls://"), Redis)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (
            {"schedulers": [3]},
            f"{HERE} offers as a scheduler 3, which is no class; "
            "expected a subclass of taskiq_flow.scheduler.Scheduler",
        ),
        (
            {"schedulers": [NoRetry]},
            f"{HERE} offers as a scheduler NoRetry, which is no subclass of taskiq_flow.scheduler.Scheduler",
        ),
        (
            {"schedulers": [Nameless]},
            f"{HERE} offers as a scheduler Nameless with name = None; give it a name",
        ),
        (
            {"serializers": [Unfinished]},
            f"{HERE} offers as a serializer Unfinished, which does not define dumps(), loads()",
        ),
        (
            {"stores": [Schemeless]},
            f"{HERE} offers as a store Schemeless with schemes = (); give it a tuple of names as 'schemes'",
        ),
        (
            {"schedulers": Fit},
            f"flow_register_schedulers() of {HERE} must give a list of classes, found the class Fit",
        ),
        (
            {"schedulers": "Fit"},
            f"flow_register_schedulers() of {HERE} must give a list of classes, found str",
        ),
        ({"schedulers": 5}, f"flow_register_schedulers() of {HERE} must give a list of classes: TypeError: "),
        (
            {"schedulers": OSError("no disk")},
            f"flow_register_schedulers() of {HERE} failed: OSError: no disk",
        ),
        (
            {"commands": OSError("no disk")},
            f"flow_register_commands() of {HERE} must give a list of classes: OSError",
        ),
        (
            {"schedulers": [Fit, Fit]},
            f"scheduler 'best-fit' is offered twice by '{__name__}.Offering' given in code",
        ),
    ],
    ids=lambda value: value.partition(HERE)[2][:60] if isinstance(value, str) else "",
)
def test_an_offer_that_cannot_be_used_is_refused_with_its_origin(answers: dict[str, Any], said: str) -> None:
    assert refused(**answers).startswith(said)


def test_every_bad_offer_is_told_at_once() -> None:
    message = refused(schedulers=[Nameless, 3], serializers=[Unfinished], stores=OSError("x"))
    assert len(message.splitlines()) == 4


def test_two_that_offer_one_name_are_both_named(installed: Site) -> None:
    installed.install(
        "taskiq-flow-resources", "0.1.0", {"resources": "resources_plugin"}, resources_plugin=SCHEDULERS
    )
    installed.install("acme-flow", "2.3", {"zacme": "acme_plugin"}, acme_plugin=SCHEDULERS)

    with pytest.raises(PluginError) as caught:
        Plugins.load(CONFIG)

    assert str(caught.value) == (
        "scheduler 'best-fit' is offered by both taskiq-flow-resources 0.1.0 and acme-flow 2.3; block one of them"
    )
    plugins = Plugins.load(FlowConfig(blocked=frozenset({"zacme"})))
    assert plugins.schedulers.plugin_of("best-fit").name == "resources"


def test_a_default_is_not_replaced_silently() -> None:
    class Other(FifoScheduler):
        pass

    assert refused(schedulers=[Other]) == (
        f"scheduler 'fifo' is offered by both {CORE} "
        f"and '{__name__}.Offering' given in code; block one of them"
    )


def test_a_name_that_is_not_there_brings_what_is_there_and_the_closest(installed: Site) -> None:
    installed.install(
        "taskiq-flow-resources", "0.1.0", {"resources": "resources_plugin"}, resources_plugin=SCHEDULERS
    )

    plugins = Plugins.load(CONFIG)

    with pytest.raises(PluginError) as caught:
        plugins.schedulers["best_fit"]
    assert str(caught.value) == (
        "no scheduler 'best_fit'; there are 'best-fit' (taskiq-flow-resources 0.1.0), "
        f"'fifo' ({CORE}) (did you mean 'best-fit'?)"
    )


@pytest.mark.parametrize(
    ("axis", "name", "said"),
    [
        (
            "schedulers",
            "best-fit",
            f"there is only 'fifo' ({CORE}); install taskiq-flow-resources",
        ),
        ("schedulers", "acme", f"no scheduler 'acme'; there is only 'fifo' ({CORE})"),
        ("serializers", "msgpack", "; install taskiq-flow-serializers"),
        ("retry_policies", "exponential", "; install taskiq-flow-retry"),
        ("stores", "redis", f"no store 'redis'; there is only 'memory' ({CORE})"),
        ("discoverers", "installed", "; install taskiq-flow-discovery"),
        ("commands", "wave", "no command 'wave'; there is none"),
    ],
)
def test_a_well_known_name_brings_what_to_install(axis: str, name: str, said: str) -> None:
    table = getattr(Plugins.load(CONFIG), axis)

    with pytest.raises(PluginError) as caught:
        table[name]

    assert str(caught.value).endswith(said)
    assert name not in table
    assert table.get(name) is None


@pytest.mark.parametrize("url", ["memory", "", "://x"])
def test_a_store_is_opened_by_a_url(url: str) -> None:
    with pytest.raises(
        PluginError, match="is not the URL of a store; expected one that begins with one of memory://"
    ):
        Plugins.load(CONFIG).open_store(url)


def test_a_policy_is_a_policy() -> None:
    assert issubclass(Plugins.load(CONFIG).retry_policies["none"], RetryPolicy)
