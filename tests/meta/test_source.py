"""Rules that a reviewer would otherwise have to remember, over every file of the repository."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    path: ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
    for source in [ROOT / "core" / "src", *ROOT.glob("plugins/*/src")]
    for path in sorted(source.rglob("*.py"))
}
PUBLIC = {path: name for path, name in SOURCES.items() if "._" not in name}
LONGEST = 500

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

# Spelled in pieces, so that this file does not find itself.
UNFINISHED = [
    "TO" + "DO",
    "FIX" + "ME",
    "XX" + "X",
    "in a real" + " implementation",
]
MACHINE = re.compile("|".join([r"/(?:root|home|Users|work|opt)" + r"/\w", r"[A-Z]:\\" + r"Users"]))
REGISTRY = re.compile(
    "|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.org", "index" + "-url"])
)


def tracked() -> list[Path]:
    """Every text file that is, or is about to be, in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the tree is not a git repository, or git is missing: {error}")
    paths = (ROOT / name for name in listed.split("\0") if name)
    return [path for path in paths if path.is_file() and path.suffix not in {".gz", ".png", ".svg"}]


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_files_stay_small() -> None:
    python = (path for path in tracked() if path.suffix == ".py")
    lengths = {path: path.read_text(encoding="utf-8").count("\n") for path in python}
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LONGEST} == {}


def test_nothing_unfinished_is_kept() -> None:
    words = re.compile("|".join(rf"\b{word}\b" for word in UNFINISHED))
    assert (
        lines_with(words, [path for path in tracked() if path.suffix in {".py", ".md", ".toml", ".ini"}])
        == []
    )


def test_no_source_raises_what_stands_for_missing_code() -> None:
    assert lines_with(re.compile(r"\bNotImplementedError\b"), list(SOURCES)) == []


def test_no_path_of_somebodys_machine_and_no_registry() -> None:
    assert lines_with(MACHINE, tracked()) == []
    assert lines_with(REGISTRY, tracked()) == []


def test_annotations_are_not_evaluated_on_import() -> None:
    late = "from __future__ import annotations"
    without = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if (text := path.read_text(encoding="utf-8")) and "import" in text and late not in text
    ]
    assert [path for path in without if not path.endswith("__init__.py")] == []


def public_definitions(path: Path) -> Iterator[tuple[str, Definition]]:
    """Classes, functions and methods that a user may see, each with its dotted name."""

    def walk(body: list[ast.stmt], scope: str) -> Iterator[tuple[str, Definition]]:
        for node in body:
            if isinstance(node, Definition):
                if node.name.startswith("_") or _repeats(node):
                    continue
                yield f"{scope}{node.name}", node
                if isinstance(node, ast.ClassDef):
                    yield from walk(node.body, f"{scope}{node.name}.")

    yield from walk(ast.parse(path.read_text(encoding="utf-8")).body, "")


def _repeats(node: Definition) -> bool:
    """Whether a definition is an overload, or says with a decorator whose words hold for it."""
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(names & {"overload", "setter", "override"})


@pytest.mark.parametrize("path", PUBLIC, ids=PUBLIC.values())
def test_public_names_have_docstrings(path: Path) -> None:
    bare = [
        name
        for name, node in public_definitions(path)
        # A method may take its words from the protocol that it implements.
        if not ast.get_docstring(node) and not ("." in name and inspect.getdoc(_object(PUBLIC[path], name)))
    ]
    assert bare == []


def _object(module: str, name: str) -> object:
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))


@pytest.mark.parametrize("path", PUBLIC, ids=PUBLIC.values())
def test_every_public_name_is_offered(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not tree.body:
        return
    module = importlib.import_module(PUBLIC[path])
    defined = {
        node.name for node in tree.body if isinstance(node, Definition) and not node.name.startswith("_")
    }
    offered = getattr(module, "__all__", None)
    assert offered is not None or not defined, "the module defines public names and has no __all__"
    assert defined - set(offered or ()) == set(), "defined, and neither private nor in __all__"
    assert [name for name in offered or () if not hasattr(module, name)] == [], "in __all__, and not there"
    assert len(set(offered or ())) == len(offered or ())


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    errors = importlib.import_module("taskiq_flow.errors")
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ((?:[│ ]   |[├└]── )*)([A-Z]\w+)", line):
            depth = len(match[1]) // 4
            above[depth:] = [match[2]]
            drawn[match[2]] = above[depth - 1] if depth else "Exception"
    classes = [getattr(errors, name) for name in errors.__all__]
    real = {c.__name__: c.__bases__[0].__name__ for c in classes if issubclass(c, errors.FlowError)}
    assert drawn == real
