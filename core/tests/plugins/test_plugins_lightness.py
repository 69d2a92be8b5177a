"""What is not imported: start-up pays for plugins only when a flow is made, and kits need no pytest."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", dedent(code)], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "module",
    [
        "importlib_metadata",
        "tomllib",
        "tomli",
        "difflib",
        "taskiq_flow.serializers.json",
    ],
)
def test_importing_the_door_imports_nothing_that_only_a_flow_needs(module: str) -> None:
    assert run(
        f"""
        import sys, taskiq
        before = set(sys.modules)
        import taskiq_flow.hookspecs, taskiq_flow.plugins
        print({module!r} in set(sys.modules) - before)
        """
    ) == str(False)


def test_the_kits_work_without_pytest() -> None:
    assert (
        run(
            """
        import sys
        sys.modules["pytest"] = None
        from taskiq_flow.schedulers.fifo import FifoScheduler
        from taskiq_flow.testing import SchedulerKit, check_scheduler

        class Kit(SchedulerKit):
            def make(self):
                return FifoScheduler()

        check_scheduler(FifoScheduler())
        Kit().test_rules()
        print("checked")
        """
        )
        == "checked"
    )
