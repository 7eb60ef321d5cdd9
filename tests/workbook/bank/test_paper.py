"""The page, measured where it is drawn."""

import re
from pathlib import Path

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from workbook.bank.paper import HEIGHT, LARGEST, MARGIN, MM, SMALLEST, WIDTH, DoesNotFit, lines, page, pdf
from workbook.bank.sheets import sheets
from workbook.source import sources

FULL = "\n".join(["# Day 1 on one page", "", *["- Which key has a table of points? **" + 50 * "n" + "**"] * 58])
SHEETS = [
    *sheets(sources()).values(),
    FULL,
    "# Wide\n\n- " + " ".join(12 * ["mmmm"]),
    "# Code\n\n## 1.1 · A\n- `f(*a)` costs $2$ *or* 3",
]
NAMES = [sheet.splitlines()[0][2:] for sheet in SHEETS]


@pytest.mark.parametrize(
    ("sheet", "says"),
    [
        ("- " + "W" * 75, "shorten this line, which is 1.18 times as wide as a page: '•  WWWW"),
        ("- one\n" * 70, "leave out some of its 70 lines: they are 1.07 times a page"),
        ("- a cat: \N{CAT}", "the page's font has no '\N{CAT}'"),
    ],
)
def test_what_cannot_be_read_or_set_is_refused(sheet: str, says: str) -> None:
    with pytest.raises(DoesNotFit) as refused:
        page(sheet)
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize("sheet", SHEETS, ids=NAMES)
def test_every_line_is_on_the_page_in_its_order(sheet: str) -> None:
    rows: dict[float, str] = {}
    for text in page(sheet).texts:
        rows[text.get_position()[1]] = rows.get(text.get_position()[1], "") + text.get_text()
    assert list(rows) == sorted(rows, reverse=True)
    plain = [re.sub(r"^(#+|-) |\*\*|`|(?<=\s)\*|\*(?=\s)|^\*|\*$", "", line) for line in sheet.splitlines() if line]
    assert [row.removeprefix("•  ") for row in rows.values()] == plain
    assert not any(text.get_parse_math() for text in page(sheet).texts)  # "$2$" costs two dollars


@pytest.mark.parametrize("sheet", SHEETS, ids=NAMES)
def test_nothing_is_outside_the_margins_or_on_something_else(sheet: str) -> None:
    figure = page(sheet)
    figure.set_dpi(720)  # ten dots a point: what is drawn in whole dots is where the PDF has it
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.texts if text.get_text().strip()]
    for box in boxes:
        assert box.x0 / 10 >= MARGIN - 1
        assert box.x1 / 10 <= WIDTH - MARGIN + 1
        assert box.y0 / 10 >= MARGIN - 1
        assert box.y1 / 10 <= HEIGHT - MARGIN + 1
    for number, box in enumerate(boxes):
        for other in boxes[number + 1 :]:
            wide, high = min(box.x1, other.x1) - max(box.x0, other.x0), min(box.y1, other.y1) - max(box.y0, other.y0)
            assert wide < 10 or high < 10
    assert all(SMALLEST <= text.get_fontsize() <= 1.7 * LARGEST for text in figure.texts)
    assert MARGIN >= 12 * MM


def test_answers_are_bold_and_questions_are_not() -> None:
    line = lines("- Which key? **The first**")[0]
    assert line.spans == (("plain", "•  "), ("plain", "Which key? "), ("bold", "The first"))
    fonts = [Path(text.get_fontproperties().get_file() or "").stem for text in page("- Which key? **The first**").texts]
    assert fonts == ["DejaVuSans", "DejaVuSans", "DejaVuSans-Bold"]


def test_a_wide_line_makes_the_whole_page_smaller() -> None:
    (size,) = {text.get_fontsize() for text in page("- short\n- " + "n" * 90).texts}
    assert SMALLEST < size < LARGEST


def test_the_file_is_one_page_with_its_fonts_and_the_same_each_time() -> None:
    sheet = "# Day 1\n\n- Which key? **The first**"
    file = pdf(sheet)
    assert len(re.findall(rb"/Type /Page\b", file)) == 1
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", file)
    assert box
    assert [round(float(side) / MM) for side in box.groups()] == [210, 297]
    assert b"/FontFile2" in file
    assert b"/Type3" not in file
    assert b"Date" not in file
    with matplotlib.rc_context({"pdf.fonttype": 3, "savefig.bbox": "tight"}):  # a candidate's own settings
        assert pdf(sheet) == file
