import io
import json
import logging
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from tracker.server.observe import JsonLines, request_id


@pytest.fixture
def lines(wait_until: Callable[..., None]) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What is written while the test runs, as `tracker serve` would write it: a moment after the answer."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("tracker.server")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)

    def read() -> list[dict[str, Any]]:
        wait_until(written.getvalue)
        return [json.loads(line) for line in written.getvalue().splitlines()]

    yield read
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def record(says: str, *arguments: object, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("tracker", logging.INFO, "app.py", 1, says, arguments, more.pop("exc_info", None))
    made.created = 1767225600.5
    made.__dict__ |= more
    return made


class TestJsonLines:
    def test_a_record_is_one_line_with_the_request_that_logs(self) -> None:
        formatter = JsonLines()
        for name in ("r-1", "r-2"):
            token = request_id.set(name)
            line = formatter.format(record('%s "quoted"\nand more', "GET", figures={"status": 200}))
            request_id.reset(token)
            assert "\n" not in line
            expected = {"at": 1767225600500, "level": "info", "says": 'GET "quoted"\nand more'}
            assert json.loads(line).items() >= (expected | {"request": name, "status": 200}).items()

    def test_a_fault_has_its_trace(self) -> None:
        with pytest.raises(LookupError) as fault:
            raise LookupError("no such disk")
        line = JsonLines().format(record("fault", exc_info=(fault.type, fault.value, fault.tb)))
        assert json.loads(line)["trace"].endswith("LookupError: no such disk")

    def test_a_key_is_in_no_part_of_it(self) -> None:
        with pytest.raises(ValueError, match="trk") as fault:
            raise ValueError("trk_4f0cAB")
        trace = (fault.type, fault.value, fault.tb)
        line = JsonLines().format(record("%s", "trk_4f0cAB", figures={"a": "/trk_4f0cAB"}, exc_info=trace))
        assert "4f0cAB" not in line
        assert line.count("trk_...") >= 3


def counted(http: httpx.Client, method: str, route: str, status: int) -> float:
    labels = re.escape(f'tracker_requests_total{{method="{method}",route="{route}",status="{status}"}} ')
    found = re.search(rf"^{labels}(.+)$", http.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_request_keeps_its_id(http: httpx.Client) -> None:
    assert http.get("/healthz", headers={"X-Request-ID": "abc-1.2_3"}).headers["x-request-id"] == "abc-1.2_3"


@pytest.mark.parametrize("brought", [None, "", "a b", "x" * 65, '{"a"}'])
def test_a_request_without_a_good_id_is_given_one(http: httpx.Client, brought: str | None) -> None:
    ids = {
        http.get("/healthz", headers={"X-Request-ID": brought} if brought is not None else {}).headers["x-request-id"]
        for _ in range(2)
    }
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", given) for given in ids)


def test_each_request_is_a_line_without_its_query(http: httpx.Client, lines: Any) -> None:
    http.get("/runs/77/metrics/secret?from=5", headers={"X-Request-ID": "mine"})
    (line,) = lines()
    assert line.pop("at") > 1_700_000_000_000
    assert line.pop("ms") >= 0
    assert line == {
        "level": "info",
        "says": "GET /runs/{run_id}/metrics/{key:path}",
        "request": "mine",
        "status": 404,
    }


def test_polls_are_counted_and_not_logged(http: httpx.Client, lines: Any, wait_until: Callable[..., None]) -> None:
    before = counted(http, "GET", "/healthz", 200)
    http.get("/healthz")
    wait_until(lambda: counted(http, "GET", "/healthz", 200) == before + 1)
    http.get("/experiments")
    assert [line["says"] for line in lines()] == ["GET /experiments"]


def test_requests_are_counted_by_route_and_not_by_path(http: httpx.Client, wait_until: Callable[..., None]) -> None:
    for run_id in (71, 72, 73):
        http.get(f"/runs/{run_id}")
    wait_until(lambda: counted(http, "GET", "/runs/{run_id}", 404) == 3)
    assert "/runs/71" not in http.get("/metrics").text
    assert 'tracker_request_seconds_count{route="/runs/{run_id}"} 3.0' in http.get("/metrics").text
    assert counted(http, "GET", "none", 404) == 0
    http.get("/nothing")
    wait_until(lambda: counted(http, "GET", "none", 404) == 1)


def test_a_fault_is_logged_under_the_request_that_met_it(
    http: httpx.Client, server: Any, lines: Any, wait_until: Callable[..., None]
) -> None:
    """A row that no version of ours would have written."""
    made = http.post("/experiments", json={"name": "fault"}).json()
    run = http.post(f"/experiments/{made['id']}/runs", json={}).json()
    with closing(sqlite3.connect(server.folder / "tracker.db")) as connection, connection:
        connection.execute("UPDATE runs SET params = 'no json' WHERE id = ?", (run["id"],))
    answer = http.get(f"/runs/{run['id']}", headers={"X-Request-ID": "f-1"})
    assert answer.status_code == 500
    assert "its log says more about request f-1" in answer.json()["detail"]
    wait_until(lambda: any(line["level"] == "error" for line in lines()))
    (line,) = [line for line in lines() if line["level"] == "error"]
    assert "ValueError: expected ident" in line["trace"]
    assert line["request"] == "f-1"
    with httpx.Client(base_url=server.url) as other:  # after a fault the server gives up the connection
        wait_until(lambda: counted(other, "GET", "/runs/{run_id}", 500) == 1)


@pytest.mark.parametrize("key", ["ann", "root"])
def test_who_changes_what_is_in_its_line(guarded: Any, lines: Any, key: str, wait_until: Callable[..., None]) -> None:
    with guarded.client(guarded.keys[key]) as client:
        experiment = client.post("/experiments", json={"name": f"audited by {key}"}).json()["id"]
        client.delete(f"/experiments/{experiment}")
        client.delete(f"/experiments/{experiment}")
        client.get("/experiments")
    wait_until(lambda: len(lines()) == 4)
    by_status = {line["status"]: line for line in lines()}  # a line may come after that of the next request
    created, deleted, again, listed = (by_status[status] for status in (201, 204, 404, 200))
    assert (created["owner"], created["ids"]) == (key, {})
    for line in (deleted, again):
        assert line["says"] == "DELETE /experiments/{experiment_id}"
        assert (line["key"], line["ids"]) == (created["key"], {"experiment_id": str(experiment)})
    assert "key" not in listed


def test_who_signs_in_is_in_its_line(guarded: Any, lines: Any) -> None:
    with guarded.client() as client:
        client.post("/session", json={"key": guarded.keys["bob"]})
    (line,) = lines()
    assert (line["owner"], line["status"]) == ("bob", 204)


def test_no_line_has_a_secret_wherever_somebody_put_it(
    guarded: Any, caplog: pytest.LogCaptureFixture, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Header, cookie, query, path, body and a fault whose trace names it: read as it is written to the log."""
    caplog.set_level(logging.DEBUG)
    key = guarded.keys["ann"]
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    handler.addFilter(lambda record: not record.name.startswith("http"))  # of the browser, in the same process
    logging.getLogger().addHandler(handler)
    try:
        with guarded.client(Origin=guarded.server.url) as browser, guarded.client(key) as client:
            browser.post("/session", json={"key": key})
            cookie = browser.cookies[guarded.server.app.state.gate.sessions.cookie]
            ticket = client.post("/tickets").json()["path"].partition("=")[2]
            browser.get(f"/ui/?ticket={ticket}")
            for path in ("/runs", f"/runs/{key}", f"/{key}"):
                for method in ("GET", "DELETE"):
                    client.request(method, path, params={"key": key, "cursor": key, "ticket": ticket})
            client.get("/experiments", headers={"X-Request-ID": key})
            for _ in range(2):
                client.post("/experiments", json={"name": key})
            monkeypatch.setattr(guarded.server.app.state, "figures", key)
            client.get("/metrics")
            monkeypatch.undo()
    finally:
        logging.getLogger().removeHandler(handler)
    said = written.getvalue() + json.dumps(lines())
    assert "Traceback" in said
    for secret in (key, cookie, ticket, guarded.server.app.state.gate.sessions._secret.hex()):
        assert secret not in said
    assert "trk_..." in said
