"""What notebooks show: pictures of graphs and of runs, and texts where there is no picture."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from hypothesis import given
from taskiq import InMemoryBroker

from graph_strategies import graphs
from taskiq_flow import DataflowPipeline, Flow, Graph, Pipeline, pipeline_task
from taskiq_flow.graph import TaskNode, build_graph, render

_SVG = "{http://www.w3.org/2000/svg}"


def rectangles(picture: str) -> Iterator[tuple[str, float, float, float, float]]:
    for each in ElementTree.fromstring(picture).iter(f"{_SVG}rect"):
        if kind := each.get("class"):
            x, y, width, height = (float(each.attrib[name]) for name in ("x", "y", "width", "height"))
            yield kind, x, y, x + width, y + height


def texts(picture: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(picture).iter(f"{_SVG}text")]


@given(graphs())
def test_a_picture_is_xml_whose_boxes_do_not_overlap_and_lie_inside(graph: Graph) -> None:
    picture = render(graph, "svg")
    root = ElementTree.fromstring(picture)
    found = [*rectangles(picture)]
    for _, left, top, right, bottom in found:
        assert left >= 0
        assert top >= 0
        assert right <= float(root.attrib["width"]) + 1
        assert bottom <= float(root.attrib["height"]) + 1
    for (_, left, top, right, bottom), (_, left_2, top_2, right_2, bottom_2) in itertools.combinations(
        found, 2
    ):
        apart = right <= left_2 or right_2 <= left or bottom <= top_2 or bottom_2 <= top
        within = (left <= left_2 and top <= top_2 and right >= right_2 and bottom >= bottom_2) or (
            left_2 <= left and top_2 <= top and right_2 >= right and bottom_2 >= bottom
        )
        assert apart or within


def test_names_are_text_and_no_markup() -> None:
    hostile = '</text><script>alert("x")</script>\x1b\ud800&'
    graph = build_graph([TaskNode(name="a", task=hostile, outputs=("x",))], name=hostile)
    picture = render(graph, "svg")
    assert "<script" not in picture
    assert any('<script>alert("x")' in text for text in texts(picture))
    picture.encode()  # no half of a surrogate pair


class Shop:
    def __init__(self) -> None:
        self.broker = InMemoryBroker()
        self.flow = Flow(self.broker)
        self.go = asyncio.Event()

        @self.broker.task
        @pipeline_task(output="numbers")
        async def load(count: int) -> list[int]:
            return list(range(count))

        @self.broker.task
        async def double(number: int) -> int:
            if number == 4:
                await self.go.wait()
            return 2 * number

        self.load, self.double = load, double


def test_pipelines_say_what_they_are() -> None:
    shop = Shop()
    chain = Pipeline(shop.broker, shop.load, name="nightly").map(shop.double)
    assert repr(chain) == "<Pipeline 'nightly' (count) → load, double[] → double>"
    bundle = chain._repr_mimebundle_()
    assert bundle["text/plain"] == repr(chain)
    assert {"count", "load", "double: map"} <= set(texts(bundle["image/svg+xml"]))
    many = Pipeline(shop.broker, shop.double)
    for _ in range(400):
        many.call_next(shop.double)
    # A picture of hundreds of boxes shows nothing.
    assert set(many._repr_mimebundle_()) == {"text/plain"}
    assert "and 395 more nodes" in repr(many)


def test_pipelines_with_problems_say_those() -> None:
    shop = Shop()
    broken: Any = DataflowPipeline.from_tasks(shop.broker, [shop.load], outputs=["nothing"])
    assert "with a problem" in repr(broken)
    assert "'nothing'" in repr(broken)
    assert set(broken._repr_mimebundle_()) == {"text/plain"}


async def test_a_run_is_drawn_with_the_state_of_each_node() -> None:
    shop = Shop()
    pipeline = DataflowPipeline.from_tasks(shop.broker, [shop.load]).map(
        shop.double, over="numbers", output="doubled", max_parallel=1
    )
    handle = await pipeline.kiq(count=6)
    assert {"load", "double: map"} <= set(texts(handle._repr_mimebundle_()["image/svg+xml"]))
    while True:
        description = await handle.describe()
        if description.items.get("double") == (4, 6) and description.nodes["double[]/double"] == {
            "running": 1
        }:
            break
        await asyncio.sleep(0)
    shown = description._repr_mimebundle_()
    lines = texts(shown["image/svg+xml"])
    assert "running, 4 of 6 items" in lines
    assert "succeeded" in lines
    assert str(description) == shown["text/plain"]
    assert str(description).startswith(f"run {handle.id} running: ")
    shop.go.set()
    await handle.result(timeout=20)
    assert "running" not in str(await handle.describe())
