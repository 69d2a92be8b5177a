"""Findings about the installation: distributions, plugins, configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata

from attrs import frozen

from taskiq_flow import PluginError
from taskiq_flow.plugins import FlowConfig, unreadable_distributions
from taskiq_flow_cli.doctor.configuration import configuration_findings
from taskiq_flow_cli.doctor.findings import Finding, State, fine, note, problem
from taskiq_flow_cli.plugins import InstalledPlugin, list_offers, take_stock

__all__ = ["STANDARD", "distribution_findings", "plugin_findings"]

_CORE = "taskiq-flow-core"
STANDARD = frozenset(
    {_CORE, "taskiq-flow", *(f"taskiq-flow-{part}" for part in ("cli", "discovery", "redis", "resources"))}
    | {f"taskiq-flow-{part}" for part in ("retry", "serializers", "sql")}
)
"""The distributions of this project."""

_GROUPS = ("taskiq_flow", "taskiq_flow.tasks", "taskiq_flow.names")
_SEPARATORS = re.compile(r"[-_.]+")
_NEEDS_CORE = re.compile(r"taskiq[-_.]flow[-_.]core\s*\(?\s*==\s*(\d+\.\d+)\.\*", re.IGNORECASE)


@frozen
class _Distribution:
    version: str
    needs: str


def distribution_findings() -> Iterator[Finding]:
    """Check that the versions of this project's distributions fit together."""
    found = dict(_distributions())
    core = found.get(_CORE)
    if core is None:
        yield note(
            "distributions",
            _CORE,
            "runs from a source tree, so versions cannot be compared",
            "pip install -e core",
        )
        return
    for place, error in unreadable_distributions(_GROUPS[0]):
        yield note(
            "distributions",
            place,
            f"cannot be read, and is passed over with all that it offers: {error}",
            "repair or remove it",
        )
    for name, each in found.items():
        # A distribution of this project without a requirement on the core needs the core of its own version.
        wanted = each.needs or (_minor(each.version) if name in STANDARD else "")
        if wanted and wanted != _minor(core.version):
            yield problem(
                "distributions",
                f"{name} {each.version}",
                f"is made for {_CORE} {wanted}, and {core.version} is installed",
                f"pip install --upgrade {_CORE} {name}" if name != _CORE else "",
            )
        else:
            yield fine(
                "distributions", f"{name} {each.version}", "fits" if wanted else "says nothing of a core"
            )


def plugin_findings() -> Iterator[Finding]:
    """Check each plugin alone, all of them together, and the selections among them."""
    try:
        config = FlowConfig.load()
        inventory = take_stock(config)
    except PluginError as error:
        yield problem(
            "configuration", "settings", str(error), "correct them; without, nothing can be started"
        )
        return
    for plugin in inventory.plugins:
        subject = f"{plugin.name} ({plugin.distribution} {plugin.version})"
        if plugin.blocked:
            yield note("plugins", subject, "is blocked by the configuration")
        elif plugin.problem:
            yield problem(
                "plugins",
                subject,
                plugin.problem,
                f"repair or remove {plugin.distribution}, or block it: TASKIQ_FLOW_BLOCK={plugin.distribution}",
            )
        else:
            yield fine("plugins", subject, "; ".join(list_offers(plugin.offers)) or "offers nothing by name")
    made = list(configuration_findings(inventory, config))
    wrong = {each.text for each in made if each.state is State.PROBLEM}
    for text in inventory.problems:
        # A selection that cannot be made is reported once, with the configuration.
        if not any(text.rpartition("cannot be used: ")[2] in each for each in wrong):
            yield problem("plugins", "all together", text, _way_out(text, inventory.plugins))
    yield from made


def _way_out(text: str, plugins: Sequence[InstalledPlugin]) -> str:
    """Return the advice how to leave out one of the plugins that a sentence names."""
    others = [each for each in plugins[1:] if f"{each.distribution} {each.version}" in text]
    ways = " or ".join(f"TASKIQ_FLOW_BLOCK={each.distribution}" for each in others)
    return f"block one of them: {ways}; or select another name" if ways else "select another name"


def _distributions() -> Iterator[tuple[str, _Distribution]]:
    seen: set[str] = set()
    found: Mapping[str, _Distribution] = {
        name: each for distribution in metadata.distributions() for name, each in _ours(distribution, seen)
    }
    # The core first, because the others are compared with it.
    yield from sorted(found.items(), key=lambda item: (item[0] != _CORE, item[0]))


def _ours(distribution: metadata.Distribution, seen: set[str]) -> Iterator[tuple[str, _Distribution]]:
    try:
        name = _SEPARATORS.sub("-", distribution.metadata["Name"]).lower()
        if name in seen:
            # Of two installed copies the first on the path counts, as for imports.
            return
        seen.add(name)
        if name in STANDARD or any(each.group in _GROUPS for each in distribution.entry_points):
            required = next(filter(None, map(_NEEDS_CORE.match, distribution.requires or ())), None)
            yield name, _Distribution(distribution.version, required[1] if required else "")
    except Exception:  # noqa: BLE001 - foreign metadata may raise anything; loading plugins logs it
        return


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
