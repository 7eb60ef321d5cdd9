"""A piece: one function or class of the tracker, "tracker.values:parse_value", as the text that stands in its module.

An exercise whose solution is a piece shows the code that ships, and nothing can come between the two.
"""

from __future__ import annotations

import ast
from pathlib import Path


class NoPiece(Exception):
    """There is no such piece; the text says what is missing."""


def path(piece: str, root: Path) -> Path:
    """The file of the piece's module. Raises NoPiece."""
    module = piece.partition(":")[0].replace(".", "/")
    for file in (root / f"{module}.py", root / module / "__init__.py"):
        if file.is_file():
            return file
    raise NoPiece(f"{piece}: there is no module {module}.py")


def text(piece: str, root: Path) -> str:
    """The piece's own lines, decorators included. Raises NoPiece."""
    lines = path(piece, root).read_text().splitlines()
    first, last = _span(piece, "\n".join(lines))
    return "\n".join(lines[first:last])


def replaced(piece: str, module: str, by: str) -> str:
    """The module's text with something else in the piece's place. Raises NoPiece."""
    lines = module.splitlines()
    first, last = _span(piece, module)
    return "\n".join([*lines[:first], by, *lines[last:]]) + "\n"


def _span(piece: str, module: str) -> tuple[int, int]:
    name = piece.partition(":")[2]
    for node in ast.parse(module).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return first - 1, node.end_lineno or node.lineno
    raise NoPiece(f"{piece}: its module has no function and no class {name!r} at its top level")
