"""Find the source files of a tree, and give each the name of its module."""

from __future__ import annotations

import os
import platform
import re
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from examples.codebase.shapes import Module, Tree

__all__ = ["EXCLUDED", "find_modules", "module_names", "printable"]

EXCLUDED = "site-packages, dist-packages, __pycache__, node_modules, .*"
"""Names of directories and files that are left out unless the user says otherwise."""

_TEST = re.compile(r"(^|/)(tests?|idle_test|conftest\.py|test_[^/]*|[^/]*_tests?(\.py)?)(/|$)")


def find_modules(root: str = "", pattern: str = "*.py", exclude: str = EXCLUDED) -> tuple[Tree, list[Module]]:
    """List the files of a tree, sorted by path.

    :param root: A directory; empty for the standard library of the interpreter that runs this.
    :param pattern: What the name of a file must match.
    :param exclude: Patterns for names or relative paths to leave out, separated by commas.
    :returns: What was searched, and a module for each file.
    :raises NotADirectoryError: If there is no such directory.
    """
    began = time.time()
    base = Path(root).expanduser().resolve() if root else Path(sysconfig.get_path("stdlib"))
    if not base.is_dir():
        raise NotADirectoryError(f"{str(base)!r} is not a directory; give root=… the top of a source tree")
    excluded = [part for part in (piece.strip() for piece in exclude.split(",")) if part]
    paths = sorted(_walk(base, pattern, excluded))
    names = module_names(paths, _packages_above(base))
    # Where everything lives in one package, that name would be the only group; its parts are the groups then.
    depth = 2 if len({name.partition(".")[0] for name in names}) == 1 else 1
    modules: list[Module] = [
        {
            "file": str(base / path),
            "path": path,
            "name": name,
            "package": ".".join(name.split(".")[:depth]),
            "test": _TEST.search(path) is not None,
        }
        for path, name in zip(paths, names, strict=True)
    ]
    tree: Tree = {
        "began": began,
        "root": printable(str(base)),
        "pattern": pattern,
        "exclude": excluded,
        "python": platform.python_version(),
    }
    return tree, modules


def module_names(paths: Sequence[str], prefix: Sequence[str] = ()) -> list[str]:
    """Return the dotted names under which files are imported.

    A package is imported from the folder that holds the outermost of its packages, so ``src/`` is no part of
    a name. A file in no package is named after its folders. Names that would be given twice are replaced by
    those as well.

    :param paths: Relative to the root, with forward slashes.
    :param prefix: Names of the packages that the root lies in, outermost first.
    :returns: A name for each path.

    >>> module_names(["src/json/__init__.py", "src/json/decoder.py", "tools/make.py"])
    ['json', 'json.decoder', 'tools.make']
    """
    packages = {
        folder for folder, _, file in (path.rpartition("/") for path in paths) if file == "__init__.py"
    }
    names = []
    for path in paths:
        folders = path.split("/")[:-1]
        start = len(folders)
        while start and "/".join(folders[:start]) in packages:
            start -= 1
        # In no package: all folders count.
        start = 0 if start == len(folders) else start
        names.append(_dotted(path.split("/")[start:], prefix if start == 0 else ()))
    given = Counter(names)
    return [
        name if given[name] == 1 else _dotted(path.split("/"), prefix)
        for name, path in zip(names, paths, strict=True)
    ]


def printable(text: str) -> str:
    """Return a text that JSON, UTF-8 and HTML can hold: surrogates and control characters are spelt out."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _dotted(parts: Sequence[str], prefix: Sequence[str]) -> str:
    stem = PurePosixPath(parts[-1]).stem
    names = [*prefix, *parts[:-1]]
    return ".".join(names if stem == "__init__" and names else [*names, stem])


def _walk(base: Path, pattern: str, excluded: Sequence[str]) -> Iterator[str]:
    def left_out(folder: str, name: str) -> bool:
        return any(fnmatch(name, part) or fnmatch(folder + name, part) for part in excluded)

    for here, folders, files in os.walk(base):
        relative = Path(here).relative_to(base).as_posix()
        folder = "" if relative == "." else f"{relative}/"
        folders[:] = [name for name in folders if not left_out(folder, name)]
        for name in files:
            if fnmatch(name, pattern) and not left_out(folder, name):
                # A name that is not UTF-8 cannot travel in a message; spelt out it cannot be opened, and is
                # reported for that.
                yield printable(folder + name)


def _packages_above(base: Path) -> list[str]:
    """Return the names of the packages that the root lies in, outermost first."""
    names: list[str] = []
    while (base / "__init__.py").is_file() and base.parent != base:
        names.insert(0, base.name)
        base = base.parent
    return names
