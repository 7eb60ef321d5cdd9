"""What pytest makes of notebooks: `pytest --nbval exercises` is a candidate's self-test.

An exercise notebook becomes one test per exercise, judged by `judge`: solved passes, wrong fails with its message, and
*not attempted* is counted by that name (and is no success, so the exit code is 1 until all is solved). What nobody but
its author can score is counted as self-scored, and is none to be waited for.

Every other notebook is nbval's: each cell runs and must print what the file says. nbval 0.11 is mended in three places.
    a cell ending in ";"            was run in a way in which IPython ignores the semicolon (nbval issue 194)
    a cell that was never run       was not compared at all, and passed
    a kernel that dies              was waited for until the cell's time was up
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from .check import State, Verdict
from .judge import Answer, Judge, NotJudged, answers, is_exercise_notebook, keep_try, load, source_of
from .kernel import ENVIRONMENT, started
from .source import Exercise


class NotSolved(Exception):
    """The verdict is another one than solved."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


class ExerciseNotebook(pytest.File):
    """A notebook with a candidate's answers."""

    _judge: Judge | None = None

    def collect(self) -> Iterator[pytest.Item]:
        notebook = load(self.path)
        self.source = source_of(notebook, self.path)
        given = answers(notebook)
        for exercise in self.source.exercises.values():
            answer = given.get(exercise.id, Answer())
            yield ExerciseItem.from_parent(self, name=exercise.id, exercise=exercise, answer=answer)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, NotJudged) else super().repr_failure(excinfo)

    def judge(self, exercise: Exercise, answer: Answer) -> Verdict:
        """In a kernel that this notebook's exercises share."""
        if self._judge is None:
            self._judge = Judge(self.source, self.path.parent).__enter__()
        verdict = self._judge.judge(exercise, answer)
        keep_try(self.path, answer, verdict)
        return verdict

    def teardown(self) -> None:
        if self._judge is not None:
            self._judge.__exit__(None, None, None)
            self._judge = None


class ExerciseItem(pytest.Item):
    """One exercise."""

    parent: ExerciseNotebook

    def __init__(self, *, exercise: Exercise, answer: Answer, **options: Any) -> None:
        super().__init__(**options)
        self.exercise, self.answer = exercise, answer

    def runtest(self) -> None:
        verdict = self.parent.judge(self.exercise, self.answer)
        self.user_properties.append(("state", verdict.state.value))
        if not verdict.state.done:
            raise NotSolved(verdict)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, NotSolved):
            return str(excinfo.value.verdict)
        if isinstance(excinfo.value, NotJudged):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.exercise.id} {self.exercise.title}"


class Notebook(IPyNbFile):  # type: ignore[misc]  # nbval is not typed
    """A lesson or a solution, run by nbval with its three repairs."""

    def setup(self) -> None:
        patch = pytest.MonkeyPatch()
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        try:
            started(super().setup)
        finally:
            patch.undo()
        kernel = self.kernel
        plain = kernel.get_message

        def execute(source: str, allow_stdin: bool | None = None) -> Any:
            return kernel.kc.execute(source, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)

        def get(stream: Any, timeout: float | None = None) -> Any:
            deadline = None if timeout is None else time.monotonic() + timeout
            while True:
                left = 1.0 if deadline is None else min(1.0, max(0.0, deadline - time.monotonic()))
                try:
                    return plain(stream, timeout=left)
                except Empty:
                    if not kernel.is_alive():
                        raise RuntimeError("the notebook's kernel died") from None
                    if deadline is not None and time.monotonic() >= deadline:
                        raise

        kernel.execute_cell_input, kernel.get_message = execute, get

    def collect(self) -> Iterator[pytest.Item]:
        for item in super().collect():
            if item.cell.execution_count is None and not item.options["skip"]:
                item.add_marker(pytest.mark.never_run)
            yield item


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Generator[None, Any, Any]:
    """Takes over the notebooks that nbval found, which it does only with `--nbval`."""
    found = yield
    return [_ours(c, file_path, parent) if type(c) is IPyNbFile else c for c in found]


def _ours(collector: Any, path: Path, parent: pytest.Collector) -> pytest.Collector:
    kind = ExerciseNotebook if is_exercise_notebook(path) else Notebook
    ours: pytest.Collector = kind.from_parent(parent, path=path)
    return ours


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", "never_run: a notebook's cell that has no stored run")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuses a cell that nbval would pass because it has nothing to compare it with."""
    if isinstance(item, IPyNbCell) and item.get_closest_marker("never_run"):
        pytest.fail("this cell has no stored run: build the notebook again (make build)", pytrace=False)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Counts what was not attempted apart from what is wrong, and what is self-scored from what is solved."""
    state = dict(getattr(report, "user_properties", [])).get("state")
    if state in (State.NOT_ATTEMPTED, State.SELF_SCORED) and getattr(report, "when", "") == "call":
        return str(state), "o" if state == State.NOT_ATTEMPTED else "s", str(state).upper()
    return None
