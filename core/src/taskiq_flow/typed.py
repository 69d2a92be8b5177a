"""The base class of serializers for plain data: it restores types by annotation, and its errors name the place.

::

    class AcmeSerializer(TypedSerializer):
        name = "acme"

        def write(self, value):
            return acme.encode(value, default=lowered)

        def read(self, data):
            return acme.decode(data)
"""

from __future__ import annotations

from taskiq_flow.serializers._annotations import is_missing
from taskiq_flow.serializers._lowering import lower
from taskiq_flow.serializers._typed import TypedSerializer

__all__ = ["TypedSerializer", "is_missing", "lower"]
