"""Findings about the tasks of installed distributions."""

from __future__ import annotations

from collections.abc import Iterator

from taskiq_flow import PluginError
from taskiq_flow.discovery import Catalogue, find_sources
from taskiq_flow.plugins import Plugins
from taskiq_flow_cli.doctor.findings import Finding, fine, problem

__all__ = ["task_findings"]


def task_findings() -> Iterator[Finding]:
    """Import all allowed sources, as a worker that discovers tasks does."""
    try:
        discoverer = Plugins.load().make_discoverer()
        catalogue = Catalogue.load(find_sources(discoverer))
    except PluginError:
        # The findings about plugins and the configuration report this.
        return
    broken: dict[str, list[str]] = {}
    for each in catalogue.problems:
        broken.setdefault(each.origin.release, []).append(f"{each.source!r}: {each.error}")
    for release in catalogue.releases:
        count = sum(task.origin.release == release for task in catalogue.tasks.values())
        if release in broken:
            name = release.rpartition(" ")[0]
            # Other discoverers may not have this setting.
            denied = f", or deny it: TASKIQ_FLOW_TASKS_DENY={name}" if discoverer.name == "installed" else ""
            yield problem(
                "installed tasks",
                f"tasks of {release}",
                "; ".join(broken[release]),
                f"repair or remove {name}{denied}",
            )
        else:
            yield fine("installed tasks", f"tasks of {release}", f"{count} task{'s' * (count != 1)}")
    for name in catalogue.clashes:
        # With such names a worker that discovers tasks does not start.
        yield problem(
            "installed tasks",
            name,
            catalogue.clash(name),
            "see [tool.taskiq-flow.tasks]: deny, deny_tasks, prefix",
        )
