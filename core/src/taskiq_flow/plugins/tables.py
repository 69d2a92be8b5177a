"""The offers on each axis, by name, each with its origin."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from attrs import frozen

from taskiq_flow.errors import PluginError
from taskiq_flow.plugins.hints import to_install
from taskiq_flow.plugins.loading import LoadedPlugin

__all__ = ["Axis", "OfferTable", "offers_on"]

T_co = TypeVar("T_co", covariant=True)

_Offers = dict[str, tuple[type[Any], LoadedPlugin]]


class OfferTable(Mapping[str, type[T_co]], Generic[T_co]):
    """Classes by the name that selects them; read-only.

    An unknown name raises a :class:`~taskiq_flow.errors.PluginError` (a :class:`KeyError` too), which lists the known
    names and says what to install.
    """

    __slots__ = ("_kind", "_offers")

    def __init__(self, kind: str, offers: _Offers) -> None:
        self._kind = kind
        self._offers = dict(sorted(offers.items()))

    def __getitem__(self, name: str) -> type[T_co]:
        try:
            return self._offers[name][0]
        except KeyError:
            raise _NoOffer(self._missing(name)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._offers)

    def __len__(self) -> int:
        return len(self._offers)

    def __repr__(self) -> str:
        return f"<{self._kind}: {self._listing()}>"

    @property
    def kind(self) -> str:
        """The noun for one of them in error texts."""
        return self._kind

    def plugin_of(self, name: str) -> LoadedPlugin:
        """Return the plugin that offers a name."""
        self[name]
        return self._offers[name][1]

    def _missing(self, name: str) -> str:
        verb = "there are" if len(self) > 1 else "there is only"
        found = f"no {self._kind} {name!r}; {verb if self._offers else 'there is'} {self._listing()}"
        # Imported late: it brings the whole package of graphs, and names are seldom wrong.
        from taskiq_flow._words import Suggestions

        if hint := Suggestions(self._offers).hint(name):
            return found + hint
        distribution = to_install(self._kind, name)
        if distribution and all(
            plugin.origin.distribution != distribution for _, plugin in self._offers.values()
        ):
            return f"{found}; install {distribution}"
        return found

    def _listing(self) -> str:
        offers = self._offers.items()
        return ", ".join(f"{name!r} ({plugin.origin.release})" for name, (_, plugin) in offers) or "none"


class _NoOffer(PluginError, KeyError):
    # A KeyError, so that `in` and `get` of a mapping work.
    __str__ = Exception.__str__


@frozen
class Axis:
    """One kind of thing that plugins offer.

    :param kind: The noun for one of them in error texts.
    :param hook: The hook that offers them.
    :param base: The class that they are derived from.
    :param key: The class variable with the name, or with a tuple of names.
    """

    kind: str
    hook: str
    base: type[Any]
    key: str = "name"


def offers_on(axis: Axis, answers: Iterable[tuple[LoadedPlugin, Any]]) -> tuple[_Offers, list[str]]:
    """Build the table of offers from the answers of a registration hook.

    :param axis: The axis.
    :param answers: Each plugin with the result of its hook.
    :returns: The offers by name, without those that two plugins offer, and a sentence for each problem.
    """
    offers: _Offers = {}
    clashing: set[str] = set()
    problems: list[str] = []
    for plugin, answer in answers:
        classes, wrong = _classes(axis, plugin, answer)
        problems.extend(wrong)
        for cls in classes:
            names, wrong = _names(axis, plugin, cls)
            problems.extend(wrong)
            for name in names:
                if name in offers:
                    clashing.add(name)
                    problems.append(_collision(axis, name, plugin, offers[name][1]))
                offers[name] = (cls, plugin)
    return {name: offer for name, offer in offers.items() if name not in clashing}, problems


def _classes(axis: Axis, plugin: LoadedPlugin, answer: Any) -> tuple[list[Any], list[str]]:
    if answer is None:
        return [], []
    if isinstance(answer, (type, str, Mapping)):
        given = f"the class {answer.__qualname__}" if isinstance(answer, type) else type(answer).__name__
        return [], [f"{axis.hook}() of {plugin.origin} must give a list of classes, found {given}"]
    try:
        return list(answer), []
    except Exception as error:  # noqa: BLE001 - an implementation may be a generator, and runs here
        return [], [
            f"{axis.hook}() of {plugin.origin} must give a list of classes: {type(error).__name__}: {error}"
        ]


def _names(axis: Axis, plugin: LoadedPlugin, cls: Any) -> tuple[tuple[str, ...], list[str]]:
    base = f"{axis.base.__module__}.{axis.base.__qualname__}"
    if not isinstance(cls, type):
        wrong = f"{cls!r}, which is no class; expected a subclass of {base}"
    elif not issubclass(cls, axis.base):
        wrong = f"{cls.__qualname__}, which is no subclass of {base}"
    elif inspect.isabstract(cls):
        missing = ", ".join(f"{method}()" for method in sorted(getattr(cls, "__abstractmethods__", ())))
        wrong = f"{cls.__qualname__}, which does not define {missing}"
    else:
        value: Any = getattr(cls, axis.key, None)
        names = value if axis.key != "name" and isinstance(value, tuple) else (value,)
        if names and all(isinstance(name, str) and name and name == name.strip() for name in names):
            return names, []
        wrong = f"{cls.__qualname__} with {axis.key} = {value!r}; {_describe_expected(axis)}"
    return (), [f"{plugin.origin} offers as a {axis.kind} {wrong}"]


def _describe_expected(axis: Axis) -> str:
    return "give it a name" if axis.key == "name" else f"give it a tuple of names as {axis.key!r}"


def _collision(axis: Axis, name: str, plugin: LoadedPlugin, other: LoadedPlugin) -> str:
    if plugin is other:
        return f"{axis.kind} {name!r} is offered twice by {plugin.origin.release}"
    # Name the plugin that was loaded first before the one that was added.
    return (
        f"{axis.kind} {name!r} is offered by both {other.origin.release} and {plugin.origin.release}; "
        "block one of them"
    )
