"""Sites for lessons and checks: they answer, say what they wrote, and end, whatever a route does."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI, Request

from workbook.labs import web
from workbook.labs.web import Site, Tracker


@pytest.fixture(scope="module")
def tracker() -> Iterator[Tracker]:
    with web.tracker() as site:
        yield site


def others() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "site" or thread.name.startswith("AnyIO")}


def test_an_answer_is_shown_with_what_a_reader_looks_at(tracker: Tracker) -> None:
    answer = tracker.ask("POST /experiments", {"name": "digits", "at": 0})
    shown = repr(answer).splitlines()
    assert shown[:4] == [
        "201 Created",
        f"Location: /experiments/{answer.json['id']}",
        "Content-Type: application/json",
        "{",
    ]
    assert json.loads("\n".join(shown[3:])) == answer.json
    assert "X-Request-ID" not in answer.headers
    assert tracker.ask("GET /healthz", X_Request_ID="mine").headers["X-Request-ID"] == "mine"


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


def test_a_stub_is_said_to_be_one_and_a_fault_is_named() -> None:
    app = FastAPI()

    @app.get("/stub")
    def stub() -> None:
        raise NotImplementedError

    @app.get("/fault")
    def fault() -> None:
        raise KeyError("name")

    with Site(app) as site:
        assert (site.ask("GET /fault").status, site.fault) == (500, "KeyError: 'name'")
        with pytest.raises(NotImplementedError):
            site.ask("GET /stub")


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_route_that_never_ends_ends_with_its_site(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "END_SECONDS", 0.2)
    begun = threading.Event()
    app = FastAPI()

    def in_a_thread() -> None:
        begun.set()
        while True:
            pass

    async def on_the_loop() -> None:
        in_a_thread()

    app.get("/endless")(in_a_thread if kind == "def" else on_the_loop)
    before = others()
    site = Site(app)
    client = threading.Thread(target=_ignored, args=(site, "GET /endless"))
    client.start()
    assert begun.wait(20)
    site.close()
    client.join(20)
    deadline = time.monotonic() + 20
    while others() - before:
        assert time.monotonic() < deadline, others()
        time.sleep(0.01)


def _ignored(site: Site, request: str) -> None:
    with suppress(OSError):
        site.ask(request)


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
