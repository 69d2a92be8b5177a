"""The test suites of peers, taken from their source distributions while the tests run; none of it is kept here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from attrs import frozen

__all__ = ["Outcome", "Suite"]

_HERE = Path(__file__).parent
_SECONDS = 240


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the package around it is missing
        return False


@frozen(kw_only=True)
class Outcome:
    """What came of a run of a suite.

    :param passed: The tests that passed.
    :param failed: What failed, with its report.
    """

    passed: list[str]
    failed: Mapping[str, str]


@frozen(kw_only=True)
class Suite:
    """The suite of a distribution that is installed here, unpacked.

    :param folder: Where its source distribution was unpacked.
    """

    folder: Path

    @classmethod
    def fetch(cls, distribution: str, folder: Path, needs: Iterable[str]) -> Suite:
        """Take the suite of the installed version from the package index; skip the test where that cannot be done.

        :param distribution: The distribution; its source distribution has a folder ``tests``.
        :param folder: Where to unpack it.
        :param needs: The packages that its tests import.
        """
        missing = sorted(name for name in needs if not _is_there(name))
        if missing:
            pytest.skip(
                f"the suite of {distribution} needs {', '.join(missing)}; `tox run -e peers` installs that"
            )
        wanted = f"{distribution}=={version(distribution)}"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        done = subprocess.run(
            [*pip, "--dest", str(folder), wanted], capture_output=True, text=True, check=False
        )
        found = [*folder.glob("*.tar.gz")]
        if done.returncode or not found:
            reason = f"cannot fetch the source distribution of {wanted}: {done.stderr[-500:]}"
            if os.environ.get("TASKIQ_FLOW_REQUIRE_SERVICES") == "1":
                pytest.fail(reason)
            pytest.skip(f"{reason}; connect, or leave it: TASKIQ_FLOW_REQUIRE_SERVICES is not 1")
        with tarfile.open(found[0]) as archive:
            if sys.version_info >= (3, 12):
                archive.extractall(folder, filter="data")
            else:
                archive.extractall(folder)
        (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
        if not (unpacked / "tests").is_dir():
            pytest.fail(f"the source distribution of {wanted} has no tests any more; restate them as ours")
        # The package is the installed one.
        for package in unpacked.glob("*/__init__.py"):
            if package.parent.name != "tests":
                package.parent.rename(package.parent.with_name(f"{package.parent.name}-unused"))
        return cls(folder=unpacked)

    def run(self, *tests: str, with_flow: bool, options: Iterable[str] = ()) -> Outcome:
        """Run tests of the suite in a process of their own.

        :param tests: Their node ids, or files; all of them by default.
        :param with_flow: Whether each broker has a flow.
        :param options: More options for pytest.
        """
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "peer_plugin", "-p", "no:cacheprovider"]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(_HERE), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PEER_WITH_FLOW": str(int(with_flow)),
            "PEER_REPORT": str(report),
        }
        done = subprocess.run(
            [*command, "--timeout", "30", *options, *(tests or ["tests"])],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if not report.exists():
            pytest.fail(f"the suite did not run: {done.stdout[-3000:]}{done.stderr[-3000:]}")
        return Outcome(**json.loads(report.read_text(encoding="utf-8")))

    def find_differences(self, *, options: Iterable[str] = ()) -> tuple[Outcome, dict[str, str]]:
        """Run the suite with flows, and give what fails of it twice although it passes without them.

        :param options: More options for pytest.
        :returns: What came of it, and the report of each difference.
        """
        options = tuple(options)
        outcome = self.run(with_flow=True, options=options)
        if not outcome.failed:
            return outcome, {}
        alone = self.run(*outcome.failed, with_flow=False, options=options)
        again = self.run(*outcome.failed, with_flow=True, options=options)
        return outcome, {test: text for test, text in again.failed.items() if test not in alone.failed}
