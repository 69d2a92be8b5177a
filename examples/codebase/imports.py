"""What a file imports, as absolute dotted names."""

from __future__ import annotations

import ast

__all__ = ["absolute_names", "skipped_on_import"]


def absolute_names(node: ast.Import | ast.ImportFrom, module: str, *, package: bool) -> list[str]:
    """Return the dotted names that an import statement may mean.

    ``from a import b`` gives ``a.b``: only who knows all modules can tell whether ``b`` is a module or a name
    in ``a``. A relative import that leads out of the tree keeps its dots.

    :param node: The statement.
    :param module: The name of the module in which it stands.
    :param package: Whether that module is a package's ``__init__``.

    >>> absolute_names(ast.parse("from ..b import c, d").body[0], "top.a.x", package=False)
    ['top.b.c', 'top.b.d']
    """
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        # One dot is the package that the module is in; for a package's own file that is the package itself.
        above = node.level - 1 if package else node.level
        parts = module.split(".")
        if above >= len(parts):
            base = "." * node.level + base
        else:
            base = ".".join([*parts[: len(parts) - above], *([base] if base else [])])
    joint = "" if base.endswith(".") else "."
    return [base if alias.name == "*" else f"{base}{joint}{alias.name}" for alias in node.names]


def skipped_on_import(test: ast.expr) -> bool:
    """Return whether the body under a condition is not run when the file is imported.

    That is so below ``if TYPE_CHECKING:`` and ``if __name__ == "__main__":``.
    """
    if "TYPE_CHECKING" in (getattr(test, "id", None), getattr(test, "attr", None)):
        return True
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Eq):
        return False
    sides = (test.left, *test.comparators)
    names = {side.id for side in sides if isinstance(side, ast.Name)}
    values = {side.value for side in sides if isinstance(side, ast.Constant)}
    return names == {"__name__"} and values == {"__main__"}
