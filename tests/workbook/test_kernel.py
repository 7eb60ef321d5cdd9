import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from workbook.kernel import Kernel


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(tmp_path, {"MINE": "yes"}) as kernel:
        yield kernel


def test_an_endless_cell_is_interrupted_and_its_names_stay(kernel: Kernel) -> None:
    kernel.run("x = 5", 5)
    ran = kernel.run("while True: pass", 0.3)
    assert (ran.stopped, ran.fresh) == ("it took longer than 0.3 seconds: an endless loop?", False)
    assert kernel.run("assert x == 5", 5).error is None


def test_a_cell_that_cannot_be_interrupted_costs_the_kernel(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbook.kernel.INTERRUPT_SECONDS", 0.5)
    source = "import time\nwhile True:\n    try:\n        time.sleep(0.01)\n    except BaseException: pass"
    ran = kernel.run(source, 0.3)
    assert (ran.stopped, ran.fresh) == ("it took longer than 0.3 seconds: an endless loop?", True)
    assert kernel.run("1", 5).stopped is None


def test_a_cell_that_kills_the_kernel_is_noticed_at_once(kernel: Kernel) -> None:
    start = time.monotonic()
    ran = kernel.run("import os; os._exit(3)", 60)
    assert time.monotonic() - start < 20
    assert (ran.stopped, ran.fresh) == ("it ended Python itself (os._exit, a crash, or out of memory)", True)
    assert kernel.run("assert 'os' not in globals()", 5).error is None


@pytest.mark.parametrize("source", ["quit()", "exit", "import sys; sys.exit()"])
def test_leaving_is_an_error_and_the_kernel_stays(kernel: Kernel, source: str) -> None:
    kernel.run("x = 5", 5)
    ran = kernel.run(source, 5)
    assert ran.error is not None
    assert (ran.error["ename"], ran.fresh) == ("SystemExit", False)
    assert kernel.run("import time; time.sleep(0.5); assert x == 5", 5).error is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take the limit, and do not keep to it")
def test_a_cell_that_takes_all_memory_costs_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbook.kernel.MEMORY", 2**30)
    with Kernel(tmp_path) as kernel:
        ran = kernel.run("kept = []\nwhile len(kept) < 2048: kept.append(bytearray(2**20))", 60)
        assert ran.error is not None
        assert (ran.error["ename"], ran.error["evalue"]) == ("MemoryError", "it wanted more than 1 GB")
        assert (ran.stopped, ran.fresh) == (None, True)
        assert kernel.run("assert 'kept' not in globals(); x = bytearray(2**29)", 5).error is None


def test_an_error_that_cannot_be_drawn_is_an_error(kernel: Kernel) -> None:
    """A full memory leaves none to draw a traceback with."""
    kernel.run("shown = get_ipython().InteractiveTB.structured_traceback", 5)
    kernel.run("def full(*_, **__): raise MemoryError\nget_ipython().InteractiveTB.structured_traceback = full", 5)
    ran = kernel.run("1 / 0", 5)
    kernel.run("get_ipython().InteractiveTB.structured_traceback = shown", 5)
    assert ran.error is not None
    assert (ran.error["ename"], ran.error["evalue"]) == ("ZeroDivisionError", "division by zero")


def test_a_cell_that_asks_is_an_error(kernel: Kernel) -> None:
    ran = kernel.run("input('name?')", 5)
    assert ran.error is not None
    assert ran.error["ename"] == "StdinNotImplementedError"


def test_it_runs_where_and_with_what_it_was_told(kernel: Kernel, tmp_path: Path) -> None:
    ran = kernel.run("import os; print(os.getcwd(), os.environ['MINE'], os.environ['TZ'])", 5)
    assert ran.outputs[0]["text"] == f"{tmp_path} yes UTC\n"


def test_afterwards_no_process_is_left(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    with Kernel(tmp_path) as kernel:
        kernel.run("import os; os._exit(3)", 60)
        assert set(psutil.Process().children(recursive=True)) - before
    assert set(psutil.Process().children(recursive=True)) - before == set()
