"""What holds for every route: refusals, hosts, pages, and the OpenAPI document."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest


def problem(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == answer.status_code
    return body


def test_a_path_that_is_not_there_is_a_problem(http: httpx.Client) -> None:
    assert problem(http.get("/nothing"))["detail"] == "there is nothing at /nothing"


def test_a_method_that_is_not_there_is_a_problem(http: httpx.Client) -> None:
    answer = http.delete("/experiments")
    assert problem(answer)["detail"] == "DELETE is not possible here"
    assert answer.status_code == 405


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/experiments", "GET, POST"),
        ("/experiments/1", "DELETE, GET"),
        ("/runs/1", "DELETE, GET, PATCH"),
        ("/runs/1/metrics", "POST"),
        ("/runs/1/metrics/a/b", "GET"),
        ("/", "GET"),
        ("/ui/", "GET, HEAD"),
    ],
)
def test_a_refused_method_is_told_which_ones_there_are(http: httpx.Client, path: str, allowed: str) -> None:
    answer = http.put(path)
    assert problem(answer)["status"] == 405
    assert answer.headers["allow"] == allowed


def test_a_body_in_pieces_is_one_body(http: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for piece in (b'{"name": ', b"", b'"in pieces"', b"}"):
            yield piece
            time.sleep(0.01)

    answer = http.post("/experiments", content=pieces(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["name"]) == (201, "in pieces")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8000"])
def test_a_page_under_another_name_reads_nothing(http: httpx.Client, host: str) -> None:
    answer = http.get("/experiments", headers={"Host": host})
    assert answer.status_code == 421
    assert problem(answer)["type"] == "urn:tracker:unknown-host"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "LOCALHOST", "[::1]:8000"])
def test_this_machine_may_call_us_by_any_of_its_names(http: httpx.Client, host: str) -> None:
    assert http.get("/experiments", headers={"Host": host}).status_code == 200


def test_the_pages_load_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/ui/")
    assert page.status_code == 200
    policy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    assert page.headers["content-security-policy"] == policy
    assert "tracker" in page.text
    assert "://" not in page.text
    for name in ("page.js", "page.css", "icon.svg"):
        assert name in page.text
        assert http.get(f"/ui/{name}").status_code == 200


def test_the_root_leads_to_the_pages(http: httpx.Client) -> None:
    answer = http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/ui/")


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_there_is_no_page_that_needs_a_foreign_server(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 404


def test_every_route_says_what_it_refuses(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    assert document["components"]["schemas"]["Problem"]["required"] == ["type", "title", "status", "detail"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path in ("/healthz", "/readyz", "/metrics"):
                continue
            refusals = {code: r for code, r in operation["responses"].items() if code >= "400"}
            assert "422" in refusals, f"{method} {path}"
            for refusal in refusals.values():
                assert list(refusal["content"]) == ["application/problem+json"], f"{method} {path}"


def test_a_database_in_trouble_is_503_with_a_time_to_come_back(http: httpx.Client, server: Any) -> None:
    with closing(sqlite3.connect(server.folder / "tracker.db")) as connection, connection:
        connection.execute("ALTER TABLE experiments RENAME TO elsewhere")
    answer = http.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "no such table" in problem(answer)["detail"]
    assert http.get("/healthz").status_code == 200
    with closing(sqlite3.connect(server.folder / "tracker.db")) as connection, connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO experiments")
    assert http.get("/readyz").status_code == 200
