"""Which plugins are loaded, in which order, and what is said when one cannot be."""

from __future__ import annotations

import importlib
import logging
import pickle
import sys
import types
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import importlib_metadata
import pytest

import fake_plugin
from fake_distributions import Site, site
from taskiq_flow.errors import PluginError
from taskiq_flow.hookspecs import API_VERSION, hookimpl
from taskiq_flow.plugins import FlowConfig, Origin, Plugins

pytestmark = pytest.mark.usefixtures("alone")

CONFIG = FlowConfig()
CORE = f"taskiq-flow-core {importlib_metadata.version('taskiq-flow-core')}"

OBSERVER = """
    from taskiq_flow.hookspecs import hookimpl

    @hookimpl
    def flow_worker_lost(worker):
        pass
"""


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as folder:
        yield folder


def refused(*explicit: Any, config: FlowConfig = CONFIG) -> str:
    with pytest.raises(PluginError) as caught:
        Plugins.load(config, explicit=explicit)
    return str(caught.value)


class Observer:
    @hookimpl
    def flow_worker_lost(self, worker: str) -> None: ...


def made_of(**functions: Any) -> types.SimpleNamespace:
    return types.SimpleNamespace(**functions)


def test_the_core_runs_without_any_plugin_and_its_defaults_are_one() -> None:
    plugins = Plugins.load(CONFIG)

    assert list(plugins.origins) == ["defaults"]
    assert str(plugins.origins["defaults"]) == f"{CORE} (taskiq_flow.plugins.defaults)"
    assert [
        list(table)
        for table in (
            plugins.retry_policies,
            plugins.schedulers,
            plugins.serializers,
            plugins.stores,
            plugins.discoverers,
            plugins.commands,
        )
    ] == [["none"], ["fifo"], ["json"], ["memory"], ["entry-points"], []]


def test_defaults_come_first_then_installed_ones_by_name_then_those_given_in_code(installed: Site) -> None:
    installed.install("zeta", "1.0", {"alpha": "zeta_plugin"}, zeta_plugin=OBSERVER)
    installed.install("beta", "2.0", {"omega": "beta_plugin"}, beta_plugin=OBSERVER)
    installed.install(
        "gamma",
        "3.0",
        {"gamma": "gamma_plugin:plugin"},
        gamma_plugin=f"{OBSERVER}\n    plugin = __import__(__name__)",
    )
    (installed.folder / "by_name.py").write_text("from beta_plugin import *\n", encoding="utf-8")

    plugins = Plugins.load(CONFIG, explicit=["by_name", Observer(), Observer()])

    assert {name: str(origin) for name, origin in plugins.origins.items()} == {
        "defaults": f"{CORE} (taskiq_flow.plugins.defaults)",
        "alpha": "zeta 1.0 (zeta_plugin)",
        "gamma": "gamma 3.0 (gamma_plugin:plugin)",
        "omega": "beta 2.0 (beta_plugin)",
        "by_name": "given in code (by_name)",
        f"{__name__}.Observer": f"given in code ({__name__}.Observer)",
        f"{__name__}.Observer#2": f"given in code ({__name__}.Observer)",
    }
    assert list(plugins.origins)[:4] == ["defaults", "alpha", "gamma", "omega"]
    assert plugins.origins["alpha"] == Origin("zeta", "1.0", "zeta_plugin")


def test_a_plugin_that_is_installed_and_given_in_code_is_loaded_once(installed: Site) -> None:
    installed.install("acme", "1.0", {"acme": "acme_plugin"}, acme_plugin=OBSERVER)

    plugins = Plugins.load(CONFIG, explicit=["acme_plugin", importlib.import_module("acme_plugin")])

    assert list(plugins.origins) == ["defaults", "acme"]


def test_each_flow_has_plugins_of_its_own() -> None:
    first, second = Plugins.load(CONFIG, explicit=[Observer()]), Plugins.load(CONFIG)

    assert first.notify.worker_lost is not None
    assert second.notify.worker_lost is None


def test_every_plugin_that_cannot_be_imported_is_named_with_its_origin(installed: Site) -> None:
    installed.install("taskiq-flow-retry", "0.1.0", {"retry": "r_plugin"}, r_plugin="import tenacious_")
    installed.install("acme-flow", "2.3", {"acme": "a_plugin"}, a_plugin="raise ValueError('no licence')")
    installed.install("lost", "1", {"lost": "lost_plugin:nothing"}, lost_plugin="")

    assert refused("also_missing_").splitlines() == [
        "cannot load plugin 'acme' of acme-flow 2.3 (a_plugin): ValueError: no licence",
        "cannot load plugin 'lost' of lost 1 (lost_plugin:nothing): AttributeError: "
        "module 'lost_plugin' has no attribute 'nothing'",
        "cannot load plugin 'retry' of taskiq-flow-retry 0.1.0 (r_plugin): No module named 'tenacious_'",
        "cannot load plugin 'also_missing_' given in code (also_missing_): No module named 'also_missing_'",
    ]


def test_two_distributions_with_one_plugin_name_are_both_named(installed: Site) -> None:
    installed.install("acme-one", "1.0", {"acme": "one_plugin"}, one_plugin=OBSERVER)
    installed.install("acme-two", "2.0", {"acme": "two_plugin"}, two_plugin=OBSERVER)

    assert refused() == (
        "the plugin name 'acme' is used by acme-one 1.0 and acme-two 2.0; "
        "block or remove one of these distributions"
    )
    plugins = Plugins.load(FlowConfig(blocked=frozenset({"acme_two"})))
    assert str(plugins.origins["acme"]) == "acme-one 1.0 (one_plugin)"


def test_nobody_else_is_called_defaults(installed: Site) -> None:
    installed.install("acme", "1.0", {"defaults": "acme_plugin"}, acme_plugin=OBSERVER)

    assert "'defaults' is used by taskiq-flow-core itself and acme 1.0" in refused()


@pytest.mark.parametrize("blocked", ["acme", "acme-flow", "Acme_Flow", "given_plugin"])
def test_a_blocked_plugin_is_not_even_imported(installed: Site, blocked: str) -> None:
    installed.install("acme-flow", "1.0", {"acme": "acme_plugin"}, acme_plugin="raise RuntimeError")
    (installed.folder / "given_plugin.py").write_text("raise RuntimeError", encoding="utf-8")
    others = {"acme", "given_plugin"} - ({"acme"} if blocked != "given_plugin" else {blocked})

    plugins = Plugins.load(FlowConfig(blocked=frozenset({blocked, *others})), explicit=["given_plugin"])

    assert list(plugins.origins) == ["defaults"]
    assert "acme_plugin" not in sys.modules


@pytest.mark.parametrize("name", ["defaults", "taskiq-flow-core"])
def test_the_defaults_cannot_be_blocked(name: str) -> None:
    assert "cannot be blocked" in refused(config=FlowConfig(blocked=frozenset({name})))


def test_a_distribution_that_cannot_be_read_is_logged_and_passed_over(
    installed: Site, caplog: pytest.LogCaptureFixture
) -> None:
    installed.install("acme", "1.0", {"acme": "acme_plugin"}, acme_plugin=OBSERVER)
    broken = installed.folder / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "entry_points.txt").write_bytes(b"[taskiq_flow]\n\xff\xfe")

    with caplog.at_level(logging.WARNING, "taskiq_flow"):
        plugins = Plugins.load(CONFIG)

    assert list(plugins.origins) == ["defaults", "acme"]
    assert "passing over the distribution at" in caplog.text
    assert "broken-1.0.dist-info" in caplog.text


def test_of_two_copies_of_a_distribution_the_first_on_the_path_counts(
    installed: Site, tmp_path_factory: Any
) -> None:
    installed.install("acme", "2.0", {"acme": "acme_plugin"}, acme_plugin=OBSERVER)
    second = tmp_path_factory.mktemp("second")
    Site(second).install("Acme", "1.0", {"acme": "older_plugin"})
    sys.path.append(str(second))
    try:
        plugins = Plugins.load(CONFIG)
    finally:
        sys.path.remove(str(second))

    assert str(plugins.origins["acme"]) == "acme 2.0 (acme_plugin)"


async def coroutine(run: str) -> None: ...
async def generator_of_coroutine(run: str) -> Any:
    yield


def generator(run: str) -> Any:
    yield


def wrapper(run: str) -> Any:
    return (yield)


def plain(run: str) -> None: ...
def wants_more(run: str, colour: str) -> None: ...
def by_keyword(run: str, *, event: Any) -> None: ...


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        (made_of(flow_cell_started=hookimpl(coroutine)), "flow_cell_started() is async"),
        (made_of(flow_route_cell=hookimpl(coroutine)), "flow_route_cell() is async"),
        (made_of(flow_register_stores=hookimpl(generator_of_coroutine)), "flow_register_stores() is async"),
        (made_of(flow_cell_started=hookimpl(generator)), "flow_cell_started() is a generator"),
        (made_of(flow_cell_started=hookimpl(wrapper, wrapper=True)), "flow_cell_started() is a wrapper"),
        (made_of(flow_cell_started=hookimpl(wants_more)), "wants 'colour', and the hook has 'run', 'event'"),
        (made_of(flow_cell_started=hookimpl(by_keyword)), "takes 'event' by keyword only"),
        (made_of(flow_cell_started=plain), "flow_cell_started() is not marked with @hookimpl"),
        (
            made_of(flow_cell_startet=hookimpl(lambda: None)),
            "there is no hook 'flow_cell_startet' (did you mean 'flow_cell_started'",
        ),
        (made_of(flow_paint=hookimpl(lambda: None)), "there is no hook 'flow_paint'"),
        (made_of(zzz=hookimpl(lambda: None)), "there is no hook 'zzz'; there are 'flow_cell_dispatched', "),
        (made_of(), "it implements no hook; mark its functions with @hookimpl"),
        (Observer, "a plugin is a module or an object, found the class Observer; give an instance of it"),
        (
            made_of(flow_cell_started=hookimpl(partial(wants_more))),
            "found partial; make it a plain function",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_plugin_is_said_before_anything_runs(plugin: Any, said: str) -> None:
    message = refused(plugin)
    assert message.startswith("cannot load plugin '")
    assert said in message


def test_every_fault_of_every_plugin_is_told_at_once(installed: Site) -> None:
    installed.install(
        "acme",
        "1.0",
        {"acme": "acme_plugin"},
        acme_plugin="""
            from taskiq_flow.hookspecs import hookimpl

            @hookimpl
            async def flow_cell_started(run): ...

            @hookimpl
            def flow_cell_finshed(run): ...
        """,
    )

    message = refused(made_of())

    assert len(message.splitlines()) == 3
    assert message.count("cannot load plugin 'acme' of acme 1.0 (acme_plugin): ") == 2


def test_a_hook_of_another_version_may_be_declared_optional_and_a_hook_may_go_by_another_name() -> None:
    lost: list[str] = []

    class Plugin:
        @hookimpl(optionalhook=True)
        def flow_of_the_future(self, anything: Any) -> None: ...

        @hookimpl(specname="flow_worker_lost")
        def note_down(self, pool: str) -> None:
            lost.append(pool)

    plugins = Plugins.load(CONFIG, explicit=[Plugin()])
    assert plugins.notify.worker_lost is not None
    plugins.notify.worker_lost("w1", "gpu")

    assert lost == ["gpu"]


@pytest.mark.parametrize(
    ("api", "said"),
    [
        ((API_VERSION, API_VERSION), ""),
        ((0, API_VERSION + 5), ""),
        (
            (API_VERSION + 1, API_VERSION + 2),
            f"it is made for versions 2 to 3 of the hooks, and this taskiq-flow-core has version {API_VERSION}; "
            "upgrade taskiq-flow-core",
        ),
        (
            (0, 0),
            "it is made for version 0 of the hooks, and this taskiq-flow-core has version 1; upgrade the plugin",
        ),
        (
            ">=0.1",
            "its taskiq_flow_api must be two numbers, the lowest and the highest version of the hooks, found '>=0.1'",
        ),
    ],
)
def test_a_plugin_may_say_which_hooks_it_was_made_for(api: Any, said: str) -> None:
    plugin = Observer()
    plugin.taskiq_flow_api = api  # type: ignore[attr-defined]
    if said:
        assert said in refused(plugin)
    else:
        Plugins.load(CONFIG, explicit=[plugin])


@pytest.mark.parametrize("explicit", ["acme_plugin", types.ModuleType("acme_plugin")])
def test_plugins_are_given_as_a_list(explicit: Any) -> None:
    with pytest.raises(PluginError, match=r"plugins is a list, found .*; write "):
        Plugins.load(CONFIG, explicit=explicit)


def test_plugins_travel_to_another_process_by_being_loaded_there_again() -> None:
    plugins = Plugins.load(FlowConfig(scheduler="acme"), explicit=[fake_plugin])

    again = pickle.loads(pickle.dumps(plugins))

    assert again.config == plugins.config
    assert dict(again.origins) == dict(plugins.origins)
    assert again.notify.worker_lost is not None
