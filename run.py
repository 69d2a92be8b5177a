"""The two commands of the README, for a machine with nothing but Python and pip.

``python run.py example`` runs the example pipeline, ``python run.py test`` runs the tests through
tox. Each makes a virtual environment of its own below ``.run/`` and installs there what it needs;
arguments that follow go to the program.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
DISTRIBUTIONS = [ROOT / "core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml")), ROOT]
USAGE = "usage: python run.py example [name=value …] | python run.py test [argument of tox …]"


def programs_of(name: str, requirements: list[str]) -> Path:
    """Make the environment ``.run/NAME``, unless it stands already.

    :param name: Its folder below ``.run``.
    :param requirements: What pip is asked to install.
    :returns: The folder of its programs.
    """
    home = ROOT / ".run" / name
    programs = home / ("Scripts" if os.name == "nt" else "bin")
    # A changed pyproject.toml may ask for other packages, so it is part of what the marker says.
    parts = [sys.version, *requirements, *((path / "pyproject.toml").read_text() for path in DISTRIBUTIONS)]
    wanted = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    marker = home / "installed.txt"
    if not marker.exists() or marker.read_text() != wanted:
        print(f"setting up {home.relative_to(ROOT)}", file=sys.stderr, flush=True)
        venv.create(home, clear=True, with_pip=True)
        pip = [programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *requirements], check=True)
        marker.write_text(wanted)
    return programs


def example(arguments: list[str]) -> int:
    """Analyse a source tree with the pipeline of ``examples/codebase``."""
    paths = [part for path in DISTRIBUTIONS for part in ("--editable", str(path))]
    programs = programs_of("example", paths)
    command = [programs / "taskiq", "flow", "run", "examples.codebase.pipeline:pipeline", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def test(arguments: list[str]) -> int:
    """Run tox: every environment whose Python is here, or those that the arguments name."""
    programs = programs_of("tox", ["tox>=4.24,<5"])
    parallel = ["run-parallel", "--parallel", "auto", "--parallel-no-spinner"]
    return subprocess.run([programs / "tox", *parallel, *arguments], cwd=ROOT, check=False).returncode


def main(arguments: list[str]) -> int:
    """Run the command that the first argument names."""
    commands = {"example": example, "test": test}
    if not arguments or arguments[0] not in commands:
        print(USAGE, file=sys.stderr)
        return 2
    return commands[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
