"""A piece: one definition of the tracker, as the text that stands in its module.

    tracker.values:parse_value              a function: a route and a dependency of FastAPI are functions, too
    tracker.server.schema:Point             a class
    tracker.server.ingest:Ingest.add        a method
    tracker.server.store.curves:BUCKETS     a constant

An exercise whose solution is a piece shows the code that ships, and nothing can come between the two. An answer to it
can be **grafted**: put into the module in the piece's place, together with what it needs of the author's own.
"""

from __future__ import annotations

import ast
import io
import symtable
import textwrap
import tokenize
from collections.abc import Iterator
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
    """The piece's own lines, decorators included; a method's begin at the margin. Raises NoPiece."""
    module = path(piece, root).read_text()
    first, last = _lines(_statements(piece, module)[-1])
    return textwrap.dedent("\n".join(module.splitlines()[first:last]))


def name(piece: str) -> str:
    """What an answer has to define."""
    return piece.partition(":")[2].rpartition(".")[2]


def grafted(piece: str, module: str, answer: str) -> str:
    """The module's text with the answer in the piece's place, and before it what the answer uses of its own.

    Names that the module has already are the module's: a stub's `router = APIRouter()` is there to be tried, and does
    not take the place of the real one. Raises NoPiece.
    """
    statements, given = _statements(piece, module), _definitions(piece, answer)
    (top, _), (first, last) = _lines(statements[0]), _lines(statements[-1])
    lines, source = module.splitlines(), answer.splitlines()
    own = [line for text in dict.fromkeys(brought(piece, module, answer).values()) for line in [*text.splitlines(), ""]]
    mine = "\n".join(source[slice(*_lines(given[name(piece)]))])
    if len(statements) > 1:
        mine = _indented(mine, " " * statements[-1].col_offset)
    return "\n".join([*lines[:top], *own, *lines[top:first], mine, *lines[last:]]) + "\n"


def brought(piece: str, module: str, answer: str) -> dict[str, str]:
    """What an answer uses of its own: each name, and the text of the statement that defines it. Raises NoPiece."""
    given, source = _definitions(piece, answer), answer.splitlines()
    taken = {found for node in ast.parse(module).body for found in _names(node)} | {name(piece)}
    needed = _needed(given, given[name(piece)], taken)
    return {found: "\n".join(source[slice(*_lines(node))]) for node in needed for found in _names(node)}


def _definitions(piece: str, answer: str) -> dict[str, ast.stmt]:
    """Of each name that the answer defines, the last statement that does. Raises NoPiece."""
    try:
        given = {found: node for node in ast.parse(answer).body for found in _names(node)}
    except (SyntaxError, ValueError) as error:
        raise NoPiece(f"the answer is no Python: {error}") from None
    if name(piece) not in given:
        raise NoPiece(f"the answer defines no {name(piece)}")
    return given


def _statements(piece: str, module: str) -> list[ast.stmt]:
    """The definition, after those that it stands in. Raises NoPiece."""
    found: list[ast.stmt] = []
    body = ast.parse(module).body
    for part in piece.partition(":")[2].split("."):
        node = next((node for node in body if part in _names(node) and not isinstance(node, _IMPORT)), None)
        if node is None:
            raise NoPiece(f"{piece}: there is no function, class, method or constant of that name in its module")
        found.append(node)
        body = node.body if isinstance(node, ast.ClassDef) else []
    return found


_IMPORT = ast.Import | ast.ImportFrom
_STRING = (tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", None))  # Python 3.12 takes f-strings apart


def _names(node: ast.AST) -> Iterator[str]:
    """What a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, _IMPORT):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _needed(given: dict[str, ast.stmt], node: ast.stmt, taken: set[str]) -> list[ast.stmt]:
    """The statements that this one, and they, use; in their order."""
    found: list[ast.stmt] = []
    for used in sorted(_used(symtable.symtable(ast.unparse(node), "", "exec"))):
        if used in given and used not in taken:
            taken.add(used)
            found += [*_needed(given, given[used], taken), given[used]]
    return sorted(dict.fromkeys(found), key=lambda statement: statement.lineno)


def _used(table: symtable.SymbolTable) -> set[str]:
    """The names that code takes from its module; a parameter of the same name is none."""
    outer = table.get_type() == "module"
    found = [symbol for symbol in table.get_symbols() if symbol.is_referenced() and (outer or symbol.is_global())]
    mine = {symbol.get_name() for symbol in found}
    return mine.union(*(_used(inner) for inner in table.get_children()))


def _lines(node: ast.stmt) -> tuple[int, int]:
    """The first and the last of its lines, as a slice."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return first - 1, node.end_lineno or node.lineno


def _indented(code: str, by: str) -> str:
    """The code further in, but for the lines within its strings, which would not be the same then."""
    inside: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type in _STRING:
            inside |= set(range(token.start[0] + 1, token.end[0] + 1))
    lines = enumerate(code.splitlines(), 1)
    return "\n".join(line if number in inside or not line.strip() else by + line for number, line in lines)
