"""What is used where the configuration names nothing: what one plugin prefers, or else what the core has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from taskiq import InMemoryBroker

from fake_distributions import Site, site
from taskiq_flow import Flow
from taskiq_flow.errors import PluginError
from taskiq_flow.hookspecs import hookimpl
from taskiq_flow.plugins import FlowConfig, Plugins
from taskiq_flow.plugins.selection import Selection
from taskiq_flow.retries.none import NoRetry
from taskiq_flow.stores.memory import MemoryStore

pytestmark = pytest.mark.usefixtures("alone")

PREFERRED = """
    from taskiq_flow.hookspecs import hookimpl
    from taskiq_flow.retries.none import NoRetry
    from taskiq_flow.schedulers.fifo import FifoScheduler

    class Best(NoRetry):
        name = "{name}"
        preferred = True

    class Derived(Best):
        name = "derived-from-{name}"

    class Fit(FifoScheduler):
        name = "fit-of-{name}"

    @hookimpl
    def flow_register_retry_policies():
        return [Derived, Best]

    @hookimpl
    def flow_register_schedulers():
        return [Fit]
"""


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as folder:
        yield folder


def install(folder: Site, name: str) -> None:
    folder.install(
        f"{name}-flow", "2.0", {name: f"{name}_flow"}, **{f"{name}_flow": PREFERRED.format(name=name)}
    )


def test_without_plugins_it_is_what_the_core_has() -> None:
    plugins = Plugins.load(FlowConfig())

    assert {axis: plugins.selection(axis) for axis in ("store", "scheduler", "serializer", "retry")} == {
        "store": Selection(name="memory://", source="default"),
        "scheduler": Selection(name="fifo", source="default"),
        "serializer": Selection(name="json", source="default"),
        "retry": Selection(name="none", source="default"),
    }


def test_the_one_preferred_class_takes_the_place_of_the_cores(installed: Site) -> None:
    install(installed, "acme")
    plugins = Plugins.load(FlowConfig())

    # What is derived from it, or is offered beside it, is not preferred.
    assert plugins.selection("retry") == Selection(name="acme", source="preferred by acme-flow 2.0")
    assert plugins.selection("scheduler") == Selection(name="fifo", source="default")


def test_what_is_configured_stands_above_what_is_preferred(installed: Site) -> None:
    install(installed, "acme")
    plugins = Plugins.load(FlowConfig.load(retry="none", environment={}))

    assert plugins.selection("retry") == Selection(name="none", source="argument")
    assert Plugins.load(FlowConfig(retry="none")).selection("retry").source == "configured"


def test_two_preferred_ones_are_an_error_that_says_how_to_choose(installed: Site) -> None:
    install(installed, "acme")
    install(installed, "zeta")
    plugins = Plugins.load(FlowConfig())

    with pytest.raises(PluginError) as caught:
        plugins.selection("retry")

    assert str(caught.value) == (
        "nothing selects a retry policy, and each of 'acme' (acme-flow 2.0) and 'zeta' (zeta-flow 2.0) wants to be "
        "preferred; name one: Flow(broker, retry='acme'), TASKIQ_FLOW_RETRY=acme, or retry = \"acme\" in "
        "[tool.taskiq-flow] of pyproject.toml"
    )
    assert plugins.selection("scheduler").name == "fifo"
    with pytest.raises(PluginError, match="wants to be preferred"):
        Flow(InMemoryBroker())
    assert Flow(InMemoryBroker(), retry="zeta").policies.find(None, None).name == "zeta"
    assert Flow(InMemoryBroker(), blocked=["zeta"]).policies.find(None, None).name == "acme"


def test_a_preferred_store_is_opened_by_its_first_scheme() -> None:
    class Fast(MemoryStore):
        schemes: ClassVar[tuple[str, ...]] = ("fast", "faster")
        preferred: ClassVar[bool] = True

    class Plugin:
        @hookimpl
        def flow_register_stores(self) -> Any:
            return [Fast]

    plugins = Plugins.load(FlowConfig(), explicit=[Plugin()])
    found = plugins.selection("store")

    assert found.name == "fast://"
    assert type(plugins.open_store(found.name)) is Fast


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_only_true_is_a_preference(value: Any) -> None:
    class Odd(NoRetry):
        name: ClassVar[str] = "odd"
        preferred: ClassVar[Any] = value

    class Plugin:
        @hookimpl
        def flow_register_retry_policies(self) -> Any:
            return [Odd]

    assert Plugins.load(FlowConfig(), explicit=[Plugin()]).selection("retry").name == "none"
