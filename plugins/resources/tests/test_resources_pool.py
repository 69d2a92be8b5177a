"""Pools as people write them down, and profiles."""

from __future__ import annotations

from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import (
    CPUProfile,
    DataflowPipeline,
    Flow,
    GraphError,
    Pipeline,
    PluginError,
    RAMProfile,
    ResourceAwareWorkerPool,
    ResourceProfile,
)
from taskiq_flow.pools import WorkerPool
from taskiq_flow.scheduler import WorkerView

TWO = [{"cpu_cores": 4, "ram_gb": 8, "gpu": 1, "name": "big"}, {"cpu_cores": 0.5, "queue": "slow"}]


def test_a_worker_has_what_is_written_down() -> None:
    pool = ResourceAwareWorkerPool(workers=TWO, limits={"db": 5}, name="mine")
    assert isinstance(pool, WorkerPool)
    assert pool.workers == (
        WorkerView(id="big", capacity={"cpu": 4, "ram_mb": 8192, "gpu": 1}),
        WorkerView(id="worker-2", capacity={"cpu": 0.5}, queue="slow"),
    )
    assert (pool.name, pool.limits, pool.scheduler) == ("mine", {"db": 5}, "best-fit")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"workers": {"cpu_cores": 4}}, ["workers is a list with a mapping for each worker"]),
        ({"workers": "four"}, ["workers is a list"]),
        ({"workers": [4]}, ["worker 1 is 4; give a mapping"]),
        ({"workers": [{}]}, ["worker 1: cpu_cores is missing"]),
        (
            {"workers": [{"cores": 4, "ram": 8}, {"name": "b", "cpu_cores": 0, "gpu": "one", "queue": 3}]},
            [
                "worker 1: 'cores' is not known (did you mean 'cpu_cores'?)",
                "worker 1: 'ram' is not known (did you mean 'ram_gb'?)",
                "worker 2 ('b'): cpu_cores is 0; give a number, above 0",
                "worker 2 ('b'): gpu is 'one'; give a number, 0 or more",
                "worker 2 ('b'): queue is 3; give a name, or leave it out",
            ],
        ),
        (
            {"workers": [{"cpu_cores": float("nan"), 7: 1}]},
            ["cpu_cores is nan", "7 is no name of a resource"],
        ),
        ({"workers": [{"cpu_cores": True}]}, ["cpu_cores is True"]),
        ({"workers": [{"cpu_cores": 10**400}]}, ["cpu_cores is 1000"]),
        ({"workers": TWO, "limits": "db"}, ["limits is 'db'; give numbers by name"]),
        ({"workers": TWO, "limits": ["db"]}, ["limits is ['db']; give numbers by name"]),
        ({"workers": TWO, "scheduler": 5}, ["the scheduler of the pool is 5; give the name of one, or None"]),
        ({"workers": [{"cpu_cores": 1, "name": "a"}] * 2}, ["several workers have the name 'a'"]),
        (
            {"workers": TWO, "limits": {"gpu": 1}},
            ["'gpu' is a limit of the pool and a resource of worker 'big'"],
        ),
    ],
)
def test_a_pool_that_cannot_be_says_everything_that_is_wrong(
    options: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(PluginError) as caught:
        ResourceAwareWorkerPool(**options)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_resource_may_look_like_one_of_ours() -> None:
    assert (
        ResourceAwareWorkerPool(workers=[{"cpu_cores": 1, "vram_gb": 4}]).workers[0].capacity["vram_gb"] == 4
    )


@pytest.mark.parametrize("above", [True, False])
def test_profiles_stack_in_any_order(above: bool) -> None:
    broker = InMemoryBroker()

    def train(data: int) -> int:
        return data

    if above:
        task = ResourceProfile(gpu=1, licence=2)(broker.task(CPUProfile(2)(RAMProfile(512)(train))))
    else:
        task = CPUProfile(2)(broker.task(RAMProfile(512)(ResourceProfile(gpu=1, licence=2)(train))))
    resources = Pipeline(broker, task).graph.nodes["train"].options.resources
    assert resources == {"cpu": 2, "ram_mb": 512, "gpu": 1, "licence": 2}


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({}, "without resources"),
        ({"gpu": -1}, "gpu is -1; give a number, 0 or more"),
        ({"gpu": "one", "tpu": True}, "tpu is True"),
        ({"gpu": 10**400}, "gpu is 1000"),
        ({"cpu_units": 2}, "cpu_units is counted as 'cpu'; give cpu instead"),
    ],
)
def test_a_profile_that_cannot_be(resources: dict[str, Any], words: str) -> None:
    with pytest.raises(GraphError, match=words):
        ResourceProfile(**resources)


def test_profiles_do_not_contradict_each_other() -> None:
    with pytest.raises(GraphError, match="the resource 'cpu' of 'task' is declared twice, as 1 and as 2"):

        @CPUProfile(2)
        @ResourceProfile(cpu=1)
        def task() -> None: ...


@pytest.mark.parametrize("builder", [Pipeline, DataflowPipeline])
def test_a_pipeline_brings_its_pool_to_a_bare_broker(builder: Any) -> None:
    broker = InMemoryBroker()
    pool = ResourceAwareWorkerPool(workers=TWO, limits={"db": 5})
    pipeline = builder(broker)
    assert pipeline.with_pool(pool) is pipeline
    flow = Flow.of(broker)
    assert flow.scheduler.name == "best-fit"
    assert flow.declared_workers == pool.workers
    assert flow.limits == {"db": 5}
    builder(broker).with_pool(ResourceAwareWorkerPool(workers=TWO, limits={"db": 5}))
    with pytest.raises(PluginError, match="has a flow with another pool"):
        builder(broker).with_pool(ResourceAwareWorkerPool(workers=TWO))
    with pytest.raises(PluginError, match="give a WorkerPool, such as"):
        builder(broker).with_pool(TWO)


def test_a_pool_goes_to_a_flow_and_the_flow_may_say_otherwise() -> None:
    pool = ResourceAwareWorkerPool(workers=TWO, limits={"db": 5, "net": 1}, name="mine")
    flow = Flow(InMemoryBroker(), pool=pool, limits={"db": 3}, scheduler="critical-path")
    assert (flow.pool, flow.limits, flow.scheduler.name) == ("mine", {"db": 3, "net": 1}, "critical-path")
    with pytest.raises(PluginError, match="'gpu' is a limit"):
        Flow(InMemoryBroker(), pool=pool, limits={"gpu": 1})
    with pytest.raises(PluginError, match="pool is 5; give a name, or a WorkerPool"):
        Flow(InMemoryBroker(), pool=5)  # type: ignore[arg-type]


def test_the_environment_selects_before_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKIQ_FLOW_SCHEDULER", "fair-share")
    assert Flow(InMemoryBroker(), pool=ResourceAwareWorkerPool(workers=TWO)).scheduler.name == "fair-share"


def test_installed_and_not_asked_for_it_changes_nothing() -> None:
    flow = Flow(InMemoryBroker())
    assert (flow.scheduler.name, flow.declared_workers, flow.limits) == ("fifo", (), {})
