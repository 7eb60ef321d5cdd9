"""The routes over real HTTP. Each class begins with what it refuses."""

import threading
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import event

from tracker.scope import Scope
from tracker.server.auth import Caller, allowed
from tracker.server.db import Database, sqlite
from tracker.server.schema import Experiment

pytestmark = pytest.mark.parametrize("server", ["sqlite", "postgresql"], indirect=True)


def new_name() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def experiment(http: httpx.Client) -> dict[str, Any]:
    return created(http.post("/experiments", json={"name": new_name()}))


@pytest.fixture
def run(http: httpx.Client, experiment: dict[str, Any]) -> dict[str, Any]:
    return created(http.post(f"/experiments/{experiment['id']}/runs", json={}))


def created(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def refused(answer: httpx.Response, status: int, says: str) -> None:
    """It is a problem+json of this status, whose sentence says this."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert says in problem["detail"]
    assert problem["status"] == status
    assert problem["type"].startswith("urn:tracker:")
    assert problem["title"]


class TestCreateExperiment:
    def test_a_taken_name_is_409(self, http: httpx.Client, experiment: dict[str, Any]) -> None:
        refused(http.post("/experiments", json={"name": experiment["name"]}), 409, "exists already")

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ({}, "name: Field required"),
            ({"name": ""}, "name: a name is not empty"),
            ({"name": 5}, "name: Input should be a valid string"),
            ({"name": "a" * 201}, "at most 200 characters"),
            ({"name": "a", "nmae": "b"}, "nmae: there is no such field"),
            ([], "send a JSON object"),
        ],
    )
    def test_a_bad_body_is_422(self, http: httpx.Client, body: Any, says: str) -> None:
        refused(http.post("/experiments", json=body), 422, says)

    def test_broken_json_is_422_and_says_where(self, http: httpx.Client) -> None:
        answer = http.post("/experiments", content='{"name": }', headers={"Content-Type": "application/json"})
        refused(answer, 422, "the body is not JSON: Expecting value at character 9")

    def test_bytes_that_are_no_text_are_422(self, http: httpx.Client) -> None:
        answer = http.post("/experiments", content=b"\x01\xff", headers={"Content-Type": "application/json"})
        refused(answer, 422, "the body is not JSON: it is not UTF-8 text")

    def test_a_body_that_does_not_say_it_is_json_is_422(self, http: httpx.Client) -> None:
        refused(http.post("/experiments", content='{"name": "a"}'), 422, "Content-Type: application/json")

    def test_a_database_that_is_away_is_503_and_no_conflict(
        self, http: httpx.Client, server: Any, tmp_path: Path
    ) -> None:
        there = server.app.state.database
        with closing(Database(sqlite(tmp_path / "gone" / "tracker.db"))) as away:
            server.app.state.database = away
            try:
                answer = http.post("/experiments", json={"name": new_name()})
            finally:
                server.app.state.database = there
        refused(answer, 503, "the database did not answer")
        assert answer.headers["retry-after"] == "1"

    def test_while_it_waits_for_another_writer_others_are_answered(self, http: httpx.Client, server: Any) -> None:
        """In SQLite, where a writer waits for the one before it in this process."""
        body = {"name": new_name()}
        waiting = threading.Thread(target=lambda: httpx.post(f"{server.url}/experiments", json=body, timeout=60))
        with server.app.state.database.writing:
            waiting.start()
            for _ in range(30):
                assert http.get("/healthz").status_code == 200
                time.sleep(0.01)
        waiting.join()
        assert len(http.get("/experiments", params=body).json()["items"]) == 1

    def test_a_column_that_is_not_for_clients_is_in_no_answer(self, http: httpx.Client) -> None:
        def add(row: Experiment, *_: object) -> None:
            row.salary = 1  # type: ignore[attr-defined]  # a column to come

        event.listen(Experiment, "init", add)
        try:
            body = created(http.post("/experiments", json={"name": new_name()}))
        finally:
            event.remove(Experiment, "init", add)
        assert set(body) == {"id", "name", "owner", "description", "created_at"}

    @pytest.mark.parametrize("at", [0, 1000])
    def test_it_keeps_the_time_of_the_client(self, http: httpx.Client, at: int) -> None:
        assert created(http.post("/experiments", json={"name": new_name(), "at": at}))["created_at"] == at

    def test_it_belongs_to_who_asks(self, http: httpx.Client, server: Any, experiment: dict[str, Any]) -> None:
        server.app.dependency_overrides[allowed] = lambda: Caller(None, "ann", Scope.WRITE)
        try:
            anns = created(http.post("/experiments", json={"name": experiment["name"]}))
        finally:
            del server.app.dependency_overrides[allowed]
        assert (experiment["owner"], anns["owner"]) == ("", "ann")

    def test_it_is_201_with_its_location(self, http: httpx.Client) -> None:
        name = new_name()
        answer = http.post("/experiments", json={"name": name, "description": "why"})
        body = created(answer)
        assert (body["name"], body["description"], body["owner"]) == (name, "why", "")
        assert answer.headers["location"] == f"/experiments/{body['id']}"
        assert http.get(answer.headers["location"]).json()["name"] == name

    def test_of_twenty_at_once_one_gets_the_name(self, http: httpx.Client) -> None:
        name = new_name()
        barrier = threading.Barrier(20)
        statuses: list[int] = []

        def post() -> None:
            with httpx.Client(base_url=http.base_url) as client:
                barrier.wait()
                statuses.append(client.post("/experiments", json={"name": name}).status_code)

        threads = [threading.Thread(target=post) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [201] + [409] * 19
        assert len(http.get("/experiments", params={"name": name}).json()["items"]) == 1


class TestListExperiments:
    def test_a_forged_cursor_is_400(self, http: httpx.Client) -> None:
        refused(http.get("/experiments", params={"cursor": "nonsense"}), 400, "begin again without one")

    @pytest.mark.parametrize("limit", ["0", "201", "x", "+7", "7\u00a0", "7.0"])
    def test_a_bad_limit_is_422(self, http: httpx.Client, limit: str) -> None:
        for path in ("/experiments", "/runs"):
            refused(http.get(path, params={"limit": limit}), 422, "limit: ")

    def test_following_next_reads_every_one_once(self, http: httpx.Client) -> None:
        names = [created(http.post("/experiments", json={"name": new_name()}))["name"] for _ in range(5)]
        seen: list[tuple[str, int]] = []  # two owners may have the same name
        query: dict[str, str | int] = {"limit": 2}
        for _ in range(100):
            page = http.get("/experiments", params=query).json()
            seen += [(item["name"], item["id"]) for item in page["items"]]
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
        assert page["next"] is None
        assert [name for name, _ in seen[:5]] == names[::-1]
        assert len(seen) == len(set(seen))

    def test_one_is_found_by_its_name(self, http: httpx.Client, experiment: dict[str, Any]) -> None:
        (item,) = http.get("/experiments", params={"name": experiment["name"]}).json()["items"]
        assert item == experiment | {"run_count": 0}
        assert http.get("/experiments", params={"name": "nobody's"}).json() == {"items": [], "next": None}


class TestGetExperiment:
    def test_an_unknown_one_is_404(self, http: httpx.Client) -> None:
        refused(http.get("/experiments/123456"), 404, "there is no experiment 123456")
        refused(http.get("/experiments/123456/runs"), 404, "there is no experiment 123456")

    @pytest.mark.parametrize("bad", ["x", "0", "-1", "1.5", "99999999999999999999"])
    def test_what_is_no_id_is_422(self, http: httpx.Client, bad: str) -> None:
        refused(http.get(f"/experiments/{bad}"), 422, "experiment_id: ")

    def test_a_forged_cursor_is_400(self, http: httpx.Client, experiment: dict[str, Any]) -> None:
        refused(http.get(f"/experiments/{experiment['id']}/runs", params={"cursor": "!"}), 400, "cursor")

    def test_it_has_its_runs_with_their_latest_values(self, http: httpx.Client, experiment: dict[str, Any]) -> None:
        path = f"/experiments/{experiment['id']}"
        first, second = (
            created(http.post(f"{path}/runs", json={"name": n, "params": {"lr": 0.1}})) for n in ("a", "b")
        )
        points = [
            {"key": "loss", "value": 0.5, "step": 1, "at": 10},
            {"key": "loss", "value": "NaN", "step": 2, "at": 20},
            {"key": "val/acc", "value": "-Infinity", "step": 1, "at": 10},
        ]
        http.post(f"/runs/{first['id']}/metrics", json={"points": points})
        body = http.get(path).json()
        assert {k: body[k] for k in experiment} == experiment
        assert [r["name"] for r in body["runs"]["items"]] == ["b", "a"]
        assert body["runs"]["next"] is None
        assert body["runs"]["items"][0]["latest"] == {}
        unsealed = {"count": None, "min": None, "max": None}
        assert body["runs"]["items"][1]["latest"] == {
            "loss": {"step": 2, "value": "NaN", "at": 20} | unsealed,
            "val/acc": {"step": 1, "value": "-Infinity", "at": 10} | unsealed,
        }
        assert body["runs"]["items"][1]["params"] == {"lr": 0.1}
        assert second["id"] == body["runs"]["items"][0]["id"]

    def test_later_runs_are_on_later_pages(self, http: httpx.Client, experiment: dict[str, Any]) -> None:
        path = f"/experiments/{experiment['id']}"
        ids = [created(http.post(f"{path}/runs", json={}))["id"] for _ in range(3)]
        first = http.get(path, params={"limit": 2}).json()["runs"]
        rest = http.get(f"{path}/runs", params={"limit": 2, "cursor": first["next"]}).json()
        assert [r["id"] for r in first["items"] + rest["items"]] == ids[::-1]
        assert rest["next"] is None


class TestCreateRun:
    def test_one_of_an_unknown_experiment_is_404(self, http: httpx.Client) -> None:
        refused(http.post("/experiments/123456/runs", json={}), 404, "there is no experiment 123456")

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ({"external_id": "a/b"}, "external_id: an external id has 1 to 128"),
            ({"status": "finished"}, "status: "),
            ({"params": [1]}, "params: Input should be a valid dictionary"),
            ({"name": " a"}, "name: a name is not empty"),
            ({"lr": 1}, "lr: there is no such field"),
        ],
    )
    def test_a_bad_body_is_422(
        self, http: httpx.Client, experiment: dict[str, Any], body: dict[str, Any], says: str
    ) -> None:
        refused(http.post(f"/experiments/{experiment['id']}/runs", json=body), 422, says)

    def test_params_that_are_not_finite_are_422(self, http: httpx.Client, experiment: dict[str, Any]) -> None:
        answer = http.post(
            f"/experiments/{experiment['id']}/runs",
            content='{"params": {"lr": Infinity}}',
            headers={"Content-Type": "application/json"},
        )
        refused(answer, 422, "params: settings must be what JSON can hold")

    def test_it_is_201_and_again_200(self, http: httpx.Client, experiment: dict[str, Any]) -> None:
        path = f"/experiments/{experiment['id']}/runs"
        body = {"external_id": "x", "attempt": "one", "params": {"lr": 0.1}, "tags": {"gpu": True}}
        answer = http.post(path, json=body)
        first = created(answer)
        assert answer.headers["location"] == f"/runs/{first['id']}"
        assert {k: first[k] for k in ("external_id", "params", "tags")} == {
            k: body[k] for k in ("external_id", "params", "tags")
        }
        assert http.post(path, json=body).json() == first
        again = http.post(path, json=body | {"attempt": "two"})
        assert again.status_code == 200
        assert (again.json()["id"], again.json()["restarts"]) == (first["id"], 1)


class TestRun:
    def test_an_unknown_one_is_404(self, http: httpx.Client) -> None:
        refused(http.get("/runs/123456"), 404, "there is no run 123456")
        refused(http.patch("/runs/123456", json={}), 404, "there is no run 123456")

    def test_an_illegal_transition_is_409(self, http: httpx.Client, run: dict[str, Any]) -> None:
        assert http.patch(f"/runs/{run['id']}", json={"status": "finished"}).json()["status"] == "finished"
        refused(http.patch(f"/runs/{run['id']}", json={"status": "queued"}), 409, "cannot become queued, only running")

    def test_an_unknown_status_is_422(self, http: httpx.Client, run: dict[str, Any]) -> None:
        refused(http.patch(f"/runs/{run['id']}", json={"status": "lost"}), 422, "status: Input should be 'queued'")

    def test_it_comes_back_as_it_was_created(self, http: httpx.Client, run: dict[str, Any]) -> None:
        assert http.get(f"/runs/{run['id']}").json() == run

    def test_a_change_stays(self, http: httpx.Client, run: dict[str, Any]) -> None:
        changed = http.patch(f"/runs/{run['id']}", json={"status": "failed", "name": "n", "tags": {"a": 1}}).json()
        assert (changed["status"], changed["name"], changed["tags"]) == ("failed", "n", {"a": 1})
        assert changed["finished_at"] >= changed["started_at"]
        assert http.get(f"/runs/{run['id']}").json() == changed


class TestAddPoints:
    def post(self, http: httpx.Client, run: dict[str, Any], *points: dict[str, Any]) -> httpx.Response:
        return http.post(f"/runs/{run['id']}/metrics", json={"points": list(points)})

    def test_those_of_an_unknown_run_are_404(self, http: httpx.Client) -> None:
        refused(self.post(http, {"id": 123456}), 404, "there is no run 123456")

    def test_more_than_ten_thousand_are_413(self, http: httpx.Client, run: dict[str, Any]) -> None:
        many = [{"key": "loss", "value": i, "step": i} for i in range(10_001)]
        refused(self.post(http, run, *many), 413, "at most 10000 points, this one has 10001")
        assert self.post(http, run, *many[1:]).json() == {"accepted": 10_000}

    @pytest.mark.parametrize("announced", [True, False])
    def test_a_body_over_two_megabytes_is_413(self, http: httpx.Client, run: dict[str, Any], announced: bool) -> None:
        body = b'{"points": [' + b" " * 2_500_000 + b"]}"
        content = body if announced else (body[i : i + 65_536] for i in range(0, len(body), 65_536))
        answer = http.post(f"/runs/{run['id']}/metrics", content=content, headers={"Content-Type": "application/json"})
        refused(answer, 413, "at most 2097152 bytes")

    def test_one_bad_point_is_named_and_keeps_the_others_out(self, http: httpx.Client, run: dict[str, Any]) -> None:
        good = {"key": "loss", "value": 0.5, "step": 1}
        refused(self.post(http, run, good, good | {"value": None}), 422, "points[1].value: send a number")
        refused(http.get(f"/runs/{run['id']}/metrics/loss"), 404, "has logged no 'loss'")

    def test_a_bare_nan_is_422_and_told_what_to_send(self, http: httpx.Client, run: dict[str, Any]) -> None:
        answer = http.post(
            f"/runs/{run['id']}/metrics",
            content='{"points": [{"key": "loss", "value": NaN, "step": 1}]}',
            headers={"Content-Type": "application/json"},
        )
        refused(answer, 422, 'one of the strings "NaN", "Infinity" and "-Infinity"')

    def test_they_are_read_back_point_for_point(self, http: httpx.Client, run: dict[str, Any]) -> None:
        values = [0.1, "NaN", "Infinity", "-Infinity", -0.0, 1e308, 5e-324, 3]
        points = [{"key": "train/loss", "value": v, "step": i, "at": 1000 + i} for i, v in enumerate(values)]
        answer = self.post(http, run, *points)
        assert (answer.status_code, answer.json()) == (201, {"accepted": 8})
        curve = http.get(f"/runs/{run['id']}/metrics/train/loss").json()
        assert curve == {
            "key": "train/loss",
            "version": 1,
            "sampled": False,
            "steps": list(range(8)),
            "values": values,
            "at": [1000 + i for i in range(8)],
        }

    def test_a_repeated_step_overwrites(self, http: httpx.Client, run: dict[str, Any]) -> None:
        for value, at in ((0.5, 10), (0.4, 30), (0.9, 20)):
            self.post(http, run, {"key": "loss", "value": value, "step": 1, "at": at})
        curve = http.get(f"/runs/{run['id']}/metrics/loss").json()
        assert (curve["steps"], curve["values"], curve["at"]) == ([1], [0.4], [30])

    def test_without_a_time_it_is_the_servers(self, http: httpx.Client, run: dict[str, Any]) -> None:
        self.post(http, run, {"key": "loss", "value": 0.5, "step": 1})
        (at,) = http.get(f"/runs/{run['id']}/metrics/loss").json()["at"]
        assert run["created_at"] <= at < run["created_at"] + 60_000

    def test_none_at_all_is_a_heartbeat(self, http: httpx.Client, run: dict[str, Any]) -> None:
        assert self.post(http, run).json() == {"accepted": 0}

    def test_an_ended_run_still_takes_them(self, http: httpx.Client, run: dict[str, Any]) -> None:
        http.patch(f"/runs/{run['id']}", json={"status": "finished"})
        assert self.post(http, run, {"key": "loss", "value": 0.5, "step": 1}).status_code == 201


class TestGetCurve:
    def test_one_of_an_unknown_run_is_404(self, http: httpx.Client) -> None:
        refused(http.get("/runs/123456/metrics/loss"), 404, "there is no run 123456")

    def test_one_that_was_never_logged_is_404(self, http: httpx.Client, run: dict[str, Any]) -> None:
        refused(http.get(f"/runs/{run['id']}/metrics/loss"), 404, f"run {run['id']} has logged no 'loss'")

    @pytest.mark.parametrize("key", ["a/b/c", "/a//b/", "50 %", "%2F", "größe?", "a#b", "a+b", "a..b", "損失 / step"])
    def test_any_key_can_be_asked_for(self, http: httpx.Client, run: dict[str, Any], key: str) -> None:
        http.post(f"/runs/{run['id']}/metrics", json={"points": [{"key": key, "value": 1, "step": 0}]})
        curve = http.get(f"/runs/{run['id']}/metrics/{quote(key)}").json()
        assert (curve["key"], curve["values"]) == (key, [1])

    def test_a_bad_window_is_422(self, http: httpx.Client, run: dict[str, Any]) -> None:
        for query in (
            "from=-1",
            "to=x",
            "from=%2B1",
            "to=1%20",
            "max_points=0",
            "max_points=1%C2%A0",
            "max_points=100001",
        ):
            refused(http.get(f"/runs/{run['id']}/metrics/loss?{query}"), 422, f"{query.split('=')[0]}: ")

    def test_a_long_one_comes_in_buckets(self, http: httpx.Client, run: dict[str, Any]) -> None:
        values = [99.0 if i == 777 else "NaN" if i < 10 else 0.0 for i in range(1000)]
        series = {"loss": {"steps": list(range(1000)), "values": values}}
        assert http.post(f"/runs/{run['id']}/metrics", json={"series": series}).json() == {"accepted": 1000}
        curve = http.get(f"/runs/{run['id']}/metrics/loss", params={"max_points": 100}).json()
        assert curve["sampled"] is True
        assert (curve["first"][:2], curve["last"][:2], curve["count"][:2]) == ([0, 10], [9, 19], [10, 10])
        assert (curve["nans"][:2], curve["min"][:2], curve["max"][:2]) == ([10, 0], [None, 0.0], [None, 0.0])
        assert max(filter(None, curve["max"])) == 99.0
        window = http.get(f"/runs/{run['id']}/metrics/loss", params={"from": 775, "to": 777}).json()
        assert (window["sampled"], window["steps"], window["values"]) == (False, [775, 776, 777], [0.0, 0.0, 99.0])

    def test_one_that_has_not_changed_is_304(self, http: httpx.Client, run: dict[str, Any]) -> None:
        point = {"key": "loss", "value": 1, "step": 0}
        http.post(f"/runs/{run['id']}/metrics", json={"points": [point]})
        first = http.get(f"/runs/{run['id']}/metrics/loss")
        again = http.get(f"/runs/{run['id']}/metrics/loss", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        http.post(f"/runs/{run['id']}/metrics", json={"points": [point | {"step": 1}]})
        changed = http.get(f"/runs/{run['id']}/metrics/loss", headers={"If-None-Match": first.headers["etag"]})
        assert (changed.status_code, changed.json()["steps"]) == (200, [0, 1])


class TestColumns:
    @pytest.mark.parametrize(
        ("series", "says"),
        [
            ({"steps": [1, 2], "values": [1]}, "series.loss: steps, values and at are columns of one table"),
            ({"steps": [1], "values": [1], "at": []}, "series.loss: steps, values and at are columns of one table"),
            ({"steps": [1], "values": [None]}, "series.loss.values[0]: send a number"),
            ({"steps": [-1], "values": [1]}, "series.loss.steps[0]: send a whole number"),
        ],
    )
    def test_a_bad_column_is_422(self, http: httpx.Client, run: dict[str, Any], series: Any, says: str) -> None:
        refused(http.post(f"/runs/{run['id']}/metrics", json={"series": {"loss": series}}), 422, says)

    def test_a_bad_key_is_422(self, http: httpx.Client, run: dict[str, Any]) -> None:
        answer = http.post(f"/runs/{run['id']}/metrics", json={"series": {" a": {"steps": [], "values": []}}})
        refused(answer, 422, "a metric key is not empty and does not begin or end with a space")

    def test_they_are_stored_like_points(self, http: httpx.Client, run: dict[str, Any]) -> None:
        series = {"a": {"steps": [1, 2], "values": [0.5, "NaN"], "at": [10, 20]}, "b": {"steps": [7], "values": [1]}}
        body = {"series": series, "points": [{"key": "a", "value": 9, "step": 1, "at": 5}]}
        assert http.post(f"/runs/{run['id']}/metrics", json=body).json() == {"accepted": 4}
        curve = http.get(f"/runs/{run['id']}/metrics/a").json()
        assert (curve["steps"], curve["values"], curve["at"]) == ([1, 2], [0.5, "NaN"], [10, 20])


class TestRewind:
    def test_an_unknown_run_is_404(self, http: httpx.Client) -> None:
        refused(http.post("/runs/123456/rewind", json={"step": 1, "at": 1}), 404, "there is no run 123456")

    def test_without_a_time_it_is_422(self, http: httpx.Client, run: dict[str, Any]) -> None:
        refused(http.post(f"/runs/{run['id']}/rewind", json={"step": 1}), 422, "at: Field required")

    def test_what_came_after_the_checkpoint_goes_and_stays_away(self, http: httpx.Client, run: dict[str, Any]) -> None:
        series = {"loss": {"steps": [1, 2, 3], "values": [1, 2, 3], "at": [10, 20, 30]}}
        for _ in range(2):
            http.post(f"/runs/{run['id']}/metrics", json={"series": series})
            rewound = http.post(f"/runs/{run['id']}/rewind", json={"step": 1, "at": 30})
            assert (rewound.status_code, rewound.json()) == (200, {"step": 1, "at": 30})
            assert http.get(f"/runs/{run['id']}/metrics/loss").json()["steps"] == [1]
        assert http.post(f"/runs/{run['id']}/metrics", json={"series": series}).json() == {"accepted": 1}


class TestDelete:
    def test_what_is_not_there_is_404(self, http: httpx.Client) -> None:
        refused(http.delete("/runs/123456"), 404, "there is no run 123456")
        refused(http.delete("/experiments/123456"), 404, "there is no experiment 123456")

    def test_what_was_deleted_is_gone(self, http: httpx.Client, run: dict[str, Any]) -> None:
        assert http.delete(f"/runs/{run['id']}").status_code == 204
        refused(http.get(f"/runs/{run['id']}"), 404, "there is no run")
        point = {"key": "loss", "value": 1, "step": 0}
        refused(http.post(f"/runs/{run['id']}/metrics", json={"points": [point]}), 404, "there is no run")
        assert http.delete(f"/experiments/{run['experiment_id']}").status_code == 204
        refused(http.get(f"/experiments/{run['experiment_id']}"), 404, "there is no experiment")


class TestSortAndFilter:
    def test_a_bad_query_is_422(self, http: httpx.Client, experiment: dict[str, Any]) -> None:
        path = f"/experiments/{experiment['id']}/runs"
        refused(http.get(path, params={"status": "lost"}), 422, "status[0]: Input should be 'queued'")
        refused(http.get(path, params={"order": "loss"}), 422, "order: there is no such field")

    def test_runs_are_sorted_chosen_and_paged(self, http: httpx.Client, experiment: dict[str, Any]) -> None:
        path = f"/experiments/{experiment['id']}/runs"
        for loss in (0.3, "NaN", 0.1, 0.2):
            made = created(http.post(path, json={"name": str(loss)}))
            series = {key: {"steps": [0], "values": [loss]} for key in ("loss", "other")}
            http.post(f"/runs/{made['id']}/metrics", json={"series": series})
        query: dict[str, Any] = {"sort": "-loss", "keys": ["loss"], "status": ["running", "failed"], "limit": 3}
        first = http.get(path, params=query).json()
        rest = http.get(path, params=query | {"cursor": first["next"]}).json()
        assert [r["name"] for r in first["items"] + rest["items"]] == ["0.3", "0.2", "0.1", "NaN"]
        assert all(list(r["latest"]) == ["loss"] for r in first["items"])
        assert http.get(f"/experiments/{experiment['id']}", params=query).json()["runs"] == first
        refused(http.get(path, params=query | {"cursor": first["next"], "sort": "loss"}), 400, "cursor")


class TestCompare:
    def test_too_many_or_unknown_runs_are_refused(self, http: httpx.Client) -> None:
        refused(http.get("/compare", params={"key": "loss"}), 422, "run: Field required")
        refused(
            http.get("/compare", params={"run": [1] * 21, "key": "loss"}), 422, "run: List should have at most 20 items"
        )
        refused(http.get("/compare", params={"run": [123456], "key": "loss"}), 404, "there is no run 123456")

    def test_each_run_has_its_curve_or_none(self, http: httpx.Client, run: dict[str, Any]) -> None:
        other = created(http.post(f"/experiments/{run['experiment_id']}/runs", json={"name": "other"}))
        http.post(f"/runs/{run['id']}/metrics", json={"points": [{"key": "a/b", "value": "Infinity", "step": 3}]})
        body = http.get("/compare", params={"run": [other["id"], run["id"]], "key": "a/b"}).json()
        assert body["key"] == "a/b"
        assert [(r["run"], r["name"]) for r in body["runs"]] == [(other["id"], "other"), (run["id"], run["name"])]
        assert body["runs"][0]["curve"] is None
        assert body["runs"][1]["curve"]["values"] == ["Infinity"]


class TestExport:
    def test_what_is_not_there_is_404(self, http: httpx.Client) -> None:
        refused(http.get("/experiments/123456/export"), 404, "there is no experiment 123456")

    def test_an_unknown_form_is_422(self, http: httpx.Client, experiment: dict[str, Any]) -> None:
        refused(http.get(f"/experiments/{experiment['id']}/export?format=xml"), 422, "'jsonl' or 'csv'")

    @pytest.mark.parametrize(
        ("form", "kind", "last"),
        [
            ("jsonl", "application/x-ndjson", '{"log": {"loss": "NaN"}, "step": 1, "at": 7}'),
            ("csv", "text/csv", "NaN,7"),
        ],
    )
    def test_it_is_a_file_to_keep(
        self, http: httpx.Client, run: dict[str, Any], form: str, kind: str, last: str
    ) -> None:
        http.post(f"/runs/{run['id']}/metrics", json={"points": [{"key": "loss", "value": "NaN", "step": 1, "at": 7}]})
        answer = http.get(f"/experiments/{run['experiment_id']}/export?format={form}")
        assert answer.headers["content-type"].startswith(kind)
        assert f'filename="experiment-{run["experiment_id"]}.{form}"' in answer.headers["content-disposition"]
        assert answer.text.splitlines()[-1].endswith(last)

    def test_a_long_one_comes_in_blocks_and_whole(self, http: httpx.Client, run: dict[str, Any]) -> None:
        steps = list(range(10_000))
        http.post(f"/runs/{run['id']}/metrics", json={"series": {"loss": {"steps": steps, "values": [0.5] * 10_000}}})
        with http.stream("GET", f"/experiments/{run['experiment_id']}/export?format=csv") as answer:
            blocks = list(answer.iter_raw())
        assert len(blocks) > 3
        assert [int(row.split(",")[3]) for row in b"".join(blocks).decode().splitlines()[1:]] == steps

    def test_who_stops_reading_costs_no_connection(self, http: httpx.Client, run: dict[str, Any]) -> None:
        """More often than the server has connections to its database."""
        series = {f"k{i}": {"steps": list(range(1000)), "values": [0.5] * 1000} for i in range(10)}
        http.post(f"/runs/{run['id']}/metrics", json={"series": series})
        for _ in range(60):
            with http.stream("GET", f"/experiments/{run['experiment_id']}/export") as answer:
                assert answer.status_code == 200
        assert http.get("/readyz").status_code == 200


class TestAllRuns:
    def test_a_forged_cursor_is_400(self, http: httpx.Client) -> None:
        refused(http.get("/runs?cursor=AAAA"), 400, "not one that we handed out")

    def test_those_of_a_job_are_found_in_every_experiment(self, http: httpx.Client) -> None:
        job = uuid.uuid4().hex[:8]
        for name, of in (("a", job), ("b", f"{job}_0"), ("c", f"{job}_12"), ("d", f"{job}1"), ("e", None)):
            made = created(http.post("/experiments", json={"name": new_name()}))
            created(http.post(f"/experiments/{made['id']}/runs", json={"name": name, "job": of}))
        found = http.get("/runs", params={"job": job}).json()["items"]
        assert [(r["name"], r["job"]) for r in found] == [("c", f"{job}_12"), ("b", f"{job}_0"), ("a", job)]
        assert [r["name"] for r in http.get("/runs", params={"job": f"{job}_0"}).json()["items"]] == ["b"]
        assert http.get("/runs", params={"job": "%"}).json()["items"] == []
        assert [r["name"] for r in http.get("/runs", params={"limit": 1}).json()["items"]] == ["e"]


class TestWhen:
    """What happened earlier, as a client says that sends it late."""

    def test_a_time_that_is_none_is_422(self, http: httpx.Client, run: dict[str, Any]) -> None:
        refused(http.post("/experiments", json={"name": new_name(), "at": -1}), 422, "at: ")
        refused(http.post(f"/experiments/{run['experiment_id']}/runs", json={"at": "x"}), 422, "at: ")
        refused(http.patch(f"/runs/{run['id']}", json={"at": 1.5}), 422, "at: ")

    def test_it_counts_from_then(self, http: httpx.Client) -> None:
        made = created(http.post("/experiments", json={"name": new_name(), "at": 5}))
        run = created(http.post(f"/experiments/{made['id']}/runs", json={"at": 7}))
        ended = http.patch(f"/runs/{run['id']}", json={"status": "failed", "at": 9}).json()
        assert (made["created_at"], ended["created_at"], ended["started_at"], ended["finished_at"]) == (5, 7, 7, 9)
        assert ended["heartbeat_at"] > 1_700_000_000_000


def test_it_is_alive_and_ready(http: httpx.Client) -> None:
    for path in ("/healthz", "/readyz"):
        assert http.get(path).json()["status"] == "ok"
