"""Installed distributions that exist for one test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import importlib_metadata
import pytest


class Site:
    """A folder on ``sys.path`` that distributions are put into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        name: str,
        version: str,
        points: Mapping[str, str],
        *,
        group: str = "taskiq_flow",
        **modules: str,
    ) -> None:
        """Write a distribution's metadata and its modules.

        :param points: The entry points, by name.
        :param modules: The source of each module, by name.
        """
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
        )
        lines = "\n".join(f"{point} = {target}" for point, target in points.items())
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n", encoding="utf-8")
        for module, source in modules.items():
            (self.folder / f"{module}.py").write_text(dedent(source), encoding="utf-8")
        importlib.invalidate_caches()


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Put a folder on ``sys.path``, and forget afterwards what was imported from it."""
    # The list itself: a test may put another one in its place, and this one comes back after the test.
    before, path = set(sys.modules), sys.path
    path.insert(0, str(folder))
    try:
        yield Site(folder)
    finally:
        path.remove(str(folder))
        for name in set(sys.modules) - before:
            if str(folder) in (getattr(sys.modules[name], "__file__", None) or ""):
                del sys.modules[name]
        importlib.invalidate_caches()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what is really installed, which differs from environment to environment."""
    before, find = list(sys.path), importlib_metadata.distributions
    monkeypatch.setattr(
        importlib_metadata,
        "distributions",
        lambda: find(path=[folder for folder in sys.path if folder not in before]),
    )
