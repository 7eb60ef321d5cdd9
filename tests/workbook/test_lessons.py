"""Every lesson holds on a computer without PostgreSQL and without a network; with PostgreSQL it is run by nbval."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbook import build
from workbook.labs import offline
from workbook.labs.postgres import SWITCH
from workbook.source import ROOT, Lesson, lessons

pytestmark = pytest.mark.thorough
BUILD = """
import sys
from pathlib import Path
from workbook import build
from workbook.source import lessons

(lesson,) = [lesson for lesson in lessons() if str(lesson.path) == sys.argv[1]]
print(build.build_lesson(lesson, Path(sys.argv[2])).outcome)
"""


@pytest.mark.parametrize("lesson", lessons(), ids=[lesson.title for lesson in lessons()])
def test_building_it_without_postgres_and_network_changes_no_byte(lesson: Lesson, tmp_path: Path) -> None:
    if not build._is_pristine(ROOT / lesson.notebook) and os.environ.get("CI") != "true":
        pytest.skip("somebody wrote in this lesson")
    copied = tmp_path / lesson.notebook
    copied.parent.mkdir(parents=True)
    copied.write_bytes((ROOT / lesson.notebook).read_bytes())
    command = [sys.executable, "-c", BUILD, str(lesson.path), str(tmp_path)]
    ran = subprocess.run(
        offline.command(command) if offline.is_possible() else command,
        cwd=ROOT,
        env=os.environ | {SWITCH: "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "unchanged\n", ran.stderr
