"""What somebody hostile sends, over real connections, with a key of their own or with a browser of somebody else's."""

import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tracker.values import MAX_BODY, MAX_POINTS

SQL = [
    "' OR '1'='1",
    "'; DROP TABLE experiments; --",
    '" OR 1=1 --',
    "1) UNION SELECT key_hash FROM api_keys --",
    "loss' ORDER BY (SELECT key_hash FROM api_keys) --",
    "%' ESCAPE '",
    "\\",
    "\x00",
]
XSS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "</script><svg onload=alert(1)>",
    "{{7*7}}${7*7}",
]
TABLES = ("experiments", "runs", "metrics", "points", "api_keys")


def raw(guarded: Any, request: bytes) -> bytes:
    """The answer to these very bytes; empty if the server hangs up."""
    answer = b""
    port = httpx.URL(guarded.server.url).port or 0
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection, suppress(ConnectionError):
        connection.sendall(request)
        while part := connection.recv(65_536):
            answer += part
    return answer


def with_key(guarded: Any, line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request of ann's, written by hand."""
    key = f"Authorization: Bearer {guarded.keys['ann']}"
    length = f"Content-Length: {len(body)}"
    lines = [line, "Host: localhost", "Connection: close", key, length, *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def rows(guarded: Any) -> dict[str, int]:
    """How many there are in each table."""
    with closing(sqlite3.connect(guarded.server.folder / "tracker.db")) as connection:
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES}


@pytest.fixture(scope="module")
def run(guarded: Any) -> Iterator[dict[str, Any]]:
    """One of ann's, with a curve."""
    with guarded.client(guarded.keys["ann"]) as ann:
        experiment = ann.post("/experiments", json={"name": "attacked"}).json()["id"]
        run = ann.post(f"/experiments/{experiment}/runs", json={}).json()
        ann.post(f"/runs/{run['id']}/metrics", json={"series": {"loss": {"steps": [1], "values": [1]}}})
        yield run


def texts(operation: dict[str, Any]) -> list[tuple[str, str]]:
    """The place and name of each parameter of an operation that may be a text."""
    return [(p["in"], p["name"]) for p in operation.get("parameters", ()) if '"string"' in json.dumps(p["schema"])]


def texts_of(answer: Any) -> set[str]:
    """Every text and every name in it."""
    if isinstance(answer, dict):
        return set(answer).union(*map(texts_of, answer.values()))
    if isinstance(answer, list):
        return set().union(*map(texts_of, answer))
    return {answer} if isinstance(answer, str) else set()


class TestInjection:
    @pytest.mark.parametrize("hostile", SQL)
    def test_sql_in_any_parameter_is_a_text_or_refused(
        self, guarded: Any, ann: httpx.Client, bob: httpx.Client, root: httpx.Client, run: dict[str, Any], hostile: str
    ) -> None:
        bob.post("/experiments", json={"name": "not ann's"})
        before, tried = rows(guarded), 0
        for path, methods in guarded.server.app.openapi()["paths"].items():
            for place, name in texts(methods.get("get", {})):
                if place == "header":
                    continue
                ids = {"{experiment_id}": run["experiment_id"], "{run_id}": run["id"]}
                filled = path.replace("{key}", quote(hostile if name == "key" else "loss", safe=""))
                for written, number in ids.items():
                    filled = filled.replace(written, str(number))
                query = {"run": run["id"], "key": "loss"} if path == "/compare" else {}
                query |= {name: hostile} if place == "query" else {}
                answer = (root if path == "/keys" else ann).get(filled, params=query)
                assert answer.status_code in (200, 400, 404, 422), f"{path} {name}: {answer.text}"
                assert "not ann's" not in answer.text
                assert "SELECT" not in answer.text.replace(hostile, "").replace(json.dumps(hostile)[1:-1], "")
                tried += 1
        assert tried >= 10
        assert rows(guarded) == before

    @pytest.mark.parametrize("hostile", [text for text in SQL if text.isprintable()])
    def test_sql_in_any_field_is_kept_as_text(self, ann: httpx.Client, guarded: Any, hostile: str) -> None:
        experiment = ann.post("/experiments", json={"name": hostile, "description": hostile}).json()
        assert (experiment["name"], experiment["description"]) == (hostile, hostile)
        made = {"name": hostile, "params": {hostile: hostile}, "tags": {hostile: [hostile]}, "job": hostile}
        run = ann.post(f"/experiments/{experiment['id']}/runs", json=made).json()
        assert {name: run[name] for name in made} == made
        points = [{"key": hostile, "value": 1, "step": 1}]
        assert ann.post(f"/runs/{run['id']}/metrics", json={"points": points}).status_code == 201
        found = ann.get(f"/experiments/{experiment['id']}/runs", params={"sort": f"-{hostile}", "keys": hostile})
        assert list(found.json()["items"][0]["latest"]) == [hostile]
        assert ann.get("/runs", params={"job": hostile}).json()["items"][0]["id"] == run["id"]
        ann.delete(f"/experiments/{experiment['id']}")
        assert min(rows(guarded)[name] for name in ("experiments", "runs", "api_keys")) > 0

    @pytest.mark.parametrize("hostile", XSS)
    def test_a_page_as_a_name_comes_back_as_text_that_is_no_page(self, ann: httpx.Client, hostile: str) -> None:
        experiment = ann.post("/experiments", json={"name": hostile, "description": hostile}).json()
        made = {"name": hostile, "tags": {hostile: hostile}}
        run = ann.post(f"/experiments/{experiment['id']}/runs", json=made).json()
        ann.post(f"/runs/{run['id']}/metrics", json={"points": [{"key": hostile, "value": 1, "step": 1}]})
        number, key = experiment["id"], quote(hostile, safe="")
        for path in (
            f"/experiments/{number}",
            f"/experiments?name={quote(hostile)}",
            f"/runs/{run['id']}",
            f"/runs/{run['id']}/metrics/{key}",
            f"/runs/{run['id']}/metrics/x{key}",
            f"/compare?run={run['id']}&key={key}",
            f"/experiments/{number}/export",
            f"/experiments/{number}/export?format=csv",
            f"/nothing/{key}",
            f"/runs/{key}",
            f"/ui/{key}",
        ):
            answer = ann.get(path)
            kind = answer.headers["content-type"].partition(";")[0]
            assert kind in ("application/json", "application/problem+json", "application/x-ndjson", "text/csv"), path
            assert answer.headers["x-content-type-options"] == "nosniff"
            if answer.status_code == 200 and kind == "application/json":
                assert hostile in texts_of(answer.json()), path
        ann.delete(f"/experiments/{number}")

    @pytest.mark.parametrize("breaks", ["a\r\nSet-Cookie: mine=1", "a\nX: y", "a\rb", "a\x00b"])
    def test_a_name_cannot_add_a_header(self, ann: httpx.Client, breaks: str) -> None:
        for body in ({"name": breaks}, {"name": "a", "owner": breaks}):
            assert ann.post("/experiments", json=body).status_code == 422
        answer = ann.get("/ui/", params={"ticket": breaks})
        assert (answer.headers["location"], "set-cookie" in answer.headers) == ("/ui/", False)

    def test_an_id_of_a_request_cannot_add_a_header(self, guarded: Any) -> None:
        for brought in ("X-Request-ID: a\r\n evil: 1", "X-Request-ID: a\nevil: 1", "X-Request-ID: a%0d%0aevil: 1"):
            head = raw(guarded, with_key(guarded, "GET /experiments HTTP/1.1", brought)).partition(b"\r\n\r\n")[0]
            assert b"\r\nevil" not in head
            assert head == b"" or head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "/ui/../server/config.py",
            "/ui/..%2fserver%2fconfig.py",
            "/ui/%2e%2e/%2e%2e/pyproject.toml",
            "/ui/....//server/config.py",
            "/ui//etc/passwd",
            "/ui/..\\server\\config.py",
            "/ui/%00",
            "/ui/page.js%00.html",
            "/ui/" + "../" * 30 + "etc/passwd",
            "/ui/" + "a" * 5000,
        ],
    )
    def test_no_way_leads_out_of_the_pages(self, guarded: Any, path: str) -> None:
        answer = raw(guarded, with_key(guarded, f"GET {path} HTTP/1.1"))
        assert answer.startswith(b"HTTP/1.1 404"), answer[:200]
        assert b"root:" not in answer
        assert b"Settings" not in answer

    @pytest.mark.parametrize(
        "path", ["//experiments", "/experiments/", "/EXPERIMENTS", "/./experiments", "/ui/../experiments"]
    )
    def test_no_other_spelling_of_a_route_goes_without_a_key(self, guarded: Any, path: str) -> None:
        answer = raw(guarded, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert answer.split(b" ")[1] in (b"401", b"404", b"307")
        assert b'"items"' not in answer


class TestBrowsers:
    """Of somebody who is signed in, and then opens a page of somebody else."""

    @pytest.fixture
    def victim(self, guarded: Any) -> Iterator[httpx.Client]:
        with guarded.client() as browser:
            browser.post("/session", json={"key": guarded.keys["ann"]})
            yield browser

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost", None])
    def test_a_foreign_page_changes_nothing(
        self, victim: httpx.Client, run: dict[str, Any], origin: str | None
    ) -> None:
        headers = {} if origin is None else {"Origin": origin}
        for method, path, body in (
            ("DELETE", f"/experiments/{run['experiment_id']}", None),
            ("DELETE", f"/runs/{run['id']}", None),
            ("PATCH", f"/runs/{run['id']}", {"name": "mine"}),
            ("POST", "/experiments", {"name": "mine"}),
            ("POST", "/tickets", None),
        ):
            answer = victim.request(method, path, json=body, headers=headers)
            assert answer.status_code == 403, f"{method} {path}"
            assert "a page of another server" in answer.json()["detail"]
        assert victim.get(f"/runs/{run['id']}").json()["name"] == run["name"]

    def test_a_form_sends_no_json(self, victim: httpx.Client, guarded: Any) -> None:
        """Even one of our own origin, as a name with markup in it would need."""
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
            headers = {"Origin": guarded.server.url, "Content-Type": kind}
            answer = victim.post("/experiments", content=b'{"name": "mine"}', headers=headers)
            assert answer.status_code == 422
            assert "Content-Type: application/json" in answer.json()["detail"]

    def test_a_preflight_of_a_foreign_page_allows_nothing(self, victim: httpx.Client) -> None:
        asks = {"Origin": "http://evil.example", "Access-Control-Request-Method": "DELETE"}
        assert "access-control-allow-origin" not in victim.options("/experiments/1", headers=asks).headers

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "a b", ""])
    def test_a_foreign_name_reads_nothing_even_with_a_key(self, guarded: Any, ann: httpx.Client, host: str) -> None:
        answer = ann.get("/experiments", headers={"Host": host})
        assert answer.status_code in (400, 421)
        assert "items" not in answer.text

    def test_of_two_hosts_none_counts(self, guarded: Any) -> None:
        answer = raw(guarded, with_key(guarded, "GET /experiments HTTP/1.1", "Host: evil.example"))
        assert answer.split(b" ")[1:2] in ([b"400"], [b"421"], [])


class TestSizes:
    def test_a_body_that_is_too_large_is_413(self, ann: httpx.Client, run: dict[str, Any]) -> None:
        for path in ("/experiments", f"/runs/{run['id']}/metrics"):
            answer = ann.post(path, content=b" " * (MAX_BODY + 1), headers={"Content-Type": "application/json"})
            assert answer.status_code == 413

    def test_so_is_one_that_does_not_say_its_length(self, ann: httpx.Client, run: dict[str, Any]) -> None:
        parts = (b" " * 65_536 for _ in range(MAX_BODY // 65_536 + 1))
        answer = ann.post("/experiments", content=parts, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413

    def test_a_batch_of_too_many_points_is_413(self, ann: httpx.Client, run: dict[str, Any]) -> None:
        steps = list(range(MAX_POINTS + 1))
        series = {"loss": {"steps": steps, "values": [1] * len(steps)}}
        assert ann.post(f"/runs/{run['id']}/metrics", json={"series": series}).status_code == 413

    @pytest.mark.parametrize("opening", ["[", '{"a":', '{"params": {"a": ['])
    def test_json_however_deep_is_refused(self, ann: httpx.Client, run: dict[str, Any], opening: str) -> None:
        for path in ("/experiments", f"/experiments/{run['experiment_id']}/runs", "/session"):
            headers = {"Content-Type": "application/json"}
            answer = ann.post(path, content=opening.encode() * 100_000, headers=headers)
            assert answer.status_code == 422, answer.text[:200]
        assert ann.get("/healthz").status_code == 200

    @pytest.mark.parametrize("number", ["1e400", "9" * 4000, "-1", "NaN"])
    def test_numbers_that_nothing_can_hold_are_no_fault(
        self, ann: httpx.Client, run: dict[str, Any], number: str
    ) -> None:
        headers = {"Content-Type": "application/json"}
        body = f'{{"points": [{{"key": "x", "value": 1, "step": {number}}}]}}'.encode()
        assert ann.post(f"/runs/{run['id']}/metrics", content=body, headers=headers).status_code == 422
        for path in (f"/runs/{number}", f"/compare?run={number}&key=loss", f"/runs?limit={number}"):
            assert ann.get(path).status_code == 422

    def test_a_page_has_at_most_its_rows(self, ann: httpx.Client) -> None:
        for path in ("/experiments", "/runs", "/keys"):
            assert ann.get(path, params={"limit": 201}).status_code in (403, 422)

    def test_headers_without_end_are_refused(self, guarded: Any) -> None:
        """The connection goes, the server stays."""
        for headers in ([f"X-{number}: {'a' * 1000}" for number in range(2000)], [f"Cookie: {'a' * 1_000_000}"]):
            answer = raw(guarded, with_key(guarded, "GET /experiments HTTP/1.1", *headers))
            assert answer == b"" or answer.split(b" ")[1] in (b"400", b"431", b"200")
        with guarded.client() as client:
            assert client.get("/healthz").status_code == 200

    def test_of_a_header_that_comes_twice_the_dangerous_ones_are_refused(self, guarded: Any) -> None:
        two = with_key(guarded, "GET /experiments HTTP/1.1", f"Authorization: Bearer {guarded.keys['bob']}")
        assert raw(guarded, two).startswith(b"HTTP/1.1 401")
        smuggled = with_key(guarded, "POST /experiments HTTP/1.1", "Content-Length: 5", body=b'{"name": "smuggled"}')
        assert raw(guarded, smuggled)[:12] in (b"HTTP/1.1 400", b"")
        both = with_key(guarded, "POST /experiments HTTP/1.1", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")
        assert raw(guarded, both)[9:12] in (b"400", b"422", b"")

    def test_what_is_no_http_is_refused(self, guarded: Any) -> None:
        for request in (b"\x16\x03\x01\x02\x00" * 100, b"GET\r\n\r\n", b"\r\n" * 1000 + b"x\r\n\r\n"):
            assert not raw(guarded, request).startswith(b"HTTP/1.1 2")
