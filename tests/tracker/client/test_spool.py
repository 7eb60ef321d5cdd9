import errno
import fcntl
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tracker.client import spool as spool_module
from tracker.client.spool import Spool, Writer, own, segments, set_aside, spools


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with closing(Writer(tmp_path / "deep" / "run.jsonl")) as writer:
        yield writer


@pytest.fixture
def spool(writer: Writer) -> Iterator[Spool]:
    with closing(Spool(writer.file)) as spool:
        yield spool


def read_all(spool: Spool, start: int = 0, limit: int = 1 << 20) -> list[bytes]:
    seen: list[bytes] = []
    while block := list(spool.lines(start, limit)):
        seen += [line for line, _ in block]
        start = block[-1][1]
    return seen


def test_an_empty_one_has_no_lines_and_is_drained(writer: Writer, spool: Spool) -> None:
    assert list(spool.lines()) == []
    assert spool.cursor == 0
    assert spool.unsent == 0


def test_lines_come_back_with_the_byte_after_each(writer: Writer, spool: Spool) -> None:
    for line in (b"one\n", b"two\n", b"three\n"):
        writer.append(line)
    assert list(spool.lines()) == [(b"one", 4), (b"two", 8), (b"three", 14)]
    assert list(spool.lines(8)) == [(b"three", 14)]


def test_a_torn_last_line_is_not_read(writer: Writer, spool: Spool) -> None:
    writer.append(b"one\n")
    writer.append(b"tor")
    assert list(spool.lines()) == [(b"one", 4)]
    assert list(spool.lines(4)) == []
    writer.append(b"n\n")
    assert list(spool.lines(4)) == [(b"torn", 9)]


@pytest.mark.parametrize("limit", [1, 3, 4, 5, 100])
def test_reading_in_blocks_of_any_size_reads_everything(writer: Writer, spool: Spool, limit: int) -> None:
    lines = [b"a" * n for n in (3, 1, 50, 2, 7)]
    for line in lines:
        writer.append(line + b"\n")
    assert read_all(spool, limit=limit) == lines


def test_the_cursor_is_kept(writer: Writer, spool: Spool) -> None:
    writer.append(b"one\n")
    writer.append(b"t" * 10_000 + b"\n")
    spool.cursor = 10_005
    assert spool.unsent == 0
    spool.cursor = 4
    with closing(Spool(spool.file)) as again:
        assert again.cursor == 4
        assert again.unsent > 0
        again.cursor = 10_005
    assert spool.unsent == 0


def test_of_a_spool_that_somebody_deletes_nothing_is_left_to_send(writer: Writer, spool: Spool) -> None:
    writer.append(b"one\n")
    assert spool.unsent == 4
    writer.file.unlink()
    assert spool.unsent == 0


def test_a_damaged_cursor_begins_again(writer: Writer, spool: Spool) -> None:
    writer.append(b"one\n")
    spool.file.with_suffix(".cursor").write_bytes(b"\x00\x00\x00")
    assert spool.cursor == 0


def test_only_one_may_send(writer: Writer, spool: Spool) -> None:
    with closing(Spool(spool.file)) as other:
        with spool.sending() as first, other.sending() as second:
            assert (first, second) == (True, False)
        with other.sending() as allowed:
            assert allowed


def test_the_right_to_send_ends_with_the_process(writer: Writer, spool: Spool) -> None:
    code = (
        "import os, sys; from pathlib import Path; from tracker.client.spool import Spool\n"
        "with Spool(Path(sys.argv[1])).sending() as allowed: assert allowed; os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, spool.file], check=False).returncode == 9
    with spool.sending() as allowed:
        assert allowed


def test_what_was_refused_is_kept_with_its_reason(tmp_path: Path) -> None:
    file = set_aside(tmp_path / "run.jsonl", [b"one", b"two"], "no")
    set_aside(tmp_path / "run.jsonl", [b"three"], "never")
    assert file == tmp_path / "run.refused"
    assert file.read_bytes() == b"# no\none\ntwo\n# never\nthree\n"


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="File exists"):
        Writer(tmp_path / "file" / "run.jsonl")


def test_what_a_crash_tore_takes_nothing_else_with_it(writer: Writer, spool: Spool) -> None:
    writer.append(b"one\n")
    writer.append(b"tor")
    writer.close()
    with closing(Writer(writer.file)) as again:
        assert again.waiting
        again.append(b"two\n")
        assert not again.waiting
    assert read_all(spool) == [b"one", b"tor", b"two"]


def test_a_full_disk_takes_lines_later_and_in_order(
    writer: Writer, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, room = os.write, [5, 0, 1, None, 1000]

    def nearly_full(fd: int, data: bytes) -> int:
        left = room.pop(0)
        if left is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[:left])

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", nearly_full)
        for number in range(4):
            writer.append(b"line %d\n" % number)
            assert writer.waiting
        writer.append(b"line 4\n")
    assert not writer.waiting
    assert read_all(spool) == [b"line %d" % number for number in range(5)]


def test_only_so_much_waits_for_a_full_disk(writer: Writer, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "BACKLOG", 20)
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", lambda fd, data: os.pwrite(-1, data, 0))
        writer.append(b"0123456789\n")
        with pytest.raises(OSError, match="Bad file descriptor"):
            writer.append(b"0123456789\n")
    writer.append(b"later\n")
    assert read_all(spool) == [b"0123456789", b"later"]


class TestSegments:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(spool_module, "SEGMENT", 100)

    def fill(self, writer: Writer, count: int) -> list[bytes]:
        writer.begin(b"head\n")
        lines = [b"line %03d of a run" % number for number in range(count)]
        for line in lines:
            writer.append(line + b"\n")
        return lines

    @pytest.mark.parametrize("limit", [1, 30, 1000])
    def test_they_read_as_one_file_each_with_its_head(self, writer: Writer, spool: Spool, limit: int) -> None:
        lines = self.fill(writer, 50)
        read = read_all(spool, limit=limit)
        assert [line for line in read if line != b"head"] == lines
        assert read.count(b"head") == len(segments(writer.file)) > 5
        starts = [start for start, _ in segments(writer.file)]
        assert [file.stat().st_size for _, file in segments(writer.file)[:-1]] == [
            after - start for start, after in itertools.pairwise(starts)
        ]
        assert all(file.read_bytes().startswith(b"head\n") for _, file in segments(writer.file))

    def test_reading_can_begin_at_any_line(self, writer: Writer, spool: Spool) -> None:
        self.fill(writer, 50)
        found, position = [], 0
        while block := list(spool.lines(position)):
            found += block
            position = block[-1][1]
        for number, (_, after) in enumerate(found):
            assert read_all(spool, after) == [line for line, _ in found[number + 1 :]]

    def test_one_that_was_sent_is_deleted_and_the_rest_still_read(self, writer: Writer, spool: Spool) -> None:
        lines = self.fill(writer, 50)
        position, sent = 0, []
        while position < 600:
            for line, after in list(spool.lines(position))[:3]:
                sent.append(line)
                position = after
            spool.cursor = position
        left = segments(writer.file)
        assert left[0][0] <= position < left[1][0]
        with closing(Spool(writer.file)) as later:
            assert later.cursor == position
            assert later.unsent == left[-1][0] + left[-1][1].stat().st_size - position
            assert [line for line in sent + read_all(later, position) if line != b"head"] == lines
            assert read_all(later)[0] == b"head"  # what is left begins with the run
        assert spools(writer.file.parent) == [writer.file]

    def test_a_later_process_goes_on_in_the_newest(self, writer: Writer, spool: Spool) -> None:
        lines = self.fill(writer, 20)
        writer.close()
        with closing(Writer(writer.file)) as again:
            lines += self.fill(again, 20)
        assert [line for line in read_all(spool) if line != b"head"] == lines

    def test_a_disk_without_room_for_one_goes_on_in_the_one_before(
        self, writer: Writer, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines = self.fill(writer, 4)
        with monkeypatch.context() as disk:
            disk.setattr(spool_module, "APPENDING", os.O_RDONLY | os.O_DIRECTORY)  # opening a new file fails
            lines += self.fill(writer, 20)
            assert len(segments(writer.file)) == 1
        lines += self.fill(writer, 20)
        assert len(segments(writer.file)) > 2
        assert [line for line in read_all(spool) if line != b"head"] == lines

    def test_each_is_for_one_writer_alone(self, writer: Writer) -> None:
        self.fill(writer, 20)
        with closing(Writer(writer.file)) as second:
            assert second.file == own(writer.file)

    def test_one_that_is_begun_while_another_process_looks_is_found(
        self, writer: Writer, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between looking for the newest and having it, another process has begun one more, and ended."""
        lines, lock = self.fill(writer, 3), spool_module._lock

        def late(fd: int) -> bool:
            monkeypatch.setattr(spool_module, "_lock", lock)
            lines.extend(self.fill(writer, 20))
            writer.close()
            return lock(fd)

        monkeypatch.setattr(spool_module, "_lock", late)
        with closing(Writer(writer.file)) as again:
            lines += self.fill(again, 1)
        assert [line for line in read_all(spool) if line != b"head"] == lines

    def test_a_reader_follows_the_writer_from_one_to_the_next(self, writer: Writer, spool: Spool) -> None:
        position, seen = 0, []
        for number in range(60):
            writer.append(b"line %d\n" % number)
            for line, after in spool.lines(position):
                seen.append(line)
                position = after
            spool.cursor = position
            assert spool.unsent == 0
        assert seen == [b"line %d" % number for number in range(60)]
        assert len(segments(writer.file)) == 1

    def test_a_signal_that_logs_in_the_middle_of_it_loses_no_line(self, tmp_path: Path) -> None:
        """The handler of SIGALRM interrupts the writer wherever it is, a thousand times a second."""
        code = (
            "import signal, sys; from pathlib import Path; from tracker.client import spool\n"
            "spool.SEGMENT = 200; writer = spool.Writer(Path(sys.argv[1])); late = 0\n"
            "def handle(*_):\n    global late; late += 1; writer.append(b'late %d\\n' % late)\n"
            "signal.signal(signal.SIGALRM, handle); signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\n"
            "for i in range(20000): writer.append(b'line %d\\n' % i)\n"
            "signal.setitimer(signal.ITIMER_REAL, 0); print(late)"
        )
        file = tmp_path / "run.jsonl"
        ran = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, check=True)
        with closing(Spool(file)) as spool:
            read = read_all(spool)
        assert [line for line in read if line.startswith(b"line")] == [b"line %d" % i for i in range(20000)]
        assert sum(line.startswith(b"late") for line in read) == int(ran.stdout) > 10


def test_a_second_writer_has_a_file_of_its_own(writer: Writer) -> None:
    with closing(Writer(writer.file)) as second, closing(Writer(writer.file)) as third:
        assert [second.file, third.file] == [own(writer.file), own(writer.file, 1)]
        assert spools(writer.file.parent) == sorted([writer.file, second.file, third.file])


def test_a_file_system_without_locks_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(fd: int, kind: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with closing(Writer(tmp_path / "run.jsonl")) as writer, closing(Spool(writer.file)) as spool:
        writer.append(b"one\n")
        with spool.sending() as allowed:
            assert allowed
        assert read_all(spool) == [b"one"]


@pytest.mark.parametrize(
    ("lines", "newest"),
    [
        ([], (-1, 0)),
        ([b'{"run": {}, "at": 9, "v": 1}'], (-1, 9)),
        ([b'{"log": {"a": 1}, "step": 4, "at": 7}', b'{"end": "failed", "at": 9}'], (4, 9)),
        ([b'{"log": {"a": 1}, "step": 4, "at": 7}', b'{"rewind": 2, "at": 8}', b"torn {"], (2, 8)),
        ([b'{"log": {"a": 1}, "step": 4, "at": 7}', b"x" * 70_000], (-1, 0)),
    ],
)
def test_the_newest_entry_is_found_at_the_end(
    writer: Writer, spool: Spool, lines: list[bytes], newest: tuple[int, int]
) -> None:
    for line in lines:
        writer.append(line + b"\n")
    assert writer.newest() == newest


def test_a_cursor_beyond_the_file_is_of_another_file_and_begins_again(writer: Writer, spool: Spool) -> None:
    """The spool was deleted or cut and its cursor was not: what is written now must still be sent."""
    spool.cursor = 1000
    writer.append(b"one\n")
    assert spool.cursor == 0
    assert spool.unsent > 0
