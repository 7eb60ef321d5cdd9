"""What it costs to show the newest value of each curve of 1,000 runs: three ways, on the tracker's own tables.

    ranks every point    a window function numbers the points of each curve, newest first; the page keeps number one
    seeks per curve      the highest step of each curve, found at the end of its stretch of the primary key
    stored copy          the newest point stands on the curve's row as well, and no point is read

The last is the limit: it does nothing but fetch the rows that the page shows. The ratios hold on other machines, as
long as the curves are as long; the milliseconds do not.

    python benchmarks/latest_reads.py [--points 110] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine

from tracker.server.schema import Base

RUNS, KEYS = 1_000, 10
ROUNDS = 7

WAYS = {
    "ranks every point": """
        WITH ranked AS (
            SELECT metric_id, step, value, row_number() OVER (PARTITION BY metric_id ORDER BY step DESC) AS place
            FROM points)
        SELECT m.run_id, m.key, p.step, p.value
        FROM runs r JOIN metrics m ON m.run_id = r.id JOIN ranked p ON p.metric_id = m.id AND p.place = 1
        WHERE r.experiment_id = 1""",
    "seeks per curve": """
        SELECT m.run_id, m.key, p.step, p.value
        FROM runs r JOIN metrics m ON m.run_id = r.id
        JOIN points p ON p.metric_id = m.id AND p.step = (SELECT max(step) FROM points WHERE metric_id = m.id)
        WHERE r.experiment_id = 1""",
    "stored copy": """
        SELECT m.run_id, m.key, m.last_step, m.last_value
        FROM runs r JOIN metrics m ON m.run_id = r.id
        WHERE r.experiment_id = 1""",
}


def fill(file: Path, points: int) -> sqlite3.Connection:
    """One experiment, each of its runs with KEYS curves of so many points."""
    engine = create_engine(f"sqlite:///{file}")
    Base.metadata.create_all(engine)
    engine.dispose()
    db = sqlite3.connect(file)
    db.execute("INSERT INTO experiments (id, name, owner, description, created_at) VALUES (1, 'many', '', '', 0)")
    db.executemany(
        "INSERT INTO runs (id, experiment_id, external_id, name, status, params, tags, created_at, fences)"
        " VALUES (?, 1, ?, 'run', 'finished', '{}', '{}', 0, '[]')",
        ((run, str(run)) for run in range(RUNS)),
    )
    db.executemany(
        "INSERT INTO metrics (id, run_id, key, version, last_step, last_value, last_at) VALUES (?, ?, ?, 1, ?, ?, ?)",
        ((i, i // KEYS, f"key {i % KEYS}", points - 1, 1 / points, points - 1) for i in range(RUNS * KEYS)),
    )
    db.executemany(
        "INSERT INTO points (metric_id, step, value, logged_at) VALUES (?, ?, ?, ?)",
        ((i, step, 1 / (step + 1), step) for i in range(RUNS * KEYS) for step in range(points)),
    )
    db.commit()
    return db


def milliseconds(db: sqlite3.Connection) -> dict[str, float]:
    """For each way, the least processor time of its query. Everything is in memory, so nothing else is waited for; the
    ways take turns, so that whatever disturbs this machine disturbs all of them."""
    least = dict.fromkeys(WAYS, math.inf)
    for _ in range(ROUNDS):
        for way, query in WAYS.items():
            start = time.process_time_ns()
            db.execute(query).fetchall()
            least[way] = min(least[way], (time.process_time_ns() - start) / 1e6)
    return least


def main() -> None:
    """Prints one table; with --json, keeps it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=int, default=110, help="per curve (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder, closing(fill(Path(folder) / "tracker.db", options.points)) as db:
        first, *others = (sorted(db.execute(query).fetchall()) for query in WAYS.values())
        assert all(other == first for other in others), "the three ways find the same"
        measured = milliseconds(db)

    limit = measured["stored copy"]
    rows = {way: {"ms": round(ms, 1), "times the limit": round(ms / limit, 1)} for way, ms in measured.items()}
    curves = RUNS * KEYS
    print(f"{f'newest of {curves:,} curves':24}{'ms':>12}{'x limit':>12}")
    for way, row in rows.items():
        print(f"{way:24}" + "".join(f"{figure:12}" for figure in row.values()))
    if options.json:
        kept = {"curves": curves, "points": curves * options.points, **rows}
        options.json.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
