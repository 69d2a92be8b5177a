"""The script that Python was started with: a process that needs a task of it runs it again, but for its main guard."""

from __future__ import annotations

import ast
import functools
import multiprocessing
import os
import sys
import threading
from types import FrameType
from typing import Any

from taskiq_flow.errors import FlowError

__all__ = ["check_guard", "check_is_no_import", "find_script"]

_GUARD = 'if __name__ == "__main__":'


def find_script() -> dict[str, str]:
    """Return by what another process can import the script, in the words of multiprocessing; empty where it cannot."""
    main: Any = sys.modules.get("__main__")
    name = getattr(getattr(main, "__spec__", None), "name", None)
    if name is not None:
        return {"init_main_from_name": name}
    path = getattr(main, "__file__", None)
    return {} if path is None else {"init_main_from_path": os.path.abspath(path)}


def check_guard() -> None:
    """Refuse a script that would do in each process what it is doing now.

    :raises FlowError: it is at a line that is not under a main guard; the text has the line to add.
    """
    line = _running_line()
    if line is None:
        return
    path = sys.modules["__main__"].__file__ or ""
    if any(first <= line <= last for first, last in _find_guards(path, os.stat(path).st_mtime_ns)):
        return
    raise FlowError(
        f"{os.path.basename(path)} has a task that is to run in other processes, and each of them would run line "
        f"{line} again, which started this one; write above it, and indent what follows: {_GUARD}"
    )


def check_is_no_import() -> None:
    """Refuse to do anything while this process imports the script of the one that has started it.

    :raises FlowError: it does; the text has the line to add.
    """
    # multiprocessing's own mark, which our processes set too.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise FlowError(
            "another process runs this script again, to find a task in it, and gets to where pipelines are started; "
            f"write above that, and indent what follows: {_GUARD}"
        )


def _running_line() -> int | None:
    """Return the line of the script that the main thread is at; ``None`` where it is at none."""
    main: Any = sys.modules.get("__main__")
    frame: FrameType | None = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals is getattr(main, "__dict__", None):
            return frame.f_lineno
        frame = frame.f_back
    return None


@functools.lru_cache(maxsize=4)
def _find_guards(path: str, _: int) -> tuple[tuple[int, int], ...]:
    """Return the ranges of lines that are executed under a condition on ``__name__``."""
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return ((0, sys.maxsize),)
    return tuple(
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, (ast.If, ast.IfExp, ast.BoolOp)) and _asks_for_name(node)
    )


def _asks_for_name(node: ast.If | ast.IfExp | ast.BoolOp) -> bool:
    test = node.values[0] if isinstance(node, ast.BoolOp) else node.test
    return any(isinstance(each, ast.Name) and each.id == "__name__" for each in ast.walk(test))
