"""A candidate's first minutes and first hour in real JupyterLab: box, command and pytest say the same of an answer."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from workbook import progress
from workbook.bank.questions import questions_of
from workbook.source import lessons, source_with

START = "notebooks/start.ipynb"


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
        self.page.keyboard.press("Delete")
        for number, line in enumerate(text.split("\n")):
            if number:
                self.page.keyboard.press("Enter")
            self._indent(len(line) - len(line.lstrip()))
            self.page.keyboard.type(line.lstrip())
        for _ in range(2):
            self.page.keyboard.press("Shift+Enter")

    def _indent(self, columns: int) -> None:
        """As who types does, who sees that the editor has begun the line as it thinks right."""
        while self._column() > columns:
            self.page.keyboard.press("Backspace")
        self.page.keyboard.type(" " * (columns - self._column()))

    def _column(self) -> int:
        """How far the line that is typed in is indented."""
        node = "n = getSelection().anchorNode"
        line = str(self.page.evaluate(f"{node}, (n.closest ? n : n.parentNode).closest('.cm-line').textContent"))
        return len(line) - len(line.lstrip())

    def written(self, first_line: str) -> str:
        """What stands in the cell that begins so."""
        cell = self.page.locator(".jp-CodeCell", has_text=first_line).first
        cell.scroll_into_view_if_needed()
        return "\n".join(cell.locator(".cm-line").all_text_contents())

    def states(self) -> dict[str, str]:
        """What the boxes say, exercise by exercise."""
        return stated("\n".join(self.page.locator(".jp-OutputArea-output b").all_text_contents()))

    def pictures(self, take: Callable[[str], None], name: str) -> None:
        """Of the whole notebook, as a dark and as a light page: the menu Settings changes between them."""
        high = self.page.locator(".jp-WindowedPanel-viewport").evaluate("notebook => notebook.offsetHeight")
        self.page.set_viewport_size({"width": 1300, "height": high + 300})
        for theme in ("Dark", "Light"):
            self.page.get_by_role("menuitem", name="Settings", exact=True).click()
            for label in ("Theme", f"JupyterLab {theme}"):
                self.page.get_by_text(label, exact=True).click()
            expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", f"JupyterLab {theme}")
            expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)
            take(f"{name}-{theme.lower()}")

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


def stated(text: str) -> dict[str, str]:
    """Exercises and their states, as boxes and `workbook check` say them, and as pytest does."""
    by_pytest = {"NOT ATTEMPTED": "not attempted", "FAILED": "wrong", "PASSED": "solved"}
    found = re.findall(rf"(?:^\W*|::)(d1\.b3\.e\d) (not attempted|wrong|solved|{'|'.join(by_pytest)})", text, re.M)
    return {exercise: by_pytest.get(state, state) for exercise, state in found}


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
        expect(lab.box("core exercises done")).to_contain_text("Which run is best?")
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
        built = study.command("-m", "workbook", "author", "build")
        assert "notebooks/start.ipynb kept: a reader wrote in it" in built.stdout, built.stderr


def test_a_candidates_hour(page: Page, picture: Callable[[str], None], checkout: Path, studying: Any) -> None:
    source = source_with("d1.b3.e3")
    assert source
    notebook, right, (wrong, told, _) = str(source.notebooks[0]), answers("d1.b3.e3")[2], answers("d1.b3.e4")
    untouched = dict.fromkeys(source.exercises, "not attempted")
    with studying(checkout) as study:
        lab = Lab(page, study.workbook.replace(START, notebook))
        lab.run_all()
        expect(lab.box("not attempted")).to_have_count(len(untouched))
        assert lab.states() == untouched

        lab.answer("-- your query; :experiment_id", right)
        expect(lab.box("✓ d1.b3.e3 solved")).to_be_visible()
        assert lab.written("LATEST_SQL =") == right
        lab.answer("-- your query; :key", wrong)
        expect(lab.box(told)).to_be_visible()
        lab.save()
        found = untouched | {"d1.b3.e3": "solved", "d1.b3.e4": "wrong"}
        assert lab.states() == found
        checked = study.command("-m", "workbook", "check", notebook)
        assert stated(checked.stdout) == found, checked.stderr
        assert told in checked.stdout
        judged = study.command("-m", "pytest", "--nbval", "-v", notebook)
        assert stated(judged.stdout) == found, judged.stdout

        page.reload()
        expect(lab.box(told)).to_be_visible()
        expect(lab.box("not attempted")).to_have_count(list(found.values()).count("not attempted"))
        assert lab.states() == found
        assert lab.written("LATEST_SQL =") == right
        lab.pictures(picture, "exercises")
        # An answer cell cannot be deleted, a check not even edited.
        check = page.locator(".jp-CodeCell .cm-content", has_text='with check("d1.b3.e3")')
        check.click()
        page.keyboard.insert_text("cheating = True")
        expect(page.get_by_text("cheating = True")).to_have_count(0)
        page.keyboard.press("Escape")
        page.keyboard.type("dd")
        expect(check).to_be_visible()


def test_a_question_is_answered_aloud_and_kept(
    page: Page, picture: Callable[[str], None], checkout: Path, studying: Any
) -> None:
    source = source_with("d1.b3.e3")
    assert source
    question, kept = questions_of(source)[0], checkout / progress.FILE
    with studying(checkout) as study:
        lab = Lab(page, study.workbook.replace(START, str(source.notebooks[0])))
        cell = page.locator(".jp-CodeCell", has_text=f'ask("{question.id}")')
        cell.scroll_into_view_if_needed()
        expect(cell.locator("summary")).to_have_count(3)

        cell.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        asked = page.get_by_role("region", name=f"{question.id}, to be said aloud")
        expect(asked).to_be_visible()
        expect(cell.locator("summary")).to_have_count(0)
        asked.get_by_role("button", name="3 · fairly sure").focus()
        page.keyboard.press("Enter")  # to JupyterLab, it would mean "edit this cell"
        expect(asked.get_by_role("timer")).to_have_text("2:00")
        expect(asked.get_by_role("button", name="Start")).to_be_focused()
        page.keyboard.press("Enter")
        expect(asked.get_by_role("timer")).to_have_text(re.compile(r"1:5\d"))
        asked.get_by_role("button", name="Stop").click()

        asked.get_by_role("button", name="Show the points").click()
        expect(asked.get_by_text("Before I touch anything")).to_be_visible()
        asked.get_by_role("checkbox", name=question.must_mention[0]).check()
        asked.get_by_role("checkbox", name=question.must_mention[3]).focus()
        page.keyboard.press("Space")
        lab.pictures(picture, "question-points")
        assert not kept.exists()
        asked.get_by_role("button", name="Done").click()
        expect(asked.get_by_role("status")).to_have_text(re.compile(r"^Kept: 2 of 5 points, bet 3\."))
        (answered,) = progress.read(checkout).asked[question.id]
        assert (answered.bet, answered.made, answered.of) == (3, 2, 5)
        lab.pictures(picture, "question-done")

        lab.save()  # with the focus where the button was: Ctrl+S is JupyterLab's also in there
        page.reload()
        cell.scroll_into_view_if_needed()
        expect(cell.locator("summary")).to_have_count(3)


def test_a_lesson_shows_its_pictures_and_its_folds(
    page: Page, picture: Callable[[str], None], checkout: Path, studying: Any
) -> None:
    lesson = lessons()[0].notebook
    built = (checkout / lesson).read_text()
    with studying(checkout) as study:
        lab = Lab(page, study.workbook.replace(START, str(lesson)))
        images, folds = page.locator(".jp-OutputArea-output img"), page.locator(".jp-Cell details")
        expect(images).to_have_count(built.count('"image/png"'))
        expect(folds).to_have_count(built.count("<details>"))
        lab.pictures(picture, "lesson")
        for image in images.all():
            assert image.evaluate("image => image.complete && image.naturalWidth > 100")
        for fold in folds.all():
            inside = fold.locator("p").first
            expect(inside).to_be_hidden()
            fold.locator("summary").click()
            expect(inside).to_be_visible()
        lab.pictures(picture, "lesson-unfolded")
