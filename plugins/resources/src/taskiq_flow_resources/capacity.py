"""The capacity of this process: the limits of its control group, or else those of the machine.

Inside a container the machine's numbers are those of the host, so the control group is read first. Version 2 is
described in the kernel's ``admin-guide/cgroup-v2``, version 1 in ``admin-guide/cgroup-v1`` and ``scheduler/sched-bwc``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["detect"]

_MEBIBYTE = 1024 * 1024


def detect(
    root: Path = Path("/"), *, cores: float | None = None, memory_mb: float | None = None
) -> dict[str, float]:
    """Detect the capacity of this process.

    :param root: The folder with ``proc`` and ``sys``.
    :param cores: The machine's cores for this process, instead of asking the machine.
    :param memory_mb: The machine's memory in mebibytes, instead of asking the machine.
    :returns: ``cpu`` in cores, at least 1, so that a worker with a part of a core can run tasks without demands; and
        ``ram_mb`` in mebibytes.
    """
    folders = list(_folders(root))
    cpus = [_machine_cores() if cores is None else cores]
    memory = [_machine_memory() if memory_mb is None else memory_mb]
    for folder in folders:
        cpus += _quota(folder)
        cpus += _cpuset(folder)
        for name in ("memory.max", "memory.limit_in_bytes"):
            size = _number(folder / name)
            if size is not None and size > 0:
                memory.append(size / _MEBIBYTE)
    return {"cpu": max(1.0, float(min(cpus))), "ram_mb": float(int(min(memory)))}


def _folders(root: Path) -> Iterator[Path]:
    """Yield the folders of this process's control groups and of their parents, in both versions."""
    mounted = root / "sys" / "fs" / "cgroup"
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        # Version 2 has one hierarchy, without a name; version 1 has one for each set of controllers.
        for base in (
            [mounted]
            if not controllers
            else [mounted / controllers, *(mounted / name for name in controllers.split(","))]
        ):
            group = PurePosixPath(path.strip() or "/")
            for each in (group, *group.parents):
                # In a container with the host's path, the group itself is mounted at the root.
                folder = base.joinpath(*(part for part in each.parts if part not in ("/", "..")))
                if folder.is_dir():
                    yield folder


def _quota(folder: Path) -> Iterator[float]:
    """Yield the cores that a group may use in each period, where there is a limit."""
    words = _text(folder / "cpu.max").split()
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
        yield int(words[0]) / int(words[1])
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    if quota is not None and period is not None and quota > 0 and period > 0:
        yield quota / period


def _cpuset(folder: Path) -> Iterator[float]:
    """Yield the number of processors that a group may run on, where there is a limit."""
    for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
        count = 0
        for part in _text(folder / name).strip().split(","):
            first, dash, last = part.partition("-")
            last = last if dash else first
            if first.isdecimal() and last.isdecimal():
                count += int(last) - int(first) + 1
        if count > 0:
            yield float(count)
            return


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.removeprefix("-").isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _machine_cores() -> float:
    import psutil

    process = psutil.Process()
    # Not every system has an affinity.
    affinity = process.cpu_affinity() if hasattr(process, "cpu_affinity") else None
    return float(len(affinity) if affinity else psutil.cpu_count() or 1)


def _machine_memory() -> float:
    import psutil

    return float(psutil.virtual_memory().total / _MEBIBYTE)
