"""Distributions with tasks, for the tests of discovery, and a way to look at what an application has of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from taskiq import async_shared_broker

from fake_distributions import Site, site
from taskiq_flow.discoverers.entry_points import EntryPointDiscoverer
from taskiq_flow.discovery import Catalogue

TEXT = """
    from taskiq import async_shared_broker
    from taskiq_flow import CPUProfile, pipeline_task

    @pipeline_task(output="pages", description="Read the pages of a book.")
    def load(book: str, limit: int = 2) -> list[str]:
        return [f"{book} {number}" for number in range(limit)]

    @async_shared_broker.task(task_name="count_words")
    @pipeline_task(output="counts")
    async def count(pages: list[str]) -> dict[str, int]:
        return {"words": sum(len(page.split()) for page in pages)}

    @CPUProfile(cpu_units=2)
    @pipeline_task(output="report")
    def report(pages: list[str], counts: dict[str, int], title: str = "Report") -> str:
        '''Write a report.

        It is short.
        '''
        return f"{title}: {len(pages)} pages, {counts['words']} words"

    def helper():
        raise AssertionError("an ordinary function is no task, and is not called")
"""


class Shelf(Site):
    """A folder on ``sys.path`` with distributions that offer tasks."""

    def offer(
        self, name: str, version: str, points: Mapping[str, str] | None = None, /, **modules: str
    ) -> None:
        """Install a distribution whose entry points are its modules, unless others are given."""
        points = {module: module for module in modules} if points is None else points
        self.install(name, version, points, group="taskiq_flow.tasks", **modules)

    def catalogue(self) -> Catalogue:
        """Load everything."""
        return Catalogue.load(EntryPointDiscoverer().find())


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """An empty folder on ``sys.path``."""
    default = async_shared_broker._default_broker
    with site(tmp_path):
        yield Shelf(tmp_path)
    async_shared_broker._default_broker = default
