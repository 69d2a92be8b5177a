"""The serializers do what the core relies on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from taskiq_flow.serializer import Serializer
from taskiq_flow.testing import SerializerKit
from taskiq_flow_serializers.arrow import ArrowSerializer
from taskiq_flow_serializers.cbor import CborSerializer
from taskiq_flow_serializers.msgpack import MsgpackSerializer
from taskiq_flow_serializers.numpy import NumpySerializer
from taskiq_flow_serializers.pickle import PickleSerializer


class TestMsgpack(SerializerKit):
    def make(self) -> Serializer:
        return MsgpackSerializer()


class TestCbor(SerializerKit):
    def make(self) -> Serializer:
        return CborSerializer()


class TestNumpy(SerializerKit):
    def make(self) -> Serializer:
        return NumpySerializer()


class TestArrow(SerializerKit):
    def make(self) -> Serializer:
        return ArrowSerializer()


class TestPickle(SerializerKit):
    waived: ClassVar[Mapping[str, str]] = {
        "determinism": "a pickle depends on the order of a set and on which objects are one"
    }

    def make(self) -> Serializer:
        return PickleSerializer("a key for the kit")
