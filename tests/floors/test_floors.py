"""The house's rules: imports go down the floors, SQL stays in the store, the tests mirror the packages."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Floor by floor, from the ground up; a module imports only from floors below its own. The client and the server are
# two towers on the same ground: neither imports the other.
FLOORS = {
    "tracker": [
        ["tracker.values"],
        [
            "tracker.scope",
            "tracker.client.spool",
            "tracker.client.key",
            "tracker.client.process",
            "tracker.client.system",
            "tracker.train",
        ],
        ["tracker.client.http"],
        ["tracker.client.sender"],
        ["tracker.client.courier", "tracker.client.sync"],
        ["tracker.client.run"],
        ["tracker.client.frame"],
        [f"tracker.server.{noun}" for noun in ("body", "claim", "config", "digits", "headers", "observe", "schema")],
        ["tracker.server.remote"],
        [f"tracker.server.{noun}" for noun in ("db", "problem", "session", "wire")],
        [f"tracker.server.store.{noun}" for noun in ("curves", "pages", "statement", "upsert")],
        [f"tracker.server.store.{noun}" for noun in ("changes", "experiments", "keys")],
        ["tracker.server.store.archive", "tracker.server.store.runs"],
        ["tracker.server.store.points"],
        [f"tracker.server.{noun}" for noun in ("auth", "cache", "limit", "live", "pages", "opening")],
        ["tracker.server.pubsub"],
        ["tracker.server.fanout"],
        ["tracker.server.ingest", "tracker.server.known"],
        ["tracker.server.broker"],
        ["tracker.server.dead", "tracker.server.worker"],
        ["tracker.server.api.route"],
        [
            f"tracker.server.api.{noun}"
            for noun in ("curves", "events", "experiments", "health", "keys", "runs", "session")
        ],
        ["tracker.server.app"],
        ["tracker.server.serve"],
        ["tracker.doctor", "tracker.keys"],
        ["tracker.cli"],
        ["tracker.__main__"],
    ],
    "workbook": [
        [
            "workbook.capacity",
            "workbook.myst",
            "workbook.plan",
            "workbook.sketch",
            "workbook.strict",
            "workbook.whole",
            "workbook.labs.guard",
            "workbook.labs.memory",
        ],
        ["workbook.bank.dialogue", "workbook.bank.markup", "workbook.pieces.piece", "workbook.review"],
        ["workbook.pieces.impl", "workbook.pieces.mutants"],
        ["workbook.source", "workbook.labs.offline", "workbook.labs.server", "workbook.labs.site"],
        ["workbook.kinds", "workbook.processes", "workbook.bank.questions"],
        ["workbook.graft", "workbook.tries", "workbook.labs.web"],
        ["workbook.labs.postgres", "workbook.labs.rabbitmq", "workbook.labs.tracker", "workbook.labs.valkey"],
        ["workbook.labs.services"],
        ["workbook.labs.keeper"],
        ["workbook.check", "workbook.kernel", "workbook.bank.index", "workbook.bank.sheets", "workbook.labs.database"],
        ["workbook.judge", "workbook.progress"],
        ["workbook.board", "workbook.build", "workbook.solution", "workbook.pieces.mine"],
        ["workbook.bank.asking", "workbook.bank.deck", "workbook.bank.due", "workbook.bank.paper"],
        ["workbook.bank.schedule", "workbook.bank.sitting", "workbook.bank.spoken"],
        ["workbook.bank.ask"],
        ["workbook.plugin", "workbook.study", "workbook.update"],
        ["workbook.author.block"],
        ["workbook.author.asked"],
        ["workbook.author.evidence", "workbook.author.form"],
        ["workbook.author.contract", "workbook.author.scaffold"],
        ["workbook.commands.terminal"],
        ["workbook.commands.answers", "workbook.commands.bank", "workbook.commands.checkout"],
        ["workbook.commands.labs", "workbook.commands.mine", "workbook.commands.paper", "workbook.author.cli"],
        ["workbook.cli"],
        ["workbook.__main__"],
    ],
}
PACKAGES = {
    "tracker",
    "tracker.client",
    "tracker.server",
    "tracker.server.api",
    "workbook",
    "workbook.author",
    "workbook.bank",
    "workbook.commands",
    "workbook.labs",
    "workbook.pieces",
}  # their __init__: no code to speak of


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for file in sorted((ROOT / package).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if "migrations" not in parts and "blocks" not in parts and parts[-1] != "__init__":
            yield ".".join(parts), file


def imports(name: str, text: str) -> set[str]:
    """The modules of ours that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = name.split(".")[: -node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.add(module)
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def climbs(name: str, text: str) -> set[str]:
    """What a module imports that is not below it."""
    package = name.split(".")[0]
    level = {module: number for number, floor in enumerate(FLOORS[package]) for module in floor}
    known = {module for floors in FLOORS.values() for floor in floors for module in floor}
    if package == "tracker":  # a folder whose __init__ others use
        level["tracker.server.api"] = level["tracker.server.api.runs"]
        known.add("tracker.server.api")
    wrong = {
        other
        for other in imports(name, text) & known
        if (other in level and level[other] >= level[name]) or (package == "tracker" and other.startswith("workbook"))
    }
    towers = {"tracker.client": "tracker.server", "tracker.server": "tracker.client"}
    for tower, other in towers.items():
        if name.startswith(tower):
            wrong |= {module for module in imports(name, text) if module.startswith(other)}
    return wrong


ALL = [(name, file) for package in FLOORS for name, file in modules(package)]
NAMES = [name for name, _ in ALL]


@pytest.mark.parametrize(("name", "file"), ALL, ids=NAMES)
def test_a_module_imports_only_from_below(name: str, file: Path) -> None:
    assert climbs(name, file.read_text()) == set()


def test_every_module_has_its_floor() -> None:
    assert sorted(NAMES) == sorted(module for floors in FLOORS.values() for floor in floors for module in floor)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tracker.values", "from tracker.client import spool"),
        ("tracker.server.store.runs", "from .. import api"),
        ("tracker.server.store.runs", "from ..api import runs"),
        ("tracker.client.run", "from tracker.server.wire import Refusal"),
        ("tracker.server.app", "def f():\n    import tracker.client.http"),
        ("tracker.server.db", "from .wire import NotFound"),
        ("tracker.cli", "from workbook.source import ROOT"),
        ("workbook.check", "from .judge import Judge"),
    ],
)
def test_this_test_sees_a_climb(name: str, text: str) -> None:
    assert climbs(name, text)


SQL = re.compile(r"\b(SELECT\b.*\bFROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX))\b", re.S)
BUILDERS = {"select", "insert", "update", "delete", "text", "func"}


def statements(text: str) -> list[str]:
    """SQL in a module: as text, or the pieces of SQLAlchemy that make it."""
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.search(node.value):
            found.append(node.value)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy"):
            found += [alias.name for alias in node.names if alias.name in BUILDERS]
    return found


@pytest.mark.parametrize(("name", "file"), [m for m in ALL if m[0].startswith("tracker.")], ids=lambda x: str(x))
def test_sql_is_in_the_store_only(name: str, file: Path) -> None:
    found = statements(file.read_text())
    if name.startswith("tracker.server.store."):
        assert found or name.endswith(".pages")
    elif name == "tracker.server.schema":
        assert set(found) == {"text"}  # the WHERE of a partial index
    else:
        assert found == []


@pytest.mark.parametrize(
    "text", ["x = 'SELECT a FROM b'", "f('''insert into x''', 'DELETE FROM runs')", "from sqlalchemy import select"]
)
def test_this_test_sees_sql(text: str) -> None:
    assert statements(text)


@pytest.mark.parametrize(("name", "file"), ALL, ids=NAMES)
def test_a_module_is_read_in_one_sitting_and_says_what_it_is(name: str, file: Path) -> None:
    text = file.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(tree)
    for node in public(tree):
        assert ast.get_docstring(node), f"{name}.{node.name}"
        if isinstance(node, ast.ClassDef) and name.startswith("tracker."):
            for method in public(node):
                assert ast.get_docstring(method) or method.decorator_list, f"{name}.{node.name}.{method.name}"


def public(node: ast.Module | ast.ClassDef) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """What others may use of a module or a class."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return [inner for inner in node.body if isinstance(inner, kinds) and not inner.name.startswith("_")]


def test_the_core_is_read_in_one_sitting() -> None:
    """What a training calls, what is kept where, and what is asked how: about 1,500 lines of code, and a few more since
    the same store is kept in two kinds of database."""
    core = ["values", *(f"client/{m}" for m in ("run", "spool", "http"))]
    core += [f"server/{m}" for m in ("app", "wire", "db", "schema")]
    core += [f"server/api/{m}" for m in ("route", "experiments", "runs", "curves")]
    core += [f"server/store/{m}" for m in ("pages", "experiments", "runs", "points", "curves")]
    assert sum(code_lines((ROOT / f"tracker/{m}.py").read_text()) for m in core) <= 1765


def code_lines(text: str) -> int:
    """Lines with code on them: what explains it (docstrings, comments) should not be saved at."""
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in layout:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)


@pytest.mark.parametrize("name", [n for n in NAMES if not n.endswith("__main__")])
def test_a_module_has_its_tests_where_one_looks_for_them(name: str) -> None:
    *folders, module = name.removeprefix("tracker.server.api.").split(".")
    if not folders:  # a route is only seen from outside
        folders, module = ["tracker", "server"], "api"
    assert (ROOT / "tests").joinpath(*folders, f"test_{module}.py").exists()
