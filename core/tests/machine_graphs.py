"""Random graphs made quickly and not shrunk, so that thousands of runs can be simulated in a minute.

They keep to what :mod:`graph_strategies` says of names and values, and are wider, deeper, and richer in maps, guards,
joins and error modes than what Hypothesis likes to draw.
"""

from __future__ import annotations

from random import Random
from typing import Any

from taskiq_flow.errors import GraphError
from taskiq_flow.graph import (
    DEFAULT_OPTIONS,
    Conditional,
    FirstOf,
    Follows,
    Graph,
    Guard,
    Input,
    InputSpec,
    ListOf,
    Literal,
    MapNode,
    Node,
    NodeOptions,
    Output,
    Source,
    TaskNode,
    build_graph,
    leaves,
)
from taskiq_flow.graph.order import sources

__all__ = ["random_graph"]


def random_graph(random: Random, *, depth: int = 2, most: int = 8) -> Graph:
    """Give a graph.

    :param depth: How deep maps nest at most.
    :param most: How many nodes the outermost graph has at most.
    """
    while True:
        try:
            return _Maker(random).graph(depth, random.randint(1, most), body=False)
        except GraphError:
            # By chance a map came to go over what is certainly no list.
            continue


class _Maker:
    def __init__(self, random: Random) -> None:
        self.random = random

    def graph(self, depth: int, size: int, *, body: bool) -> Graph:
        random = self.random
        inputs = {"item": InputSpec()} if body else {}
        for name in ("x_in", "y_in", "list_in"):
            if random.random() < 0.5:
                inputs[name] = InputSpec(required=random.random() < 0.6)
        found: dict[str, Source] = {name: Input(name) for name in inputs}
        nodes: list[Node] = []
        for number in range(size):
            node = self.node(f"n{number}", number, found, nodes, depth)
            nodes.append(node)
            found.update({name: Output(node.name, name) for name in node.outputs})
        if nodes and random.random() < 0.3:
            nodes += [
                self.follower(f"w{number}", nodes, found) for number in range(random.choice([1, 1, 2, 3]))
            ]
        outputs = {f"out{n}": self.source(found) for n in range(random.randint(1, 3))}
        outputs["list_out"] = self.source(found, listed=True)
        read = {
            leaf.name for source in outputs.values() for leaf in leaves(source) if isinstance(leaf, Input)
        }
        for node in nodes:
            read |= {
                leaf.name for source in sources(node) for leaf in leaves(source) if isinstance(leaf, Input)
            }
        for name in inputs.keys() - read:
            if name == "item":
                outputs["echo"] = Input("item")
                read.add("item")
        return build_graph(
            random.sample(nodes, len(nodes)) if random.random() < 0.3 else nodes,
            inputs={name: spec for name, spec in inputs.items() if name in read},
            outputs=outputs,
            on_error=random.choice(["stop", "continue", "continue"]),
            timeout=random.choice([None, None, 60.0]),
        )

    def source(self, found: dict[str, Source], *, listed: bool = False) -> Source:
        random = self.random
        names = [name for name in found if name.startswith("list") == listed]
        if listed and (not names or random.random() < 0.4):
            if random.random() < 0.5:
                return Literal([random.randrange(3) for _ in range(random.randrange(5))])
            return ListOf(tuple(self.source(found) for _ in range(random.randrange(4))))
        if not names or random.random() < 0.05:
            return Literal(random.choice([0, 1, True, "text"]))
        if random.random() < 0.2:
            chosen = random.sample(names, random.randint(1, min(3, len(names))))
            return FirstOf(tuple(found[name] for name in chosen))
        if random.random() < 0.1:
            return Conditional(found[random.choice(names)], found[random.choice(names)])
        # The latest most often, so that there are long ways through the graph and not just wide ones.
        return found[names[-1] if random.random() < 0.4 else random.choice(names)]

    def node(self, name: str, number: int, found: dict[str, Source], nodes: list[Node], depth: int) -> Node:
        random = self.random
        when = None
        if random.random() < 0.2:
            when = Guard(self.source(found), random.choice([True, False, 0, 1]))
        after = tuple(
            node.name for node in random.sample(nodes, min(len(nodes), random.choice([0, 0, 0, 1, 2])))
        )
        options = DEFAULT_OPTIONS
        if random.random() < 0.5:
            options = NodeOptions(
                timeout=random.choice([None, 5.0]),
                on_error=random.choice([None, None, "continue", "stop"]),
                queue=random.choice([None, "slow"]),
            )
        if depth and random.random() < 0.35:
            return self.map(name, number, found, depth, after, when, options)
        params = {param: self.source(found) for param in "abc"[: random.randrange(4)]}
        return TaskNode(
            name=name,
            task=f"task{random.randrange(4)}",
            params=params,
            optional=frozenset(param for param in params if random.random() < 0.3),
            tolerates=frozenset(
                name
                for name, source in params.items()
                if random.random() < 0.2 and any(isinstance(leaf, Output) for leaf in leaves(source))
            ),
            outputs=tuple(
                f"{random.choice(['x', 'x', 'list'])}{number}_{place}"
                for place in range(random.choice([1, 1, 2, 0]))
            ),
            after=after,
            when=when,
            options=options,
        )

    def follower(self, name: str, nodes: list[Node], found: dict[str, Source]) -> TaskNode:
        random = self.random
        others = [node.name for node in nodes if not node.name.startswith("w")]
        watched = random.sample(others, random.randint(0, min(2, len(others))))
        return TaskNode(
            name=name,
            task=f"task{random.randrange(4)}",
            params={"a": self.source(found)} if random.random() < 0.3 else {},
            follows=Follows(
                random.choice(["failure", "always"]), tuple(watched), random.choice(["", "error"])
            ),
        )

    def map(
        self,
        name: str,
        number: int,
        found: dict[str, Source],
        depth: int,
        after: tuple[str, ...],
        when: Guard | None,
        options: NodeOptions,
    ) -> MapNode:
        random = self.random
        body = self.graph(depth - 1, random.choice([0, 1, 1, 2, 3]), body=True)
        params = {
            each: self.source(found, listed=each.startswith("list"))
            for each, spec in body.inputs.items()
            if each != "item" and (spec.required or random.random() < 0.5)
        }
        collects = tuple(random.sample(sorted(body.outputs), random.randint(1, min(2, len(body.outputs)))))
        keep: Any = random.choice(["values", "values", "values", "items", "one"])
        collects = collects[:1] if keep != "values" else collects
        also, join, chunk = {}, "zip", None
        if keep == "one":
            chunk = random.choice([2, 3])
        elif keep == "values" and random.random() < 0.4:
            spare = [each for each in body.inputs if each != "item" and not each.startswith("list")]
            also = {each: self.source(found, listed=True) for each in spare[: random.choice([0, 1, 2])]}
            params = {each: source for each, source in params.items() if each not in also}
            join = random.choice(["zip", "zip", "product"])
            chunk = random.choice([None, 1, 2, 3]) if join == "zip" else None
        items = self.source(found, listed=True)
        if random.random() < 0.05:
            other = self.source(found)
            # What turns out to be no list; when that is certain, the graph is refused.
            items = items if isinstance(other, Literal) else other
        elif random.random() < 0.1:
            items = Literal({key: number for number, key in enumerate("cab"[: random.randrange(4)])})
        skips = keep != "one" and random.random() < 0.4
        return MapNode(
            name=name,
            body=body,
            items=items,
            params=params,
            optional=frozenset(each for each in params if not body.inputs[each].required),
            also=also,
            join="product" if join == "product" else "zip",
            strict=random.random() < 0.5,
            chunk=chunk,
            outputs=(f"x{number}_0",)
            if keep == "one"
            else tuple(f"list{number}_{place}" for place in range(len(collects))),
            collects=collects,
            keep=keep,
            max_parallel=random.choice([None, None, 1, 2]),
            skip_errors=skips,
            fills="none" if skips and keep == "values" and random.random() < 0.5 else "",
            after=after,
            when=when,
            options=options,
        )
