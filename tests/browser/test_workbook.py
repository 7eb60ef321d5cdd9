"""A candidate's first minutes in real JupyterLab: run all, a wrong answer, a right one, saved. Every door agrees."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from workbook.source import source_with


class Lab:
    """JupyterLab with one notebook open."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        page.goto(address)
        expect(page.locator(".jp-Notebook .jp-Cell").first).to_be_visible()
        expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()

    def run_all(self) -> None:
        """As the menu Run does."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    def answer(self, first_line: str, text: str) -> None:
        """Types an answer over the stub that begins so, runs it and the check below it."""
        self.page.locator(".jp-CodeCell .cm-content", has_text=first_line).first.click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)
        for _ in range(2):
            self.page.keyboard.press("Shift+Enter")

    def save(self) -> None:
        """As Ctrl+S does; waits until the tab is no longer marked as changed."""
        self.page.keyboard.press("Control+S")
        expect(self.page.locator(".lm-TabBar-tab.lm-mod-current.jp-mod-dirty")).to_have_count(0)

    def box(self, text: str) -> Any:
        """The verdict that says so."""
        return self.page.locator(".jp-OutputArea-output", has_text=text)


def answers(exercise: str) -> tuple[str, str, str]:
    """A wrong answer, what it is told, and the right one."""
    source = source_with(exercise)
    assert source
    known = source.exercises[exercise]
    wrong = next(v for v in known.variants if v.says)
    assert wrong.says
    return wrong.source, wrong.says, known.solution


def test_a_candidates_first_minutes(
    page: Page, picture: Callable[[str], None], checkout: Path, studying: Any, wait_until: Callable[..., None]
) -> None:
    wrong, told, right = answers("d0.b0.e1")
    with studying(checkout) as study:
        lab = Lab(page, study.workbook)
        wait_until(lambda: '"run_count":3' in page.request.get(f"{study.dashboard}../experiments").text())
        lab.run_all()
        expect(lab.box("○ d0.b0.e1 not attempted")).to_be_visible()
        expect(page.locator(".jp-OutputArea-output table", has_text="just right")).to_be_visible()
        expect(page.locator(".jp-OutputArea-output img")).to_be_visible()
        expect(page.get_by_text("Jupyter news")).to_have_count(0)
        picture("start-not-attempted")

        lab.answer("def best_run", wrong)
        expect(lab.box(told)).to_be_visible()
        expect(lab.box("✗ d0.b0.e1 wrong")).to_be_visible()
        picture("start-wrong")

        lab.answer("def best_run", right)
        expect(lab.box("✓ d0.b0.e1 solved")).to_be_visible()
        lab.save()
        picture("start-solved")

        checked = study.command("-m", "workbook", "check", "d0.b0.e1")
        assert checked.stdout == "✓ d0.b0.e1 solved\n    4 checks passed\n", checked.stderr
        judged = study.command("-m", "pytest", "notebooks/start.ipynb")
        assert "1 passed" in judged.stdout, judged.stdout
        built = study.command("-m", "workbook", "build")
        assert "notebooks/start.ipynb kept: a reader wrote in it" in built.stdout, built.stderr


def test_the_first_exercise(page: Page, picture: Callable[[str], None], checkout: Path, studying: Any) -> None:
    wrong, told, right = answers("d1.b3.e3")
    notebook = "exercises/day1-python-backend-db/03-database-schema-exercises.ipynb"
    with studying(checkout) as study:
        lab = Lab(page, study.workbook.replace("notebooks/start.ipynb", notebook))
        lab.run_all()
        expect(lab.box("○ d1.b3.e3 not attempted")).to_be_visible()
        picture("exercise-not-attempted")
        lab.answer("-- your query", wrong)
        expect(lab.box(told)).to_be_visible()
        picture("exercise-wrong")
        lab.save()
        checked = study.command("-m", "workbook", "check", "d1.b3.e3")
        assert checked.stdout.startswith("✗ d1.b3.e3 wrong\n"), checked.stderr
        assert told in checked.stdout
        lab.answer("LATEST_SQL =", right)
        expect(lab.box("✓ d1.b3.e3 solved")).to_be_visible()
        picture("exercise-solved")
        # An answer cell cannot be deleted, a check not even edited.
        page.locator(".jp-CodeCell .cm-content", has_text='with check("d1.b3.e3")').click()
        page.keyboard.insert_text("cheating = True")
        expect(page.get_by_text("cheating = True")).to_have_count(0)
        page.keyboard.press("Escape")
        page.keyboard.type("dd")
        expect(page.locator(".jp-CodeCell .cm-content", has_text='with check("d1.b3.e3")')).to_be_visible()
