"""The tracker as a site: what it logs, what it does without its database, and with a route of somebody else's."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter, Request

from workbook.labs import web
from workbook.labs.web import Tracker


@pytest.fixture(scope="module")
def tracker() -> Iterator[Tracker]:
    with web.tracker() as site:
        yield site


def test_what_is_no_json_is_sent_and_shown_as_it_is(tracker: Tracker) -> None:
    refused = tracker.ask("POST /experiments", b"{")
    assert (refused.status, refused.headers["Content-Type"]) == (422, "application/problem+json")
    assert repr(tracker.ask("GET /metrics")).splitlines()[0] == "200 OK"


def test_its_lines_are_found_by_their_request(tracker: Tracker) -> None:
    tracker.ask("GET /experiments", X_Request_ID="mine")
    (line,) = [line for line in tracker.lines() if line["request"] == "mine"]
    assert (line["says"], line["status"]) == ("GET /experiments", 200)


def test_without_its_database_it_lives_and_is_not_ready(tracker: Tracker) -> None:
    with tracker.without_database():
        assert tracker.ask("GET /healthz").status == 200
        refused = tracker.ask("GET /readyz")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    assert tracker.ask("GET /readyz").status == 200


def test_a_route_answers_in_the_place_of_the_trackers_and_the_newest_counts() -> None:
    router = APIRouter()

    @router.get("/experiments")
    def older() -> str:
        return "older"

    @router.get("/experiments")
    def newer() -> str:
        return "newer"

    with web.tracker(router, newer) as site:
        assert site.ask("GET /experiments").json == "newer"
        assert site.ask("POST /experiments", {"name": "a"}).status == 201
    with pytest.raises(AssertionError, match="nobody calls this function"):
        web.tracker(router, lambda: None)
    router.get("/experimints")(older)
    with pytest.raises(AssertionError, match="the tracker has no GET /experimints"):
        web.tracker(router, older)


def test_a_request_that_waits_for_others_stalls_nobody_unless_it_is_async() -> None:
    router = APIRouter()

    @router.delete("/experiments/{experiment_id}")
    async def blocks(experiment_id: int, request: Request) -> None:
        with request.app.state.database.write():
            pass

    with web.tracker(router, blocks) as site:
        assert not site.stalls_for("POST /experiments", {"name": "a"})
        assert site.stalls_for("DELETE /experiments/1")


def test_calls_are_made_at_once_and_what_they_raise_is_raised() -> None:
    met = threading.Barrier(3)
    assert sorted(web.at_once(*[lambda: met.wait(20)] * 3)) == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        web.at_once(lambda: 1 / 0, lambda: 1.0)


def test_nothing_of_it_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with web.tracker() as site:
        site.ask("POST /experiments", {"name": "a"})
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []
