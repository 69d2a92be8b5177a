"""Lets the modules beside the tests be imported, and gives the seed of a test's random cases."""

from __future__ import annotations

import logging
import os
import secrets
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]


@pytest.fixture
def seed() -> str:
    """The same in every CI run, and a new one otherwise; a failed case says it with its number."""
    return "0" if os.environ.get("CI") == "true" else secrets.token_hex(4)


@pytest.fixture(autouse=True)
def _no_complaints(caplog: pytest.LogCaptureFixture) -> None:
    """Let nobody complain of tasks that fail on purpose: formatting their tracebacks takes longer than all the rest."""
    for name in ("taskiq", "taskiq_flow"):
        # The fixture restores what it has changed.
        caplog.set_level(logging.CRITICAL, logger=name)
