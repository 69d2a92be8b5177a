"""One walk over a file's syntax tree that finds all that the report needs.

Most of the time of an analysis that is not Python's own parsing is spent here, so the loop is written for
speed: it follows only fields in which something can be found, and it uses stacks of its own, because a tree
may be nested deeper than calls may.
"""

from __future__ import annotations

import ast
from typing import Any, Union

from attrs import define, field

from examples.codebase.imports import absolute_names, skipped_on_import
from examples.codebase.shapes import Coverage

__all__ = ["Found", "FoundFunction", "decisions", "walk"]

_Def = Union[ast.FunctionDef, ast.AsyncFunctionDef]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SIMPLE = frozenset({ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler})
_DECIDING = _SIMPLE | {ast.BoolOp, ast.comprehension, ast.match_case}
# Nothing hangs below these; ``None`` and ``str`` stand in lists of children, such as the keys of ``{**a}``.
_LEAVES = frozenset({ast.Name, ast.Pass, ast.Break, ast.Continue, ast.Global, ast.Nonlocal, type(None), str})
_NOT_FOLLOWED = frozenset(
    {"annotation", "arg", "asname", "attr", "cls", "conversion", "ctx", "id", "is_async", "kind", "kwd_attrs"}
    | {"level", "module", "name", "names", "op", "ops", "rest", "returns", "simple", "tag", "type_comment"}
    | {"type_ignores", "type_params"}
)


@define
class FoundFunction:
    """A function: its dotted name inside of the file, its line, and its cyclomatic complexity."""

    name: str
    line: int
    complexity: int = 1


@define
class Found:
    """What a file has."""

    functions: list[FoundFunction] = field(factory=list)
    classes: int = 0
    docs: dict[str, Coverage] = field(factory=dict)
    docstrings: list[ast.Constant] = field(factory=list)
    long_strings: list[Union[ast.Constant, ast.JoinedStr]] = field(factory=list)
    imports: set[str] = field(factory=set)
    deferred: set[str] = field(factory=set)


@define
class _Scope:
    """Where nodes stand. ``deferred``: what is imported here is not imported with the module."""

    prefix: str = ""
    function: FoundFunction | None = None
    deferred: bool = False
    public: bool = True


def walk(tree: ast.Module, module: str, *, package: bool) -> Found:
    """Walk over a tree.

    :param tree: A parsed file.
    :param module: The file's dotted name.
    :param package: Whether the file is a package's ``__init__``.
    """
    found = Found(
        docs={kind: Coverage(documented=0, total=0) for kind in ("modules", "classes", "functions")}
    )
    public = not any(part.startswith("_") and not part.startswith("__") for part in module.split("."))
    _document(found, tree, "modules", public=public)
    follow: dict[type, tuple[str, ...]] = {}
    waiting: list[tuple[_Scope, list[Any]]] = [(_Scope(public=public), [tree])]
    while waiting:
        scope, nodes = waiting.pop()
        function = scope.function
        while nodes:
            node = nodes.pop()
            kind = type(node)
            if kind in _LEAVES:
                continue
            if kind is ast.Constant or kind is ast.JoinedStr:
                if node.end_lineno != node.lineno:
                    found.long_strings.append(node)
                if kind is ast.Constant:
                    continue
            elif kind in _DECIDING:
                if function is not None:
                    function.complexity += decisions(node)
                if kind is ast.If and skipped_on_import(node.test):
                    waiting.append((_Scope(scope.prefix, function, True, scope.public), list(node.body)))
                    nodes.extend(node.orelse)
                    continue
            elif kind in _FUNCTIONS or kind is ast.ClassDef:
                waiting.append((_define(found, node, scope), list(node.body)))
                # Decorators, defaults and base classes are evaluated by what is around the definition.
                nodes.extend(node.decorator_list)
                if kind is ast.ClassDef:
                    nodes.extend(node.bases)
                    nodes.extend(node.keywords)
                else:
                    nodes.append(node.args)
                continue
            elif kind is ast.Import or kind is ast.ImportFrom:
                names = found.deferred if scope.deferred else found.imports
                names.update(absolute_names(node, module, package=package))
                continue
            fields = follow.get(kind)
            if fields is None:
                # Some fields hold plain values: the ``True`` of ``case True``.
                every = node._fields if isinstance(node, ast.AST) else ()
                fields = follow[kind] = tuple(name for name in every if name not in _NOT_FOLLOWED)
            for name in fields:
                value = getattr(node, name, None)
                if type(value) is list:
                    nodes.extend(value)
                else:
                    nodes.append(value)
    return found


def decisions(node: ast.AST) -> int:
    """Return how many decisions a node adds to the function that it stands in.

    The cyclomatic complexity of a function is its number of decisions plus one: T. J. McCabe, "A Complexity
    Measure", IEEE Transactions on Software Engineering SE-2(4), 1976. As in that paper each condition of a
    compound predicate counts, so ``a and b`` adds one to the ``if`` around it. Loops, exception handlers,
    conditional expressions, ``for`` and ``if`` of comprehensions, and cases other than one that always
    matches count too. A nested function is a function of its own; a lambda belongs to the function around it.
    """
    if type(node) in _SIMPLE:
        return 1
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    if isinstance(node, ast.match_case):
        always = isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None
        return (not always) + (node.guard is not None)
    return 0


def _define(found: Found, node: _Def | ast.ClassDef, outer: _Scope) -> _Scope:
    """Note a definition, and return the scope of its body."""
    name = f"{outer.prefix}{node.name}"
    public = outer.public and not node.name.startswith("_")
    if isinstance(node, ast.ClassDef):
        found.classes += 1
        _document(found, node, "classes", public=public)
        # The decisions of a class body are those of no function.
        return _Scope(f"{name}.", None, outer.deferred, public)
    function = FoundFunction(name, node.lineno)
    found.functions.append(function)
    _document(found, node, "functions", public=public and not _is_variant(node))
    # What stands inside of a function is nobody's interface, and is not imported with the module.
    return _Scope(f"{name}.", function, deferred=True, public=False)


def _document(found: Found, node: _Def | ast.ClassDef | ast.Module, kind: str, *, public: bool) -> None:
    first = node.body[0] if node.body else None
    text = first.value if isinstance(first, ast.Expr) else None
    documented = isinstance(text, ast.Constant) and isinstance(text.value, str)
    if documented and isinstance(text, ast.Constant):
        found.docstrings.append(text)
    if public:
        found.docs[kind]["total"] += 1
        found.docs[kind]["documented"] += documented


def _is_variant(node: _Def) -> bool:
    """Return whether a definition has the docstring of another one: an overload, a setter, a deleter."""
    last = (getattr(mark, "attr", None) or getattr(mark, "id", None) for mark in node.decorator_list)
    return any(name in {"overload", "setter", "deleter"} for name in last)
