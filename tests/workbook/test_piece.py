from pathlib import Path

import pytest

from workbook.piece import NoPiece, path, replaced, text

MODULE = '''"""Of three things."""

import functools


@functools.cache
def first(x):
    return x


class Second:
    """Two."""

    x = 1

third = 3
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "package" / "inner").mkdir(parents=True)
    (tmp_path / "package" / "things.py").write_text(MODULE)
    (tmp_path / "package" / "inner" / "__init__.py").write_text("def f(): pass")
    return tmp_path


def test_a_piece_is_the_text_that_stands_in_its_module(root: Path) -> None:
    assert text("package.things:first", root) == "@functools.cache\ndef first(x):\n    return x"
    assert text("package.things:Second", root) == 'class Second:\n    """Two."""\n\n    x = 1'
    assert text("package.inner:f", root) == "def f(): pass"
    assert path("package.inner:f", root) == root / "package/inner/__init__.py"


def test_another_text_in_its_place_leaves_the_rest_alone(root: Path) -> None:
    assert replaced("package.things:first", MODULE, "first = None") == MODULE.replace(
        "@functools.cache\ndef first(x):\n    return x", "first = None"
    )
    assert replaced("package.things:first", MODULE, text("package.things:first", root)) == MODULE


@pytest.mark.parametrize("piece", ["package.things:third", "package.things:", "package.gone:first", "gone:first"])
def test_what_is_no_function_and_no_class_is_no_piece(root: Path, piece: str) -> None:
    with pytest.raises(NoPiece, match=f"^{piece}: "):
        text(piece, root)
