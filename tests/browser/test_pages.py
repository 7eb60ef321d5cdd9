"""The pages under /ui/, in a real browser."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tracker.scope import Scope
from tracker.server.auth import hash_of, new_key
from tracker.server.config import Settings
from tracker.server.store import keys


def test_it_shows_runs_as_they_come_and_trusts_nobodys_name(
    page: Page, picture: Callable[[str], None], http: httpx.Client
) -> None:
    page.set_viewport_size({"width": 1000, "height": 500})
    page.goto(f"{http.base_url}/ui/")
    expect(page.get_by_text("No experiment yet. Train three runs: tracker demo")).to_be_visible()
    expect(page.get_by_text("A server for <tests>")).to_be_visible()

    evil = "<img src=x onerror=alert(1)>"
    experiment = http.post("/experiments", json={"name": evil, "description": "why <b>"}).json()
    expect(page.get_by_role("heading", name=evil)).to_be_visible()
    expect(page.get_by_text("No run yet.")).to_be_visible()
    for lr in (0.1, 1.0):
        params = {"lr": lr, "seed": 0}
        run = http.post(f"/experiments/{experiment['id']}/runs", json={"name": evil, "params": params}).json()
        points = [{"key": "loss", "value": 0.123456, "step": 7}, {"key": "<i>", "value": "NaN", "step": 3}]
        http.post(f"/runs/{run['id']}/metrics", json={"points": points})
    http.patch(f"/runs/{run['id']}", json={"status": "failed"})

    expect(page.locator("tbody tr")).to_have_count(2)
    assert page.locator("thead tr").nth(1).locator("th").all_inner_texts() == [
        *("run", "status", "lr", "step", "<i>", "loss")
    ]
    expect(page.locator("tbody tr").first).to_contain_text("failed")
    assert page.locator("tbody tr").nth(1).locator("td").all_inner_texts() == [
        *(evil, "running", "0.1", "7", "NaN", "0.1235")
    ]
    assert page.locator("img").count() == 0
    picture("page-light")
    page.emulate_media(color_scheme="dark")
    picture("page-dark")


def test_a_server_that_is_gone_is_said_to_be_gone(page: Page, http: httpx.Client) -> None:
    page.goto(f"{http.base_url}/ui/")
    page.route("**/experiments*", lambda route: route.abort())
    expect(page.get_by_text("The tracker does not answer")).to_be_visible()
    page.unroute("**/experiments*")
    expect(page.get_by_text("The tracker does not answer")).to_have_count(0)


def test_it_asks_for_a_key_once_and_shows_what_is_its_owners(
    page: Page,
    picture: Callable[[str], None],
    tmp_path: Path,
    answering: Callable[[Settings], AbstractContextManager[Any]],
) -> None:
    with answering(Settings(tmp_path, auth="required")) as server:
        key = new_key()
        with server.app.state.database.write() as session:
            keys.create_key(session, name="a", owner="ann", scope=Scope.WRITE, key_hash=hash_of(key), at=0)
        bearer = {"Authorization": f"Bearer {key}"}
        made = httpx.post(f"{server.url}/experiments", json={"name": "ann's"}, headers=bearer)
        assert made.status_code == 201

        page.goto(f"{server.url}/ui/")
        expect(page.get_by_text("This tracker needs a key.")).to_be_visible()
        picture("sign-in")
        page.get_by_label("Key").fill("trk_wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("this is no key of this tracker")).to_be_visible()
        page.get_by_label("Key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="ann's")).to_be_visible()
        expect(page.get_by_label("Key")).to_be_hidden()
        page.reload()
        expect(page.get_by_role("heading", name="ann's")).to_be_visible()
