import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tracker.client.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path / "deep" / "run.jsonl")) as spool:
        yield spool


def test_an_empty_one_has_no_lines_and_is_drained(spool: Spool) -> None:
    assert list(spool.lines()) == []
    assert spool.cursor == 0
    assert spool.drained


def test_lines_come_back_with_the_byte_after_each(spool: Spool) -> None:
    for line in (b"one\n", b"two\n", b"three\n"):
        spool.append(line)
    assert list(spool.lines()) == [(b"one", 4), (b"two", 8), (b"three", 14)]
    assert list(spool.lines(8)) == [(b"three", 14)]


def test_a_torn_last_line_is_not_read(spool: Spool) -> None:
    spool.append(b"one\n")
    spool.append(b"tor")
    assert list(spool.lines()) == [(b"one", 4)]
    assert list(spool.lines(4)) == []
    spool.append(b"n\n")
    assert list(spool.lines(4)) == [(b"torn", 9)]


@pytest.mark.parametrize("limit", [1, 3, 4, 5, 100])
def test_reading_in_blocks_of_any_size_reads_everything(spool: Spool, limit: int) -> None:
    lines = [b"a" * n for n in (3, 1, 50, 2, 7)]
    for line in lines:
        spool.append(line + b"\n")
    seen: list[bytes] = []
    start = 0
    while block := list(spool.lines(start, limit)):
        seen += [line for line, _ in block]
        start = block[-1][1]
    assert seen == lines


def test_the_cursor_is_kept(spool: Spool) -> None:
    spool.append(b"one\n")
    spool.append(b"t" * 10_000 + b"\n")
    spool.cursor = 10_005
    assert spool.drained
    spool.cursor = 4
    with closing(Spool(spool.file)) as again:
        assert again.cursor == 4
        assert not again.drained
        again.cursor = 10_005
    assert spool.drained


def test_a_damaged_cursor_begins_again(spool: Spool) -> None:
    spool.append(b"one\n")
    spool.file.with_suffix(".cursor").write_bytes(b"\x00\x00\x00")
    assert spool.cursor == 0


def test_only_one_may_send(spool: Spool) -> None:
    with closing(Spool(spool.file)) as other:
        with spool.sending() as first, other.sending() as second:
            assert (first, second) == (True, False)
        with other.sending() as allowed:
            assert allowed


def test_the_right_to_send_ends_with_the_process(spool: Spool) -> None:
    code = (
        "import os, sys; from pathlib import Path; from tracker.client.spool import Spool\n"
        "with Spool(Path(sys.argv[1])).sending() as allowed: assert allowed; os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, spool.file], check=False).returncode == 9
    with spool.sending() as allowed:
        assert allowed


def test_what_was_refused_is_kept_with_its_reason(spool: Spool) -> None:
    file = spool.set_aside([b"one", b"two"], "no")
    spool.set_aside([b"three"], "never")
    assert file.read_bytes() == b"# no\none\ntwo\n# never\nthree\n"


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="File exists"):
        Spool(tmp_path / "file" / "run.jsonl")


@pytest.mark.parametrize(
    ("lines", "newest"),
    [
        ([], (-1, 0)),
        ([b'{"run": {}, "at": 9, "v": 1}'], (-1, 0)),
        ([b'{"log": {"a": 1}, "step": 4, "at": 7}', b'{"end": "failed", "at": 9}'], (4, 7)),
        ([b'{"log": {"a": 1}, "step": 4, "at": 7}', b'{"rewind": 2, "at": 8}', b"torn {"], (2, 8)),
        ([b'{"log": {"a": 1}, "step": 4, "at": 7}', b"x" * 70_000], (-1, 0)),
    ],
)
def test_the_newest_entry_is_found_at_the_end(spool: Spool, lines: list[bytes], newest: tuple[int, int]) -> None:
    for line in lines:
        spool.append(line + b"\n")
    assert spool.newest() == newest


def test_a_cursor_beyond_the_file_is_of_another_file_and_begins_again(spool: Spool) -> None:
    """The spool was deleted or cut and its cursor was not: what is written now must still be sent."""
    spool.cursor = 1000
    spool.append(b"one\n")
    assert spool.cursor == 0
    assert not spool.drained
