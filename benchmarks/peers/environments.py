"""The environment of each side, made once below ``.run/peers`` as the commands of the README make theirs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from benchmarks.peers.roster import FOLDERS, Side

__all__ = ["ROOT", "NotInstalled", "python_of"]

ROOT = Path(__file__).resolve().parents[2]


class NotInstalled(Exception):
    """An environment could not be made; the text says why, and pip has printed more."""


def _commands() -> ModuleType:
    # By its path: the name "run" may mean benchmarks/run.py, which stands first where that was started as a file.
    spec = importlib.util.spec_from_file_location("commands_of_the_readme", ROOT / "run.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{ROOT / 'run.py'} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python_of(side: Side) -> str:
    """Give the interpreter of a side's environment, which is made if it does not stand.

    :param side: Whose.
    :raises NotInstalled: pip could not install what the side needs.
    """
    if not side.requirements:
        return sys.executable
    commands = _commands()
    wanted: list[str] = []
    for requirement in side.requirements:
        if requirement == FOLDERS:
            wanted += [part for path in commands.DISTRIBUTIONS for part in ("--editable", str(path))]
        else:
            wanted.append(requirement)
    try:
        programs: Path = commands.programs_of(f"peers/{side.environment}", wanted)
    except subprocess.CalledProcessError as error:
        version = ".".join(map(str, sys.version_info[:3]))
        names = ", ".join(side.requirements)
        raise NotInstalled(f"pip could not install {names} for Python {version}") from error
    return str(programs / "python")
