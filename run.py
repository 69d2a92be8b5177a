"""The two commands of the README, for a machine with nothing but Python and pip.

``python run.py example`` runs the example pipeline, ``python run.py test`` runs the tests through
tox. Each makes a virtual environment of its own below ``.run/`` and installs there what it needs;
arguments that follow go to the program.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
DISTRIBUTIONS = [ROOT / "core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml")), ROOT]
OLDEST = (3, 10)
USAGE = "usage: python run.py example [name=value …] | python run.py test [argument of tox …]"


def programs_of(name: str, requirements: list[str]) -> Path:
    """Make the environment ``.run/NAME``, unless it stands already.

    :param name: Its folder below ``.run``.
    :param requirements: What pip is asked to install.
    :returns: The folder of its programs.
    """
    home = ROOT / ".run" / name
    programs = home / ("Scripts" if os.name == "nt" else "bin")
    # A changed pyproject.toml of ours may ask for other packages, and programs know the folder that they were made in.
    parts = [sys.version, str(home), *requirements]
    if "--editable" in requirements:
        parts += [(path / "pyproject.toml").read_text(encoding="utf-8") for path in DISTRIBUTIONS]
    wanted = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    marker = home / "installed.txt"
    if not marker.exists() or marker.read_text() != wanted:
        print(f"setting up {home.relative_to(ROOT)}, which takes a minute", file=sys.stderr, flush=True)
        python = str(programs / "python")
        # Some systems pack this apart from Python; pip can install into an environment from outside then.
        own_pip = importlib.util.find_spec("ensurepip") is not None
        venv.create(home, clear=True, with_pip=own_pip)
        pip = [python, "-m", "pip"] if own_pip else [sys.executable, "-m", "pip", "--python", python]
        options = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", *options, *requirements], check=True)
        marker.write_text(wanted)
    return programs


def become(command: list[str]) -> int:
    """Run a program in place of this one, so that signals and exit codes are its own."""
    if os.name != "nt":
        os.execv(command[0], command)
    return subprocess.run(command, check=False).returncode


def example(arguments: list[str]) -> int:
    """Analyse a source tree with the pipeline of ``examples/codebase``."""
    paths = [part for path in DISTRIBUTIONS for part in ("--editable", str(path))]
    taskiq = str(programs_of("example", paths) / "taskiq")
    # Paths among the arguments are meant from where the user stands.
    pipeline = ["examples.codebase.pipeline:pipeline", "--app-dir", str(ROOT)]
    return become([taskiq, "flow", "run", *pipeline, *arguments])


def test(arguments: list[str]) -> int:
    """Run tox: every environment whose Python is here, or those that the arguments name."""
    tox = str(programs_of("tox", ["tox>=4.24,<5"]) / "tox")
    os.chdir(ROOT)
    return become([tox, "run-parallel", "--parallel", "auto", "--parallel-no-spinner", *arguments])


def main(arguments: list[str]) -> int:
    """Run the command that the first argument names."""
    commands = {"example": example, "test": test}
    if arguments and arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    if not arguments or arguments[0] not in commands:
        print(USAGE, file=sys.stderr)
        return 2
    if sys.version_info < OLDEST:
        print("this needs Python 3.10 or newer, found " + sys.version.split()[0], file=sys.stderr)
        return 2
    try:
        return commands[arguments[0]](arguments[1:])
    except subprocess.CalledProcessError as error:
        print(f"cannot set up the environment: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        pass
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
