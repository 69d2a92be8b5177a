"""What a process may use, read from made-up file systems."""

from __future__ import annotations

from pathlib import Path

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Flow
from taskiq_flow_resources.capacity import detect

HUGE = "9223372036854771712"

CASES: dict[str, tuple[dict[str, str], dict[str, float]]] = {
    "nothing to read": ({}, {"cpu": 8.0, "ram_mb": 16000.0}),
    "version 2, in a container": (
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cpu.max": "250000 100000\n",
            "sys/fs/cgroup/cpuset.cpus.effective": "0-3\n",
            "sys/fs/cgroup/memory.max": "1073741824\n",
        },
        {"cpu": 2.5, "ram_mb": 1024.0},
    ),
    "version 2, without limits": (
        {
            "proc/self/cgroup": "0::/user.slice/session-1.scope\n",
            "sys/fs/cgroup/user.slice/session-1.scope/cpu.max": "max 100000\n",
            "sys/fs/cgroup/user.slice/session-1.scope/memory.max": "max\n",
        },
        {"cpu": 8.0, "ram_mb": 16000.0},
    ),
    "version 2, the group around it is narrower": (
        {
            "proc/self/cgroup": "0::/pod/container\n",
            "sys/fs/cgroup/pod/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/pod/memory.max": "536870912\n",
            "sys/fs/cgroup/pod/container/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/pod/container/cpuset.cpus.effective": "0,2-3,5\n",
        },
        {"cpu": 2.0, "ram_mb": 512.0},
    ),
    "version 1": (
        {
            "proc/self/cgroup": "5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n3:cpuset:/docker/a\n",
            "sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes": "2147483648\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpuset/docker/a/cpuset.cpus": "0-6\n",
        },
        {"cpu": 3.0, "ram_mb": 2048.0},
    ),
    "version 1, mounted in a container that sees the host's path": (
        {
            "proc/self/cgroup": "5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "1048576000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        {"cpu": 1.5, "ram_mb": 1000.0},
    ),
    "version 1, without limits": (
        {
            "proc/self/cgroup": "5:memory:/\n4:cpu:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": HUGE,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        {"cpu": 8.0, "ram_mb": 16000.0},
    ),
    "a part of a core is one": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"},
        {"cpu": 1.0, "ram_mb": 16000.0},
    ),
    "rubbish": (
        {
            "proc/self/cgroup": "what\n0::\n:::\n0::/../../etc\n",
            "sys/fs/cgroup/cpu.max": "lots\n",
            "sys/fs/cgroup/cpuset.cpus": "x-y,,3-\n",
            "sys/fs/cgroup/memory.max": "-5\n",
        },
        {"cpu": 8.0, "ram_mb": 16000.0},
    ),
    "what looks like a number": (
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cpu.max": "² 100000\n",
            "sys/fs/cgroup/cpuset.cpus": "0-²\n",
            "sys/fs/cgroup/memory.max": "--5\n",
            "sys/fs/cgroup/memory.limit_in_bytes": "²\n",
        },
        {"cpu": 8.0, "ram_mb": 16000.0},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_narrowest_limit_counts(tmp_path: Path, case: str) -> None:
    files, expected = CASES[case]
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert detect(tmp_path, cores=8, memory_mb=16000) == expected


def test_this_machine_has_something() -> None:
    found = detect()
    assert found["cpu"] >= 1
    assert found["ram_mb"] > 16


def test_it_is_asked_for_where_capacity_is_read_and_nobody_said_it() -> None:
    flow = Flow(InMemoryBroker(), scheduler="best-fit")
    assert [each.capacity for each in flow.declared_workers] == [detect()]
    told = Flow(InMemoryBroker(), scheduler="best-fit", capacity={"cpu": 64})
    assert [each.capacity for each in told.declared_workers] == [{"cpu": 64}]
