"""What people see of a graph."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given

from graph_strategies import graphs
from taskiq_flow.errors import GraphError
from taskiq_flow.graph import (
    FORMATS,
    FirstOf,
    Graph,
    Guard,
    Input,
    InputSpec,
    ListOf,
    Literal,
    MapNode,
    NodeOptions,
    Output,
    TaskNode,
    build_graph,
    from_json,
    render,
)

BODY = build_graph(
    [
        TaskNode(
            name="measure",
            task="app:measure",
            params={"track": Input("track"), "rate": Input("rate"), "bins": Literal(128)},
            optional=frozenset({"rate"}),
            outputs=("size",),
            options=NodeOptions(timeout=30, resources={"cpu": 2}),
        )
    ],
    inputs={"track": InputSpec(), "rate": InputSpec(required=False)},
    outputs={"size": Output("measure", "size")},
)
GRAPH = build_graph(
    [
        TaskNode(
            name="files",
            task="app:files",
            params={"folder": Input("folder")},
            outputs=("files",),
            description="Finds them.",
        ),
        TaskNode(name="clean", task="app:clean", after=("files",)),
        MapNode(
            name="sizes",
            body=BODY,
            items=Output("files", "files"),
            item="track",
            params={"rate": Input("rate")},
            outputs=("sizes",),
            collects=("size",),
            max_parallel=8,
            skip_errors=True,
            after=("clean",),
        ),
        TaskNode(
            name="check",
            task="app:check",
            params={"sizes": Output("sizes", "sizes")},
            outputs=("good", "bad"),
        ),
        TaskNode(
            name="left",
            task="left",
            params={"all": ListOf((Output("sizes", "sizes"), Literal("x")))},
            outputs=("l",),
            when=Guard(Output("check", "good")),
            options=NodeOptions(retry={"max_retries": 3}, queue="slow", priority=2, on_error="continue"),
        ),
        TaskNode(
            name="report",
            task="report",
            params={"value": FirstOf((Output("left", "l"), Output("check", "bad")))},
            outputs=("report",),
        ),
    ],
    inputs={"folder": InputSpec(), "rate": InputSpec(required=False)},
    outputs={"report": Output("report", "report"), "folder": Input("folder")},
    name="audio",
    on_error="continue",
    timeout=60,
)

TEXT = """\
audio (6 nodes, goes on after errors, timeout 60 s)
  inputs
    folder
    rate  (optional)
  files: app:files -> files
    # Finds them.
    folder <- input folder
  clean: app:clean
    after files
  sizes: map over files -> sizes
    rate <- input rate
    after clean
    at most 8 at once; skips failed items
    for each item, as track:
      measure: app:measure -> size
        track <- input track
        rate <- input rate (or its default)
        bins <- 128
        timeout 30 s; needs cpu 2
      sizes collects measure.size
  check: app:check -> good, bad
    sizes <- sizes
  left: left -> l
    all <- [sizes, "x"]
    only if check.good is true
    retry max_retries 3; queue slow; priority 2; the run goes on after an error
  report: report -> report
    value <- first of (left.l, check.bad)
  outputs
    report <- report
    folder <- input folder
"""

MERMAID = """\
---
title: 'audio'
---
flowchart TD
    n1(["folder"])
    n2(["rate<br/>(optional)"])
    n3["files<br/>app:files"]
    n4["clean<br/>app:clean"]
    subgraph n5["sizes: map<br/>at most 8 at once<br/>skips failed items"]
        n9(["track"])
        n10(["rate<br/>(optional)"])
        n11["measure<br/>app:measure<br/>bins = 128<br/>timeout 30 s<br/>needs cpu 2"]
        n12[["size"]]
    end
    n6["check<br/>app:check"]
    n7["left<br/>retry max_retries 3<br/>queue slow<br/>priority 2<br/>the run goes on after an error"]
    n8["report"]
    n13[["report"]]
    n14[["folder"]]
    n1 -->|"folder"| n3
    n3 -.-> n4
    n9 -->|"track"| n11
    n10 -->|"rate"| n11
    n11 -->|"size"| n12
    n3 -->|"each of files"| n9
    n2 -->|"rate"| n10
    n4 -.-> n5
    n5 -->|"sizes"| n6
    n5 -->|"sizes, part 1 as all"| n7
    n6 ==>|"if good is true"| n7
    n7 -->|"l, choice 1 as value"| n8
    n6 -->|"bad, choice 2 as value"| n8
    n8 -->|"report"| n13
    n1 -->|"folder"| n14
"""


@pytest.mark.parametrize(("form", "expected"), [("text", TEXT), ("mermaid", MERMAID)])
def test_a_whole_drawing(form: str, expected: str) -> None:
    assert GRAPH.render(form) == expected


def test_dot_has_clusters_and_kinds_of_arrows() -> None:
    lines = [line.strip() for line in render(GRAPH, "dot").splitlines()]
    assert lines[0] == 'digraph "audio" {'
    assert (
        'n11 [label="measure\\napp:measure\\nbins = 128\\ntimeout 30 s\\nneeds cpu 2", shape=box, style="rounded"];'
        in lines
    )
    assert "subgraph cluster_n5 {" in lines
    assert 'n3 -> n9 [label="each of files"];' in lines
    assert 'n4 -> n9 [style="dotted", arrowhead="open", lhead="cluster_n5"];' in lines
    assert 'n12 -> n6 [label="sizes", ltail="cluster_n5"];' in lines
    assert 'n6 -> n7 [style="dashed", label="if good is true"];' in lines


def test_json_is_what_can_be_read_back() -> None:
    assert from_json(render(GRAPH, "json")) == GRAPH


def test_text_is_the_default_and_unknown_formats_are_refused() -> None:
    assert render(GRAPH) == TEXT
    with pytest.raises(GraphError) as caught:
        render(GRAPH, "mermiad")
    assert str(caught.value) == (
        "graphs cannot be drawn as 'mermiad'; take one of 'text', 'mermaid', 'dot', 'svg', 'json' "
        "(did you mean 'mermaid'?)"
    )


@pytest.mark.parametrize("form", FORMATS)
def test_a_nesting_that_is_too_deep_is_refused_clearly(form: str) -> None:
    graph = Graph(nodes={})
    for _ in range(2_000):
        graph = Graph(nodes={"m": MapNode(name="m", body=graph, items=Literal([]))})
    with pytest.raises(GraphError, match="the graph: it is nested too deeply; split it"):
        render(graph, form)


def test_a_filter_says_so() -> None:
    body = build_graph(
        [TaskNode(name="loud", task="loud", params={"x": Input("x")}, outputs=("yes",))],
        inputs={"x": InputSpec()},
        outputs={"yes": Output("loud", "yes")},
    )
    graph = build_graph(
        [
            MapNode(
                name="f",
                body=body,
                items=Literal([1]),
                item="x",
                outputs=("kept",),
                collects=("yes",),
                keep="items",
            )
        ]
    )
    assert "f: filter over [1] -> kept" in graph.render()
    assert "keep the item if loud.yes" in graph.render()
    assert 'subgraph n1["f: filter over #91;1#93;"]' in graph.render("mermaid")
    assert 'label="f: filter over [1]"' in graph.render("dot")


ODD = ["end", 'a "b"', "x;y", "#1", "`md`", "日本", "<b>&amp;", "a\nb", "\\", "\\N", "%%{init}%%", "{}()|"]
ODD += ["\u202e", "\x1b[0m", " ", "subgraph", "click", "--> n1"]


def odd_graph() -> Graph:
    names = [name.replace("[", "(") for name in ODD]
    return build_graph(
        [
            TaskNode(
                name=name, task=name, params={name: Input(name)}, outputs=(f"v{name}",), description=name
            )
            for name in names
        ],
        inputs={name: InputSpec() for name in names},
        outputs={name: Output(name, f"v{name}") for name in names},
        name='it\'s "odd"\n---',
    )


def test_odd_names_cannot_break_out() -> None:
    graph = odd_graph()
    mermaid = graph.render("mermaid").splitlines()
    assert mermaid[:4] == ["---", "title: 'it''s \"odd\" ---'", "---", "flowchart TD"]
    label = r"(?:[^\"#<>`\\\[\]{}|;%]|#\d+;|<br/>)*"
    box = rf'n\d+(\["{label}"\]|\(\["{label}"\]\)|\[\["{label}"\]\])'
    for line in mermaid[4:]:
        assert re.fullmatch(rf'    ({box}|n\d+ -->\|"{label}"\| n\d+)', line), line
    quoted = r'"(?:[^"\\]|\\["\\n])*"'
    for line in graph.render("dot").splitlines()[4:-1]:
        assert re.fullmatch(rf"    n\d+( -> n\d+)? \[label={quoted}(, \w+={quoted}|, \w+=\w+)*\];", line), (
            line
        )
    assert graph.render("text").replace("\n", "").isprintable()


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("graph", [GRAPH, odd_graph(), Graph(nodes={})], ids=["whole", "odd", "empty"])
def test_graphviz_reads_the_drawing(graph: Graph) -> None:
    found = subprocess.run(
        ["dot", "-Tjson0"], input=graph.render("dot"), capture_output=True, text=True, check=True
    )
    assert found.stderr == ""
    labels = [
        one["label"] for one in json.loads(found.stdout).get("objects", []) if "cluster" not in one["name"]
    ]
    assert len(labels) == (0 if not graph.nodes else graph.render("mermaid").count('"]')) - graph.render(
        "mermaid"
    ).count("subgraph n")


@given(graphs())
def test_every_graph_can_be_drawn(graph: Graph) -> None:
    def count(inner: Graph) -> int:
        bodies = [node.body for node in inner.nodes.values() if isinstance(node, MapNode)]
        return len(bodies) + sum(map(count, bodies))

    drawn: dict[str, Any] = {form: graph.render(form) for form in FORMATS}
    assert drawn["mermaid"].count("subgraph ") == drawn["dot"].count("subgraph ") == count(graph)
    assert drawn["text"].count("for each item, as item:") == count(graph)
    for text in drawn.values():
        assert text.endswith("\n")
    for line in drawn["mermaid"].splitlines():
        arrow = re.fullmatch(r"    (n\d+) (?:-->|==>|-\.->)(?:\|.*\|)? (n\d+)", line)
        for end in arrow.groups() if arrow else ():
            assert re.search(rf"^ *(subgraph )?{end}[\[(]", drawn["mermaid"], re.MULTILINE), end
