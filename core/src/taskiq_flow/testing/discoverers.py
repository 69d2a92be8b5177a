"""Checks of discoverers, as functions that raise :class:`AssertionError` with a sentence."""

from __future__ import annotations

import importlib
import sys
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from taskiq_flow.discoverer import Discoverer, TaskSource
from taskiq_flow.errors import PluginError
from taskiq_flow.testing.kit import Kit, answer_within, check_name, expect, not_awaited, raises

__all__ = [
    "DiscovererKit",
    "check_broken_distributions",
    "check_description",
    "check_discoverer",
    "check_laziness",
    "check_loading",
    "check_settings",
    "check_sources",
]

_PACKAGE = "taskiq_flow_kit_tasks"
# Long enough to read the metadata of a very large environment.
_SECONDS = 20.0


class DiscovererKit(Kit):
    """Tests of a discoverer, for pytest.

    ::

        class TestAcme(DiscovererKit):
            def make(self):
                return AcmeDiscoverer()
    """

    @abstractmethod
    def make(self) -> Discoverer:
        """Return a new discoverer."""

    def test_description(self) -> None:
        """It has a name."""
        check_description(self.make())

    def test_settings(self) -> None:
        """It is made of no settings, and refuses an unknown one by name."""
        check_settings(self.make())

    def test_sources(self) -> None:
        """Its sources are in order, and have an origin."""
        check_sources(self.make())

    def test_laziness(self) -> None:
        """Finding sources does not import them."""
        check_laziness(self.make())

    def test_loading(self) -> None:
        """Each source loads its target."""
        check_loading(self.make())

    def test_broken_distributions(self) -> None:
        """Distributions with broken metadata do not hide others."""
        check_broken_distributions(self.make())


def check_discoverer(discoverer: Discoverer) -> None:
    """Make all checks.

    :raises AssertionError: the discoverer breaks a promise that the core relies on.
    """
    check_description(discoverer)
    check_settings(discoverer)
    check_sources(discoverer)
    check_laziness(discoverer)
    check_loading(discoverer)
    check_broken_distributions(discoverer)


def check_description(discoverer: Discoverer) -> None:
    """Check that it has a name."""
    check_name(discoverer, Discoverer)


def check_settings(discoverer: Discoverer) -> None:
    """Check that the class makes a discoverer without settings, and refuses unknown ones."""
    try:
        made = type(discoverer).from_settings({})
    except Exception as error:
        raise AssertionError(
            f"from_settings({{}}) must give a discoverer, found {type(error).__name__}: {error}"
        ) from error
    expect(isinstance(made, Discoverer), f"from_settings({{}}) must give a discoverer, found {made!r}")
    refusal = raises(
        PluginError,
        "from_settings() must refuse an unknown setting with a PluginError",
        type(discoverer).from_settings,
        {"no_such_setting": "1"},
    )
    expect(
        "no_such_setting" in str(refusal),
        f"the error must name the unknown setting, found {str(refusal)!r}",
    )


def check_sources(discoverer: Discoverer) -> None:
    """Check that it returns the same sources each time, by name, each once and with its origin."""
    # In an empty environment a discoverer of entry points would find nothing that could be checked.
    with _folder_on_path() as folder:
        for name in ("zeta", "alpha"):
            _write(folder, f"kit_{name}", "nowhere.at.all")
        importlib.invalidate_caches()
        found, again = _find(discoverer), _find(discoverer)
    for source in found:
        expect(isinstance(source, TaskSource), f"find() must give objects of TaskSource, found {source!r}")
        expect(isinstance(source.name, str) and source.name, f"a source must have a name, found {source!r}")
        expect(source.origin.distribution, f"the source {source.name!r} must name its distribution")
        expect(source.origin.target, f"the source {source.name!r} must name its target")
        expect(callable(source.load), f"the source {source.name!r} must have something to call as load")
        _check_rename(source)
    keys = [(source.name, str(source.origin)) for source in found]
    expect(len(set(keys)) == len(keys), f"find() must give each source once, found {keys}")
    names = [source.name for source in found]
    expect(names == sorted(names), f"find() must give sources by name, found {names}")
    twice = [(source.name, str(source.origin)) for source in again]
    expect(twice == keys, f"find() must give the same twice, found {keys} and then {twice}")
    for source in found:
        if source.name.startswith("kit_") and source.origin.target == "nowhere.at.all":
            release = f"acme-{source.name} 1.0"
            expect(
                source.origin.release == release,
                f"the source {source.name!r} must say that it is of {release}, found {source.origin.release}",
            )


def _check_rename(source: TaskSource) -> None:
    try:
        name = source.rename("acme:task")
    except Exception as error:
        raise AssertionError(
            f"rename() of the source {source.name!r} must never raise, found {type(error).__name__}: {error}"
        ) from error
    expect(
        name is None or (isinstance(name, str) and name),
        f"rename() of the source {source.name!r} must give a name or None, found {name!r}",
    )


def check_laziness(discoverer: Discoverer) -> None:
    """Check that it imports none of the modules that it finds."""
    targets = {source.origin.target.partition(":")[0] for source in _find(discoverer)}
    # An import of a module that is loaded already would go unnoticed.
    aside = {name: sys.modules.pop(name) for name in targets if name in sys.modules}
    try:
        _find(discoverer)
        imported = sorted(targets & set(sys.modules))
    finally:
        sys.modules.update(aside)
    expect(not imported, f"find() must read metadata only, and it imported {', '.join(imported)}")


def check_loading(discoverer: Discoverer) -> None:
    """Check that each source loads its target, and that finding it does not import even the package around it.

    Two modules of a package are put on ``sys.path``, with entry points. A discoverer that does not find them passes.
    """
    with _folder_on_path() as folder:
        package = folder / _PACKAGE
        package.mkdir()
        for name in ("__init__", "first", "second"):
            (package / f"{name}.py").write_text("", encoding="utf-8")
        for name in ("first", "second"):
            _write(folder, f"kit_{name}", f"{_PACKAGE}.{name}")
        importlib.invalidate_caches()
        try:
            found = _find(discoverer)
            imported = sorted(name for name in sys.modules if _is_in_package(name))
            expect(not imported, f"find() must read metadata only, and it imported {', '.join(imported)}")
            for source in found:
                if _is_in_package(source.origin.target):
                    _check_load(source)
        finally:
            for name in list(filter(_is_in_package, sys.modules)):
                del sys.modules[name]


def _is_in_package(name: str) -> bool:
    return name.partition(".")[0] == _PACKAGE


def _check_load(source: TaskSource) -> None:
    target = source.origin.target
    try:
        loaded = source.load()
    except Exception as error:
        raise AssertionError(
            f"load() of the source {source.name!r} must import {target}, found {type(error).__name__}: {error}"
        ) from error
    expect(
        target in sys.modules and not_awaited("load", loaded) is sys.modules[target],
        f"load() of the source {source.name!r} must give {target}, found {loaded!r}",
    )


def check_broken_distributions(discoverer: Discoverer) -> None:
    """Check that distributions with broken metadata on ``sys.path`` do not make it raise or lose others."""
    with _folder_on_path() as folder:
        # One good distribution, which a discoverer of entry points could lose.
        _write(folder, "fine", "nowhere.at.all")
        importlib.invalidate_caches()
        before = [(source.name, str(source.origin)) for source in _find(discoverer)]
        _write_broken(folder)
        importlib.invalidate_caches()
        found = [(source.name, str(source.origin)) for source in _find(discoverer)]
    missing = [name for name, origin in before if (name, origin) not in found]
    expect(not missing, f"a broken distribution must not hide others, and {', '.join(missing)} went missing")


@contextmanager
def _folder_on_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, folder)
        try:
            yield Path(folder)
        finally:
            sys.path.remove(folder)
            importlib.invalidate_caches()


def _write(folder: Path, name: str, target: str) -> None:
    info = folder / f"acme_{name}-1.0.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: acme-{name}\nVersion: 1.0\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[taskiq_flow.tasks]\n{name} = {target}\n", encoding="utf-8")


def _write_broken(folder: Path) -> None:
    points = "[taskiq_flow.tasks]\nbroken-{} = nowhere.at.all\n"
    without_metadata = folder / "acme_lost-1.0.dist-info"
    without_metadata.mkdir()
    (without_metadata / "entry_points.txt").write_text(points.format("lost"), encoding="utf-8")
    without_name = folder / "acme_nameless-1.0.dist-info"
    without_name.mkdir()
    (without_name / "METADATA").write_text("Metadata-Version: 2.1\n", encoding="utf-8")
    (without_name / "entry_points.txt").write_text(points.format("nameless"), encoding="utf-8")
    _write(folder, "garbled", "")
    garbled = folder / "acme_garbled-1.0.dist-info" / "entry_points.txt"
    garbled.write_bytes(b"[taskiq_flow.tasks\n\xff\xfe no equals sign\n= = =\n")


def _find(discoverer: Discoverer) -> Sequence[TaskSource]:
    try:
        found = not_awaited("find", answer_within(_SECONDS, "find", discoverer.find))
        expect(found is not None, "find() must give sources, if only an empty list, found None")
        return list(found)
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"find() must never raise, found {type(error).__name__}: {error}") from error
