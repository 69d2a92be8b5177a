"""The import graph of a tree, and the cycles in it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from examples.codebase.shapes import Cycle, FileReport, Imports, PackageEdge, Ranked

__all__ = ["components", "import_graph", "resolve", "shortest_cycle"]

_NAMED = 20
_DRAWN = 48


def import_graph(files: Sequence[FileReport]) -> Imports:
    """Join the modules of a tree by their imports.

    An edge goes to the module that is named, not to the packages that it lies in, although Python imports
    these as well: otherwise every package whose ``__init__`` imports one of its modules would be a cycle.
    What is imported inside of functions, or only for type checkers, cannot make a cycle when modules are
    loaded, and is counted apart.
    """
    known = {file["name"] for file in files}
    loaded: dict[str, set[str]] = {}
    deferred: dict[str, set[str]] = {}
    outside: Counter[str] = Counter()
    for file in files:
        loaded[file["name"]] = {
            target for target in _targets(file["imports"], known) if target != file["name"]
        }
        later = {target for target in _targets(file["deferred"], known) if target != file["name"]}
        deferred[file["name"]] = later - loaded[file["name"]]
        names = (*file["imports"], *file["deferred"])
        outside.update(
            {name.partition(".")[0] for name in names if name[0] != "." and resolve(name, known) is None}
        )
    cycles = [_cycle(members, loaded) for members in components(loaded) if len(members) > 1]
    both = {name: loaded[name] | deferred[name] for name in loaded}
    return {
        "modules": len(loaded),
        "edges": sum(map(len, loaded.values())),
        "deferred_edges": sum(map(len, deferred.values())),
        "packages": _between_packages(files, loaded),
        "cycles": sorted(cycles, key=lambda cycle: (-len(cycle["modules"]), cycle["modules"])),
        "tangled": sum(len(cycle["modules"]) for cycle in cycles),
        "tangled_with_deferred": sum(len(members) for members in components(both) if len(members) > 1),
        "most_imported": _ranked(Counter(target for targets in loaded.values() for target in targets)),
        "most_importing": _ranked(Counter({name: len(targets) for name, targets in loaded.items()})),
        "outside": _ranked(outside),
    }


def resolve(name: str, known: Set[str]) -> str | None:
    """Return the known module that a dotted name stands for or stands in, or ``None``.

    >>> resolve("json.decoder.JSONDecoder", {"json", "json.decoder"})
    'json.decoder'
    """
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


def components(graph: Mapping[str, Iterable[str]]) -> Iterator[list[str]]:
    """Yield the strongly connected components of a graph, each sorted, in linear time and without recursion.

    R. Tarjan, "Depth-First Search and Linear Graph Algorithms", SIAM Journal on Computing 1(2), 1972.

    :param graph: The successors of each node; every successor is a node.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    for root in graph:
        if root in index:
            continue
        work: list[tuple[str, Iterator[str]]] = []
        entering: str | None = root
        while entering is not None or work:
            if entering is not None:
                index[entering] = low[entering] = len(index)
                path.append(entering)
                on_path.add(entering)
                work.append((entering, iter(sorted(graph[entering]))))
                entering = None
            node, successors = work[-1]
            for successor in successors:
                if successor not in index:
                    entering = successor
                    break
                if successor in on_path:
                    low[node] = min(low[node], index[successor])
            if entering is not None:
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[node])
            if low[node] == index[node]:
                members = [path.pop()]
                while members[-1] != node:
                    members.append(path.pop())
                on_path.difference_update(members)
                yield sorted(members)


def shortest_cycle(start: str, graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a shortest way from a node back to itself, with it at both ends; empty if there is none."""
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for successor in sorted(graph.get(node, ())):
            if successor == start:
                way = [start, node]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if successor not in came_from:
                came_from[successor] = node
                queue.append(successor)
    return []


def _targets(names: Iterable[str], known: Set[str]) -> Iterator[str]:
    return (target for name in names if (target := resolve(name, known)) is not None)


def _cycle(members: list[str], graph: Mapping[str, Iterable[str]]) -> Cycle:
    here = set(members)
    inside = {name: sorted(here.intersection(graph[name])) for name in members}
    return {
        "modules": members,
        "path": shortest_cycle(members[0], inside),
    }


def _between_packages(files: Sequence[FileReport], graph: Mapping[str, Iterable[str]]) -> list[PackageEdge]:
    package = {file["name"]: file["package"] for file in files if not file["test"]}
    counts: Counter[tuple[str, str]] = Counter()
    for name, source in package.items():
        targets = (package[target] for target in graph[name] if target in package)
        counts.update((source, target) for target in targets if target != source)
    joined: dict[str, set[str]] = {name: set() for end in counts for name in end}
    for source, target in counts:
        joined[source].add(target)
    group = {name: index for index, members in enumerate(components(joined)) for name in members}
    # Only the best-connected ones are drawn; the rest would be a black disc.
    degree = Counter(name for end in counts for name in end)
    drawn = {each["name"] for each in _ranked(degree, _DRAWN)}
    return [
        {"source": source, "target": target, "count": count, "circular": group[source] == group[target]}
        for (source, target), count in sorted(counts.items())
        if source in drawn and target in drawn
    ]


def _ranked(counts: Counter[str], limit: int = _NAMED) -> list[Ranked]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"name": name, "count": count} for name, count in ordered[:limit] if count]
