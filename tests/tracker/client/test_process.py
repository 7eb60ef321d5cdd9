"""Which one of many a process is. How it ends is tried with real processes, in test_run."""

import pytest

from tracker.client import process


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, 0),
        ({"RANK": "3"}, 3),
        ({"SLURM_PROCID": "0"}, 0),
        ({"SLURM_PROCID": "2"}, 2),
        ({"OMPI_COMM_WORLD_RANK": "1"}, 1),
        ({"PMI_RANK": "4"}, 4),
        ({"RANK": "", "SLURM_PROCID": "5"}, 5),
        ({"RANK": "0", "SLURM_PROCID": "5"}, 0),
        ({"RANK": "first"}, 0),
    ],
)
def test_the_launcher_says_which_rank_this_is(environment: dict[str, str], rank: int) -> None:
    assert process.rank(environment) == rank


def test_a_given_id_is_for_the_first_run_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_named", False)
    environment = {"TRACKER_RUN_ID": "job.1"}
    ids = [process.external_id(environment) for _ in range(3)]
    assert ids[0] == "job.1"
    assert len(set(ids)) == 3


def test_without_one_every_run_is_new() -> None:
    assert process.external_id({}) != process.external_id({})


def test_slurm_counts_its_restarts() -> None:
    assert process.attempt({"SLURM_JOB_ID": "7"}) == "slurm-0"
    assert process.attempt({"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "2"}) == "slurm-2"
    assert process.attempt({"SLURM_RESTART_COUNT": "2"}) != process.attempt({"SLURM_RESTART_COUNT": "2"})
