"""A database for a lesson to measure: a private PostgreSQL or, where that cannot be had, SQLite in memory.

The same SQL runs on both, so a lesson has one text. What it can see differs, and the lesson says so.

                 PostgreSQL                            SQLite
    work()       pages touched (8 KiB each)            instructions that its machine runs, in hundreds
    plan()       steps, with what each really did      steps, and whether each reads every row or a range
    fill()       foreign keys not checked meanwhile    checked
    another()    the same tables                       a file, empty at first: memory has no second connection

Both kinds of work are counts: unlike milliseconds, nothing else on the computer disturbs them. A table `numbers(n)`,
1 to 1,000, is there to make rows from.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Engine, create_engine, event, text

from .postgres import NoPostgres, Postgres

NUMBERS = """
CREATE TABLE numbers (n INTEGER PRIMARY KEY);
WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 1000)
INSERT INTO numbers SELECT n FROM counted
"""
# Plans that can be read: no parallel workers, nothing compiled on the way.
READABLE = "-c max_parallel_workers_per_gather=0 -c jit=off"
BYTES = """
SELECT sum(pg_total_relation_size(oid)) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) "


class LabDatabase:
    """What a lesson does with one. Statements are text, with :names for what `rows` fill in."""

    unit: str  # of `work`

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine, self.name = engine, name
        self._others: list[Engine] = []
        self.fill(NUMBERS)

    def __repr__(self) -> str:
        return self.name

    def run(self, statements: str, rows: Sequence[dict[str, Any]] | None = None) -> None:
        """Runs statements with a semicolon between them, in one transaction."""
        with self.engine.begin() as connection:
            self._run(connection, statements, rows)

    def fill(self, statements: str) -> None:
        """The same for very many rows, after which the planner knows what there is."""
        with self._unchecked() as connection:
            self._run(connection, statements, None)
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(self._settle))

    def ask(self, query: str) -> pd.DataFrame:
        """The rows."""
        with self.engine.connect() as connection:
            return pd.read_sql(text(query), connection)

    def milliseconds(self, statement: str, tries: int = 3) -> float:
        """How long it takes until the last row is here: the best of some tries, for others use this computer too."""
        taken = []
        for _ in range(tries):
            with self.engine.begin() as connection:
                begun = time.perf_counter()
                result = connection.execute(text(statement))
                if result.returns_rows:
                    result.all()
                taken.append(time.perf_counter() - begun)
        return 1000 * min(taken)

    def work(self, query: str) -> int:
        """What the database does for it, in `unit`."""
        raise NotImplementedError

    def plan(self, query: str) -> pd.DataFrame:
        """How the database goes about it: a row for each step, deeper than the step that it works for."""
        raise NotImplementedError

    def bytes(self) -> int:
        """What all tables take with their keys and indexes."""
        raise NotImplementedError

    def another(self, **options: Any) -> Engine:
        """An engine with a pool of its own, of these options: what several clients of one database are."""
        engine = create_engine(self._shared, **options)
        self._others.append(engine)
        return engine

    def close(self) -> None:
        """Ends it before the notebook does."""
        for engine in (self.engine, *self._others):
            engine.dispose()

    _settle: str
    _shared: str  # the address at which several connections meet

    @contextmanager
    def _unchecked(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection

    @staticmethod
    def _run(connection: Connection, statements: str, rows: Sequence[dict[str, Any]] | None) -> None:
        for statement in filter(str.strip, statements.split(";")):
            connection.execute(text(statement), rows)


class OnPostgres(LabDatabase):
    """On the private server, which lives as long as this object."""

    unit = "pages touched"
    _settle = "VACUUM ANALYZE"

    def __init__(self, server: Postgres) -> None:
        self._server, self._shared = server, server.url
        engine = create_engine(server.url, connect_args={"options": READABLE})
        with engine.connect() as connection:
            version = connection.execute(text("SHOW server_version")).scalar()
        super().__init__(engine, f"PostgreSQL {version}, a server of this notebook's own")

    @contextmanager
    def _unchecked(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            yield connection

    def work(self, query: str) -> int:
        plan = self._explain(query)
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])

    def plan(self, query: str) -> pd.DataFrame:
        steps = [
            {
                "depth": depth,
                "step": _describe(node),
                "rows in all": f"{node['Actual Rows'] * node['Actual Loops']:,.0f}",
                "times run": f"{node['Actual Loops']:,}",
                "pages in all": f"{node['Shared Hit Blocks'] + node['Shared Read Blocks']:,}",
            }
            for depth, node in _walk(self._explain(query))
        ]
        return pd.DataFrame(steps).set_index(["depth", "step"])

    def bytes(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text(BYTES)).scalar() or 0)

    def close(self) -> None:
        super().close()
        self._server.close()

    def _explain(self, query: str) -> dict[str, Any]:
        with self.engine.connect() as connection:
            plan: dict[str, Any] = connection.execute(text(EXPLAIN + query)).scalar_one()[0]["Plan"]
            return plan


class OnSQLite(LabDatabase):
    """In memory."""

    unit = "instructions"
    _settle = "ANALYZE"

    def __init__(self, why: str) -> None:
        folder = Path(tempfile.mkdtemp(prefix="workbook-"))
        self._shared = f"sqlite:///{folder / 'shared.db'}"
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        engine = create_engine("sqlite://")
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
        with engine.connect() as connection:
            version = connection.execute(text("SELECT sqlite_version()")).scalar()
        super().__init__(engine, f"SQLite {version} in memory. {why}")

    def work(self, query: str) -> int:
        ticks: list[int] = []
        with self.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(lambda: ticks.append(1), 100)
            connection.execute(text(query)).all()
            driver.set_progress_handler(None, 0)
        return 100 * (len(ticks) + 1)

    def plan(self, query: str) -> pd.DataFrame:
        depth = {0: -1}
        steps = []
        with self.engine.connect() as connection:
            for number, parent, _, detail in connection.execute(text(f"EXPLAIN QUERY PLAN {query}")):
                depth[number] = depth[parent] + 1
                reads = {"SCAN": "every row", "SEARCH": "a range"}.get(detail.split()[0], "")
                steps.append({"depth": depth[number], "step": detail, "reads": reads})
        return pd.DataFrame(steps).set_index(["depth", "step"])

    def bytes(self) -> int:
        names = ("page_count", "freelist_count", "page_size")
        with self.engine.connect() as connection:
            pages, free, size = (int(connection.execute(text(f"PRAGMA {name}")).scalar() or 0) for name in names)
        return (pages - free) * size

    def close(self) -> None:
        super().close()
        self._remove()


@contextmanager
def sent_by(engine: Engine | Connection) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are sent meanwhile, each with its parameters."""
    sent: list[tuple[str, Any]] = []

    def keep(connection: Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", keep)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", keep)


def start() -> LabDatabase:
    """PostgreSQL if it can be had here, else SQLite, whose name says why."""
    try:
        return OnPostgres(Postgres())
    except NoPostgres as missing:
        return OnSQLite(str(missing))


def _walk(node: dict[str, Any], depth: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    yield depth, node
    for below in node.get("Plans", ()):
        yield from _walk(below, depth + 1)


def _describe(node: dict[str, Any]) -> str:
    backward = " backward" if node.get("Scan Direction") == "Backward" else ""
    name = f" using {node['Index Name']}" if "Index Name" in node else ""
    if not name and "Relation Name" in node:
        name = f" on {node['Relation Name']}"
    return f"{node['Node Type']}{backward}{name}"
