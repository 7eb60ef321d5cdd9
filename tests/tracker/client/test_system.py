import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tracker.client import system
from tracker.client.system import Sampler


@contextmanager
def sampled(seconds: float = 0.05) -> Iterator[list[Mapping[str, float]]]:
    samples: list[Mapping[str, float]] = []
    sampler = Sampler(samples.append, seconds)
    yield samples
    sampler.finish()


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_pause_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="the pause between two samples of the system"):
        Sampler(print, seconds)


def test_a_busy_process_uses_a_processor_and_an_idle_one_does_not(wait_until: Callable[..., None]) -> None:
    with sampled() as samples:
        end = time.process_time() + 0.5
        while time.process_time() < end:
            pass
        busy = max(sample["system/cpu"] for sample in samples)
        samples.clear()
        wait_until(lambda: len(samples) >= 3)
        idle = min(sample["system/cpu"] for sample in samples)
    assert 0 <= idle < busy


def test_after_its_end_there_are_no_more(wait_until: Callable[..., None]) -> None:
    with sampled(0.01) as samples:
        wait_until(lambda: samples)
    time.sleep(0.1)
    count = len(samples)
    time.sleep(0.1)
    assert len(samples) == count


def test_the_memory_is_what_the_system_says_of_this_process() -> None:
    block = bytearray(os.urandom(1024)) * (32 * 1024)  # 32 MB, all of it written
    ours, theirs = system.memory()["system/memory"], psutil.Process().memory_info().rss
    assert ours == pytest.approx(theirs, rel=0.1)
    assert ours > len(block)


def test_a_system_that_does_not_say_leaves_it_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(system, "STATM", tmp_path / "nothing")
    assert system.memory() == {}


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        (
            "echo '0, 87, 1024'; echo '1, 0, 3'",
            {
                "system/gpu0/busy": 0.87,
                "system/gpu0/memory": 1024 * 1024**2,
                "system/gpu1/busy": 0.0,
                "system/gpu1/memory": 3 * 1024**2,
            },
        ),
        ("echo '0, [N/A], 5'", {}),
        ("echo 'No devices were found'", {}),
        ("exit 9", {}),
    ],
)
def test_graphics_cards_are_asked_for_by_nvidias_own_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str, expected: dict[str, float]
) -> None:
    """One that prints what the real one prints where there are cards."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert system.gpus() == expected


def test_without_it_there_is_nothing_to_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert system.gpus() == {}
