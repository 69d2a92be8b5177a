"""Writing a distribution from templates."""

from __future__ import annotations

import difflib
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from importlib.resources import files
from pathlib import Path

from taskiq_flow.errors import UsageError
from taskiq_flow_cli.scaffold.kinds import KINDS, Kind
from taskiq_flow_cli.scaffold.names import Names, make_names

__all__ = ["new_plugin", "render"]

_TOKEN = re.compile(r"\{\{([^{}]+)\}\}")

_ASYNC_TESTS = 'asyncio_mode = "auto"\nasyncio_default_fixture_loop_scope = "function"\n'


def new_plugin(name: str, kind: str, directory: str | None) -> int:
    """Write a distribution, and print the next steps.

    :param name: Its name.
    :param kind: One of :data:`~taskiq_flow_cli.scaffold.kinds.KINDS`.
    :param directory: The parent of the new folder; the working directory when it is not given.
    :returns: The exit code.
    :raises UsageError: there is no such kind, the name cannot be used, or the folder exists already.
    """
    if kind not in KINDS:
        close = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise UsageError(f"there is no kind {kind!r}; there are {', '.join(KINDS)}{hint}")
    names = make_names(name, KINDS[kind])
    target = Path(directory or ".") / names.distribution
    texts = render(names, kind)
    _write(target, texts)
    sys.stdout.write(_farewell(target, texts, names, KINDS[kind]))
    return 0


def render(names: Names, kind: str) -> Mapping[str, str]:
    """Return the text of each file, by its path in the distribution.

    :param kind: One of :data:`~taskiq_flow_cli.scaffold.kinds.KINDS`.
    """
    words = _words(names, KINDS[kind])
    source = f"src/{names.package}"
    places = {
        "pyproject.toml": "common/pyproject.toml.txt",
        "README.md": "common/README.md.txt",
        f"{source}/__init__.py": "common/init.py.txt",
        f"{source}/py.typed": None,
        f"{source}/plugin.py": "common/plugin.py.txt",
        f"{source}/{KINDS[kind].module}.py": f"{kind}/implementation.py.txt",
        f"tests/test_{names.package}.py": f"{kind}/test.py.txt",
    }
    templates = files("taskiq_flow_cli.scaffold") / "templates"
    return {
        place: ""
        if template is None
        else _TOKEN.sub(
            lambda token: words[token[1]], templates.joinpath(template).read_text(encoding="utf-8")
        )
        for place, template in places.items()
    }


def _words(names: Names, kind: Kind) -> Mapping[str, str]:
    from taskiq_flow.hookspecs import API_VERSION

    scheme = names.distribution
    store = kind.base == "RunStore"
    return {
        "name": names.distribution,
        "package": names.package,
        "module": kind.module,
        "Class": names.cls,
        "Camel": names.camel,
        "A kind": f"A {kind.word}",
        "Base": kind.base,
        "base module": kind.base_module,
        "hook": kind.hook,
        "api": str(API_VERSION),
        "core": ".".join(_core_version().split(".")[:2]),
        "argument": kind.argument,
        "setting": kind.setting,
        "SETTING": kind.setting.upper(),
        "scheme": scheme,
        "selected": f"{scheme}://" if store else names.distribution,
        "test needs": '"pytest>=8", "pytest-asyncio>=1.0"' if store else '"pytest>=8"',
        "pytest settings": _ASYNC_TESTS if store else "",
        "more": f"\n{kind.more}\n" if kind.more else "",
    }


def _core_version() -> str:
    try:
        return metadata.version("taskiq-flow-core")
    except metadata.PackageNotFoundError:
        return metadata.version("taskiq-flow-cli")


def _write(target: Path, texts: Mapping[str, str]) -> None:
    """Write all files, or none; existing files are never touched."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is there already; nothing was written, remove it or choose --directory")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-plugin-") as folder:
            made = Path(folder) / target.name
            for place, text in texts.items():
                path = made / place
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            if target.exists():
                target.rmdir()
            shutil.move(made, target)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror or error}") from error


def _farewell(target: Path, texts: Mapping[str, str], names: Names, kind: Kind) -> str:
    selected = f"{names.distribution}://" if kind.base == "RunStore" else names.distribution
    purposes = {
        "pyproject.toml": "the distribution, and the entry point that is the door",
        "README.md": "how to install, test and select it",
        "plugin.py": "the hook that offers the class",
        f"{kind.module}.py": f"the {kind.word}",
        f"test_{names.package}.py": "the conformance kit, and tests of its own",
    }
    width = max(map(len, texts)) + 2
    return (
        f"{target}: {kind.word} {names.distribution!r}\n"
        + "".join(f"  {place:{width}}{purposes.get(Path(place).name, '')}".rstrip() + "\n" for place in texts)
        + f"""
next:
  cd {target}
  pip install -e '.[test]'
  pytest
  TASKIQ_FLOW_{kind.setting.upper()}={selected} taskiq flow plugins
"""
    )
