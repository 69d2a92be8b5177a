"""The plugin of this distribution; light, because every flow imports it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from taskiq_flow.hookspecs import hookimpl

if TYPE_CHECKING:
    from taskiq_flow.serializer import ByteCodec, Serializer
    from taskiq_flow.store import BlobStore

__all__ = ["flow_register_blob_stores", "flow_register_codecs", "flow_register_serializers"]


@hookimpl
def flow_register_serializers() -> Iterable[type[Serializer]]:
    """Offer ``msgpack``, ``cbor``, ``numpy``, ``arrow`` and ``pickle``."""
    from taskiq_flow_serializers.arrow import ArrowSerializer
    from taskiq_flow_serializers.cbor import CborSerializer
    from taskiq_flow_serializers.msgpack import MsgpackSerializer
    from taskiq_flow_serializers.numpy import NumpySerializer
    from taskiq_flow_serializers.pickle import PickleSerializer

    return [MsgpackSerializer, CborSerializer, NumpySerializer, ArrowSerializer, PickleSerializer]


@hookimpl
def flow_register_codecs() -> Iterable[type[ByteCodec]]:
    """Offer ``zstd`` and ``encrypted``."""
    from taskiq_flow_serializers.encryption import EncryptedCodec
    from taskiq_flow_serializers.zstd import ZstdCodec

    return [ZstdCodec, EncryptedCodec]


@hookimpl
def flow_register_blob_stores() -> Iterable[type[BlobStore]]:
    """Offer the file systems that fsspec knows."""
    from taskiq_flow_serializers.blobs import FsspecBlobs

    return [FsspecBlobs]
