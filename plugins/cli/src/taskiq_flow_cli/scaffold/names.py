"""The names of a new plugin, all derived from one."""

from __future__ import annotations

import keyword
import re
import sys
from importlib import metadata
from importlib.util import find_spec

from attrs import frozen

from taskiq_flow.errors import FlowError, UsageError
from taskiq_flow_cli.scaffold.kinds import Kind

__all__ = ["Names", "make_names"]

# A distribution's name, and its normal form (PEP 508, PEP 503).
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_RUNS = re.compile(r"[-_.]+")
_LONGEST = 60


@frozen(kw_only=True)
class Names:
    """The names in the files.

    :param distribution: The distribution, in its normal form; also the name of the plugin and of its offer.
    :param package: The package to import.
    :param camel: The package's name in camel case, for classes.
    :param cls: The name of the class.
    """

    distribution: str
    package: str
    camel: str
    cls: str


def make_names(given: str, kind: Kind) -> Names:
    """Make the names of a new plugin.

    :param given: The wanted name.
    :raises UsageError: the name cannot be used; all problems are listed.
    """
    if not _NAME.fullmatch(given) or len(given) > _LONGEST:
        raise UsageError(
            f"{given!r} cannot be the name of a distribution; use up to {_LONGEST} letters, digits, '-', '_' and '.', "
            "with a letter or digit at both ends, such as acme-scheduler"
        )
    distribution = _RUNS.sub("-", given).lower()
    package = distribution.replace("-", "_")
    problems = [*_package_problems(package), *_problems_with_installed(distribution, package, kind)]
    if problems:
        raise UsageError(f"the plugin cannot be called {given!r}: {'; '.join(problems)}; choose another name")
    camel = "".join(word.capitalize() for word in distribution.split("-"))
    cls = camel if camel.lower().endswith(kind.suffix.lower()) else f"{camel}{kind.suffix}"
    if cls in (kind.base, f"{kind.base}Kit"):
        # The file imports the protocol by this name.
        cls = f"My{cls}"
    return Names(
        distribution=distribution, package=package, camel=camel.removesuffix(kind.suffix) or camel, cls=cls
    )


def _package_problems(package: str) -> list[str]:
    if not package.isidentifier():
        return [f"a package {package!r} cannot be imported, because it does not begin with a letter"]
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        return [f"{package!r} is a word of Python"]
    if package in sys.stdlib_module_names or package in ("tests", "test", "src"):
        return [f"a package {package!r} would hide the one that Python has or projects use"]
    return []


def _problems_with_installed(distribution: str, package: str, kind: Kind) -> list[str]:
    problems = []
    try:
        version = metadata.version(distribution)
        problems.append(f"a distribution {distribution!r} is installed already ({version})")
    except metadata.PackageNotFoundError:
        if package.isidentifier() and find_spec(package) is not None:
            problems.append(f"a package {package!r} can be imported already")
    if not problems and (offered := _find_owner(distribution, kind)):
        problems.append(offered)
    return problems


def _find_owner(name: str, kind: Kind) -> str:
    """Describe the present owner of the name; empty when it is free."""
    from taskiq_flow.plugins import Plugins

    try:
        plugins = Plugins.load()
    except FlowError:
        # Another plugin is broken, which is no reason not to write a new one.
        return ""
    table = getattr(plugins, kind.table)
    if name in table:
        return f"a {kind.word} {name!r} is offered by {table.plugin_of(name).origin.release} already"
    if name in plugins.origins:
        return f"the plugin of {plugins.origins[name].release} has this name already"
    return ""
