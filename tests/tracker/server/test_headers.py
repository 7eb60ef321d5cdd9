"""What each answer tells the browser, and whose pages may read it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest

from tracker.server.config import Settings

ORIGIN = "https://lab.example"


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, answering: Callable[[Settings], AbstractContextManager[Any]]
) -> Iterator[httpx.Client]:
    """A server that pages of ORIGIN may ask."""
    settings = Settings(tmp_path_factory.mktemp("shared"), origins=frozenset({ORIGIN}))
    with answering(settings) as server, httpx.Client(base_url=server.url) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/experiments", "/experiments/999", "/nothing", "/healthz", "/metrics", "/ui/", "/ui/page.js", "/"]
)
def test_every_answer_is_what_it_says_it_is_and_stays_here(http: httpx.Client, path: str) -> None:
    headers = http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert "cache-control" in headers


def test_a_fault_has_them_too(http: httpx.Client, server: Any) -> None:
    server.app.state.figures, figures = None, server.app.state.figures
    answer = http.get("/metrics")
    server.app.state.figures = figures
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_data_is_not_kept_unless_it_is_asked_for_again(http: httpx.Client) -> None:
    assert http.get("/experiments").headers["cache-control"] == "no-store"
    experiment = http.post("/experiments", json={"name": "cached"}).json()["id"]
    run = http.post(f"/experiments/{experiment}/runs", json={}).json()["id"]
    http.post(f"/runs/{run}/metrics", json={"series": {"loss": {"steps": [1], "values": [1]}}})
    answer = http.get(f"/runs/{run}/metrics/loss")
    again = http.get(f"/runs/{run}/metrics/loss", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert answer.headers["cache-control"] == again.headers["cache-control"] == "private, no-cache"


def test_pages_of_others_read_nothing(http: httpx.Client, shared: httpx.Client) -> None:
    for client, origin in ((http, ORIGIN), (shared, "https://evil.example"), (shared, f"{ORIGIN}.evil.example")):
        assert "access-control-allow-origin" not in client.get("/experiments", headers={"Origin": origin}).headers
        asks = {"Origin": origin, "Access-Control-Request-Method": "DELETE"}
        assert "access-control-allow-origin" not in client.options("/runs/1", headers=asks).headers


def test_pages_that_are_allowed_read_with_a_key_and_without_a_cookie(shared: httpx.Client) -> None:
    answer = shared.get("/experiments", headers={"Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in answer.headers
    asks = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    preflight = shared.options("/experiments", headers=asks)
    assert preflight.status_code == 200
    assert preflight.headers["x-content-type-options"] == "nosniff"
