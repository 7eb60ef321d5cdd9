"""A tracker of a lesson's own: what it keeps, and that nothing of yours gets into it."""

from contextlib import closing
from pathlib import Path

import pytest

import tracker
from tracker.client.http import Api, Unanswered
from workbook.labs.server import NoService
from workbook.labs.tracker import Tracker


def test_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_TRACKER", "off")
    with pytest.raises(NoService, match="The tracker is switched off"):
        Tracker()


def test_what_was_logged_outlives_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_RATE_LIMIT", "yours")  # which no server would accept
    monkeypatch.setenv("TRACKER_DATABASE_URL", "postgresql://yours/tracker")
    with Tracker() as server, closing(Api(server.url)) as api:
        with tracker.init("lesson", url=server.url, folder=tmp_path) as run:
            run.log({"loss": 0.5})
        server.kill()
        with pytest.raises(Unanswered):
            api.experiment("lesson")
        server.restart()
        assert api.experiment("lesson")["run_count"] == 1
