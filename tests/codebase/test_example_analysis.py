"""One file: complexity, lines, docstrings, imports, and what does not parse."""

from __future__ import annotations

import ast
import json
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from examples.codebase import analysis, imports
from examples.codebase.shapes import FileReport, Module, Report

Tree = Callable[[Mapping[str, str | bytes]], Path]
Reporter = Callable[[Path], Report]


def module(name: str = "sample", path: str = "sample.py") -> Module:
    return {"file": path, "path": path, "name": name, "package": name.split(".")[0], "test": False}


def analysed(source: str | bytes, name: str = "sample", path: str = "sample.py") -> FileReport:
    content = source if isinstance(source, bytes) else dedent(source).encode()
    return analysis.analyse_source(content, module(name, path))


@pytest.mark.parametrize(
    ("body", "complexity"),
    [
        ("pass", 1),
        ("if a: pass", 2),
        ("if a: pass\n    else: pass", 2),
        ("if a: pass\n    elif b: pass\n    else: pass", 3),
        ("if a and b: pass", 3),
        ("if a and b or c: pass", 4),
        ("return 1 if a else 2", 2),
        ("for x in a: pass\n    else: pass", 2),
        ("while a: pass", 2),
        ("try: pass\n    except A: pass\n    except B: pass\n    finally: pass", 3),
        ("with a: pass", 1),
        ("return [x for x in a if x if not x]", 4),
        ("return {x: y for x in a for y in x}", 3),
        ("return lambda: a or b", 2),
        ("match a:\n        case 1: pass\n        case 2 if b: pass\n        case _: pass", 4),
        ("match a:\n        case True: pass\n        case {'k': v, **rest}: pass", 3),
        ("return f'{a or b}'", 2),
    ],
)
def test_complexity_is_decisions_plus_one(body: str, complexity: int) -> None:
    report = analysed(f"def f():\n    {body}\n")
    assert [function["complexity"] for function in report["complex"]] == [complexity]


def test_decisions_belong_to_the_innermost_function() -> None:
    report = analysed("""
        if a: pass
        @d(1 if a else 2)
        def outer(x=1 if a else 2):
            if x: pass
            def inner():
                if x: pass
                if x: pass
            class Local:
                if x: pass
                async def method(self):
                    async for y in x: pass
    """)
    assert {each["name"]: each["complexity"] for each in report["complex"]} == {
        "outer": 2,
        "outer.inner": 3,
        "outer.Local.method": 2,
    }


def test_functions_above_the_limit_are_all_kept_and_otherwise_three() -> None:
    def functions(count: int, decisions: int) -> str:
        body = "    if a: pass\n" * decisions
        return "".join(f"def f{index}():\n{body}    pass\n" for index in range(count))

    assert len(analysed(functions(20, 3))["complex"]) == 3
    report = analysed(functions(20, 10))
    assert len(report["complex"]) == 20
    assert report["bands"] == [0, 0, 20, 0, 0]


def test_each_line_is_of_one_kind() -> None:
    report = analysed('''\
        """A docstring,

        # not a comment."""

        # a comment
        TEXT = """
        # not a comment

        """
        x = 1  # code
    ''')
    assert report["lines"] == {"docstring": 3, "blank": 1, "comment": 1, "code": 5}


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends_of_every_kind_are_counted(end: bytes) -> None:
    assert analysed(end.join([b"x = 1", b"", b"# c", b"y = 2"]))["lines"] == {
        "code": 2,
        "docstring": 0,
        "comment": 1,
        "blank": 1,
    }


def test_public_things_with_docstrings_are_counted() -> None:
    report = analysed('''
        """Module."""
        class A:
            """Class."""
            def documented(self):
                """Yes."""
                def inner(): pass
            def bare(self): pass
            def _private(self): pass
            @property
            def p(self):
                """Yes."""
            @p.setter
            def p(self, value): pass
        class _B:
            def hidden(self): pass
        @typing.overload
        def f(): ...
        if a:
            def f(): pass
    ''')
    assert report["docs"] == {
        "modules": {"documented": 1, "total": 1},
        "classes": {"documented": 1, "total": 1},
        "functions": {"documented": 2, "total": 4},
    }


@pytest.mark.parametrize(("name", "public"), [("a.b", 1), ("a._b", 0), ("_a.b", 0), ("a.__main__", 1)])
def test_a_private_module_has_no_public_interface(name: str, public: int) -> None:
    report = analysed("def f(): pass", name)
    assert [part["total"] for part in report["docs"].values()] == [public, 0, public]


@pytest.mark.parametrize(
    ("statement", "package", "names"),
    [
        ("import a, b.c as d", False, ["a", "b.c"]),
        ("from a import b, c", False, ["a.b", "a.c"]),
        ("from a import *", False, ["a"]),
        ("from . import x", False, ["top.sub.x"]),
        ("from . import x", True, ["top.sub.module.x"]),
        ("from .x import y", False, ["top.sub.x.y"]),
        ("from ..x import *", False, ["top.x"]),
        ("from .... import x", False, ["....x"]),
        ("from ....a import x", True, ["....a.x"]),
    ],
)
def test_imports_become_absolute(statement: str, package: bool, names: list[str]) -> None:
    node = ast.parse(statement).body[0]
    assert isinstance(node, (ast.Import, ast.ImportFrom))
    assert imports.absolute_names(node, "top.sub.module", package=package) == names


def test_imports_that_do_not_run_when_the_module_is_loaded_are_deferred() -> None:
    report = analysed("""
        import a
        try:
            import b
        except ImportError:
            import c
        class K:
            import d
        def f():
            import a, e
        if typing.TYPE_CHECKING:
            import g
        else:
            import h
        if __name__ == "__main__":
            import i
    """)
    assert report["imports"] == ["a", "b", "c", "d", "h"]
    assert report["deferred"] == ["e", "g", "i"]


def test_the_tree_is_parsed_whole_after_a_block_for_type_checkers() -> None:
    report = analysed('''
        if TYPE_CHECKING:
            def only_typed():
                """Doc."""
        def f(): pass
    ''')
    assert report["functions"] == 2


BROKEN: dict[str, tuple[bytes, set[str]]] = {
    "syntax.py": (b"def f(:\n", {"SyntaxError"}),
    "indented.py": (b"if a:\npass\n", {"IndentationError"}),
    "python2.py": (b"print 'hello'\n", {"SyntaxError"}),
    "null.py": (b"a = 1\0\n", {"SyntaxError", "ValueError"}),
    "unknown.py": (b"# coding: no-such-codec\n", {"SyntaxError"}),
    "bytes.py": (b"x = '\xff'\n", {"SyntaxError"}),
    "parentheses.py": (b"(" * 5000 + b")" * 5000, {"SyntaxError"}),
    "signs.py": (b"x = " + b"-" * 100_000 + b"1\n", {"MemoryError", "RecursionError"}),
}


def test_files_that_do_not_parse_are_reported_and_do_no_harm(tree: Tree, report_of: Reporter) -> None:
    root = tree({name: source for name, (source, _) in BROKEN.items()} | {"fine.py": "x = 1\n"})
    report = report_of(root)
    assert {
        each["path"]: each["kind"] in BROKEN[each["path"]][1] for each in report["unreadable"]
    } == dict.fromkeys(sorted(BROKEN), True)
    assert report["totals"]["files"] == len(BROKEN) + 1
    assert report["totals"]["lines"]["code"] == 1
    assert report["unreadable"][-2]["line"] == 1
    assert all(each["message"] for each in report["unreadable"])


def test_a_file_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    gone = module() | {"file": str(tmp_path / "gone.py")}
    error = analysis.analyse_file(gone)["error"]
    assert error == {"kind": "FileNotFoundError", "message": "No such file or directory", "line": None}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_nobody_waits_for_a_named_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.py"
    os.mkfifo(pipe)
    error = analysis.analyse_file(module() | {"file": str(pipe)})["error"]
    assert error == {"kind": "OSError", "message": "not a regular file", "line": None}


def test_declared_encodings_and_odd_escapes_are_read() -> None:
    assert analysed("# coding: latin-1\nx = 'ä'\n".encode("latin-1"))["lines"]["code"] == 1
    assert analysed(b"\xef\xbb\xbfx = 1\n")["lines"]["code"] == 1
    # Warnings are errors in these tests: an invalid escape would be one.
    assert analysed(rb"x = '\d'")["error"] is None


def test_reports_survive_the_ways_between_processes() -> None:
    report = analysed("import b\ndef f():\n  return 1 if x else 2\n")
    assert json.loads(json.dumps(report)) == report
    assert pickle.loads(pickle.dumps(analysis.analyse_file)) is analysis.analyse_file
