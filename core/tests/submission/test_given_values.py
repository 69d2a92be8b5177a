"""What a run is given is read as what it is, or refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, PayloadError, Pipeline


@dataclass
class Cat:
    name: str


@dataclass
class Dog:
    name: str


@dataclass
class Puppy(Dog):
    weeks: int = 8


class Tasks:
    def __init__(self) -> None:
        self.broker = InMemoryBroker()

        @self.broker.task
        async def pet(animal: Cat | Dog) -> str:
            return type(animal).__name__

        @self.broker.task
        async def feed(dog: Dog) -> str:
            return type(dog).__name__

        @self.broker.task
        async def age(years: int) -> int:
            return years

        self.pet, self.feed, self.age = pet, feed, age


@pytest.mark.parametrize("given", [Dog("Rex"), [Cat("Tom"), Dog("Rex")]], ids=["alone", "in a list"])
async def test_a_value_that_would_be_taken_for_another_class_is_refused(given: Any) -> None:
    tasks = Tasks()
    pipeline: Any = Pipeline(tasks.broker, tasks.pet)
    if isinstance(given, list):
        pipeline = DataflowPipeline(tasks.broker).map(tasks.pet, "animals", "petted")
    (name,) = pipeline.graph.inputs
    with pytest.raises(PayloadError, match=rf"input '{name}': a Dog is given, which .* would read as a Cat"):
        await pipeline.kiq(**{name: given})


async def test_a_value_that_would_lose_fields_is_refused() -> None:
    tasks = Tasks()
    with pytest.raises(PayloadError, match=r"a Puppy is given, which .*Dog would read as a Dog"):
        await Pipeline(tasks.broker, tasks.feed).kiq(Puppy("Rex"))


async def test_what_an_annotation_reads_is_given_as_before() -> None:
    tasks = Tasks()
    assert await (await Pipeline(tasks.broker, tasks.pet).kiq(Cat("Tom"))).result(timeout=20) == "Cat"
    rex: Any = {"name": "Rex"}
    assert await (await Pipeline(tasks.broker, tasks.feed).kiq(rex)).result(timeout=20) == "Dog"
    seven: Any = "7"
    assert await (await Pipeline(tasks.broker, tasks.age).kiq(seven)).result(timeout=20) == 7
