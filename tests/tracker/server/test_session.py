"""Cookies and tickets by themselves, and a browser that signs in and out over real HTTP."""

import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers

from tracker.scope import Scope
from tracker.server import session
from tracker.server.config import Settings
from tracker.server.session import LIFETIME, MOST_TICKETS, Sessions, is_own_page, secret_in

SESSIONS = Sessions(b"secret")


@pytest.mark.parametrize("value", ["", ".", "..", "1.9999999999.", "1.9999999999.00", "x.y.z", "1.9999999999.\u00ff"])
def test_a_cookie_that_we_did_not_sign_is_nobodys(value: str) -> None:
    assert SESSIONS.key_id(value) is None


def test_a_cookie_names_its_key_until_its_time_is_over() -> None:
    cookie = SESSIONS.sign(7, now=1000)
    assert SESSIONS.key_id(cookie, now=1000 + LIFETIME - 1) == 7
    assert SESSIONS.key_id(cookie, now=1000 + LIFETIME) is None


def test_no_part_of_a_cookie_can_be_changed() -> None:
    key_id, until, mac = SESSIONS.sign(7).split(".")
    for forged in (f"8.{until}.{mac}", f"7.{int(until) + 1}.{mac}", f"7.{until}.{mac[::-1]}"):
        assert SESSIONS.key_id(forged) is None
    assert Sessions(b"another").key_id(f"{key_id}.{until}.{mac}") is None


def test_a_ticket_counts_once_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = SESSIONS.ticket(7)
    assert [SESSIONS.redeem(ticket), SESSIONS.redeem(ticket), SESSIONS.redeem("")] == [7, None, None]
    monkeypatch.setattr(session, "TICKET_LIFETIME", -1)
    assert SESSIONS.redeem(SESSIONS.ticket(7)) is None


def test_tickets_that_nobody_uses_do_not_gather() -> None:
    tickets = [SESSIONS.ticket(number) for number in range(MOST_TICKETS + 1)]
    assert SESSIONS.redeem(tickets[0]) is None
    assert SESSIONS.redeem(tickets[1]) == 1


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "session.secret"
    assert secret_in(file) == secret_in(file)
    assert len(secret_in(file)) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["session.secret"]


def test_servers_with_one_secret_know_each_others_browsers(tmp_path: Path) -> None:
    one, other = (Sessions.of(Settings(tmp_path / name, secret="shared")) for name in "ab")
    assert one.cookie == other.cookie
    assert other.key_id(one.sign(3)) == 3
    assert Sessions.of(Settings(tmp_path / "a")).cookie != one.cookie


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("https://Lab.example", "lab.example", True),
        ("http://127.0.0.1:8888", "127.0.0.1:8000", False),  # JupyterLab's, on the same machine
        ("http://evil.example", "127.0.0.1:8000", False),
        ("null", "127.0.0.1:8000", False),
        ("", "127.0.0.1:8000", False),
        ("", "", False),
    ],
)
def test_a_page_is_ours_if_it_has_our_origin(origin: str, host: str, own: bool) -> None:
    assert is_own_page(Headers({"Origin": origin, "Host": host})) is own


class TestBrowser:
    @pytest.fixture
    def browser(self, guarded: Any) -> Any:
        with guarded.client(Origin=guarded.server.url) as browser:
            yield browser

    def test_a_wrong_key_signs_nobody_in(self, browser: httpx.Client) -> None:
        answer = browser.post("/session", json={"key": "trk_wrong"})
        assert (answer.status_code, answer.headers.get("set-cookie")) == (401, None)
        assert "no key of this tracker" in answer.json()["detail"]
        assert browser.post("/session", json={}).status_code == 422

    def test_a_page_of_another_server_signs_nobody_in_or_out(self, guarded: Any, browser: httpx.Client) -> None:
        browser.headers["Origin"] = "http://evil.example"
        assert browser.post("/session", json={"key": guarded.keys["ann"]}).status_code == 403
        assert browser.delete("/session").status_code == 403

    def test_it_is_known_by_a_cookie_until_it_signs_out(self, guarded: Any, browser: httpx.Client) -> None:
        answer = browser.post("/session", json={"key": f" {guarded.keys['ann']}\n"})
        said = answer.headers["set-cookie"].lower()
        assert answer.status_code == 204
        for part in ("httponly", "samesite=strict", "path=/", "max-age=604800"):
            assert part in said
        assert "secure" not in said
        assert guarded.keys["ann"] not in said
        assert browser.get("/experiments").status_code == 200
        assert browser.post("/experiments", json={"name": "made by a browser"}).json()["owner"] == "ann"
        assert browser.delete("/session").status_code == 204
        assert browser.get("/experiments").status_code == 401

    def test_behind_https_the_cookie_stays_there(self, guarded: Any, browser: httpx.Client) -> None:
        headers = {"X-Forwarded-Proto": "https"}
        answer = browser.post("/session", json={"key": guarded.keys["ann"]}, headers=headers)
        assert "secure" in answer.headers["set-cookie"].lower()

    def test_a_revoked_key_ends_its_sessions(self, guarded: Any, browser: httpx.Client) -> None:
        key_id, key = guarded.make("ann", Scope.WRITE)
        browser.post("/session", json={"key": key})
        assert browser.get("/experiments").status_code == 200
        guarded.revoke(key_id)
        assert browser.get("/experiments").status_code == 401

    def test_a_ticket_signs_in_and_leaves_the_address(self, guarded: Any, ann: httpx.Client) -> None:
        path = ann.post("/tickets").json()["path"]
        with guarded.client() as browser:
            answer = browser.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/ui/")
            assert browser.get("/experiments").status_code == 200
        with guarded.client() as late:
            answer = late.get(path, follow_redirects=True)
            assert (answer.status_code, late.get("/experiments").status_code) == (200, 401)
            assert "sign-in" in answer.text
