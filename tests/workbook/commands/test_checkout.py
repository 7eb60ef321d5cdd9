"""What cannot be done with the checkout is said in a sentence."""

import pytest

from workbook import cli, study, update
from workbook.processes import NotStarted


def test_an_update_that_is_refused_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise update.NotUpdated("git pull: no such remote")

    monkeypatch.setattr(update, "update", refuse)
    assert cli.main(["update"]) == 1
    assert capsys.readouterr().err == "workbook: git pull: no such remote\n"


def test_what_cannot_be_started_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*, browser: bool) -> int:
        raise NotStarted(f"jupyter did not start, browser {browser}")

    monkeypatch.setattr(study, "study", refuse)
    assert cli.main(["study", "--no-browser"]) == 1
    assert capsys.readouterr().err == "workbook: jupyter did not start, browser False\n"


def test_ctrl_c_is_no_error_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(update, "update", interrupted)
    assert cli.main(["update"]) == 130
    assert capsys.readouterr().err == ""
