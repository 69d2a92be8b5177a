"""The distribution to install for a well-known name that no plugin offers."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["to_install"]

_BY_NAME: Mapping[str, Mapping[str, str]] = {
    "scheduler": dict.fromkeys(("best-fit", "critical-path", "fair-share"), "taskiq-flow-resources"),
    "serializer": dict.fromkeys(("msgpack", "cbor", "numpy", "arrow", "pickle"), "taskiq-flow-serializers"),
    "codec": dict.fromkeys(("zstd", "encrypted"), "taskiq-flow-serializers"),
    "blob store": dict.fromkeys(("file", "memory", "s3", "gs", "az", "sftp"), "taskiq-flow-serializers"),
    "discoverer": {"installed": "taskiq-flow-discovery"},
}


def to_install(kind: str, name: str) -> str:
    """Return the distribution that offers a name; empty when none is known.

    :param kind: The axis, as error texts call it: ``scheduler``, ``retry policy`` …
    """
    # The core has only the policy 'none'; any other name is probably meant for the standard plugin.
    if kind == "retry policy":
        return "taskiq-flow-retry"
    plain = name.lower().replace("_", "-")
    return _BY_NAME.get(kind, {}).get(plain, "")
