"""`workbook sheets`, as a candidate types it."""

from pathlib import Path

import pytest

from workbook import cli
from workbook.bank import paper, sheets

NAME = "day1-python-backend-db.pdf"


def test_a_day_without_a_sheet_is_named_beside_those_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sheets", "d7"]) == 1
    assert capsys.readouterr().err == "workbook: there is no sheet of 'd7'; there is one of d1\n"


def test_a_place_that_cannot_be_written_is_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    assert cli.main(["sheets", "--folder", str(tmp_path / "file")]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"workbook: {tmp_path}/file/{NAME} cannot be written: ")
    assert said.endswith("; name another place with --folder\n")


def test_what_does_not_fit_the_page_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paper, "SMALLEST", 30.0)
    assert cli.main(["sheets", "--folder", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("workbook: the sheet of d1 does not fit a page: shorten this line")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "days"), [(["d2"], ["day2-b"]), ([], ["day1-a", "day2-b"])], ids=["one day", "every day"]
)
def test_pages_are_written_and_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    days: list[str],
) -> None:
    short = {Path(f"cheatsheets/{day}.md"): f"# {day}\n" for day in ("day1-a", "day2-b")}
    monkeypatch.setattr(sheets, "sheets", lambda books: short)
    assert cli.main(["sheets", *arguments, "--folder", str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out == "".join(f"{tmp_path}/new/{day}.pdf\n" for day in days)
    assert sorted(file.stem for file in (tmp_path / "new").iterdir()) == days
    assert all(file.read_bytes().startswith(b"%PDF-") for file in (tmp_path / "new").iterdir())
