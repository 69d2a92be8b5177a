"""NumPy's classes that are called like built-in ones are named with their module."""

from __future__ import annotations

import numpy
import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Pipeline
from taskiq_flow.errors import GraphError, PayloadError
from taskiq_flow.serializers import JsonSerializer

broker = InMemoryBroker()


@broker.task
def is_high(value: float) -> numpy.bool_:
    return numpy.float64(value) > 1


@broker.task
def show(value: float) -> str:
    return str(value)


# It has a name of its own before NumPy 2, and the module is told where the name is that of a built-in class.
NAME = "numpy.bool" if numpy.bool_.__name__ == "bool" else "bool_"


def test_a_value_is_named_with_its_module() -> None:
    with pytest.raises(PayloadError, match=rf"type {NAME} \(at result\[0\]\) as json"):
        JsonSerializer().dumps([numpy.bool_(True)])


def test_an_annotation_is_named_with_its_module() -> None:
    with pytest.raises(GraphError, match=rf"decides a branch but returns {NAME}; let it return a bool"):
        _ = Pipeline(broker).branch(is_high, show).graph


def test_a_parameter_is_named_with_its_module() -> None:
    with pytest.raises(PayloadError, match=NAME):
        JsonSerializer().loads(b"true", numpy.bool_)
