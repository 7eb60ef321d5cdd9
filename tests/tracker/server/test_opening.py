"""What `tracker serve`, `migrate`, `worker` and `doctor` begin with."""

import re
from pathlib import Path
from typing import Any

import httpx


def plain(url: str) -> str:
    """As people write it."""
    return url.replace("+psycopg", "")


class TestOnPostgres:
    def test_an_address_where_none_is_is_told(self, tmp_path: Path, run_tracker: Any) -> None:
        nowhere = "postgresql://a:secret@127.0.0.1:1/db"
        refused = run_tracker("serve", "--dir", str(tmp_path), TRACKER_DATABASE_URL=nowhere)
        assert refused.returncode == 1
        assert "postgresql://a:***@127.0.0.1:1/db cannot be used" in refused.stderr
        assert "look at it, and at TRACKER_DATABASE_URL" in refused.stderr
        assert "secret" not in refused.stderr

    def test_what_is_no_address_is_told(self, run_tracker: Any) -> None:
        refused = run_tracker("migrate", TRACKER_DATABASE_URL="here")
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert "write postgresql://user:password@host/database" in refused.stderr

    def test_tables_are_made_when_somebody_says_so(
        self, tmp_path: Path, postgres_url: str, serve: Any, run_tracker: Any
    ) -> None:
        environment = {"TRACKER_DATABASE_URL": plain(postgres_url), "TRACKER_AUTH": "open"}
        refused = run_tracker("serve", "--dir", str(tmp_path), **environment)
        assert refused.returncode == 1
        assert "has no tables, and this tracker needs" in refused.stderr
        assert "run `tracker migrate`" in refused.stderr
        for _ in range(2):
            made = run_tracker("migrate", **environment)
            assert (made.returncode, made.stderr) == (0, "")
            assert "tables of version" in made.stdout
        for replica in ("one", "other"):  # of the same machine, and even of the same folder
            _, url = serve(tmp_path, 0, **environment)
            assert httpx.post(f"{url}/experiments", json={"name": replica}).status_code == 201
        assert [e["name"] for e in httpx.get(f"{url}/experiments").json()["items"]] == ["other", "one"]
        assert not (tmp_path / "tracker.db").exists()

    def test_the_doctor_knows_it(self, tmp_path: Path, postgres_url: str, run_tracker: Any) -> None:
        environment = {"TRACKER_DATABASE_URL": plain(postgres_url), "TRACKER_AUTH": "open"}
        password = plain(postgres_url).split(":")[2].partition("@")[0]
        before = run_tracker("doctor", "--dir", str(tmp_path), **environment)
        assert "tables of version None: `tracker migrate` makes them" in before.stdout
        run_tracker("migrate", **environment)
        after = run_tracker("doctor", "--dir", str(tmp_path), **environment)
        found = r"database +postgresql://\w+:\*\*\*@127.0.0.1:\d+/\w+, tables of version \d+, the newest"
        assert re.search(found, after.stdout)
        assert password not in before.stdout + after.stdout


def test_migrating_a_folder_that_a_server_has_is_refused(tmp_path: Path, serve: Any, run_tracker: Any) -> None:
    serve(tmp_path, 0)
    refused = run_tracker("migrate", "--dir", str(tmp_path))
    assert (refused.returncode, "another tracker has the folder" in refused.stderr) == (1, True)


def test_a_folder_is_migrated(tmp_path: Path, run_tracker: Any) -> None:
    made = run_tracker("migrate", "--dir", str(tmp_path))
    assert (made.returncode, (tmp_path / "tracker.db").exists()) == (0, True)
