"""Findings about conformance: whether third-party implementations keep the promises that the core relies on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from taskiq_flow import PluginError
from taskiq_flow.plugins import OfferTable, Plugins
from taskiq_flow.testing import (
    check_codec,
    check_discoverer,
    check_retry_policy,
    check_scheduler,
    check_serializer,
)
from taskiq_flow.testing.kit import answer_within
from taskiq_flow_cli.doctor.findings import Finding, fine, note, problem
from taskiq_flow_cli.doctor.installation import STANDARD

__all__ = ["conformance_findings"]

_SECONDS = 30.0


def _scheduler(offered: type[Any]) -> None:
    # Only the author's kit declares whether large cells may starve; nothing breaks by it.
    check_scheduler(offered(), may_starve=True)


def _retry_policy(offered: type[Any]) -> None:
    check_retry_policy(offered.from_options({}), endless=True)


def _serializer(offered: type[Any]) -> None:
    check_serializer(offered())


def _codec(offered: type[Any]) -> None:
    check_codec(offered())


def _discoverer(offered: type[Any]) -> None:
    check_discoverer(offered.from_settings({}))


_CHECKS: Mapping[str, tuple[str, str, Callable[[type[Any]], None]]] = {
    "schedulers": ("scheduler", "scheduler", _scheduler),
    "retry_policies": ("retry policy", "retry", _retry_policy),
    "serializers": ("serializer", "serializer", _serializer),
    "codecs": ("codec", "", _codec),
    "discoverers": ("discoverer", "discoverer", _discoverer),
}


def conformance_findings() -> Iterator[Finding]:
    """Run the checks of the kits on the implementations of third parties.

    A failing implementation that is not selected is only a note, because it is not used.
    """
    try:
        plugins = Plugins.load()
    except PluginError:
        # The findings about plugins report this; the usable plugins are not known then.
        return
    for axis, (kind, setting, check) in _CHECKS.items():
        table: OfferTable[Any] = getattr(plugins, axis)
        for name in table:
            origin = table.plugin_of(name).origin
            if origin.distribution not in STANDARD:
                subject = f"{kind} {name!r} ({origin.release})"
                yield _check(subject, check, table[name], _is_selected(plugins, setting, name))
    for scheme in plugins.stores:
        origin = plugins.stores.plugin_of(scheme).origin
        if origin.distribution not in STANDARD:
            yield note(
                "conformance",
                f"store '{scheme}://' ({origin.release})",
                "is not checked here, because that fills a store with data; its author's tests have the StoreKit",
            )


def _check(subject: str, check: Callable[[type[Any]], None], offered: type[Any], selected: bool) -> Finding:
    def ask() -> bool:
        check(offered)
        return True

    try:
        with _quiet():
            answer_within(_SECONDS, f"{offered.__module__}.{offered.__qualname__}", ask)
    except PluginError as error:
        return note(
            "conformance", subject, f"is not checked, because it cannot be made without options: {error}"
        )
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything
        text = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
        text = text if len(text) <= 400 else f"{text[:399]}…"
        advice = (
            "tell its author, who can reproduce it with the kit of taskiq_flow.testing, or select another"
        )
        return (problem if selected else note)("conformance", subject, text, advice)
    return fine("conformance", subject, "passes the kit")


def _is_selected(plugins: Plugins, setting: str, name: str) -> bool:
    try:
        return bool(setting) and plugins.selection(setting).name == name
    except PluginError:
        return False


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress logs, because the checks provoke errors on purpose."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
