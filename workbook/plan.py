"""The study plan: the blocks of the four days in their order, and the minutes that each of them may take."""

from __future__ import annotations

from dataclasses import dataclass

SPOKEN = 6  # minutes of a question: two to say it, four to compare


@dataclass(frozen=True)
class Planned:
    """A block of the plan; `minutes` are the fewest and the most."""

    path: str  # of its notebooks, below `notebooks`
    minutes: tuple[int, int]


def _day(number: int, folder: str, **blocks: tuple[int, int]) -> dict[str, Planned]:
    return {
        f"d{number}.b{position}": Planned(f"{folder}/{position:02}-{name.replace('_', '-')}", minutes)
        for position, (name, minutes) in enumerate(blocks.items(), 1)
    }


PLAN = {
    "d0.b0": Planned("start", (5, 5)),
    **_day(
        1,
        "day1-python-backend-db",
        python_warmup=(60, 90),
        backend_api=(120, 150),
        database_schema=(90, 120),
        db_integration=(60, 90),
        system_design=(60, 120),
    ),
    **_day(
        2,
        "day2-react-security",
        react_fundamentals=(60, 90),
        data_fetching=(90, 120),
        dashboard_ui=(120, 120),
        security_fundamentals=(60, 60),
        project_story=(60, 120),
    ),
    **_day(
        3,
        "day3-k8s-linux-ml",
        kubernetes_concepts=(120, 120),
        cicd_pipeline=(90, 120),
        linux_fundamentals=(60, 90),
        infrastructure_components=(60, 60),
        hpc_basics=(30, 45),
        ml_fundamentals=(60, 120),
    ),
    **_day(
        4,
        "day4-review",
        cheat_sheet=(60, 90),
        topic_flash_review=(30, 45),
        mock_interview_questions=(60, 75),
        weak_spot_templates=(45, 60),
    ),
}
