"""Pieces of a module, and answers in their place."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from workbook.pieces.piece import NoPiece, grafted, name, path, text
from workbook.source import ROOT

MODULE = '''"""Of several things."""

import functools

from fastapi import APIRouter, Depends

router = APIRouter()
LIMIT: int = 3
SQL = """
SELECT 1
"""


@functools.cache
def first(x):
    return x


class Second:
    """Two."""

    x = 1

    @property
    def y(self):
        """Why."""
        return self.x


def page(limit: int = LIMIT):
    return limit


@router.get("/things")
def things(size: int = Depends(page)):
    return [size]


third = 3
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "package" / "inner").mkdir(parents=True)
    (tmp_path / "package" / "things.py").write_text(MODULE)
    (tmp_path / "package" / "inner" / "__init__.py").write_text("def f(): pass")
    return tmp_path


class TestPiece:
    @pytest.mark.parametrize(
        "piece",
        [
            "package.things:fourth",
            "package.things:",
            "package.things:Second.z",
            "package.things:first.x",
            "package.things:functools",
            "package.gone:first",
            "gone:first",
        ],
    )
    def test_what_is_not_defined_there_is_none(self, root: Path, piece: str) -> None:
        with pytest.raises(NoPiece, match=f"^{piece}: "):
            text(piece, root)

    def test_it_is_the_text_that_stands_in_its_module(self, root: Path) -> None:
        assert text("package.things:first", root) == "@functools.cache\ndef first(x):\n    return x"
        assert text("package.things:Second", root).startswith('class Second:\n    """Two."""\n\n    x = 1')
        assert text("package.things:SQL", root) == 'SQL = """\nSELECT 1\n"""'
        assert text("package.things:LIMIT", root) == "LIMIT: int = 3"
        assert text("package.things:things", root).startswith('@router.get("/things")\ndef things(')
        assert text("package.inner:f", root) == "def f(): pass"
        assert path("package.inner:f", root) == root / "package/inner/__init__.py"

    def test_a_method_begins_at_the_margin(self, root: Path) -> None:
        assert text("package.things:Second.y", root) == '@property\ndef y(self):\n    """Why."""\n    return self.x'

    def test_an_answer_defines_the_last_part_of_its_name(self) -> None:
        assert (name("a.b:first"), name("a.b:Second.y")) == ("first", "y")


class TestGraft:
    @pytest.mark.parametrize(
        ("answer", "says"),
        [
            ("def first(x:", "the answer is no Python: .*line 1"),
            ("def frist(x): return x", "the answer defines no first"),
            ("", "the answer defines no first"),
        ],
    )
    def test_what_cannot_be_grafted_is_refused(self, answer: str, says: str) -> None:
        with pytest.raises(NoPiece, match=says):
            grafted("package.things:first", MODULE, answer)

    @pytest.mark.parametrize(
        "piece", ["first", "Second", "Second.y", "Second.x", "SQL", "LIMIT", "page", "things", "third"]
    )
    def test_a_piece_in_its_own_place_changes_nothing(self, root: Path, piece: str) -> None:
        piece = f"package.things:{piece}"
        assert grafted(piece, MODULE, text(piece, root)) == MODULE

    @pytest.mark.parametrize(
        ("module", "piece"),
        [
            ("tracker.values", "decode"),
            ("tracker.server.schema", "Point"),
            ("tracker.server.ingest", "Ingest._store"),
            ("tracker.server.store.curves", "BUCKETS"),
            ("tracker.server.api.route", "router"),
        ],
    )
    def test_so_it_is_for_pieces_of_the_tracker(self, module: str, piece: str) -> None:
        whole = path(f"{module}:{piece}", ROOT).read_text()
        assert grafted(f"{module}:{piece}", whole, text(f"{module}:{piece}", ROOT)) == whole

    def test_an_answer_takes_the_place_of_the_piece_alone(self) -> None:
        answer = "print('tried')\nx = first\n\ndef first(x):\n    return -x\n\nfirst(3)"
        before = "@functools.cache\ndef first(x):\n    return x"
        assert grafted("package.things:first", MODULE, answer) == MODULE.replace(before, "def first(x):\n    return -x")

    def test_it_brings_what_it_uses_of_its_own(self) -> None:
        answer = """
import math
import os
from itertools import chain, count

STEP = math.pi
unused = os

def helper(x):
    return STEP * x

def page(limit: int = 5):
    return helper(limit) + next(count())
"""
        here: dict[str, Any] = {}
        whole = grafted("package.things:page", MODULE, answer)
        exec(compile(whole, "things", "exec"), here)
        assert here["page"](1) == pytest.approx(3.14159, abs=1e-4)
        assert "unused" not in here
        assert "os" not in here

    def test_the_modules_own_names_stay_its_own(self) -> None:
        answer = """
from fastapi import APIRouter
router = APIRouter()
LIMIT = 100

@router.get("/things")
def things(size: int = Depends(page)):
    return [size, LIMIT]
"""
        whole = grafted("package.things:things", MODULE, answer)
        assert whole == MODULE.replace("return [size]", "return [size, LIMIT]")

    def test_a_method_goes_into_its_class_and_what_it_uses_before_it(self) -> None:
        answer = '''
TEXT = 7

def y(self):
    """Why.

    And how."""
    return f"""
{self.x} of
{TEXT}"""
'''
        here: dict[str, Any] = {}
        exec(compile(grafted("package.things:Second.y", MODULE, answer), "things", "exec"), here)
        assert here["Second"]().y() == "\n1 of\n7"

    @pytest.mark.parametrize(
        ("piece", "answer", "says"),
        [
            (
                "things",
                "@router.get('/things')\ndef things(size: int = Depends(page)):\n    return {'mine': size}",
                {"mine": 3},
            ),
            ("page", "def page(limit: int = 9):\n    return limit * 2", [18]),
        ],
        ids=["a route", "a dependency"],
    )
    def test_what_fastapi_calls_is_called_in_place_of_the_reference(
        self, piece: str, answer: str, says: object
    ) -> None:
        here: dict[str, Any] = {}
        exec(compile(grafted(f"package.things:{piece}", MODULE, answer), "things", "exec"), here)
        app = FastAPI()
        app.include_router(here["router"])

        async def ask() -> object:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
                return (await client.get("/things")).json()

        assert asyncio.run(ask()) == says
