"""Sites answer, say what a route raised, and end, whatever a route does."""

import json
import threading
import time
from contextlib import suppress

import pytest
from fastapi import FastAPI, Response

from workbook.labs import site as module
from workbook.labs.site import Answer, Site


def others() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "site" or thread.name.startswith("AnyIO")}


def test_an_answer_is_shown_with_what_a_reader_looks_at() -> None:
    shown = repr(Answer(422, {"Server": "x", "Location": "/a", "Content-Type": "application/json"}, '{"name":"größe"}'))
    assert shown.splitlines()[:3] == ["422 Unprocessable Content", "Location: /a", "Content-Type: application/json"]
    assert json.loads("\n".join(shown.splitlines()[3:])) == {"name": "größe"}
    assert repr(Answer(204, {}, "")) == "204 No Content"


def test_a_header_by_chance_is_left_out_and_one_that_was_sent_stays() -> None:
    app = FastAPI()
    app.get("/")(lambda: Response(headers={"X-Request-ID": "mine"}))
    with Site(app) as site:
        assert "X-Request-ID" not in site.ask("GET /").headers
        assert site.ask("GET /", X_Request_ID="mine").headers["X-Request-ID"] == "mine"


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
    monkeypatch.setattr(module, "END_SECONDS", 0.2)
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
