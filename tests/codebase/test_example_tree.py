"""A tree: its modules, its import graph, and what its files come to together."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from examples.codebase import aggregate, analysis, cycles, listing
from examples.codebase.shapes import FileReport, Report

Tree = Callable[[Mapping[str, str | bytes]], Path]
Reporter = Callable[[Path], Report]


def files_of(root: Path) -> list[FileReport]:
    return [analysis.analyse_file(each) for each in listing.find_modules(str(root))[1]]


def test_names_follow_packages_and_not_folders() -> None:
    names = {
        "pkg/__init__.py": "top.pkg",
        "pkg/a.py": "top.pkg.a",
        "src/lib/__init__.py": "lib",
        "src/lib/deep/__init__.py": "lib.deep",
        "src/lib/deep/b.py": "lib.deep.b",
        "scripts/run.py": "top.scripts.run",
        "x/same/__init__.py": "top.x.same",
        "y/same/__init__.py": "top.y.same",
    }
    assert listing.module_names(list(names), ["top"]) == list(names.values())


def test_listing_is_sorted_and_leaves_out_what_it_is_told_to(tree: Tree) -> None:
    paths = ("b.py", "a/__init__.py", "a/tests/test_x.py", "a/c.pyi", "a/gen/f.py", ".hidden/e.py")
    root = tree(dict.fromkeys((*paths, "site-packages/d.py"), ""))
    found, modules = listing.find_modules(str(root), exclude=f"{listing.EXCLUDED}, a/gen")
    assert [(each["path"], each["test"]) for each in modules] == [
        ("a/__init__.py", False),
        ("a/tests/test_x.py", True),
        ("b.py", False),
    ]
    assert found["root"] == str(root)
    assert [each["path"] for each in listing.find_modules(str(root), pattern="*.pyi")[1]] == ["a/c.pyi"]


def test_a_tree_of_one_package_is_divided_by_its_parts(tree: Tree) -> None:
    root = tree({"p/__init__.py": "", "p/a/__init__.py": "", "p/a/b.py": "", "p/c.py": ""})
    assert [each["package"] for each in listing.find_modules(str(root))[1]] == ["p", "p.a", "p.a", "p.c"]


def test_a_root_that_is_no_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match=r"is not a directory; give root=… the top"):
        listing.find_modules(str(tmp_path / "nowhere"))


def test_the_standard_library_is_the_default() -> None:
    found, modules = listing.find_modules()
    names = {each["name"] for each in modules}
    assert Path(found["root"]).samefile(Path(ast.__file__).parent)
    assert {"ast", "json.decoder", "asyncio"} <= names
    assert not any("site-packages" in each["path"] for each in modules)


def test_import_cycles_are_found_with_a_shortest_way(tree: Tree) -> None:
    root = tree(
        {
            "a.py": "import b, os\n",
            "b.py": "import c\nimport d.x\n",
            "c.py": "import a\n",
            "d/__init__.py": "from . import x\n",
            "d/x.py": "def f():\n    import b\n",
            "e.py": "if TYPE_CHECKING:\n    import f\n",
            "f.py": "import e\nimport f\n",
        }
    )
    graph = cycles.import_graph(files_of(root))
    assert graph["cycles"] == [{"modules": ["a", "b", "c"], "path": ["a", "b", "c", "a"]}]
    assert (graph["modules"], graph["edges"], graph["deferred_edges"]) == (7, 6, 2)
    assert (graph["tangled"], graph["tangled_with_deferred"]) == (3, 6)
    assert graph["outside"] == [{"name": "os", "count": 1}]
    assert graph["most_imported"][0] == {"name": "d.x", "count": 2}
    assert {(edge["source"], edge["target"]): edge["circular"] for edge in graph["packages"]} == {
        ("a", "b"): True,
        ("b", "c"): True,
        ("c", "a"): True,
        ("b", "d"): False,
        ("f", "e"): False,
    }


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({}, []),
        ({"a": []}, [["a"]]),
        ({"a": ["b"], "b": []}, [["b"], ["a"]]),
        ({"a": ["b"], "b": ["a", "c"], "c": ["c"]}, [["c"], ["a", "b"]]),
        ({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["c", "e"], "e": ["d"]}, [["a", "b", "c"], ["d", "e"]]),
    ],
)
def test_strongly_connected_components(graph: dict[str, list[str]], expected: list[list[str]]) -> None:
    assert list(cycles.components(graph)) == expected


def test_a_long_cycle_needs_no_recursion() -> None:
    ring = {str(node): [str((node + 1) % 20_000)] for node in range(20_000)}
    assert [len(members) for members in cycles.components(ring)] == [20_000]
    assert len(cycles.shortest_cycle("0", ring)) == 20_001


def test_aggregations_of_a_small_tree(tree: Tree, report_of: Reporter) -> None:
    root = tree(
        {
            "p/__init__.py": '"""Doc."""\n',
            "p/a.py": 'def f():\n    """Doc."""\n    if x: pass\n',
            "q.py": "class C:\n    def m(self): pass\n",
            "tests/test_p.py": "def test_it():\n    assert x and y and z\n",
        }
    )
    report = report_of(root)
    assert report["totals"] | {"bytes": 0} == {
        "files": 4,
        "test_files": 1,
        "unreadable": 0,
        "bytes": 0,
        "lines": {"code": 6, "docstring": 2, "comment": 0, "blank": 0},
        "classes": 1,
        "functions": 3,
        "packages": 3,
    }
    ranked = report["complexity"]["top"]
    assert [(each["module"], each["name"], each["complexity"], each["test"]) for each in ranked] == [
        ("tests.test_p", "test_it", 3, True),
        ("p.a", "f", 2, False),
        ("q", "C.m", 1, False),
    ]
    assert (report["complexity"]["bands"], report["complexity"]["test_bands"]) == (
        [2, 0, 0, 0, 0],
        [1, 0, 0, 0, 0],
    )
    assert report["complexity"]["mean"] == 2.0
    assert report["documentation"]["library"] == {"documented": 2, "total": 6}
    assert report["documentation"]["tests"] == {"documented": 0, "total": 2}
    assert report["documentation"]["packages"] == [
        {"name": "p", "documented": 2, "total": 3},
        {"name": "q", "documented": 0, "total": 3},
    ]
    sizes = [(size["name"], size["files"], size["lines"]["code"], size["test"]) for size in report["sizes"]]
    assert sizes == [("p", 2, 2, False), ("q", 1, 2, False), ("tests", 1, 2, True)]


def test_only_as_many_functions_are_named_as_wanted(tree: Tree) -> None:
    files = files_of(tree({"a.py": "def f(): pass\ndef g(): pass\n"}))
    assert [len(aggregate.rank_functions(files, top)["top"]) for top in (1, 0, -1)] == [1, 0, 0]
