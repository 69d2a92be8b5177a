"""Scripts whose flow has processes: what those can find, what is refused, and how everything ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipapp
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(120)

if sys.platform == "win32":
    pytest.skip("processes are ended by signals here", allow_module_level=True)

TOP = """\
import asyncio, os, sys, time
from taskiq import InMemoryBroker
from taskiq_flow import Flow, Pipeline
"""
TASKS = """\
broker = InMemoryBroker()
flow = Flow(broker, processes=1)
@broker.task
def double(n: int) -> int:
    return 2 * n
"""
MAIN = """\
async def main():
    print(await (await Pipeline(broker, double).kiq(21)).result(timeout=60))
"""
RUN = "asyncio.run(main())\n"
GUARD = 'if __name__ == "__main__":\n'


def indent(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


PLAIN = TOP + TASKS + MAIN + GUARD + indent(RUN)


def run(*command: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], input=given, capture_output=True, text=True, timeout=90, check=False
    )


def start(folder: Path, text: str) -> subprocess.Popen[str]:
    """Start a script in a session of its own; whatever it leaves behind is killed with :func:`kill_session`."""
    (folder / "script.py").write_text(text)
    return subprocess.Popen(
        [sys.executable, folder / "script.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def members_of(session: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,sess=,stat="], capture_output=True, text=True, check=True)
    found = [line.split() for line in listed.stdout.splitlines()]
    return [
        int(pid) for pid, owner, state, *_ in found if int(owner) == session and not state.startswith("Z")
    ]


def wait_until_empty(session: int) -> bool:
    end = time.monotonic() + 20
    while members_of(session):
        if time.monotonic() > end:
            for pid in members_of(session):
                os.kill(pid, signal.SIGKILL)
            return False
        time.sleep(0.05)
    return True


# What processes find


def test_a_script_with_a_main_guard(tmp_path: Path) -> None:
    text = PLAIN.replace("-> int", "-> list[int]").replace("return 2 * n", "return [2 * n, os.getppid()]")
    (tmp_path / "script.py").write_text(text.replace("print(", "print(os.getpid(), *"))
    ended = run(tmp_path / "script.py")
    pid, value, parent = ended.stdout.split()
    assert (value, parent, ended.stderr, ended.returncode) == ("42", pid, "", 0)


@pytest.mark.parametrize(
    "how", ["below the guard", "standard input", "zip", "two of a name", "broken elsewhere"]
)
def test_what_no_process_finds_runs_in_a_thread(tmp_path: Path, how: str) -> None:
    script = tmp_path / "script.py"
    if how == "below the guard":
        script.write_text(TOP + GUARD + indent(TASKS + MAIN + RUN))
        ended, reason = run(script), "is it defined below a main guard"
    elif how == "standard input":
        ended, reason = run("-", given=PLAIN), "a program without a file"
    elif how == "zip":
        (tmp_path / "app").mkdir()
        (tmp_path / "app" / "__main__.py").write_text(PLAIN)
        zipapp.create_archive(tmp_path / "app", tmp_path / "app.pyz")
        ended, reason = run(tmp_path / "app.pyz"), "a program without a file"
    elif how == "two of a name":
        other = "def double(n: int) -> int:\n    return 3 * n\n"
        script.write_text(PLAIN.replace(GUARD, f'if __name__ != "__main__":\n{indent(other)}{GUARD}'))
        ended, reason = run(script), "finds something else under the name 'double'"
    else:
        script.write_text(PLAIN.replace(MAIN, f'if __name__ != "__main__":\n    1 / 0\n{MAIN}'))
        ended, reason = run(script), "a process cannot run its script: ZeroDivisionError"
    assert (ended.stdout, ended.returncode) == ("42\n", 0), ended.stderr
    (line,) = ended.stderr.splitlines()
    assert "double' runs in threads of this process, and not in one of the flow's own: " in line
    assert reason in line


def test_what_a_script_defines_keeps_its_name(tmp_path: Path) -> None:
    text = PLAIN.replace("return 2 * n", "raise Busy(n)").replace(
        "@broker", "class Busy(Exception): pass\n@broker"
    )
    text = text.replace("    print(", "    try:\n        print(").replace(
        GUARD, "    except Busy as error:\n        print('busy', error)\n" + GUARD
    )
    (tmp_path / "script.py").write_text(text)
    ended = run(tmp_path / "script.py")
    assert ended.stdout == "busy 21\n", ended.stderr


UNGUARDED = (
    TOP
    + TASKS
    + """\
print("once", flush=True)
async def main():
    handle = await Pipeline(broker, double).kiq(21)
    print((await handle.wait_result(timeout=60)).error)
asyncio.run(main())
"""
)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_script_without_a_main_guard_is_refused(tmp_path: Path, hidden: bool) -> None:
    """By the process that would have it run again, and where that is not seen, by the one that would run it."""
    script = tmp_path / "script.py"
    script.write_text(f"{UNGUARDED.replace(RUN, '')}if __name__:\n    {RUN}" if hidden else UNGUARDED)
    ended = run(script)
    told = ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[0] == "once"
    assert 'indent what follows: if __name__ == "__main__":' in told
    if not hidden:
        assert "run line 13 again, which started this one" in told
        assert ended.stdout.count("once") == 1


def test_tasks_of_other_modules_need_no_main_guard(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(TOP + TASKS)
    (tmp_path / "script.py").write_text(
        UNGUARDED.replace(TASKS, "from jobs import *\n").replace(".error)", ".return_value)")
    )
    ended = run(tmp_path / "script.py")
    assert ended.stdout.splitlines() == ["once", "42"], ended.stderr


# How everything ends

ENDING = (
    TOP
    + """\
if __name__ != "__main__":
    time.sleep({start})
broker = InMemoryBroker()
flow = Flow(broker, processes=2)
@broker.task
def work(n: int) -> int:
    print("working", flush=True)
    {work}
    return n
async def main():
    handle = await Pipeline(broker, work).kiq(1)
    print("started", flush=True)
    {then}
if __name__ == "__main__":
    asyncio.run(main())
"""
)


@pytest.mark.parametrize("begins", [True, False], ids=["at work", "starting"])
def test_ctrl_c_ends_everything(tmp_path: Path, begins: bool) -> None:
    script = start(
        tmp_path,
        ENDING.format(start=0 if begins else 60, work="time.sleep(3600)", then="await handle.result()"),
    )
    assert script.stdout is not None
    assert script.stdout.readline() == "started\n"
    if begins:
        assert script.stdout.readline() == "working\n"
    os.killpg(script.pid, signal.SIGINT)
    script.communicate(timeout=30)
    assert script.returncode != 0
    assert wait_until_empty(script.pid)


@pytest.mark.parametrize("work", ["time.sleep(3600)", "os._exit(1)"])
def test_a_script_ends_whatever_its_processes_do(tmp_path: Path, work: str) -> None:
    script = start(tmp_path, ENDING.format(start=0, work=work, then="await asyncio.sleep(1.5)"))
    script.communicate(timeout=30)
    assert script.returncode == 0
    assert wait_until_empty(script.pid)


@pytest.mark.parametrize("forks", [False, True])
def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path, forks: bool) -> None:
    """Also where the parent has forked, so that somebody else has its end of the connection."""
    then = "os.fork() or os.execlp('sleep', 'sleep', '40')\n    " if forks else ""
    script = start(
        tmp_path, ENDING.format(start=0, work="time.sleep(3600)", then=then + "await handle.result()")
    )
    assert script.stdout is not None
    while script.stdout.readline() != "working\n":
        pass
    others = members_of(script.pid)
    script.kill()
    script.wait(30)
    if forks:
        listed = subprocess.run(["ps", "-eo", "pid=,sess=,comm="], capture_output=True, text=True, check=True)
        (sleeping,) = [
            int(line.split()[0])
            for line in listed.stdout.splitlines()
            if int(line.split()[1]) == script.pid and line.split()[2] == "sleep"
        ]
        end = time.monotonic() + 20
        while members_of(script.pid) != [sleeping] and time.monotonic() < end:
            time.sleep(0.05)
        left = members_of(script.pid)
        os.kill(sleeping, signal.SIGKILL)
        assert left == [sleeping]
    assert wait_until_empty(script.pid)
    assert len(others) >= 3
    script.communicate()


FORKING = (
    TOP
    + """\
broker = InMemoryBroker(sync_tasks_pool_size=1)
flow = Flow(broker, processes={processes})
@broker.task
def double(n: int) -> int:
    return 2 * n
async def run(n):
    return await (await Pipeline(broker, double).kiq(n)).result(timeout=30)
if __name__ == "__main__":
    print(asyncio.run(run(1)), flush=True)
    if os.fork() == 0:
        print(asyncio.run(run(2)), flush=True)
        sys.exit(0)
    os.wait()
    print(asyncio.run(run(3)), flush=True)
"""
)


@pytest.mark.parametrize("processes", [None, 1])
def test_a_fork_begins_with_threads_and_processes_of_its_own(tmp_path: Path, processes: int | None) -> None:
    (tmp_path / "script.py").write_text(FORKING.format(processes=processes))
    ended = run("-W", "ignore", tmp_path / "script.py")
    assert ended.stdout.split() == ["2", "4", "6"], ended.stderr
