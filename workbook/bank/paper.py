"""A day's sheet on paper: one A4 page, drawn by matplotlib.

The sheet's text (`sheets.sheets`) has a line for each line of the page: "# title", "## block", "- point **answer**",
and plain ones. All are set in one size, the largest with which the widest and all together fit between the margins; a
title and a heading are larger by their factor. Lengths are in points, 1/72 inch, from the lower left corner.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import LoadFlags

from .markup import spans

MM = 72 / 25.4
WIDTH, HEIGHT = 210 * MM, 297 * MM
MARGIN = 15 * MM  # printers want 5 mm, a folder's holes 12
LARGEST, SMALLEST = 11.0, 8.0
FONTS = {"plain": "DejaVuSans", "bold": "DejaVuSans-Bold", "italic": "DejaVuSans-Oblique", "code": "DejaVuSansMono"}
_FOLDER = Path(matplotlib.get_data_path()) / "fonts/ttf"  # matplotlib's own, so every machine draws the same page


class DoesNotFit(Exception):
    """The sheet cannot be set on one page in a size that can be read; the text says which line is to blame."""


@dataclass(frozen=True)
class Line:
    """A line of the page. `scale` is its size, `above` and `height` its place, all as multiples of the page's size."""

    spans: tuple[tuple[str, str], ...]
    scale: float = 1.0
    above: float = 0.0
    height: float = 1.45

    @property
    def width(self) -> float:
        """As a multiple of the page's size."""
        return self.scale * sum(_width(style, text) for style, text in self.spans)

    @property
    def text(self) -> str:
        """What can be read."""
        return "".join(text for _, text in self.spans)


def lines(sheet: str) -> list[Line]:
    """Of a sheet's text."""
    found = []
    for line in filter(None, sheet.splitlines()):
        if line.startswith("# "):
            found.append(Line((("bold", line[2:]),), scale=1.7, height=2.4))
        elif line.startswith("## "):
            found.append(Line((("bold", line[3:]),), scale=1.2, above=0.8, height=1.8))
        elif line.startswith("- "):
            found.append(Line((("plain", "•  "), *spans(line[2:]))))
        else:
            found.append(Line(tuple(spans(line))))
    return found


def page(sheet: str) -> Figure:
    """The page. Raises DoesNotFit."""
    found = lines(sheet)
    size = _size(found)
    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72))
    y = HEIGHT - MARGIN
    for line in found:
        y -= size * (line.above + line.height)
        x = MARGIN
        for style, text in line.spans:
            figure.text(
                x / WIDTH,
                (y + 0.4 * size) / HEIGHT,  # the baseline: below it is room for what hangs down
                text,
                fontproperties=font_manager.FontProperties(fname=_FOLDER / f"{FONTS[style]}.ttf"),
                fontsize=size * line.scale,
                parse_math=False,
            )
            x += size * line.scale * _width(style, text)
    return figure


def pdf(sheet: str) -> bytes:
    """The page as a PDF that is the same each time. Raises DoesNotFit."""
    file = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a candidate may have settings of their own
        matplotlib.rcParams["pdf.fonttype"] = 42  # TrueType, embedded
        page(sheet).savefig(file, format="pdf", metadata={"CreationDate": None})
    return file.getvalue()


def _size(found: list[Line]) -> float:
    for line in found:
        most = (WIDTH - 2 * MARGIN) / line.width
        if most < SMALLEST:
            raise DoesNotFit(
                f"shorten this line, which is {SMALLEST / most:.2f} times as wide as a page: {line.text!r}"
            )
    high = (HEIGHT - 2 * MARGIN) / sum(line.above + line.height for line in found)
    if high < SMALLEST:
        raise DoesNotFit(f"leave out some of its {len(found)} lines: they are {SMALLEST / high:.2f} times a page")
    return min(LARGEST, high, (WIDTH - 2 * MARGIN) / max(line.width for line in found))


def _width(style: str, text: str) -> float:
    """Of a text in size 1."""
    font = font_manager.get_font(_FOLDER / f"{FONTS[style]}.ttf")
    for character in text:
        if not font.get_char_index(ord(character)):
            raise DoesNotFit(f"the page's font has no {character!r}, as in {text!r}: write it otherwise")
    font.set_size(100, 72)
    font.set_text(text, 0.0, flags=LoadFlags.NO_HINTING)
    return float(font.get_width_height()[0]) / 64 / 100
