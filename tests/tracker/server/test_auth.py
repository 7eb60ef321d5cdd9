"""Keys, scopes and owners over real HTTP, route by route. Each part begins with what it refuses."""

import re
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import QueuePool, create_engine, event

from tracker.scope import Scope
from tracker.server import auth
from tracker.server.config import Settings
from tracker.server.db import Database
from tracker.values import now_ms

ANYONES = {"/", "/healthz", "/readyz", "/session", "/ui"}  # the last but one asks for the key in its body
OF_ADMINS = {"/keys", "/keys/{key_id}"}
CURVE = ("/runs/{run_id}/metrics/{key}", "key")  # a name, within a run
NO_WAITING = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.01}
BODIES = {"/session": {"key": "trk_none"}, "/runs/{run_id}/rewind": {"step": 1, "at": 1}, "/keys": {"name": "a"}}


def refused(answer: httpx.Response, status: int, says: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]
    assert ("www-authenticate" in answer.headers) == (status == 401)


def made(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code in (200, 201), answer.text
    body: dict[str, Any] = answer.json()
    return body


def new_experiment(client: httpx.Client) -> dict[str, Any]:
    return made(client.post("/experiments", json={"name": uuid.uuid4().hex}))


def new_run(client: httpx.Client) -> dict[str, Any]:
    return made(client.post(f"/experiments/{new_experiment(client)['id']}/runs", json={}))


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of every one, wherever it was added."""
    for route in iter_route_contexts(app.routes):
        assert route.path is not None
        for method in sorted(route.methods or {"GET"}):
            yield method, route.path


def ask(client: httpx.Client, method: str, path: str, *, experiment: int, run: int) -> httpx.Response:
    """The route, with these ids wherever it takes one, and a body that it would take."""
    ids = {"experiment_id": experiment, "run_id": run, "key": "loss", "key_id": 1}
    filled = re.sub(r"{(\w+)(:path)?}", lambda found: str(ids[found[1]]), path)
    query = {"run": run, "key": "loss"} if path == "/compare" else {}
    body = BODIES.get(path, {"name": "a"} if path == "/experiments" else {})
    return client.request(method, filled, params=query, json=body if method in ("POST", "PATCH") else None)


@contextmanager
def watched(guarded: Any) -> Iterator[list[str]]:
    """The SQL statements of the server, as they come."""
    statements: list[str] = []
    engine = guarded.server.app.state.database.engine

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


class TestEveryRoute:
    @pytest.mark.parametrize(
        ("sent", "says"),
        [
            ({}, "this tracker needs a key"),
            ({"Authorization": "Basic YTpi"}, "this tracker needs a key"),
            ({"Authorization": "Bearer"}, "no key of this tracker"),
            ({"Authorization": f"Bearer {auth.new_key()}"}, "no key of this tracker"),
            ({"Authorization": "Bearer trk_\u00fc' OR 1=1 --"}, "no key of this"),
            ({"Authorization": "Bearer {revoked}"}, "or it was revoked"),
            ({"Cookie": "{cookie}=1.9999999999.00"}, "not signed in any more"),
            ({"Cookie": "{cookie}="}, "this tracker needs a key"),
        ],
        ids=["missing", "basic", "empty", "garbage", "hostile", "revoked", "forged cookie", "empty cookie"],
    )
    def test_refuses_who_has_no_key_that_counts(self, guarded: Any, sent: dict[str, str], says: str) -> None:
        named = {"revoked": guarded.keys["revoked"], "cookie": guarded.server.app.state.gate.sessions.cookie}
        asked = 0
        with guarded.client() as client:
            client.headers = httpx.Headers([(n.encode(), v.format(**named).encode("latin-1")) for n, v in sent.items()])
            for method, path in routes(guarded.server.app):
                if path not in ANYONES:
                    refused(ask(client, method, path, experiment=1, run=1), 401, says)
                    asked += 1
        assert asked > 15

    def test_is_open_only_where_it_must_be(self, guarded: Any) -> None:
        with guarded.client() as client:
            for path in ("/healthz", "/readyz", "/", "/ui/"):
                assert client.get(path).status_code in (200, 307), path
            for path in ("/openapi.json", "/metrics", "/docs"):
                assert client.get(path).status_code in (401, 404), path

    def test_says_in_the_document_that_it_asks_for_a_key(self, guarded: Any) -> None:
        app = guarded.server.app
        documented = {p: operations for p, operations in app.openapi()["paths"].items() if p not in ANYONES}
        assert len(documented) > 10
        for path, operations in documented.items():
            for method, operation in operations.items():
                assert {"401", "403"} <= operation["responses"].keys(), (method, path)

    def test_with_an_id_is_404_for_another_owners(self, guarded: Any, ann: httpx.Client, bob: httpx.Client) -> None:
        """Word for word what is said of an id that there is not. The body is one that would be taken."""
        run, mine = new_run(ann), new_run(bob)
        made(ann.post(f"/runs/{run['id']}/metrics", json={"series": {"loss": {"steps": [0], "values": [1]}}}))
        asked = []
        for method, path in routes(guarded.server.app):
            if path == "/compare" or re.search(r"{(?!key)", path):
                answer = ask(bob, method, path, experiment=run["experiment_id"], run=run["id"])
                missing = ask(bob, method, path, experiment=10**6, run=10**6)
                assert answer.status_code == missing.status_code == 404, f"{method} {path}"
                numbers = str.maketrans("", "", "0123456789")
                assert answer.text.translate(numbers) == missing.text.translate(numbers)
                asked.append(path)
        assert len(asked) >= 11
        answer = bob.get("/compare", params={"run": [mine["id"], run["id"]], "key": "loss"})
        refused(answer, 404, f"there is no run {run['id']}")
        assert ann.get(f"/runs/{run['id']}").json()["status"] == "running"

    def test_names_an_id_as_the_one_dependency_knows_it(self, guarded: Any) -> None:
        """Whole numbers in a path or a query are ids, or known not to be: a new name is a hole until it is in IDS."""
        known = {*auth.IDS, "key_id", "limit", "max_points", "from", "to", "last-event-id"}
        for path, methods in guarded.server.app.openapi()["paths"].items():
            for operation in methods.values():
                for parameter in operation.get("parameters", ()):
                    if "integer" in str(parameter["schema"]) or parameter["in"] == "path":
                        assert parameter["name"] in known or (path, parameter["name"]) == CURVE, path

    @pytest.mark.parametrize("text", ["{}.0", "+{}", "0{}", "%20{}", "{}%20", "{}%C2%A0"])
    def test_knows_an_id_however_it_is_written(self, ann: httpx.Client, bob: httpx.Client, text: str) -> None:
        run = new_run(ann)["id"]
        assert bob.get(f"/runs/{text.format(run)}").status_code in (404, 422)
        assert bob.delete(f"/runs/{text.format(run)}").status_code in (404, 422)
        assert ann.get(f"/runs/{run}").status_code == 200


def test_two_keys_in_one_request_are_none(guarded: Any) -> None:
    with guarded.client() as client:
        both = [("Authorization", f"Bearer {guarded.keys[name]}") for name in ("ann", "bob")]
        refused(client.get("/experiments", headers=both), 401, "needs a key")


def test_more_ids_than_any_route_answers_are_refused_before_they_are_looked_up(ann: httpx.Client) -> None:
    run = new_run(ann)["id"]
    refused(ann.get("/compare", params={"run": [run] * 41, "key": "loss"}), 403, "names at most 40")
    refused(ann.get("/compare", params={"run": [run] * 21, "key": "loss"}), 422, "at most 20")


class TestScopes:
    def test_a_reader_changes_nothing(self, guarded: Any, ann: httpx.Client) -> None:
        run = new_run(ann)
        with guarded.client(guarded.keys["reader"]) as reader:
            assert reader.get(f"/runs/{run['id']}").status_code == 200
            for method, path in routes(guarded.server.app):
                if method in ("POST", "PATCH", "DELETE") and path not in ANYONES:
                    answer = ask(reader, method, path, experiment=run["experiment_id"], run=run["id"])
                    refused(answer, 403, "this key may only read")

    def test_only_an_admin_sees_keys(self, guarded: Any, ann: httpx.Client) -> None:
        for method, path in routes(guarded.server.app):
            if path in OF_ADMINS:
                refused(ask(ann, method, path, experiment=1, run=1), 403, "this key may only write")

    def test_an_admin_sees_all(self, ann: httpx.Client, root: httpx.Client) -> None:
        run = new_run(ann)
        assert root.get(f"/runs/{run['id']}").status_code == 200
        assert run["id"] in {item["id"] for item in root.get("/runs?limit=200").json()["items"]}
        assert root.delete(f"/runs/{run['id']}").status_code == 204

    def test_figures_need_a_key_that_reads(self, guarded: Any) -> None:
        with guarded.client(guarded.keys["reader"]) as reader:
            assert "tracker_requests_total" in reader.get("/metrics").text


class TestOwners:
    def test_the_same_name_is_one_for_each(self, ann: httpx.Client, bob: httpx.Client, root: httpx.Client) -> None:
        name = uuid.uuid4().hex
        first, second = (made(client.post("/experiments", json={"name": name})) for client in (ann, bob))
        assert (first["owner"], second["owner"]) == ("ann", "bob")
        refused(ann.post("/experiments", json={"name": name}), 409, "exists already")
        assert [e["id"] for e in ann.get("/experiments", params={"name": name}).json()["items"]] == [first["id"]]
        assert len(root.get("/experiments", params={"name": name}).json()["items"]) == 2
        assert root.get("/experiments", params={"name": name, "mine": True}).json()["items"] == []

    def test_lists_show_only_yours(self, ann: httpx.Client, bob: httpx.Client) -> None:
        mine, yours = new_run(ann), new_run(bob)
        for path, name in (("/runs", "id"), ("/experiments", "experiment_id")):
            shown = {item["id"] for item in ann.get(path, params={"limit": 200}).json()["items"]}
            assert mine[name] in shown
            assert yours[name] not in shown

    def test_a_cursor_of_anothers_list_leads_to_nothing_of_theirs(self, ann: httpx.Client, bob: httpx.Client) -> None:
        for _ in range(3):
            new_run(bob)
        cursor = bob.get("/runs?limit=1").json()["next"]
        for run in ann.get("/runs", params={"cursor": cursor, "limit": 200}).json()["items"]:
            assert bob.get(f"/runs/{run['id']}").status_code == 404


class TestKeys:
    def test_what_cannot_be_made_is_refused(self, root: httpx.Client) -> None:
        for body, says in (
            ({}, "name: Field required"),
            ({"name": "a", "scope": "all"}, "scope: Input should be"),
            ({"name": "a", "owner": " b"}, "owner: a name of an owner"),
            ({"name": "a", "key": "trk_mine"}, "key: there is no such field"),
        ):
            refused(root.post("/keys", json=body), 422, says)
        refused(root.delete("/keys/1000000"), 404, "there is no key 1000000")

    def test_one_is_shown_once_and_counts_until_it_is_revoked(self, guarded: Any, root: httpx.Client) -> None:
        key = made(root.post("/keys", json={"name": "cluster", "owner": "eve"}))
        assert re.fullmatch(r"trk_[\w-]{43}", key["key"])
        assert (key["owner"], key["scope"], key["revoked_at"], key["last_used_at"]) == ("eve", "write", None, None)
        with guarded.client(key["key"]) as eve:
            assert new_experiment(eve)["owner"] == "eve"
            assert root.delete(f"/keys/{key['id']}").status_code == 204
            refused(eve.get("/experiments"), 401, "revoked")
        listed = {item["id"]: item for item in root.get("/keys?limit=200").json()["items"]}
        assert listed[key["id"]]["revoked_at"] > 0
        assert key["key"] not in root.get("/keys?limit=200").text

    def test_they_come_in_pages(self, root: httpx.Client) -> None:
        for number in range(3):
            made(root.post("/keys", json={"name": str(number)}))
        page = root.get("/keys?limit=2").json()
        assert [item["name"] for item in page["items"]] == ["2", "1"]
        assert root.get("/keys", params={"limit": 2, "cursor": page["next"]}).json()["items"][0]["name"] == "0"
        refused(root.get("/keys?cursor=x"), 400, "cursor")

    def test_only_the_hash_is_kept(self, guarded: Any, ann: httpx.Client) -> None:
        assert ann.get("/experiments").status_code == 200
        for file in guarded.server.folder.iterdir():
            assert guarded.keys["ann"].encode() not in file.read_bytes()

    def test_it_is_kept_when_one_was_used_but_not_each_time(
        self, guarded: Any, root: httpx.Client, wait_until: Callable[..., None]
    ) -> None:
        key_id, key = guarded.make("ann", Scope.READ)

        def used() -> int | None:
            (found,) = (item for item in root.get("/keys?limit=200").json()["items"] if item["id"] == key_id)
            at: int | None = found["last_used_at"]
            return at

        with watched(guarded) as statements, guarded.client(key) as client:
            client.get("/experiments")
            wait_until(used)
            for _ in range(20):
                guarded.server.app.state.gate.forget()
                assert client.get("/experiments").status_code == 200
        assert abs(now_ms() - (used() or 0)) < 60_000
        touched = [said for said in statements if said.startswith("UPDATE api_keys")]
        assert len(touched) in (1, 2)  # this one's, and perhaps root's


class TestMemory:
    def test_a_known_key_costs_no_query_and_a_revoked_one_ends(
        self, guarded: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
    ) -> None:
        """As on another server, which nobody tells of the revocation."""
        monkeypatch.setattr(auth, "LIFE", 0.3)
        key_id, key = guarded.make("ann", Scope.READ)
        with guarded.client(key) as client:
            assert client.get("/experiments").status_code == 200
            with guarded.server.app.state.database.write() as session:
                auth.store.keys.revoke_key(session, key_id, at=1)
            wait_until(lambda: client.get("/experiments").status_code == 401)

    def test_while_the_database_is_away_who_is_known_stays_known_and_nobody_else_is(
        self, guarded: Any, ann: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(auth, "LIFE", 0.0)
        made(ann.post("/tickets"))
        with closing(sqlite3.connect(guarded.server.folder / "tracker.db")) as connection, connection:
            connection.execute("ALTER TABLE api_keys RENAME TO elsewhere")
        try:
            made(ann.post("/tickets"))
            with guarded.client(auth.new_key()) as unknown:
                answer = unknown.post("/tickets")
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        finally:
            with closing(sqlite3.connect(guarded.server.folder / "tracker.db")) as connection, connection:
                connection.execute("ALTER TABLE elsewhere RENAME TO api_keys")
        made(ann.post("/tickets"))

    def test_so_they_do_when_no_connection_to_it_is_free(
        self, guarded: Any, ann: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(auth, "LIFE", 0.0)
        made(ann.post("/tickets"))
        database = guarded.server.app.state.database
        one = Database(database.engine.url)
        one.engine.dispose()
        monkeypatch.setattr(one, "_reader", create_engine(database.engine.url, poolclass=QueuePool, **NO_WAITING))
        monkeypatch.setattr(guarded.server.app.state.gate, "_database", one)
        with one.read() as session:
            session.connection()
            made(ann.post("/tickets"))
            with guarded.client(auth.new_key()) as unknown:
                assert unknown.post("/tickets").status_code == 503
        one._reader.dispose()

    def test_ingest_asks_once_whose_run_it_is(self, guarded: Any, ann: httpx.Client) -> None:
        run = new_run(ann)
        ann.post(f"/runs/{run['id']}/metrics", json={"points": []})
        with watched(guarded) as statements:
            for _ in range(5):
                ann.post(f"/runs/{run['id']}/metrics", json={"points": []})
        assert statements
        assert [said for said in statements if "owner" in said or "api_keys" in said] == []


class TestWithoutKeys:
    def test_nobody_is_given_a_key(self, http: httpx.Client) -> None:
        refused(http.post("/keys", json={"name": "a"}), 403, "asks nobody for a key")
        refused(http.get("/keys"), 403, "asks nobody for a key")
        refused(http.post("/tickets"), 403, "asks nobody for a key")

    def test_all_belongs_to_nobody_in_particular(self, http: httpx.Client) -> None:
        assert new_experiment(http)["owner"] == ""
        http.headers["Authorization"] = "Bearer nonsense"
        assert new_experiment(http)["owner"] == ""

    def test_what_had_an_owner_is_seen_too(
        self, guarded: Any, ann: httpx.Client, answering: Callable[[Settings], AbstractContextManager[Any]]
    ) -> None:
        run = new_run(ann)
        with answering(Settings(guarded.server.folder)) as server:
            assert httpx.get(f"{server.url}/runs/{run['id']}").status_code == 200
