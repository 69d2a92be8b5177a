"""The sides: what each needs, what it keeps, and how many nodes it is given at most."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from attrs import field, frozen

__all__ = ["BY_HAND", "OURS", "OURS_IN_PLACE", "ROSTER", "Side"]

PROGRAMS = "benchmarks.peers.programs."

FOLDERS = "folders"
"""Stands for our distributions, installed from their folders."""


@frozen(kw_only=True)
class Side:
    """One side of the comparison.

    :param name: Its name in the table.
    :param program: The module that is its program.
    :param arguments: The command line of the program.
    :param environment: Its folder below ``.run/peers``; sides that share it share what is installed.
    :param requirements: What is installed there; nothing where the standard library is enough.
    :param keeps: What it keeps or guarantees, in a few words.
    :param how: How it does the work, in a few words.
    :param most: The most nodes that it is given.
    :param most_of: The same for single shapes.
    :param rest: Seconds after its turn, in which processes beside it finish what it has left to them.
    """

    name: str
    program: str
    environment: str
    keeps: str
    how: str
    arguments: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    most: int = 1_000_000
    most_of: Mapping[str, int] = field(factory=dict)
    rest: float = 0.0

    def count(self, shape: str, count: int) -> int:
        """Give how many nodes it is given.

        :param shape: The shape of work.
        :param count: How many there should be.
        """
        return min(count, self.most_of.get(shape, self.most))


OURS = Side(
    name="ours",
    program=PROGRAMS + "in_memory_taskiq",
    arguments=("ours",),
    environment="ours",
    requirements=(FOLDERS,),
    keeps="a log of every event, in memory; what the process held ends with it",
    how="`Flow(InMemoryBroker())`, submit and result",
)
OURS_IN_PLACE = Side(
    name="ours, in place",
    program=PROGRAMS + "in_memory_taskiq",
    arguments=("ours", "--in-place"),
    environment="ours",
    requirements=(FOLDERS,),
    keeps="the same",
    how="`Flow(InMemoryBroker(await_inplace=True))`",
)
BY_HAND = Side(
    name="asyncio by hand",
    program=PROGRAMS + "asyncio_by_hand",
    environment="asyncio",
    keeps="nothing",
    how="`await` and `gather`: the floor",
)

# SQLite before 3.42 does not know a function that DBOS calls.
SQLITE = () if sqlite3.sqlite_version_info >= (3, 42) else ("pysqlite3-binary==0.5.4.post2",)

ROSTER = (
    OURS,
    OURS_IN_PLACE,
    Side(
        name="raw taskiq",
        program=PROGRAMS + "in_memory_taskiq",
        arguments=("raw",),
        environment="ours",
        requirements=(FOLDERS,),
        keeps="nothing",
        how="`kiq`, and results that are handed over",
    ),
    Side(
        name="raw taskiq, in place",
        program=PROGRAMS + "in_memory_taskiq",
        arguments=("raw", "--in-place"),
        environment="ours",
        requirements=(FOLDERS,),
        keeps="nothing",
        how="`kiq` and `wait_result`",
    ),
    BY_HAND,
    Side(
        name="pipefunc",
        program=PROGRAMS + "pipefunc_pipelines",
        environment="pipefunc",
        requirements=("pipefunc==0.93.2",),
        keeps="nothing; values until the call returns",
        how="`Pipeline.run`; for the map `Pipeline.map` without a pool",
        # Its runs recurse, and to make a pipeline takes time that grows with the square of the nodes.
        most_of={"chain": 300, "fan-out + reduce": 300, "layered": 300},
    ),
    Side(
        name="Hamilton, async",
        program=PROGRAMS + "hamilton_async",
        environment="hamilton",
        requirements=("sf-hamilton==1.90.0",),
        keeps="nothing; values until the call returns",
        how="`async_driver`, one module of functions",
        most=1_000,  # its runs recurse
    ),
    Side(
        name="Dask, threads",
        program=PROGRAMS + "dask_threads",
        environment="dask",
        requirements=("dask==2026.8.0",),
        keeps="nothing; values until the call returns",
        how='`delayed`, `compute(scheduler="threads", optimize_graph=False)`',
    ),
    Side(
        name="pydantic-graph",
        program=PROGRAMS + "pydantic_graphs",
        environment="pydantic-graph",
        requirements=("pydantic-graph==2.68.0",),
        keeps="nothing; the state of a run in memory",
        how="`GraphBuilder`: steps, `map`, a join",
        most=2_000,
    ),
    Side(
        name="DBOS",
        program=PROGRAMS + "dbos_workflows",
        environment="dbos",
        requirements=("dbos==3.4.0", *SQLITE),
        keeps="durable: each step's result in a file of SQLite, before the next step",
        how="an async workflow of steps",
        most=200,
    ),
    Side(
        name="Prefect",
        program=PROGRAMS + "prefect_flows",
        environment="prefect",
        requirements=("prefect==3.9.1",),
        keeps="states of runs and tasks in SQLite, behind a server of its own; no results",
        how="an async flow that awaits tasks, no caching, the server on this machine",
        most=100,
        rest=3.0,  # its server goes on for seconds
    ),
)
"""Every side, in the order of the table and of the turns."""
