"""Conformance tests for plugins; usable without pytest.

For each kind of plugin there is a function that makes all checks and raises
:class:`AssertionError` with a sentence, and a class whose subclasses pytest collects.
"""

from __future__ import annotations

from taskiq_flow.testing.blobs import BlobStoreKit, check_blob_store
from taskiq_flow.testing.clock import FakeClock
from taskiq_flow.testing.codecs import ByteCodecKit, check_codec
from taskiq_flow.testing.discoverers import DiscovererKit, check_discoverer
from taskiq_flow.testing.retries import RetryPolicyKit, check_retry_policy
from taskiq_flow.testing.schedulers import SchedulerKit, check_scheduler
from taskiq_flow.testing.serializers import SerializerKit, check_serializer
from taskiq_flow.testing.store import StoreKit, check_store

__all__ = [
    "BlobStoreKit",
    "ByteCodecKit",
    "DiscovererKit",
    "FakeClock",
    "RetryPolicyKit",
    "SchedulerKit",
    "SerializerKit",
    "StoreKit",
    "check_blob_store",
    "check_codec",
    "check_discoverer",
    "check_retry_policy",
    "check_scheduler",
    "check_serializer",
    "check_store",
]
