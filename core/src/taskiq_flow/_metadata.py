"""Installed entry points with their distributions, read without importing anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from taskiq_flow._logs import open_log

__all__ = ["InstalledEntryPoint", "find_entry_points", "same_name", "unreadable_distributions", "version_of"]

logger = open_log(__name__)


@frozen(kw_only=True)
class InstalledEntryPoint:
    """An entry point and its distribution.

    :param name: The entry point's name.
    :param target: The object it points at, as ``module`` or ``module:object``.
    :param distribution: The distribution's name.
    :param version: The distribution's version.
    :param entry_point: The entry point itself, with its ``load()``.
    """

    name: str
    target: str
    distribution: str
    version: str
    entry_point: Any = field(eq=False, repr=False)


def find_entry_points(group: str) -> Sequence[InstalledEntryPoint]:
    """Return the entry points of a group, by name and distribution.

    A distribution with unreadable metadata is logged and skipped: any folder on ``sys.path`` may hold one, and it need
    not concern us. Of a distribution that is installed twice, the first on ``sys.path`` counts.
    """
    found, unreadable = _read(group)
    for place, error in unreadable:
        logger.warning("passing over the distribution at %s: %s", place, error)
    return sorted(found, key=lambda each: (each.name, each.distribution))


def unreadable_distributions(group: str) -> Sequence[tuple[str, str]]:
    """Return the skipped distributions: the place of each, and its problem.

    :param group: The group of entry points.
    """
    return [(place, str(error)) for place, error in _read(group)[1]]


def _read(group: str) -> tuple[list[InstalledEntryPoint], list[tuple[str, Exception]]]:
    import importlib_metadata

    found: list[InstalledEntryPoint] = []
    unreadable: list[tuple[str, Exception]] = []
    by_name: dict[str, list[Any]] = {}
    for distribution in importlib_metadata.distributions():
        try:
            by_name.setdefault(_key(distribution), []).append(distribution)
        except Exception as error:  # noqa: BLE001 - a broken distribution may raise anything
            unreadable.append((_place(distribution), error))
    for distribution in [_choose(alike, unreadable) for alike in by_name.values()]:
        try:
            entry_points = tuple(distribution.entry_points.select(group=group))
            # Metadata is slow to parse, so it is read only for the few distributions with such entry points.
            if entry_points:
                name, version = _field(distribution, "Name"), _field(distribution, "Version")
                if not name or not version:
                    raise ValueError("its metadata has no name or no version")
                found.extend([_make_entry_point(each, name, version) for each in entry_points])
        except Exception as error:  # noqa: BLE001 - a broken distribution may raise anything
            unreadable.append((_place(distribution), error))
    return found, unreadable


def _choose(alike: list[Any], unreadable: list[tuple[str, Exception]]) -> Any:
    """Return the distribution that hides others of its name: the first one, unless an upgrade has left only its folder.

    :param unreadable: Gets the folders that were left.
    """
    if len(alike) == 1:
        return alike[0]
    whole = [each for each in alike if _is_whole(each)]
    if not whole:
        return alike[0]
    for each in alike:
        if each is whole[0]:
            break
        problem = (
            f"it has no metadata, and {_place(whole[0])} is used; an upgrade may have left it, so delete it"
        )
        unreadable.append((_place(each), ValueError(problem)))
    return whole[0]


def _is_whole(distribution: Any) -> bool:
    try:
        return bool(distribution.read_text("METADATA") or distribution.read_text("PKG-INFO"))
    except Exception:  # noqa: BLE001 - a broken distribution may raise anything
        return False


def same_name(name: str) -> str:
    """Return a distribution's name in its normal form, in which all its spellings are equal."""
    return name.lower().replace("_", "-").replace(".", "-")


def version_of(distribution: str) -> str:
    """Return the version of an installed distribution; ``unreleased`` when it runs from a source tree."""
    import importlib_metadata

    try:
        return str(importlib_metadata.version(distribution))
    except importlib_metadata.PackageNotFoundError:
        return "unreleased"
    except Exception:  # noqa: BLE001 - an upgrade may have left a folder of the same name, and nothing in it
        found = filter(_is_whole, importlib_metadata.distributions(name=distribution))
        return next((version for each in found if (version := _field(each, "Version"))), "unreleased")


def _make_entry_point(entry_point: Any, distribution: str, version: str) -> InstalledEntryPoint:
    return InstalledEntryPoint(
        name=entry_point.name,
        target=entry_point.value,
        distribution=distribution,
        version=version,
        entry_point=entry_point,
    )


def _place(distribution: Any) -> str:
    # Only the private attribute has the path of the usual kind of distribution; there is no public one.
    return str(getattr(distribution, "_path", distribution))


def _field(distribution: Any, name: str) -> str | None:
    value = distribution.metadata.get(name)
    return None if value is None else str(value)


def _key(distribution: Any) -> str:
    # The usual kind of distribution has this from its folder's name, without opening a file.
    name = getattr(distribution, "_normalized_name", None) or _field(distribution, "Name")
    if not name:
        raise ValueError("its metadata has no name")
    return same_name(name)
