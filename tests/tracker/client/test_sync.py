"""What is sent afterwards: spools that wait, and the runs of an export."""

import json
import random
import uuid
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tracker.client import sync as sync_module
from tracker.client.http import Api, NotAllowed, Refused, Unanswered
from tracker.client.spool import Writer
from tracker.client.sync import import_file, retry, sync
from tracker.values import ENDED, Status


def url_of(http: httpx.Client) -> str:
    return str(http.base_url).rstrip("/")


def exported(http: httpx.Client, name: str) -> str:
    (experiment,) = http.get("/experiments", params={"name": name}).json()["items"]
    answer = http.get(f"/experiments/{experiment['id']}/export")
    assert answer.status_code == 200
    return answer.text


@pytest.fixture
def name() -> str:
    return f"e-{uuid.uuid4().hex[:8]}"


def write(folder: Path, spool: str, *entries: dict[str, Any]) -> Path:
    writer = Writer(folder / "spool" / f"{spool}.jsonl")
    for entry in entries:
        writer.append(json.dumps(entry).encode() + b"\n")
    writer.close()
    return writer.file


def run_entry(experiment: str, external_id: str, **more: Any) -> dict[str, Any]:
    return {"run": {"experiment": experiment, "external_id": external_id, "attempt": "one"} | more, "at": 5, "v": 1}


def test_every_spool_is_sent_once(http: httpx.Client, tmp_path: Path, name: str) -> None:
    for number in range(3):
        write(tmp_path, f"x{number}", run_entry(name, f"x{number}"), {"log": {"a": number}, "step": 0, "at": 6})
    told: list[tuple[str, int]] = []
    assert sync(tmp_path, url_of(http), progress=lambda run, left: told.append((run, left))) == (3, 0)
    assert [run for run, left in told if left == 0] == ["x0", "x1", "x2"]
    assert sync(tmp_path, url_of(http)) == (0, 0)
    assert [json.loads(line)["log"] for line in exported(http, name).splitlines() if '"log"' in line] == [
        {"a": number} for number in range(3)
    ]


def test_without_a_server_nothing_is_lost(tmp_path: Path, name: str, http: httpx.Client) -> None:
    write(tmp_path, "x", run_entry(name, "x"))
    with pytest.raises(Unanswered):
        sync(tmp_path, "http://127.0.0.1:1")
    assert sync(tmp_path, url_of(http)) == (1, 0)


def test_a_server_that_is_away_for_a_moment_ends_nothing(
    http: httpx.Client, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, "x", run_entry(name, "x"), {"log": {"a": 1}, "step": 0, "at": 6}, {"end": "failed", "at": 9})
    request, asked = Api.request, count()

    def now_and_then(self: Api, *what: Any) -> Any:
        if next(asked) % 4 == 0:
            raise Unanswered("a proxy starts anew", 0.001)
        return request(self, *what)

    monkeypatch.setattr(Api, "request", now_and_then)
    monkeypatch.setattr(sync_module, "pauses", lambda: iter([0.001] * 9))
    assert sync(tmp_path, url_of(http)) == (1, 0)
    assert import_file(file, url_of(http)) == (1, 0)
    monkeypatch.undo()
    assert '"end": "failed"' in exported(http, name)


@pytest.mark.parametrize(
    "text", ["", "\n", "run,step,loss\n1,2,0.5\n", '{"log": {"a": 1}, "step": 0, "at": 0}\n', "[1]\n"]
)
def test_a_file_that_is_no_export_is_refused(http: httpx.Client, tmp_path: Path, text: str) -> None:
    (tmp_path / "notes.txt").write_text(text)
    with pytest.raises(ValueError, match=r"notes\.txt is no export of a tracker"):
        import_file(tmp_path / "notes.txt", url_of(http))


def test_a_spool_is_an_export_too(http: httpx.Client, tmp_path: Path, name: str) -> None:
    file = write(
        tmp_path, "x", run_entry(name, "x"), {"log": {"a": 1.5}, "step": 3, "at": 6}, {"end": "failed", "at": 9}
    )
    told: list[int] = []
    for _ in range(2):  # again: completed, not doubled
        assert import_file(file, url_of(http), progress=told.append) == (1, 0)
    assert told[-1] == file.stat().st_size
    lines = [json.loads(line) for line in exported(http, name).splitlines()]
    assert lines[2:] == [{"log": {"a": 1.5}, "step": 3, "at": 6}, {"end": "failed", "at": 9}]


def test_what_is_refused_is_counted_and_kept(http: httpx.Client, tmp_path: Path, name: str) -> None:
    """A torn file, or one that somebody has edited."""
    file = write(
        tmp_path,
        "x",
        run_entry(name, "good"),
        {"log": {"a": 1, " bad": 2}, "step": 0, "at": 6},
        run_entry(name, "not/good"),
        {"log": {"a": 666}, "step": 0, "at": 6},
        {"end": "finished", "at": 6},
    )
    with file.open("ab") as torn:
        torn.write(b'{"log": {"a"')
    with pytest.warns(UserWarning, match="refused a part"):
        assert import_file(file, url_of(http)) == (2, 5)
    assert '"a": 666' not in exported(http, name)  # the points of a run that was refused go to no other
    assert '"a": 1.0' in exported(http, name)
    assert file.with_suffix(".refused").read_text().count("\n# ") == 4


def history(http: httpx.Client, name: str, rng: random.Random) -> None:
    """Some runs, each after a random life."""
    made = http.post("/experiments", json={"name": name, "description": "ü", "at": rng.randrange(9)}).json()
    for number in range(rng.randrange(4)):
        described = {"external_id": f"x{number}", "params": {"lr": rng.random()}, "tags": {"n": [number, None, "損"]}}
        clock = 10
        for _ in range(rng.randrange(1, 25)):
            clock += rng.randrange(3)
            status = rng.choice([Status.RUNNING, Status.RUNNING, Status.QUEUED])
            begins = described | {"status": status, "at": clock, "attempt": rng.choice(["one", "two", "three", None])}
            if rng.random() < 0.3:
                begins["job"] = rng.choice(["7", "8_1"])
            run = http.post(f"/experiments/{made['id']}/runs", json=begins).json()
            for _ in range(rng.randrange(4)):
                step, value = rng.randrange(5), rng.choice([0.1, 1e-300, "NaN", "Infinity", "-Infinity", -0.0])
                points = [
                    {"key": key, "step": step, "value": value, "at": clock} for key in rng.choice(["a", "ab", "b/ü"])
                ]
                http.post(f"/runs/{run['id']}/metrics", json={"points": points}).raise_for_status()
            if rng.random() < 0.3:
                rewind = {"step": rng.randrange(5), "at": rng.randrange(10, clock + 1)}
                http.post(f"/runs/{run['id']}/rewind", json=rewind).raise_for_status()
            change = {"status": rng.choice(list(Status))} | ({"at": clock} if rng.random() < 0.8 else {})
            assert http.patch(f"/runs/{run['id']}", json=change).status_code in (200, 409)
        now = http.get(f"/runs/{run['id']}").json()["status"]
        http.patch(f"/runs/{run['id']}", json={"status": now})  # late points have unsealed what an import seals


@pytest.mark.parametrize("seed", range(25))
def test_export_and_import_lead_to_the_same_again(http: httpx.Client, tmp_path: Path, name: str, seed: int) -> None:
    """Whatever has happened to the runs; as an export says it, and as the API does."""
    history(http, name, random.Random(seed))
    (tmp_path / "kept.jsonl").write_text(exported(http, name))
    import_file(tmp_path / "kept.jsonl", url_of(http), experiment=f"{name}-2")
    assert exported(http, f"{name}-2").replace(f'"{name}-2"', f'"{name}"') == exported(http, name)
    both = [runs_of(http, name), runs_of(http, f"{name}-2")]
    assert both[0] == both[1]


def runs_of(http: httpx.Client, name: str) -> list[dict[str, Any]]:
    """Without what belongs to the one tracker: ids, when it heard of it, and what it has summed up in between."""
    (experiment,) = http.get("/experiments", params={"name": name}).json()["items"]
    found = http.get(f"/experiments/{experiment['id']}/runs").json()["items"]
    for run in found:
        if run["status"] not in ENDED:
            run["latest"] = {key: (p["step"], p["value"], p["at"]) for key, p in run["latest"].items()}
    return [
        {what: value for what, value in run.items() if what not in ("id", "experiment_id", "heartbeat_at", "lost")}
        for run in found
    ]


class Attempt:
    """What is tried: it fails with each of these in turn, and then says "stored"."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.made = 0

    def __call__(self) -> str:
        self.made += 1
        if self.failures:
            raise self.failures.pop(0)
        return "stored"


def waits(attempt: Attempt, tries: int = 4) -> list[float]:
    """The pauses of a `retry`, however it ends."""
    found: list[float] = []
    with suppress(Unanswered):
        retry(attempt, tries, found.append)
    return found


class TestRetry:
    def test_retry_of_what_succeeds_is_one_try(self) -> None:
        attempt, waited = Attempt(), waits(Attempt())
        assert (retry(attempt), attempt.made, waited) == ("stored", 1, [])

    def test_retry_goes_on_until_there_is_an_answer(self) -> None:
        attempt, waited = Attempt(Unanswered("no"), Unanswered("no")), list[float]()
        assert retry(attempt, wait=waited.append) == "stored"
        assert (attempt.made, len(waited)) == (3, 2)

    def test_retry_raises_the_last_failure(self) -> None:
        failures = [Unanswered("no") for _ in range(4)]
        attempt, waited = Attempt(*failures), list[float]()
        with pytest.raises(Unanswered) as raised:
            retry(attempt, 4, waited.append)
        assert (raised.value, attempt.made, len(waited)) == (failures[-1], 4, 3)
        assert waits(Attempt(Unanswered("no")), tries=1) == []

    @pytest.mark.parametrize(
        "failure", [Refused(409, "taken"), NotAllowed("no key"), TypeError("a bug"), KeyboardInterrupt()], ids=repr
    )
    def test_retry_of_what_will_not_pass_is_one_try(self, failure: BaseException) -> None:
        attempt = Attempt(failure)
        with pytest.raises(type(failure)):
            retry(attempt, wait=lambda _: None)
        assert attempt.made == 1

    def test_retry_waits_longer_each_time_and_out_of_step(self) -> None:
        taken = [waits(Attempt(*[Unanswered("no")] * 4)) for _ in range(9)]
        for paused in taken:
            for pause, full in zip(paused, [0.25, 0.5, 1.0], strict=True):
                assert full / 2 <= pause <= full
        assert len({tuple(paused) for paused in taken}) == 9

    def test_retry_waits_as_long_as_the_server_asks_for_and_never_less_than_the_pause(self) -> None:
        (longer,), (shorter,) = (waits(Attempt(Unanswered("later", asked))) for asked in (7.0, 0.001))
        assert longer == 7
        assert shorter >= 0.125
