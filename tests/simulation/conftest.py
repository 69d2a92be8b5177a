"""Lets the simulation's modules be imported, and its worlds share what takes long to load."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "core" / "tests")]


# For each test: a folder is no package to pytest, so a fixture of a package would last to the end of all tests.
@pytest.fixture(autouse=True)
def _plugins_loaded_once() -> Iterator[None]:
    from sim_process import plugins_loaded_once

    with plugins_loaded_once():
        yield


@pytest.fixture(autouse=True)
def _no_complaints() -> Iterator[None]:
    """Let nobody complain of faults that are simulated: formatting their tracebacks takes longer than all the rest."""
    from sim_run import silence

    with silence():
        yield
