"""`tracker key` and what follows from it, as users type it; and a training whose key is revoked under it."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

TRACKER = [sys.executable, "-m", "tracker"]
NOWHERE = {"TRACKER_URL": "", "TRACKER_KEY": "", "TRACKER_KEY_FILE": "", "TRACKER_AUTH": ""}


def tracker(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | NOWHERE | environment
    return subprocess.run(
        [*TRACKER, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def refused(ran: subprocess.CompletedProcess[str]) -> str:
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1), ran.stderr
    assert ran.stderr.startswith("tracker: ")
    return ran.stderr


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[str, str]]:
    """The address of a server process that asks for keys, and the line that it printed."""
    command = [*TRACKER, "serve", "--dir", str(folder), "--port", "0", "--quiet", *arguments]
    environment = os.environ | NOWHERE | {"TRACKER_AUTH": "required"} | environment
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        line = ""
        while not (found := re.search(r"(http://\S+)/ui/", line)):
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
        try:
            yield found[1], line
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def key_of(ran: subprocess.CompletedProcess[str]) -> str:
    assert re.fullmatch(r"trk_[\w-]{43}\n", ran.stdout), ran.stderr
    return ran.stdout.strip()


def first_key(folder: Path) -> str:
    return key_of(tracker("key", "create", "root", "--dir", str(folder)))


class TestServe:
    @pytest.mark.parametrize(
        ("arguments", "environment", "why"),
        [
            ([], {"TRACKER_AUTH": "required"}, "TRACKER_AUTH says so"),
            (["--host", "0.0.0.0"], {}, "others can reach it"),
        ],
    )
    def test_without_a_key_it_says_how_to_make_one(
        self, tmp_path: Path, arguments: list[str], environment: dict[str, str], why: str
    ) -> None:
        said = refused(tracker("serve", "--dir", str(tmp_path), "--port", "0", *arguments, **environment))
        assert f"this server needs keys ({why}" in said
        assert f"`tracker key create NAME --dir {tmp_path}`, or say TRACKER_AUTH=open" in said

    def test_who_shares_a_database_needs_keys(self, tmp_path: Path, postgres_tables: str) -> None:
        shared = {"TRACKER_DATABASE_URL": postgres_tables}
        said = refused(tracker("serve", "--dir", str(tmp_path), "--port", "0", **shared))
        assert "this server needs keys (others can reach it, or its database)" in said
        key = key_of(tracker("key", "create", "root", "--dir", str(tmp_path), **shared))
        with serving(tmp_path, TRACKER_AUTH="", **shared) as (url, _):
            assert httpx.get(f"{url}/experiments").status_code == 401
            assert httpx.get(f"{url}/experiments", headers={"Authorization": f"Bearer {key}"}).status_code == 200

    def test_another_word_for_it_is_refused(self, tmp_path: Path) -> None:
        said = refused(tracker("serve", "--dir", str(tmp_path), TRACKER_AUTH="yes"))
        assert 'TRACKER_AUTH is "required" or "open", not \'yes\'' in said

    def test_open_to_others_it_says_so(self, tmp_path: Path) -> None:
        with serving(tmp_path, "--host", "0.0.0.0", TRACKER_AUTH="open") as (url, _):
            assert httpx.get(f"{url}/experiments").status_code == 200

    def test_it_prints_a_ticket_that_signs_in_once(self, tmp_path: Path) -> None:
        first_key(tmp_path)
        with serving(tmp_path) as (url, line):
            found = re.search(r"http://\S+/ui/\?ticket=\S+", line)
            assert found
            with httpx.Client(follow_redirects=True) as browser, httpx.Client(follow_redirects=True) as late:
                assert browser.get(found[0]).url == f"{url}/ui/"
                assert browser.get(f"{url}/keys").json()["items"][0]["name"] == "root"
                assert late.get(found[0]).status_code == 200
                assert late.get(f"{url}/keys").status_code == 401

    def test_where_others_read_what_it_prints_there_is_no_ticket(self, tmp_path: Path) -> None:
        first_key(tmp_path)
        with serving(tmp_path, "--host", "0.0.0.0") as (url, line):
            assert "ticket" not in line
            assert httpx.get(f"{url}/experiments").status_code == 401


class TestKey:
    def test_what_cannot_be_is_refused(self, tmp_path: Path) -> None:
        here = ("--dir", str(tmp_path))
        assert "a name of a key is not empty" in refused(tracker("key", "create", "", *here))
        assert "a name of an owner" in refused(tracker("key", "create", "a", "--owner", " b", *here))
        assert "there is no key 5" in refused(tracker("key", "revoke", "5", *here))
        (tmp_path / "there").write_text("precious")
        said = refused(tracker("key", "create", "a", "-o", str(tmp_path / "there"), *here))
        assert "there is there already: name another file" in said
        assert tracker("key", "list", *here).stdout == ""
        assert "cannot be written" in refused(tracker("key", "list", "--dir", str(tmp_path / "there" / "x")))

    def test_the_first_one_may_admin_and_the_next_may_write(self, tmp_path: Path) -> None:
        first = tracker("key", "create", "laptop", "--dir", str(tmp_path))
        assert "key 1 'laptop' of 'laptop' may admin; it is shown only this once" in first.stderr
        file = tmp_path / "keys" / "cluster"
        second = tracker("key", "create", "cluster", "--owner", "ann", "-o", str(file), "--dir", str(tmp_path))
        assert f"key 2 'cluster' of 'ann' may write; it is in {file}" in second.stdout
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        listed = tracker("key", "list", "--dir", str(tmp_path))
        assert re.findall(r"^ +(\d) +(\w+) +'(\w+)' +'(\w+)' .*never used$", listed.stdout, re.MULTILINE) == [
            ("2", "write", "ann", "cluster"),
            ("1", "admin", "laptop", "laptop"),
        ]
        assert key_of(first) not in listed.stdout

    def test_a_server_that_has_the_folder_is_asked(self, tmp_path: Path) -> None:
        root, here = first_key(tmp_path), ("--dir", str(tmp_path))
        with serving(tmp_path) as (url, _):
            said = refused(tracker("key", "create", "a", *here))
            assert f"{url} refuses: this tracker needs a key" in said
            assert "TRACKER_KEY" in said
            key = key_of(tracker("key", "create", "a", "--owner", "", *here, TRACKER_KEY=root))
            assert httpx.get(f"{url}/experiments", headers={"Authorization": f"Bearer {key}"}).status_code == 200
            assert "this key may only write" in refused(tracker("key", "list", *here, TRACKER_KEY=key))
            assert tracker("key", "revoke", "2", *here, TRACKER_KEY=root).returncode == 0
            assert "no key 9" in refused(tracker("key", "revoke", "9", *here, TRACKER_KEY=root))
            assert "revoked" in tracker("key", "list", *here, TRACKER_KEY=root).stdout.splitlines()[0]
            assert httpx.get(f"{url}/experiments", headers={"Authorization": f"Bearer {key}"}).status_code == 401

    def test_a_server_that_needs_none_gives_none(self, tmp_path: Path) -> None:
        with serving(tmp_path, TRACKER_AUTH=""):
            assert "is started with TRACKER_AUTH=required" in refused(
                tracker("key", "create", "a", "--dir", str(tmp_path))
            )


TRAINING = """
import sys, tracker
with tracker.init("digits", external_id="one") as run:
    run.log({"loss": 0.5}, step=0)
    print("begun", flush=True)
    sys.stdin.readline()
    for step in range(1, 100):
        run.log({"loss": 1 / step}, step=step)
"""


def test_a_training_whose_key_is_revoked_loses_nothing(tmp_path: Path, wait_until: Callable[..., None]) -> None:
    """It goes on, says what is amiss, and `tracker sync` with another key delivers the rest."""
    root = first_key(tmp_path)
    mine, spool = tmp_path / "mine", tmp_path / "spool-of-one"
    for name in ("old", "new"):
        file = str(mine if name == "old" else tmp_path / "new")
        tracker("key", "create", name, "--owner", "ann", "-o", file, "--dir", str(tmp_path))
    with serving(tmp_path) as (url, _), httpx.Client(headers={"Authorization": f"Bearer {root}"}) as admin:
        environment = NOWHERE | {"TRACKER_URL": url, "TRACKER_DIR": str(spool), "TRACKER_KEY_FILE": str(mine)}
        command = [sys.executable, "-W", "default", "-c", TRAINING]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, env=os.environ | environment, text=True, **pipes) as training:  # type: ignore[call-overload]
            assert training.stdout.readline() == "begun\n"

            def accepted() -> list[int]:
                answer = admin.get(f"{url}/runs/1/metrics/loss")
                return list(answer.json()["steps"]) if answer.status_code == 200 else []

            wait_until(accepted)
            assert admin.delete(f"{url}/keys/2").status_code == 204
            _, said = training.communicate("\n", timeout=60)
        assert training.returncode == 0
        assert f"nothing is sent for now: {url} refuses: this is no key of this tracker, or it was revoked" in said
        assert "it is all safe in" in said
        assert accepted() == [0]
        assert not list((spool / "spool").glob("*.refused"))
        assert "or it was revoked" in refused(tracker("sync", **environment))
        environment["TRACKER_KEY_FILE"] = str(tmp_path / "new")
        assert "1 run sent" in tracker("sync", **environment).stdout
        assert accepted() == list(range(100))
        run = admin.get(f"{url}/runs/1").json()
        assert (run["status"], run["external_id"], run["restarts"]) == ("finished", "one", 0)


def test_a_key_that_is_mended_while_the_training_goes_on_is_used(
    tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    root = first_key(tmp_path)
    spool = tmp_path / "spool-of-one"
    with serving(tmp_path) as (url, _), httpx.Client(headers={"Authorization": f"Bearer {root}"}) as admin:
        environment = NOWHERE | {"TRACKER_URL": url, "TRACKER_DIR": str(spool)}
        command = [sys.executable, "-c", TRAINING]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, env=os.environ | environment, text=True, **pipes) as training:  # type: ignore[call-overload]
            assert training.stdout.readline() == "begun\n"
            made = tracker("key", "create", "a", "-o", str(spool / "key"), "--dir", str(tmp_path), TRACKER_KEY=root)
            assert made.returncode == 0, made.stderr
            wait_until(lambda: admin.get(f"{url}/runs").json()["items"], 60)
            training.communicate("\n", timeout=60)
        assert admin.get(f"{url}/runs/1").json()["status"] == "finished"


def test_what_a_command_lacks_is_said_before_its_work(tmp_path: Path) -> None:
    first_key(tmp_path)
    with serving(tmp_path) as (url, _):
        for command in (["demo"], ["export", "digits"], ["import", str(tmp_path / "runs.jsonl")]):
            (tmp_path / "runs.jsonl").write_text(json.dumps({"run": {"experiment": "a"}, "at": 1, "v": 1}) + "\n")
            assert "refuses: this tracker needs a key" in refused(tracker(*command, "--url", url))
        examined = tracker("doctor", "--url", url, "--dir", str(tmp_path), TRACKER_SECRET="hidden")
        assert "this tracker needs a key" in examined.stdout
        assert "TRACKER_SECRET=***" in examined.stdout
        assert "hidden" not in examined.stdout
