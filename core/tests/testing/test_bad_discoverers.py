"""Known-bad discoverers, each caught by the kit."""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import importlib_metadata
import pytest
from attrs import evolve

from taskiq_flow.discoverer import Discoverer, Origin, TaskSource
from taskiq_flow.discoverers.entry_points import EntryPointDiscoverer
from taskiq_flow.testing import check_discoverer

pytestmark = pytest.mark.usefixtures("alone")


class Finding(Discoverer):
    name: ClassVar[str] = "finding"

    def __init__(self, *found: Any, eager: str = "") -> None:
        self.found = found
        self.eager = eager

    def find(self) -> Sequence[TaskSource]:
        if self.eager:
            __import__(self.eager)
        return self.found


class Fragile(EntryPointDiscoverer):
    def find(self) -> Sequence[TaskSource]:
        for distribution in importlib_metadata.distributions():
            _ = distribution.metadata["Name"], distribution.entry_points
        return super().find()


class Dwindling(Finding):
    def find(self) -> Sequence[TaskSource]:
        self.found = self.found[:-1]
        return self.found


class Asynchronous(Finding):
    async def find(self) -> Any:
        return []


class Silent(Finding):
    def find(self) -> Any:
        return None


class HalfWay(Finding):
    def find(self) -> Any:
        yield source("a")
        raise KeyError("no more")


class LosesTheRest(EntryPointDiscoverer):
    """Gives up at the first distribution that it cannot read."""

    def find(self) -> Sequence[TaskSource]:
        try:
            for distribution in importlib_metadata.distributions():
                _ = distribution.metadata["Name"].lower(), distribution.entry_points
        except Exception:
            return [*super().find()][:0]
        return super().find()


class LoadsTheLast(Discoverer):
    """Makes its functions in a loop, where all of them see the last entry point."""

    name: ClassVar[str] = "last"

    def find(self) -> Sequence[TaskSource]:
        found = []
        for each in sorted(entry_points()):
            found.append(
                TaskSource(
                    name=each.name,
                    origin=Origin(distribution=each.dist.name, version="1.0", target=each.value),
                    load=lambda: each.load(),  # noqa: B023 - this is the mistake
                )
            )
        return found


class LooksForTheModule(EntryPointDiscoverer):
    """Makes sure that each module is there, which imports the package around it."""

    def find(self) -> Sequence[TaskSource]:
        found = super().find()
        for each in found:
            with contextlib.suppress(ImportError, ValueError):
                importlib.util.find_spec(each.origin.target.partition(":")[0])
        return found


class LoadsTheName(EntryPointDiscoverer):
    def find(self) -> Sequence[TaskSource]:
        return [evolve(each, load=partial(importlib.import_module, each.name)) for each in super().find()]


def entry_points() -> list[Any]:
    return [
        each
        for distribution in importlib_metadata.distributions()
        if distribution.metadata["Name"].startswith("acme-kit")
        for each in distribution.entry_points
    ]


class TakesAnySetting(Finding):
    @classmethod
    def from_settings(cls, settings: Any) -> Any:
        return cls()


class WantsSettings(Finding):
    @classmethod
    def from_settings(cls, settings: Any) -> Any:
        return cls(settings["folder"])


class Twice(EntryPointDiscoverer):
    def find(self) -> Sequence[TaskSource]:
        return [*super().find(), *super().find()]


class Backwards(EntryPointDiscoverer):
    def find(self) -> Sequence[TaskSource]:
        return list(super().find())[::-1]


class KnowsNoVersion(EntryPointDiscoverer):
    def find(self) -> Sequence[TaskSource]:
        return [evolve(each, origin=evolve(each.origin, version="0")) for each in super().find()]


class LoadsNothing(EntryPointDiscoverer):
    def find(self) -> Sequence[TaskSource]:
        return [evolve(each, load=lambda: None) for each in super().find()]


class Renames(EntryPointDiscoverer):
    def __init__(self, name: Any) -> None:
        self.given = name

    @classmethod
    def from_settings(cls, settings: Any) -> Any:
        EntryPointDiscoverer.from_settings(settings)
        return cls(lambda name: name)

    def find(self) -> Sequence[TaskSource]:
        return [evolve(each, rename=self.given) for each in super().find()]


class Leaves(Finding):
    def find(self) -> Any:
        raise SystemExit(3)


def source(name: str, *, distribution: str = "acme", target: str = "acme") -> TaskSource:
    return TaskSource(
        name=name, origin=Origin(distribution=distribution, version="1", target=target), load=lambda: None
    )


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (Asynchronous(), "find() must answer at once, found a coroutine"),
        (Silent(), "find() must give sources, if only an empty list, found None"),
        (HalfWay(), "find() must never raise, found KeyError: 'no more'"),
        (TakesAnySetting(), "must refuse an unknown setting with a PluginError"),
        (WantsSettings(), "from_settings({}) must give a discoverer, found KeyError"),
        (LosesTheRest(), "a broken distribution must not hide others, and "),
        (Finding(TaskSource(name="a", origin=source("a").origin, load=5)), "something to call as load"),  # type: ignore[arg-type]
        (Finding("acme"), "must give objects of TaskSource, found 'acme'"),
        (Finding(source("")), "a source must have a name"),
        (Finding(source("a", distribution="")), "the source 'a' must name its distribution"),
        (Finding(source("a", target="")), "the source 'a' must name its target"),
        (Finding(source("b"), source("a")), "must give sources by name, found ['b', 'a']"),
        (Finding(source("a"), source("a")), "must give each source once"),
        (Dwindling(source("a"), source("b"), source("c")), "must give the same twice"),
        (Finding(source("a", target="turtle_free"), eager="turtle_free"), "it imported turtle_free"),
        (LoadsTheLast(), "load() of the source 'kit_first' must give taskiq_flow_kit_tasks.first, found "),
        (LooksForTheModule(), "and it imported taskiq_flow_kit_tasks"),
        (LoadsTheName(), "load() of the source 'kit_first' must import taskiq_flow_kit_tasks.first, found "),
        (Fragile(), "find() must never raise, found "),
        (Twice(), "must give each source once"),
        (Backwards(), "must give sources by name, found ['kit_zeta', 'kit_alpha']"),
        (KnowsNoVersion(), "must say that it is of acme-kit_alpha 1.0, found acme-kit_alpha 0"),
        (
            LoadsNothing(),
            "load() of the source 'kit_first' must give taskiq_flow_kit_tasks.first, found None",
        ),
        (Renames(lambda name: 3), "rename() of the source 'kit_alpha' must give a name or None, found 3"),
        (Renames(int), "rename() of the source 'kit_alpha' must never raise, found ValueError"),
        (Leaves(), "find() must answer, and it left the interpreter"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_bad_discoverer_is_caught(
    bad: Discoverer, said: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "turtle_free.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(AssertionError) as caught:
        check_discoverer(bad)
    assert said in str(caught.value)


def test_one_that_waits_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()

    class Waits(Finding):
        def find(self) -> Any:
            never.wait()

    monkeypatch.setattr("taskiq_flow.testing.discoverers._SECONDS", 0.05)
    try:
        with pytest.raises(AssertionError, match="gave no answer within"):
            check_discoverer(Waits())
    finally:
        never.set()
