"""Failures that stand in the place of values: how they are written, and where an annotation has a place for one."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from taskiq_flow.errors import PayloadError
from taskiq_flow.graph.types import describe
from taskiq_flow.machine.wire import decode_failure, encode_failure
from taskiq_flow.payloads import FAILURES, Failure
from taskiq_flow.serializers._typed import TypedSerializer

__all__ = ["FailureSerializer"]


class FailureSerializer(TypedSerializer):
    """Failures in the place of values, and lists of them, as JSON.

    The id tells them from any value, so that a failure is never taken for a dictionary, nor a dictionary for a failure.
    """

    name: ClassVar[str] = FAILURES

    def write(self, value: Any) -> bytes:
        """Encode a failure, or a list of failures.

        :raises TypeError: it is something else.
        """
        return json.dumps(_to_data(value)).encode()

    def read(self, data: bytes) -> Any:
        """Decode the output of :meth:`write`.

        :raises StoreError: it is damaged.
        """
        return _from_data(json.loads(data))

    def fit(self, value: Any, type_: Any) -> Any:
        """Return the failure, where the annotation has a place for it.

        :raises PayloadError: it has none.
        """
        try:
            return super().fit(value, type_)
        except PayloadError as error:
            failure = value
            while isinstance(failure, list) and failure:
                failure = failure[0]
            if not isinstance(failure, Failure):
                raise
            raise PayloadError(
                f"cell {failure.cell!r} failed ({failure.summary}), and {describe(type_)} has no place for its "
                "failure; annotate the parameter with `| Failure`, or leave failed items out with skip_errors=True"
            ) from error


def _to_data(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_data(each) for each in value]
    if not isinstance(value, Failure):
        raise TypeError(f"expected a Failure, found {type(value).__name__}")
    return json.loads(encode_failure(value))


def _from_data(data: Any) -> Any:
    return [_from_data(each) for each in data] if isinstance(data, list) else decode_failure(json.dumps(data))
