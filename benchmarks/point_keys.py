"""What the key of the table of points costs: bytes of the file, per point.

    no key              the limit: nothing is refused, and nothing is found without reading everything
    (metric, step)      the tracker's: WITHOUT ROWID, so the primary key is the table itself
    id and unique       a number of its own for each point, and UNIQUE(metric, step), which is a second index
    all columns         a primary key over everything, which is a second copy of everything

100 curves grow side by side, as they do while many runs train. Sizes are the same on every machine with the same
SQLite.

    python benchmarks/point_keys.py [--points 500000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

CURVES = 100
START = 1_767_225_600_000  # a time, in ms: as many bytes as a real one

COLUMNS = "metric_id INTEGER NOT NULL, step INTEGER NOT NULL, value REAL, logged_at INTEGER NOT NULL"
TABLES = {
    "no key": f"CREATE TABLE points({COLUMNS})",
    "(metric, step)": f"CREATE TABLE points({COLUMNS}, PRIMARY KEY(metric_id, step)) WITHOUT ROWID",
    "id and unique": f"CREATE TABLE points(id INTEGER PRIMARY KEY, {COLUMNS}, UNIQUE(metric_id, step))",
    "all columns": f"CREATE TABLE points({COLUMNS}, PRIMARY KEY(metric_id, step, value, logged_at))",
}


def bytes_per_point(file: Path, table: str, points: int) -> float:
    """The size of the file with this table, filled in the order in which the points arrive."""
    with closing(sqlite3.connect(file)) as db:
        db.execute(table)
        db.executemany(
            "INSERT INTO points (metric_id, step, value, logged_at) VALUES (?, ?, ?, ?)",
            ((n % CURVES, n // CURVES, 1 / (n + 3), START + n) for n in range(points)),
        )
        db.commit()
    return file.stat().st_size / points


def main() -> None:
    """Prints one table; with --json, keeps it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=int, default=500_000, help="in each table (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        measured = {
            key: bytes_per_point(Path(folder) / f"{number}.db", table, options.points)
            for number, (key, table) in enumerate(TABLES.items())
        }
    limit = measured["no key"]
    rows = {
        key: {"bytes per point": round(size, 1), "times the limit": round(size / limit, 2)}
        for key, size in measured.items()
    }
    print(f"{'key of the points':24}{'bytes each':>12}{'x limit':>12}")
    for key, row in rows.items():
        print(f"{key:24}" + "".join(f"{figure:12}" for figure in row.values()))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
