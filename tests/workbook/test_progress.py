"""What is remembered of a candidate, and what becomes of it on a bad day."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbook import progress, tries
from workbook.check import State
from workbook.progress import FILE, Asked, NotKept, Progress, Standing, change, minutes, read, standing
from workbook.source import ROOT, source_with
from workbook.tries import Try, keep

MINUTE = 60_000
ANSWER = [("x = 1", True)]


def see(root: Path, exercise: str = "d1.b3.e3", number: int = 1) -> Progress:
    return change(lambda kept: kept.hints.update({exercise: number}), root)


class TestKept:
    def test_nothing_is_known_at_first(self, tmp_path: Path) -> None:
        assert read(tmp_path) == Progress()
        assert not (tmp_path / ".workbook").exists()

    def test_what_was_seen_is_there_the_next_time(self, tmp_path: Path) -> None:
        see(tmp_path)
        change(lambda kept: kept.solutions.setdefault("d1.b3.e1", 5), tmp_path)
        assert read(tmp_path) == Progress({"d1.b3.e3": 1}, {"d1.b3.e1": 5})
        assert json.loads((tmp_path / FILE).read_text())["version"] == 2

    @pytest.mark.parametrize(
        "text",
        [
            *["", '{"version": 1, "hi', "[]", "{}", '{"version": "x"}'],
            '{"version": 1, "hints": 3, "solutions": {}}',
            '{"version": 2, "hints": {}, "solutions": {}, "asked": {"d1.b3.q1": [{"at": 1}]}}',
        ],
    )
    def test_one_that_is_broken_is_put_beside(self, tmp_path: Path, text: str) -> None:
        (tmp_path / ".workbook").mkdir()
        (tmp_path / FILE).write_text(text)
        said: list[str] = []
        assert read(tmp_path, said.append) == Progress()
        assert see(tmp_path).hints == {"d1.b3.e3": 1}
        (beside,) = (tmp_path / ".workbook").glob("progress-unreadable-*.json")
        assert beside.read_text() == text
        assert said == [
            f"{FILE} could not be read. It is {beside.name} now, and a new one is begun; your tries are untouched"
        ]

    def test_one_that_is_broken_and_cannot_be_put_beside_is_said_to_be(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".workbook").mkdir()
        (tmp_path / FILE).write_text("{")

        def refuse(*_: object) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(Path, "replace", refuse)
        with pytest.raises(NotKept, match="could not be read, and not be put beside: Read-only file system"):
            read(tmp_path)

    def test_an_answer_to_a_question_is_there_the_next_time(self, tmp_path: Path) -> None:
        once = Asked(at=5, bet=4, made=3, of=5)
        change(lambda kept: kept.asked.setdefault("d1.b3.q1", []).append(once), tmp_path)
        assert read(tmp_path).asked == {"d1.b3.q1": [once]}

    @pytest.mark.parametrize(
        ("made", "of", "right"), [(0, 1, False), (1, 1, True), (3, 4, True), (3, 5, False), (4, 5, True)]
    )
    def test_three_quarters_of_the_points_are_right(self, made: int, of: int, right: bool) -> None:
        assert Asked(at=5, bet=4, made=made, of=of).right is right

    @pytest.mark.parametrize(("bet", "sure"), [(1, False), (2, False), (3, True), (4, True)])
    def test_a_bet_from_three_on_is_sure(self, bet: int, sure: bool) -> None:
        assert Asked(at=5, bet=bet, made=1, of=1).sure is sure

    def test_one_of_the_first_version_goes_on(self, tmp_path: Path) -> None:
        (tmp_path / ".workbook").mkdir()
        (tmp_path / FILE).write_text('{"version": 1, "hints": {"d1.b3.e3": 2}, "solutions": {}}')
        assert read(tmp_path) == Progress({"d1.b3.e3": 2})

    def test_one_of_a_newer_version_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / ".workbook").mkdir()
        (tmp_path / FILE).write_text('{"version": 3, "pages": []}')
        for do in (read, see):
            with pytest.raises(NotKept, match="of a newer workbook than this: `workbook update` brings it"):
                do(tmp_path)
        assert (tmp_path / FILE).read_text() == '{"version": 3, "pages": []}'

    def test_a_full_disk_is_said_and_loses_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        see(tmp_path)

        def full(_: Path, __: str) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(progress, "write_whole", full)
        with pytest.raises(NotKept, match="cannot be written: No space left on device. What you have looked at is not"):
            see(tmp_path, number=2)
        assert read(tmp_path).hints == {"d1.b3.e3": 1}

    def test_a_file_in_the_place_of_its_folder_is_said(self, tmp_path: Path) -> None:
        (tmp_path / ".workbook").write_text("")
        with pytest.raises(NotKept, match="cannot be written: "):
            see(tmp_path)
        with pytest.raises(NotKept, match="cannot be read: "):
            read(tmp_path)

    def test_two_at_once_lose_nothing(self, tmp_path: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from workbook.progress import change\n"
            "for n in range(40):\n"
            "    change(lambda kept: kept.hints.update({f'd1.b1.e{sys.argv[2]}{n}': n}), Path(sys.argv[1]))"
        )
        both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), who], cwd=ROOT) for who in "12"]
        assert [one.wait(60) for one in both] == [0, 0]
        assert len(read(tmp_path).hints) == 80


class TestStanding:
    def of(self, root: Path) -> Standing:
        source = source_with("d1.b3.e3")
        assert source
        return standing(source.exercises["d1.b3.e3"], root)

    def test_it_is_the_verdict_on_the_newest_try(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.of(tmp_path) == Standing(State.NOT_ATTEMPTED, 0, 0)
        now = iter(range(0, 10**15, 2 * MINUTE * 10**6))
        monkeypatch.setattr(tries.time, "time_ns", lambda: next(now))
        keep("d1.b3.e3", State.WRONG, ANSWER, tmp_path)
        assert self.of(tmp_path) == Standing(State.WRONG, 1, 0)
        keep("d1.b3.e3", State.SOLVED, [("x = 2", True)], tmp_path)
        assert self.of(tmp_path) == Standing(State.SOLVED, 2, 2)
        keep("d1.b3.e3", "put away", [("x = 2", True)], tmp_path)
        assert self.of(tmp_path) == Standing(State.NOT_ATTEMPTED, 2, 4)

    @pytest.mark.parametrize(
        ("at", "counted"), [([], 0), ([5], 0), ([0, 15, 20], 20), ([0, 16, 20], 4), ([10, 0, 3], 3), ([0, 0.4], 0)]
    )
    def test_pauses_do_not_count(self, at: list[float], counted: int) -> None:
        assert minutes([Try(int(minute * MINUTE), "wrong", []) for minute in at]) == counted
