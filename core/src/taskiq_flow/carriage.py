"""How a flow carries values: what was asked for, and what that makes."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any, Union

from taskiq_flow.codec import Codec
from taskiq_flow.errors import PluginError
from taskiq_flow.external_blobs import StoreWithBlobs
from taskiq_flow.plugins import Plugins
from taskiq_flow.serializer import ByteCodec
from taskiq_flow.store import BlobStore, RunStore

__all__ = ["SizeLimit", "codec_of", "settings_of", "store_with"]

SizeLimit = Union[int, str, EllipsisType, None]
"""Bytes, or a text such as ``256KiB``; ``None`` for no limit, and ``...`` for what is configured."""


def settings_of(
    codecs: Sequence[str | ByteCodec] | None,
    claim_check: SizeLimit,
    blobs: str | BlobStore | None,
    max_value_bytes: SizeLimit,
) -> dict[str, Any]:
    """Give what a flow was told as :meth:`~taskiq_flow.plugins.FlowConfig.load` takes it.

    :raises PluginError: the codecs are something else.
    """
    return {
        "codecs": _names_of(codecs),
        "claim_check": _setting_of(claim_check),
        "blobs": blobs if isinstance(blobs, str) else None,
        "max_value_bytes": _setting_of(max_value_bytes),
    }


def _setting_of(size: SizeLimit) -> int | str | None:
    # There, None says nothing, and "none" is no limit.
    if isinstance(size, EllipsisType):
        return None
    return "none" if size is None else size


def _names_of(codecs: Sequence[str | ByteCodec] | None) -> list[str] | None:
    if isinstance(codecs, (str, ByteCodec)):
        raise PluginError(f"codecs is a list, found {codecs!r}; write [{codecs!r}]")
    if codecs is None:
        return None
    wrong = [each for each in codecs if not isinstance(each, (str, ByteCodec))]
    if wrong:
        raise PluginError(
            f"codecs has {', '.join(map(repr, wrong))}; each one is a name, or an object of a subclass of ByteCodec"
        )
    return [each if isinstance(each, str) else str(getattr(each, "name", each)) for each in codecs]


def codec_of(plugins: Plugins, serializer: str, codecs: Sequence[str | ByteCodec] | None) -> Codec:
    """Make what encodes and decodes a flow's values.

    :param serializer: The name of the serializer.
    :param codecs: What changes encoded values; ``None`` for what is configured.
    :raises PluginError: something of that is not installed, or cannot be used.
    """
    # Asking the table first makes an unknown name an error that says what there is.
    plugins.serializers[serializer]
    return Codec(
        plugins.serializers,
        serializer,
        codecs=plugins.config.codecs if codecs is None else tuple(codecs),
        installed=plugins.codecs,
        max_value_bytes=plugins.config.max_value_bytes,
    )


def store_with(store: RunStore, blobs: str | BlobStore | None, plugins: Plugins) -> RunStore:
    """Give a store whose blobs are where they are wanted.

    :param blobs: That place, or its URL; ``None`` for what is configured, which may be the store itself.
    :raises PluginError: no plugin offers the URL's scheme.
    """
    if isinstance(blobs, BlobStore):
        return StoreWithBlobs(store, blobs)
    if blobs is not None and not isinstance(blobs, str):
        raise PluginError(f"blobs is {blobs!r}; give a URL, such as 'file:///var/lib/blobs', or a BlobStore")
    url = plugins.config.blobs
    return store if url is None else StoreWithBlobs(store, plugins.open_blobs(url))
