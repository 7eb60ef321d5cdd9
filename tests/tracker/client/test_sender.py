"""From a spool file to a real server, without the thread that does it in a training."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from typing import Any

import httpx
import pytest

from tracker.client import sender as sender_module
from tracker.client import spool as spool_module
from tracker.client.http import Api, Unanswered
from tracker.client.sender import Batch, Sender, batches
from tracker.client.spool import Spool, Writer, segments


def write(writer: Writer, *entries: dict[str, Any]) -> None:
    for entry in entries:
        writer.append(json.dumps(entry).encode() + b"\n")


def run_entry(**changes: Any) -> dict[str, Any]:
    run = {"experiment": f"e-{uuid.uuid4().hex[:8]}", "external_id": uuid.uuid4().hex, "attempt": "one", "name": "n"}
    return {"run": run | changes, "at": 1, "v": 1}


def log(step: int, **metrics: float | str) -> dict[str, Any]:
    return {"log": metrics, "step": step, "at": 1000 + step}


def send_all(spool: Spool, api: Api, **options: Any) -> int:
    """As another process would, which knows of the run only what the spool says; how many batches."""
    sender, sent = Sender(spool.file, api, **options), 0
    while sender.forward(spool):
        sent += 1
    return sent


def sent(body: dict[str, Any]) -> int:
    """How many points a request holds."""
    return sum(len(columns["steps"]) for columns in body["series"].values())


def only_run(http: httpx.Client, entry: dict[str, Any]) -> dict[str, Any]:
    (experiment,) = http.get("/experiments", params={"name": entry["run"]["experiment"]}).json()["items"]
    (run,) = http.get(f"/experiments/{experiment['id']}/runs").json()["items"]
    assert isinstance(run, dict)
    return run


def test_a_whole_run_arrives_in_three_requests(http: httpx.Client, writer: Writer, spool: Spool, api: Any) -> None:
    entry = run_entry(params={"lr": 0.1}, tags={"a": 1})
    write(writer, entry, log(0, loss=0.5), log(1, loss="NaN", lr=0.1), {"end": "finished", "at": 2})
    assert send_all(spool, api) == 3
    assert spool.unsent == 0
    run = only_run(http, entry)
    assert (run["name"], run["status"], run["params"], run["tags"]) == ("n", "finished", {"lr": 0.1}, {"a": 1})
    curve = http.get(f"/runs/{run['id']}/metrics/loss").json()
    assert (curve["steps"], curve["values"], curve["at"]) == ([0, 1], [0.5, "NaN"], [1000, 1001])
    assert [method for method, _, _ in api.asked] == ["POST", "POST", "POST", "PATCH"]


def test_sending_again_from_the_beginning_changes_nothing(
    http: httpx.Client, writer: Writer, spool: Spool, api: Any
) -> None:
    entry = run_entry()
    write(writer, entry, log(0, loss=0.5), {"end": "failed", "at": 2})
    send_all(spool, api)
    before = only_run(http, entry)
    spool.cursor = 0
    send_all(spool, api)
    after = only_run(http, entry)
    assert {k: before[k] for k in ("id", "status", "restarts", "latest")} == {
        k: after[k] for k in ("id", "status", "restarts", "latest")
    }


def test_another_process_goes_on_at_the_cursor(http: httpx.Client, writer: Writer, spool: Spool, api: Any) -> None:
    entry = run_entry()
    write(writer, entry, log(0, loss=0.5))
    send_all(spool, api)
    write(writer, log(1, loss=0.4))
    with closing(Spool(spool.file)) as opened_later:
        assert send_all(opened_later, api) == 1
    assert api.asked[-1][2] == {"series": {"loss": {"steps": [1], "values": [0.4], "at": [1001]}}}
    assert only_run(http, entry)["latest"]["loss"]["step"] == 1
    assert only_run(http, entry)["restarts"] == 0


def test_a_resumed_run_goes_on_as_the_same(http: httpx.Client, writer: Writer, spool: Spool, api: Any) -> None:
    entry = run_entry()
    write(writer, entry, log(0, loss=0.5), {"end": "preempted", "at": 2})
    resumed = {"run": entry["run"] | {"attempt": "two"}, "at": 3, "v": 1}
    write(writer, resumed, log(1, loss=0.4))
    send_all(spool, api)
    run = only_run(http, entry)
    assert (run["status"], run["restarts"], run["latest"]["loss"]["step"]) == ("running", 1, 1)


def test_a_batch_has_its_limits(
    http: httpx.Client, writer: Writer, spool: Spool, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "BATCH_POINTS", 10)
    entry = run_entry()
    write(writer, entry, *(log(i, a=i, b=i, c=i) for i in range(9)))
    send_all(spool, api)
    assert [sent(body) for _, path, body in api.asked if path.endswith("/metrics")] == [12, 12, 3]
    monkeypatch.setattr(sender_module, "BATCH_POINTS", 1000)
    monkeypatch.setattr(sender_module, "BATCH_BYTES", 150)
    write(writer, *(log(i, a=i) for i in range(9, 12)))
    api.asked.clear()
    send_all(spool, api)
    assert [sent(body) for _, path, body in api.asked if path.endswith("/metrics")] == [2, 1]


class TestBatches:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sender_module, "BATCH_POINTS", 6)
        monkeypatch.setattr(sender_module, "BATCH_BYTES", 1000)

    def made(self, *entries: dict[str, Any]) -> list[Batch]:
        """All at once: a batch is not the next one's to change."""
        lines = [json.dumps(entry).encode() for entry in entries]
        found = list(batches((line, number) for number, line in enumerate(lines, 1)))
        assert [line for batch in found for line in batch.lines] == lines
        assert [entry for batch in found for entry in batch.entries] == list(entries)
        assert [batch.end for batch in found] == list(accumulate(len(batch.lines) for batch in found))
        return found

    def sizes(self, *entries: dict[str, Any]) -> list[int]:
        return [len(batch.lines) for batch in self.made(*entries)]

    def test_lines_go_together_until_there_are_enough_points(self) -> None:
        assert self.sizes(*(log(i, a=i, b=i) for i in range(7))) == [3, 3, 1]
        assert self.sizes(*(log(i, a=i, b=i) for i in range(3))) == [3]
        five = dict.fromkeys("abcde", 1.0)
        assert self.sizes(log(0, **five), log(1, **five), log(2, a=1)) == [2, 1]
        assert self.sizes() == []

    def test_or_enough_bytes(self) -> None:
        assert self.sizes(*(log(i, **{"k" * 450: i}) for i in range(4))) == [2, 2]

    def test_another_line_goes_alone(self) -> None:
        end = {"end": "finished", "at": 9}
        assert self.sizes(log(0, a=1), end, log(1, a=1), log(2, a=1), end, end) == [1, 1, 2, 1, 1]

    def test_none_waits_for_lines_that_it_does_not_need(self) -> None:
        def lines() -> Iterator[tuple[bytes, int]]:
            for step in range(10):
                yield json.dumps(log(step, a=1, b=2)).encode(), step
                assert step < 5, "read on"

        assert len(next(batches(lines())).lines) == 3


def test_the_largest_batch_fits_into_a_request(http: httpx.Client, writer: Writer, spool: Spool, api: Any) -> None:
    """As many points as go, with the longest keys there are."""
    entry = run_entry()
    keys = [f"{i:04d}" + "损" * 246 for i in range(1000)]
    write(
        writer, entry, *({"log": dict.fromkeys(keys, -1.2345678901234567e-300), "step": i, "at": 1} for i in range(7))
    )
    send_all(spool, api)
    assert not spool.file.with_suffix(".refused").exists()
    assert only_run(http, entry)["latest"][keys[0]]["step"] == 6


def test_an_existing_experiment_is_found_by_name(http: httpx.Client, writer: Writer, spool: Spool, api: Any) -> None:
    entry = run_entry(experiment=f"größe & {uuid.uuid4().hex}")
    http.post("/experiments", json={"name": entry["run"]["experiment"]})
    write(writer, entry)
    send_all(spool, api)
    assert only_run(http, entry)["name"] == "n"


def test_what_the_server_refuses_is_set_aside_and_the_rest_sent(
    http: httpx.Client, writer: Writer, spool: Spool, api: Any
) -> None:
    entry = run_entry()
    write(writer, entry, {"log": {" bad": 1}, "step": 0, "at": 0}, {"end": "queued", "at": 1})
    write(writer, log(1, loss=0.5), {"end": "finished", "at": 2})
    with pytest.warns(UserWarning, match="refused a part of this run, kept in") as warned:
        send_all(spool, api)
    assert len(warned) == 1
    assert spool.unsent == 0
    refused = spool.file.with_suffix(".refused").read_text()
    assert "# points[0].key: a metric key is not empty" in refused
    assert '{"key": " bad", "value": 1, "step": 0, "at": 0}\n# run' in refused
    assert (only_run(http, entry)["status"], only_run(http, entry)["latest"]["loss"]["step"]) == ("finished", 1)


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"[1]\n",
        b'{"what": 1}\n',
        b"\xff\n",
        b'{"log": {"a": 1}, "at": 1}\n',
        b'{"log": {"a": 1}, "step": 1}\n',
        b'{"log": [1], "step": 1, "at": 1}\n',
        b'{"run": 1, "at": 1, "v": 1}\n',
        b"[" * 100_000 + b"\n",
    ],
    ids=range(9),
)
def test_a_line_that_is_none_is_set_aside(
    http: httpx.Client, writer: Writer, spool: Spool, api: Any, line: bytes
) -> None:
    entry = run_entry()
    write(writer, entry)
    writer.append(line)
    write(writer, log(0, loss=1.0))
    with pytest.warns(UserWarning, match="this is no line of a spool"):
        send_all(spool, api)
    assert spool.file.with_suffix(".refused").read_bytes() == b"# this is no line of a spool\n" + line
    assert only_run(http, entry)["latest"]["loss"]["step"] == 0


def test_a_spool_of_a_newer_tracker_is_not_misread(writer: Writer, spool: Spool, api: Any) -> None:
    write(writer, run_entry() | {"v": 2})
    with pytest.warns(UserWarning, match="has version 2, this tracker reads version 1"):
        send_all(spool, api)
    assert api.asked == []


def test_an_absent_server_leaves_the_cursor_where_it_was(writer: Writer, spool: Spool) -> None:
    write(writer, run_entry())
    with pytest.raises(Unanswered):
        Sender(spool.file, Api("http://127.0.0.1:1")).forward(spool)
    assert spool.cursor == 0


def test_bad_points_are_dropped_and_the_rest_of_the_batch_is_sent(
    http: httpx.Client, writer: Writer, spool: Spool, api: Any
) -> None:
    """Fifteen of them: the server names ten at a time."""
    entry = run_entry()
    write(writer, entry, *({"log": {f" bad{i}": 1, f"good{i}": 1}, "step": i, "at": 0} for i in range(15)))
    with pytest.warns(UserWarning, match="refused a part of this run"):
        send_all(spool, api)
    assert len(only_run(http, entry)["latest"]) == 15
    refused = spool.file.with_suffix(".refused").read_text().splitlines()
    assert [json.loads(line)["key"] for line in refused if not line.startswith("#")] == [f" bad{i}" for i in range(15)]


def test_a_rewind_travels_between_what_was_logged_before_and_after(
    http: httpx.Client, writer: Writer, spool: Spool, api: Any
) -> None:
    entry = run_entry()
    write(
        writer,
        entry,
        *(log(i, loss=i) for i in range(5)),
        {"rewind": 2, "at": 1100},
        {"log": {"loss": 9}, "step": 3, "at": 1101},
    )
    send_all(spool, api)
    run = only_run(http, entry)
    curve = http.get(f"/runs/{run['id']}/metrics/loss").json()
    assert (curve["steps"], curve["values"]) == ([0, 1, 2, 3], [0, 1, 2, 9])


def test_a_resumed_run_hears_how_far_the_server_is(http: httpx.Client, writer: Writer, spool: Spool, api: Any) -> None:
    heard: list[int] = []
    entry = run_entry()
    write(writer, entry, log(7, loss=1.0))
    send_all(spool, api, resumed=heard.append)
    assert heard == []
    spool.cursor = 0
    send_all(spool, api, resumed=heard.append)
    assert heard == [1007]


def test_a_heartbeat_is_a_batch_of_nothing(http: httpx.Client, writer: Writer, spool: Spool, api: Any) -> None:
    entry = run_entry()
    sender = Sender(spool.file, api)
    sender.heartbeat()
    assert api.asked == []
    write(writer, entry)
    assert sender.forward(spool)
    before = only_run(http, entry)["heartbeat_at"]
    time.sleep(0.005)
    sender.heartbeat()
    assert only_run(http, entry)["heartbeat_at"] > before


def test_of_a_spool_in_segments_the_rest_is_sent_though_the_first_is_gone(
    http: httpx.Client, writer: Writer, spool: Spool, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT", 1000)
    monkeypatch.setattr(sender_module, "BATCH_POINTS", 5)
    entry = run_entry()
    writer.begin(json.dumps(entry).encode() + b"\n")
    write(writer, *(log(i, loss=i) for i in range(100)))
    for _ in range(15):
        Sender(spool.file, api).forward(spool)
    assert len(segments(spool.file)) < 5
    assert segments(spool.file)[0][0] > 0
    send_all(spool, api)
    assert len(segments(spool.file)) == 1
    run = only_run(http, entry)
    assert http.get(f"/runs/{run['id']}/metrics/loss").json()["steps"] == list(range(100))
    assert (run["restarts"], run["status"]) == (0, "running")


def test_a_spool_without_its_run_is_set_aside(writer: Writer, spool: Spool, api: Any) -> None:
    write(writer, log(0, loss=1.0), {"rewind": 0, "at": 1}, {"end": "finished", "at": 2})
    with pytest.warns(UserWarning, match="says nowhere which run it is"):
        send_all(spool, api)
    assert api.asked == []
    assert spool.unsent == 0


def test_a_run_whose_spool_was_deleted_is_sent_again(http: httpx.Client, tmp_path: Path, api: Any) -> None:
    entry = run_entry()
    for value in (1.0, 2.0):
        file = tmp_path / "again.jsonl"
        file.unlink(missing_ok=True)  # and its cursor stays
        with closing(Writer(file)) as writer, closing(Spool(file)) as spool:
            write(writer, entry)
            if value == 1.0:
                write(writer, *(log(i, old=1.0) for i in range(50)))
            write(writer, log(7, loss=value) | {"at": int(value)})
            send_all(spool, api)
    assert only_run(http, entry)["latest"]["loss"]["value"] == 2.0
