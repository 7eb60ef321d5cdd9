"""The tracker beside MLflow: the same points in batches of 1,000, over HTTP, into SQLite and into PostgreSQL.

MLflow is no part of this project, so say where it is. It wants an environment of its own:

    python -m venv ELSEWHERE && ELSEWHERE/bin/pip install mlflow 'psycopg[binary]'
    python -m benchmarks.beside_mlflow --mlflow ELSEWHERE/bin/mlflow [--json FILE] [--quick]

Each server is one process that answers, on a database of its own; both PostgreSQL databases are in one private, durable
server. Their rounds take turns. Each round fills a new run, and what it holds is read back.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from workbook.labs.server import NoService, free_port

from .batches import KEYS, SIZE, START, STEPS, columns, send, steps, value
from .figure import Figure, WrongAnswer, kept, table
from .on_postgres import database
from .rounds import Cost, cost, median, take_turns
from .serving import Connection, serving

ROUNDS, BATCHES = 5, 20
TIMES = {"SQLite": 10, "PostgreSQL": 8}  # as many points per second as MLflow, at least
API = "/api/2.0/mlflow"
START_SECONDS = 120  # it makes its tables first
# It would report its use to somebody else's server, and start processes for jobs that nobody here has.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def main() -> int:
    """The exit code: 1 for a wrong answer, or where something is missing, 130 for Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.beside_mlflow",
        description="Measures the tracker beside MLflow, which has to be installed elsewhere. Takes two minutes.",
    )
    parser.add_argument("--mlflow", required=True, metavar="PROGRAM", help="MLflow's own command")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures in this file")
    parser.add_argument("--quick", action="store_true", help="only try whether it runs; the figures say nothing")
    options = parser.parse_args()
    if options.json and options.quick:
        parser.error("--json keeps real figures only: leave out --quick")
    try:
        version = subprocess.run([options.mlflow, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        parser.error(f"{options.mlflow} is no MLflow: {error}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="tracker-benchmark-") as folder:
            figures = measure(Path(folder), options.mlflow, version.split()[-1], options.quick)
    except (WrongAnswer, NoService) as wrong:
        print(wrong, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(kept(figures), indent=2) + "\n")
    return 0


def measure(folder: Path, program: str, version: str, quick: bool) -> list[Figure]:
    """Points per second of both, on both engines. Raises NoService and WrongAnswer."""
    rounds, batches = (1, 2) if quick else (ROUNDS, BATCHES)
    ours = [columns(number) for number in range(batches)]
    theirs = [metrics(number) for number in range(batches)]
    figures = []
    with ExitStack() as stack:
        start = stack.enter_context
        _, settings = start(database())
        places = {
            "SQLite": (start(serving(folder / "tracker")), f"sqlite:///{folder}/mlflow.db"),
            "PostgreSQL": (start(serving(folder / "server", settings)), _second(settings["TRACKER_DATABASE_URL"])),
        }
        for engine, (tracker, url) in places.items():
            with serving_mlflow(program, folder / f"mlflow {engine}", url) as mlflow:
                ways: dict[str, Callable[[], Cost]] = {
                    "tracker": partial(send, tracker, ours),
                    "mlflow": partial(send_to_mlflow, mlflow, theirs),
                }
                costs = take_turns(f"batches, {engine}", rounds, ways)
            rate = {way: median([SIZE * batches / one.wall for one in costs[way]]) for way in ways}
            times = TIMES[engine]
            what = f"batches of {SIZE:,} points, {engine} / MLflow {version}"
            met = rate["tracker"] >= times * rate["mlflow"]
            target = f"at least {times} times MLflow"
            figures.append(Figure(what, "points per second", rate["tracker"], rate["mlflow"], target, met))
    return figures


def _second(url: str) -> str:
    """The URL of another database in the same server."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE mlflow")
    return url.rpartition("/")[0] + "/mlflow"


@contextmanager
def serving_mlflow(program: str, folder: Path, database_url: str) -> Iterator[Connection]:
    """A connection to an MLflow server, which ends with the block. Raises NoService."""
    folder.mkdir()
    port = free_port()
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    store = ["--backend-store-uri", database_url, "--default-artifact-root", str(folder)]
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            [program, "server", *where, *store],
            env=os.environ | QUIET,
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,  # it has children
        )
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            _wait(process, connection, folder / "log")
            yield Connection(connection)
        finally:
            connection.close()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], connection: http.client.HTTPConnection, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            connection.request("GET", "/health")
            if connection.getresponse().read() == b"OK":
                return
        except OSError:
            connection.close()
        time.sleep(0.2)
    raise NoService(f"MLflow did not start; it said:\n{log.read_text()[-2000:]}")


def metrics(number: int) -> list[dict[str, Any]]:
    """A batch as MLflow takes it, in the order in which a training logs."""
    return [
        {"key": key, "value": value(key, step), "step": step, "timestamp": START + step}
        for step in steps(number)
        for key in KEYS
    ]


def send_to_mlflow(mlflow: Connection, batches: list[list[dict[str, Any]]]) -> Cost:
    """Sends the batches to a new run, and looks whether they are all there. Raises WrongAnswer."""
    run = json.loads(mlflow.post(f"{API}/runs/create", b'{"experiment_id": "0"}'))["run"]["info"]["run_id"]
    bodies = [json.dumps({"run_id": run, "metrics": batch}).encode() for batch in batches]
    spent = cost(lambda: [mlflow.post(f"{API}/runs/log-batch", body) for body in bodies])
    for key in KEYS:
        path = f"{API}/metrics/get-history?run_id={run}&metric_key={key}&max_results={STEPS * len(batches)}"
        stored = sorted((point["step"], point["value"]) for point in mlflow.read(path)["metrics"])
        if stored != [(step, value(key, step)) for step in range(STEPS * len(batches))]:
            raise WrongAnswer(f"{path} is not what was sent")
    return spent


if __name__ == "__main__":
    sys.exit(main())
