"""A training and its tracker: what `init`, `log` and `finish` promise, with a real server and real processes."""

import errno
import json
import math
import os
import subprocess
import sys
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import tracker
from tracker import values
from tracker.client import run as run_module
from tracker.client import sender as sender_module
from tracker.client.sync import sync

NOBODY = "http://127.0.0.1:1"  # where no server is


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_DIR", str(tmp_path))
    monkeypatch.setenv("TRACKER_URL", str(http.base_url).rstrip("/"))


@pytest.fixture
def experiment() -> str:
    return f"e-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """`finish` waits for an absent server, but not for ten seconds in a test."""
    monkeypatch.setattr(run_module, "PATIENCE", 0.1)


@pytest.fixture
def offline(experiment: str, impatient: None) -> Iterator[tracker.Run]:
    """A run whose points stay in the spool, where a test can read them."""
    run = tracker.init(experiment, url=NOBODY)
    yield run
    run.finish()


def spooled(run: tracker.Run, folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "spool" / f"{run.external_id}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def runs(http: httpx.Client, experiment: str) -> list[dict[str, Any]]:
    items = http.get("/experiments", params={"name": experiment}).json()["items"]
    return http.get(f"/experiments/{items[0]['id']}/runs").json()["items"] if items else []


def curve(http: httpx.Client, run: dict[str, Any], key: str) -> list[tuple[int, Any]]:
    body = http.get(f"/runs/{run['id']}/metrics/{key}").json()
    return list(zip(body["steps"], body["values"], strict=True))


class TestInit:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ({"experiment": ""}, "a name of an experiment is not empty"),
            ({"experiment": "a", "name": " b"}, "a name of a run is not empty"),
            ({"experiment": "a", "external_id": "a/b"}, "an external id has"),
            ({"experiment": "a", "params": {"lr": math.inf}}, "params must be what JSON can hold"),
            ({"experiment": "a", "tags": {"x": object()}}, "tags must be what JSON can hold"),
            ({"experiment": "a", "params": {"x": "y" * 70_000}}, "params have at most 65536 bytes"),
            ({"experiment": "a", "url": "nowhere"}, "TRACKER_URL is no address"),
        ],
    )
    def test_what_no_tracker_would_take_is_refused_at_once(self, arguments: dict[str, Any], says: str) -> None:
        with pytest.raises(ValueError, match=says):
            tracker.init(**arguments)

    def test_a_folder_that_cannot_be_written_is_an_os_error(self, tmp_path: Path, experiment: str) -> None:
        (tmp_path / "spool").write_text("in the way")
        with pytest.raises(OSError, match="File exists"):
            tracker.init(experiment)

    def test_logging_before_it_is_an_error(self) -> None:
        with pytest.raises(RuntimeError, match="there is no run yet"):
            tracker.log({"loss": 1.0})


class TestLog:
    @pytest.mark.parametrize(
        ("metrics", "step", "says"),
        [
            ({"loss": "0.5"}, 0, "the value of 'loss' is not a number: '0.5'"),
            ({"loss": None}, 0, "float"),
            ({"": 1.0}, 0, "a metric key is not empty"),
            ({1: 1.0}, 0, "a metric's key is a text, not 1"),
            ({"loss": 1.0}, -1, "a step is a whole number from 0"),
            ({"loss": 1.0}, 2**53, "a step is a whole number from 0"),
            ({"loss": 1.0}, 1.5, "float"),
            ([1.0], 0, "items"),
            ({f"k{i}": 1.0 for i in range(1001)}, 0, "at most 1000 metrics, not 1001"),
        ],
    )
    def test_what_cannot_be_logged_is_left_out_with_one_warning(
        self, offline: tracker.Run, tmp_path: Path, metrics: Any, step: Any, says: str
    ) -> None:
        with pytest.warns(UserWarning, match=says):
            offline.log(metrics, step)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            offline.log(metrics, step)
            offline.log({"good": 1.0}, 5)
        assert [e["log"] for e in spooled(offline, tmp_path) if "log" in e] == [{"good": 1.0}]

    def test_a_strict_run_raises(self, experiment: str, impatient: None) -> None:
        with tracker.init(experiment, url=NOBODY, strict=True) as run, pytest.raises(TypeError, match="not a number"):
            run.log({"loss": "0.5"})

    def test_after_the_end_it_warns(self, experiment: str) -> None:
        run = tracker.init(experiment)
        run.finish()
        with pytest.warns(UserWarning, match="this run has ended"):
            run.log({"loss": 1.0})

    def test_every_number_is_a_value(self, offline: tracker.Run, tmp_path: Path) -> None:
        values = {
            "int": 3,
            "bool": True,
            "float32": np.float32(0.5),
            "int64": np.int64(7),
            "array": np.array(2.5),
            "nan": math.nan,
            "inf": np.float64("inf"),
            "-inf": -math.inf,
            "zero": -0.0,
            "tiny": 5e-324,
        }
        offline.log(values, np.int64(4))
        (entry,) = [e for e in spooled(offline, tmp_path) if "log" in e]
        assert entry["step"] == 4
        assert entry["log"] == {
            "int": 3.0,
            "bool": 1.0,
            "float32": 0.5,
            "int64": 7.0,
            "array": 2.5,
            "nan": "NaN",
            "inf": "Infinity",
            "-inf": "-Infinity",
            "zero": -0.0,
            "tiny": 5e-324,
        }
        assert math.copysign(1, entry["log"]["zero"]) == -1

    def test_keys_need_no_care(self, offline: tracker.Run, tmp_path: Path) -> None:
        keys = ['a"b', "a\\b", "größe", "a{b}%s", "损失"]
        offline.log(dict.fromkeys(keys, 1.0))
        (entry,) = [e for e in spooled(offline, tmp_path) if "log" in e]
        assert list(entry["log"]) == keys

    def test_without_a_step_it_is_the_one_after_the_last(self, offline: tracker.Run, tmp_path: Path) -> None:
        offline.log({"a": 1.0})
        offline.log({"a": 1.0}, 10)
        offline.log({"a": 1.0})
        assert [e["step"] for e in spooled(offline, tmp_path) if "log" in e] == [0, 10, 11]

    def test_a_step_logged_again_is_later(
        self, offline: tracker.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start = 9_000_000_000_000  # later than the run's own line
        clock = iter([start + 1000, start + 1000, start + 1000, start + 1000, start + 500, start + 2000])
        monkeypatch.setattr(run_module, "now_ms", lambda: next(clock, start + 9999))
        for step in (0, 1, 1, 0, 2, 3):
            offline.log({"a": 1.0}, step)
        logged = [e["at"] - start for e in spooled(offline, tmp_path) if "log" in e]
        assert logged == [1000, 1000, 1001, 1002, 1002, 2000]

    def test_threads_do_not_tear_each_others_lines(self, offline: tracker.Run, tmp_path: Path) -> None:
        def log(name: str) -> None:
            for i in range(500):
                offline.log({name * 50: 1.0}, i)

        threads = [threading.Thread(target=log, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        logged = [e["log"] for e in spooled(offline, tmp_path) if "log" in e]
        assert len(logged) == 2000
        assert all(list(entry.values()) == [1.0] for entry in logged)


class TestFinish:
    def test_a_status_that_is_no_end_is_refused(self, offline: tracker.Run) -> None:
        with pytest.raises(ValueError, match="does not end as running"):
            offline.finish("running")
        with pytest.raises(ValueError, match="'lost' is not a valid Status"):
            offline.finish("lost")

    def test_an_absent_server_costs_nothing_and_loses_nothing(
        self, experiment: str, impatient: None, tmp_path: Path, capfd: pytest.CaptureFixture[str], http: httpx.Client
    ) -> None:
        with tracker.init(experiment, url=NOBODY) as run:
            run.log({"loss": 0.5}, 3)
        told = capfd.readouterr().err
        assert f"it is all safe in {tmp_path}/spool/{run.external_id}.jsonl" in told
        assert "tracker sync" in told
        # The thread of the unsent run keeps the right to send until its process ends.
        command = [sys.executable, "-m", "tracker", "sync", str(tmp_path)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "1 run left to the training, which sends its points itself" in told

    def test_everything_has_arrived_when_it_returns(self, http: httpx.Client, experiment: str) -> None:
        with tracker.init(experiment, name="n", params={"lr": 0.1}, tags={"t": 1}) as run:
            for step in range(2000):
                run.log({"loss": 1 / (step + 1), "nan": math.nan}, step)
        (seen,) = runs(http, experiment)
        assert (seen["external_id"], seen["status"], seen["name"]) == (run.external_id, "finished", "n")
        assert (seen["params"], seen["tags"]) == ({"lr": 0.1}, {"t": 1})
        assert curve(http, seen, "loss") == [(step, 1 / (step + 1)) for step in range(2000)]
        assert curve(http, seen, "nan") == [(step, "NaN") for step in range(2000)]

    def test_only_the_first_end_counts(self, http: httpx.Client, experiment: str) -> None:
        run = tracker.init(experiment)
        run.finish("killed")
        run.finish("finished")
        assert [r["status"] for r in runs(http, experiment)] == ["killed"]

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (ValueError(), "failed"),
            (SystemExit(3), "failed"),
            (SystemExit(), "finished"),
            (KeyboardInterrupt(), "killed"),
        ],
    )
    def test_an_exception_ends_the_run_and_goes_on(
        self, http: httpx.Client, experiment: str, error: BaseException, status: str
    ) -> None:
        def train() -> None:
            with tracker.init(experiment) as run:
                run.log({"loss": 1.0})
                raise error

        with pytest.raises(type(error)):
            train()
        (seen,) = runs(http, experiment)
        assert (seen["status"], seen["latest"]["loss"]["value"]) == (status, 1.0)

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (None, "finished"),
            (SystemExit(0), "finished"),
            (SystemExit(), "finished"),
            (SystemExit(3), "failed"),
            (ValueError(), "failed"),
            (GeneratorExit(), "failed"),
            (KeyboardInterrupt(), "killed"),
        ],
        ids=repr,
    )
    def test_the_end_of_the_block_is_the_end_of_the_run(
        self, experiment: str, impatient: None, tmp_path: Path, error: BaseException | None, status: str
    ) -> None:
        run, came = tracker.init(experiment, url=NOBODY), None
        try:
            with run:
                if error:
                    raise error
        except BaseException as out:
            came = out
        assert came is error
        assert [entry["end"] for entry in spooled(run, tmp_path) if "end" in entry] == [status]

    def test_points_arrive_while_the_training_goes_on(
        self, http: httpx.Client, experiment: str, wait_until: Callable[..., None]
    ) -> None:
        with tracker.init(experiment) as run:
            run.log({"loss": 1.0}, 7)
            wait_until(lambda: [r["latest"].get("loss", {}).get("step") for r in runs(http, experiment)] == [7])
            assert runs(http, experiment)[0]["status"] == "running"

    def test_the_same_external_id_is_the_same_run(self, http: httpx.Client, experiment: str) -> None:
        for step in (0, 1):
            with tracker.init(experiment, external_id="job.1") as run:
                run.log({"loss": 1.0}, step)
        (seen,) = runs(http, experiment)
        assert (seen["restarts"], seen["status"]) == (1, "finished")
        assert curve(http, seen, "loss") == [(0, 1.0), (1, 1.0)]

    def test_the_module_logs_to_the_run_begun_last(self, http: httpx.Client, experiment: str) -> None:
        with tracker.init(experiment):
            tracker.log({"loss": 1.0}, 3)
        with pytest.raises(RuntimeError, match="there is no run yet"):
            tracker.log({"loss": 1.0})
        assert curve(http, runs(http, experiment)[0], "loss") == [(3, 1.0)]


class TestResume:
    def test_it_logs_later_than_it_did_though_the_clock_was_set_back(
        self, http: httpx.Client, experiment: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for clock, value in ((9_000_000_000_000, 1.0), (1_000_000_000_000, 2.0)):
            monkeypatch.setattr(run_module, "now_ms", lambda clock=clock: clock)
            with tracker.init(experiment, external_id="job.1") as run:
                run.log({"loss": value}, 5)
        assert curve(http, runs(http, experiment)[0], "loss") == [(5, 2.0)]

    def test_from_another_machine_the_server_tells_the_time(
        self, http: httpx.Client, experiment: str, tmp_path: Path, wait_until: Callable[..., None]
    ) -> None:
        with tracker.init(experiment, external_id="job.1") as run:
            run._at = 9_000_000_000_000
            run.log({"loss": 1.0}, 5)
        with tracker.init(experiment, external_id="job.1", folder=tmp_path / "elsewhere") as run:
            wait_until(lambda: run._at > 9_000_000_000_000)
            run.log({"loss": 2.0}, 5)
        assert curve(http, runs(http, experiment)[0], "loss") == [(5, 2.0)]

    def test_without_a_step_it_counts_on(self, http: httpx.Client, experiment: str) -> None:
        for _ in range(2):
            with tracker.init(experiment, external_id="job.1") as run:
                run.log({"loss": 1.0})
        assert curve(http, runs(http, experiment)[0], "loss") == [(0, 1.0), (1, 1.0)]

    def test_a_rewind_goes_back_to_a_checkpoint(self, http: httpx.Client, experiment: str) -> None:
        with tracker.init(experiment) as run:
            for step in range(10):
                run.log({"loss": 1.0}, step)
            run.rewind(3)
            run.log({"loss": 2.0})
        assert curve(http, runs(http, experiment)[0], "loss") == [(0, 1), (1, 1), (2, 1), (3, 1), (4, 2)]


class TestSystem:
    def test_a_sample_stands_at_the_step_of_the_training_and_does_not_move_it(
        self, http: httpx.Client, experiment: str, wait_until: Callable[..., None]
    ) -> None:
        with tracker.init(experiment, system_every=0.02) as run:
            run.log({"loss": 1.0}, 7)
            wait_until(lambda: [r["latest"].get("system/cpu", {}).get("step") for r in runs(http, experiment)] == [7])
            run.log({"loss": 1.0})
        (seen,) = runs(http, experiment)
        assert (seen["latest"]["loss"]["step"], seen["status"]) == (8, "finished")
        assert seen["latest"]["system/memory"]["value"] > 1_000_000

    def test_it_is_off_unless_asked_for(self, http: httpx.Client, experiment: str) -> None:
        with tracker.init(experiment) as run:
            run.log({"loss": 1.0})
        assert list(runs(http, experiment)[0]["latest"]) == ["loss"]


class TestWeather:
    def test_another_clock_does_no_harm_while_the_server_is_there(
        self,
        http: httpx.Client,
        experiment: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        wait_until: Callable[..., None],
    ) -> None:
        """The second attempt is on a machine whose clock is an hour behind."""
        with tracker.init(experiment, external_id="job.1") as run:
            run.log({"loss": 1.0}, 5)

        def behind() -> int:
            return values.now_ms() - 3_600_000

        monkeypatch.setattr(run_module, "now_ms", behind)
        monkeypatch.setattr(sender_module, "now_ms", behind)
        with tracker.init(experiment, external_id="job.1", folder=tmp_path / "elsewhere") as run:
            wait_until(lambda: runs(http, experiment)[0]["restarts"] == 1)
            assert runs(http, experiment)[0]["status"] == "running"
            run.log({"loss": 2.0}, 6)
        assert runs(http, experiment)[0]["status"] == "finished"

    def test_what_is_sent_late_keeps_its_times(
        self, http: httpx.Client, experiment: str, impatient: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(run_module, "now_ms", lambda: 1_000_000_000_000)
        with tracker.init(experiment, url=NOBODY) as run:
            run.log({"loss": 1.0})
        copied = tmp_path / "copy" / "spool" / f"{run.external_id}.jsonl"  # as one carries it from a cluster
        copied.parent.mkdir(parents=True)
        copied.write_bytes((tmp_path / "spool" / copied.name).read_bytes())
        sync(tmp_path / "copy", str(http.base_url).rstrip("/"))
        (seen,) = runs(http, experiment)
        assert (seen["created_at"], seen["started_at"]) == (1_000_000_000_000, 1_000_000_000_000)
        assert (seen["status"], seen["finished_at"]) == ("finished", 1_000_000_000_000)

    def test_a_run_that_is_begun_twice_at_once_loses_nothing(self, http: httpx.Client, experiment: str) -> None:
        """A cell that is run again, or a job that is resumed while it still runs: each has a spool of its own."""
        three = [tracker.init(experiment, external_id="job.1") for _ in range(3)]
        for step, run in enumerate(three):
            run.log({"loss": float(step)}, step)
        for run in three:
            run.finish()
        (seen,) = runs(http, experiment)
        assert (seen["restarts"], seen["status"]) == (2, "finished")
        assert curve(http, seen, "loss") == [(0, 0), (1, 1), (2, 2)]

    def test_a_full_disk_is_told_once_and_nothing_is_lost_when_there_is_room_again(
        self, http: httpx.Client, experiment: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = tracker.init(experiment)
        write = os.write
        with monkeypatch.context() as disk:
            disk.setattr(os, "write", lambda fd, data: write(fd, data[:7]))  # room for the beginning of each line
            with pytest.warns(UserWarning, match="the disk is full"):
                run.log({"loss": 1.0}, 0)
            for step in range(1, 50):
                run.log({"loss": 1.0}, step)
        run.finish()
        assert [step for step, _ in curve(http, runs(http, experiment)[0], "loss")] == list(range(50))

    def test_a_disk_that_stays_full_is_told_at_the_end_too(
        self, experiment: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        run = tracker.init(experiment)

        def full(fd: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as disk:
            disk.setattr(os, "write", full)
            with pytest.warns(UserWarning, match="the disk is full"):
                run.log({"loss": 1.0})
            run.finish()
        assert "the disk is full: what was logged last could not be written to" in capfd.readouterr().err


class TestRanks:
    def test_only_the_first_one_logs(
        self, http: httpx.Client, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RANK", "1")
        with tracker.init(experiment) as run:
            run.log({"loss": 1.0}, 1)
            run.rewind(0)
            tracker.log({"loss": 1.0})
        assert isinstance(run, tracker.Run)
        assert runs(http, experiment) == []
        assert not (tmp_path / "spool").exists()
        with tracker.init(experiment, rank=0) as run:
            run.log({"loss": 1.0}, 1)
        assert len(runs(http, experiment)) == 1


class TestProcesses:
    def python(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "import sys, os, tracker\n" + code],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @pytest.mark.parametrize(
        ("end", "status"),
        [("", "finished"), ("raise ValueError('oh')", "failed"), ("sys.exit(3)", "finished")],
    )
    def test_the_end_of_the_process_ends_the_run(
        self, http: httpx.Client, experiment: str, end: str, status: str
    ) -> None:
        self.python(f"run = tracker.init({experiment!r}); run.log({{'loss': 1.0}}); {end}")
        (seen,) = runs(http, experiment)
        assert (seen["status"], seen["latest"]["loss"]["value"]) == (status, 1.0)

    def test_what_was_logged_before_a_kill_is_sent_by_sync(
        self, http: httpx.Client, experiment: str, tmp_path: Path
    ) -> None:
        code = (
            f"run = tracker.init({experiment!r}, url={NOBODY!r})\n"
            "for step in range(2000): run.log({'loss': step}, step)\n"
            "os.kill(os.getpid(), 9)"
        )
        assert self.python(code).returncode == -9
        assert runs(http, experiment) == []
        command = [sys.executable, "-m", "tracker", "sync", str(tmp_path)]
        first = subprocess.run(command, capture_output=True, text=True, check=True)
        assert f"1 run sent from {tmp_path} to {os.environ['TRACKER_URL']}" in first.stdout
        (seen,) = runs(http, experiment)
        assert curve(http, seen, "loss") == [(step, step) for step in range(2000)]
        again = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "nothing to send" in again.stdout

    def test_sigterm_ends_the_run_as_preempted(self, http: httpx.Client, experiment: str) -> None:
        code = f"import time; run = tracker.init({experiment!r}); run.log({{'loss': 1.0}}); os.kill(os.getpid(), 15)"
        assert self.python(code).returncode == -15
        (seen,) = runs(http, experiment)
        assert (seen["status"], seen["latest"]["loss"]["value"]) == ("preempted", 1.0)

    def test_a_handler_of_ones_own_is_left_alone(self, http: httpx.Client, experiment: str) -> None:
        code = (
            "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
            f"run = tracker.init({experiment!r}); os.kill(os.getpid(), 15)"
        )
        assert self.python(code).returncode == 0
        assert [r["status"] for r in runs(http, experiment)] == ["finished"]

    def test_a_fork_logs_into_the_same_run_and_does_not_end_it(self, http: httpx.Client, experiment: str) -> None:
        code = (
            f"run = tracker.init({experiment!r}); run.log({{'parent': 1.0}}, 0)\n"
            "for log in (True, False):\n"
            "    pid = os.fork()\n"
            "    if pid == 0:\n"
            "        if log: run.log({'child': 2.0}, 0)\n"
            "        sys.exit(0)\n"
            "    assert os.waitpid(pid, 0)[1] == 0\n"
            "run.log({'parent': 3.0}, 1); run.finish('killed')"
        )
        ran = self.python(code)
        assert ran.returncode == 0
        assert not ran.stderr, ran.stderr
        (seen,) = runs(http, experiment)
        assert (seen["status"], seen["restarts"]) == ("killed", 0)
        assert {key: point["value"] for key, point in seen["latest"].items()} == {"parent": 3.0, "child": 2.0}

    def test_the_environment_names_the_run(self, http: httpx.Client, experiment: str) -> None:
        code = f"tracker.init({experiment!r}).finish(); tracker.init({experiment!r}).finish()"
        self.python(code, TRACKER_RUN_ID="job.7")
        assert sum(r["external_id"] == "job.7" for r in runs(http, experiment)) == 1
        assert len(runs(http, experiment)) == 2
