"""The benchmark runs, sees what is wrong, and leaves nothing behind. How fast anything is, is not asserted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from benchmarks import batches, one_curve, raw_postgres, singles, streams, through_queue
from benchmarks.__main__ import main
from benchmarks.figure import Figure, WrongAnswer, kept, table
from benchmarks.raw import batch
from benchmarks.rounds import p99, take_turns
from benchmarks.serving import Server
from tracker.server import store
from tracker.server.db import Database
from workbook.source import ROOT

COMMAND = [sys.executable, "-m", "benchmarks"]
RESULTS = ROOT / "benchmarks/results.json"


pytestmark = pytest.mark.thorough


@pytest.fixture
def measured(server: Any) -> Server:
    return Server(server.url, psutil.Process())


@pytest.mark.parametrize("arguments", [["nothing"], ["log", "--json", "x"], ["--quick", "--json", "x"]])
def test_what_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert "python -m benchmarks: error:" in capsys.readouterr().err


def test_the_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    assert "log, batches, singles, list, curve, streams, postgres, queue" in " ".join(capsys.readouterr().out.split())


def test_what_is_no_mlflow_is_said_so() -> None:
    command = [sys.executable, "-m", "benchmarks.beside_mlflow", "--mlflow"]
    for program in ("/no/such/mlflow", "false"):
        ran = subprocess.run([*command, program], cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode == 2
        assert f"{program} is no MLflow" in ran.stderr


def test_a_service_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBOOK_POSTGRES", "off")
    assert main(["postgres", "--quick"]) == 1
    assert "PostgreSQL is switched off" in capsys.readouterr().err


@pytest.mark.usefixtures("postgres_server", "rabbitmq_server")
def test_everything_runs_and_has_the_lines_that_were_kept() -> None:
    ran = subprocess.run([*COMMAND, "--quick"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures = json.loads(RESULTS.read_text())["figures"]
    for what, units in figures.items():
        assert what in ran.stdout
        for unit in units:
            assert unit in ran.stdout
    assert len(ran.stdout.splitlines()) == 1 + sum(map(len, figures.values()))


def test_ctrl_c_ends_it_with_its_server_and_its_folder(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "batches"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts its background jobs with Ctrl-C ignored, and they hand that on to us and to this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stderr
        assert process.stderr.readline() == "batches: warming up\n"
        (server,) = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not server.is_running()
    assert list(tmp_path.iterdir()) == []


def test_lost_doubled_and_refused_points_are_counted(measured: Server) -> None:
    right = [singles.body(step) for step in range(3)]
    done = singles.send(measured, right)
    assert (done.refused, done.lost, done.doubled) == (0, 0, 0)
    assert singles.send(measured, [right[0], right[0], right[2]]).lost == singles.CLIENTS
    assert singles.send(measured, [*right[:2], b'{"points": []}']).lost == singles.CLIENTS
    done = singles.send(measured, [right[0], right[1], b"no JSON"])
    assert (done.refused, done.lost, done.doubled) == (singles.CLIENTS, 0, 0)
    done = singles.send(measured, [right[0], singles.body(7)])
    assert (done.refused, done.lost, done.doubled) == (0, singles.CLIENTS, singles.CLIENTS)


@pytest.mark.parametrize("form", list(batches.FORMS))
def test_a_batch_that_was_stored_wrongly_is_noticed(measured: Server, form: str) -> None:
    bodies = [batches.FORMS[form](number) for number in range(2)]
    batches.send(measured, bodies)
    with pytest.raises(WrongAnswer, match="is not what was sent"):
        batches.send(measured, [bodies[0], bodies[0]])
    with pytest.raises(WrongAnswer, match="was answered with 422"):
        batches.send(measured, [b"{}x"])


@pytest.mark.parametrize("way", [raw_postgres.by_unnest, raw_postgres.by_copy])
def test_the_raw_driver_of_postgresql_stores_what_the_tracker_would(postgres_tables: str, way: Any) -> None:
    with closing(Database(postgres_tables)) as database:
        with raw_postgres.raw(database, way) as limit:
            run, curves = limit.new_run(batches.KEYS)
            for one in batches.prepared(curves, 2):
                limit.store(one)
        with database.read() as session:
            for key in batches.KEYS:
                metric = store.curves.get_metric(session, run, key)
                curve = store.curves.read_curve(session, metric, at_most=1000)
                assert curve["values"] == [batches.value(key, step) for step in range(2 * batches.STEPS)]
                assert (metric.version, metric.last_step) == (2, 2 * batches.STEPS - 1)


def test_points_that_stay_in_the_queue_are_noticed(postgres_tables: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(through_queue, "PATIENCE", 0.1)
    url = postgres_tables.replace("+psycopg", "")
    with closing(Database(postgres_tables)) as database, psycopg.connect(url, autocommit=True) as connection:
        look = partial(through_queue.last_step, connection)
        with raw_postgres.raw(database, raw_postgres.by_unnest) as limit:
            run, curves = limit.new_run(batches.KEYS)
            limit.store(batch([(curves[batches.KEYS[0]], batches.STEPS, 0.0, 0)]))
            assert look(run) == -1
            limit.store(batches.prepared(curves, 1)[0])
            through_queue.wait_for(look, run, batches.STEPS - 1)
            with pytest.raises(WrongAnswer, match="has not all points"):
                through_queue.wait_for(look, run, batches.STEPS)


def test_a_viewer_who_is_not_told_is_noticed(measured: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with measured.connection() as connection:
        run = connection.new_run()
        with streams.watched(measured, [run], 3) as audience:
            connection.post(f"/runs/{run}/metrics", singles.body(0))
            audience.wait_for({run: 1})
            monkeypatch.setattr(streams, "PATIENCE", 0.1)
            with pytest.raises(WrongAnswer, match="was not told of the newest points"):
                audience.wait_for({run: 2})


def test_a_spike_that_its_bucket_does_not_show_is_not_kept() -> None:
    values = [one_curve.value(step, 1100) for step in range(1100)]
    spikes = [step for step, value in enumerate(values) if value >= 100]
    assert len(spikes) == len({values[step] for step in spikes}) == one_curve.SPIKES
    answer = {
        "first": list(range(0, 1100, 10)),
        "last": list(range(9, 1100, 10)),
        "max": [max(values[first : first + 10]) for first in range(0, 1100, 10)],
    }
    assert one_curve.spikes_kept(answer, values) == 11
    answer["max"][spikes[3] // 10] = 1.0
    assert one_curve.spikes_kept(answer, values) == 10


def test_ways_take_turns_and_the_first_round_does_not_count(capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[str] = []

    def way(name: str) -> int:
        calls.append(name)
        return len(calls)

    assert take_turns("x", 2, {"a": lambda: way("a"), "b": lambda: way("b")}) == {"a": [3, 5], "b": [4, 6]}
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert capsys.readouterr().err.splitlines() == ["x: warming up", "x: round 1 of 2", "x: round 2 of 2"]


@pytest.mark.parametrize(("count", "value"), [(1, 1), (99, 99), (100, 99), (101, 100), (200, 198)])
def test_the_99th_percentile_is_exceeded_by_one_in_a_hundred(count: int, value: int) -> None:
    assert p99(list(range(count, 0, -1))) == value


def test_figures_as_a_table_and_as_json() -> None:
    figures = [
        Figure("a / b", "ms", 1.23456, 0.5, "under 1", met=False),
        Figure("a / b", "MB", 12345.6),
        Figure("c", "lost", 0, target="none", met=True),
    ]
    assert table(figures).splitlines() == [
        "what / beside what  unit  tracker  raw  tracker / raw  target",
        "a / b               ms       1.23  0.5           2.47  under 1: MISSED",
        "                    MB     12,346",
        "c                   lost        0                      none: met",
    ]
    assert kept(figures) == {
        "a / b": {
            "ms": {"tracker": 1.23, "raw": 0.5, "tracker / raw": 2.47, "target": "under 1", "met": False},
            "MB": {"tracker": 12346},
        },
        "c": {"lost": {"tracker": 0, "target": "none", "met": True}},
    }
