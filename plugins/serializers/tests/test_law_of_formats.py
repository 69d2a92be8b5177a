"""The law of values in every format: what is written is read as the same by its annotation, or it is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from taskiq_flow.errors import PayloadError
from taskiq_flow_serializers.arrow import ArrowSerializer
from taskiq_flow_serializers.cbor import CborSerializer
from taskiq_flow_serializers.msgpack import MsgpackSerializer
from taskiq_flow_serializers.numpy import NumpySerializer
from taskiq_flow_serializers.pickle import PickleSerializer
from zoo_of_values import ZOO, same

SERIALIZERS: dict[str, Any] = {
    each.name: each
    for each in (
        MsgpackSerializer(),
        CborSerializer(),
        NumpySerializer(),
        ArrowSerializer(),
        PickleSerializer("a secret of the tests"),
    )
}


@pytest.mark.parametrize("number", range(len(ZOO)))
@pytest.mark.parametrize("name", SERIALIZERS)
def test_each_odd_value_comes_back_or_is_refused(name: str, number: int) -> None:
    serializer = SERIALIZERS[name]
    value, annotation = ZOO[number]
    try:
        data = serializer.dumps(value)
    except PayloadError as error:
        said = str(error)
    else:
        assert same(value, serializer.loads(data, annotation))
        return
    assert re.match(rf"cannot encode a value of type \S+( \(at result\S.*\))? as {name}", said)
