"""taskiq's own test suite passes where every broker has a flow: plain tasks go on as taskiq documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from peer_suites import Suite

# The tests that are to fail with a flow, each with the difference that docs/taskiq.md tells of. There is none: nothing
# in the suite gives a task max_retries on a broker without a retry middleware.
INTENDED: dict[str, str] = {}

NEEDS = (
    "cbor2",
    "freezegun",
    "msgpack",
    "opentelemetry.instrumentation",
    "opentelemetry.test",
    "orjson",
    "polyfactory",
    "zmq",
)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_suite_of_taskiq_passes_with_a_flow_on_every_broker(tmp_path: Path) -> None:
    suite = Suite.fetch("taskiq", tmp_path, NEEDS)
    # Its asynchronous tests are anyio's.
    outcome, differences = suite.find_differences(options=["-p", "no:asyncio"])
    unexpected = [text for test, text in differences.items() if test not in INTENDED]
    assert not unexpected, "\n\n".join(unexpected)
    assert INTENDED.keys() <= differences.keys(), "a difference that the page tells of is none any more"
    assert len(outcome.passed) > 300
