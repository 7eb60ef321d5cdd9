"""What is started with a checkout ends with it, and says why it did not start."""

import re
import sys
from pathlib import Path

import pytest

from tracker.server.claim import Claim
from workbook.processes import NotStarted, Processes, listen


def test_what_does_not_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        broken = processes.start("broken", [sys.executable, "-c", "raise SystemExit('no such table')"])
        with pytest.raises(NotStarted, match=r"broken did not start; its log \(.*\) ends with:\nno such table"):
            processes.wait_for(broken, "broken", re.compile("at (.*)"))


def test_a_folder_that_is_claimed_and_silent_is_named(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    try:
        with (
            Processes(tmp_path) as processes,
            pytest.raises(NotStarted, match="does not say where it listens"),
        ):
            processes.tracker()
    finally:
        claim.release()


def test_all_end_with_the_block_in_the_environment_that_they_were_given(tmp_path: Path) -> None:
    says = "import os, time; print('at', os.environ['TRACKER_DIR'], os.environ['MINE'], flush=True); time.sleep(60)"
    with Processes(tmp_path / "new", {"MINE": "yes"}) as processes:
        sleeper = processes.start("sleeper", [sys.executable, "-c", says])
        assert processes.wait_for(sleeper, "sleeper", re.compile("at (.*)\n")) == f"{tmp_path / 'new'} yes"
    assert sleeper.returncode < 0


def test_two_that_start_at_once_get_a_port_each() -> None:
    with listen() as one, listen() as other:
        assert one.getsockname() != other.getsockname()
