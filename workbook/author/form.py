"""What can be seen of a block by reading it: each function yields what is to be mended, one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..bank.questions import questions_of
from ..bank.sheets import sheets
from ..kinds import KINDS
from ..plan import PLAN, SPOKEN
from ..source import Cell, Exercise, SourceError
from .asked import FILE as ASKED
from .asked import missing
from .block import FILES, Block, blocks

LESSON, CORE = (15, 25), 12  # minutes: of a lesson, of a core exercise
CELLS, LESSON_WORDS, WORDS, LINES, WIDTH = (14, 25), 80, 90, 15, 100
SECONDS = 60  # that a check may allow itself
CARDS, QUESTIONS = 6, 2
FOLDED = re.compile(r"<details>.*?</details>|^\|.*$|^```.*?^```", re.DOTALL | re.MULTILINE)  # and tables, and drawings
SHOWN = {"text", "mermaid"}  # fences that are drawings
PARTS = ["**Out of scope:**", "**You will be able to**", "## Two questions first", "## 1 · "]
PARTS += ["## Recap", "**Say it aloud", "**Next:**"]
EXPLAINED = ("**Why.**", "**Otherwise.**", "**What the tracker does.**", "**An interviewer asks next.**")
SKIP = re.compile(r"nbval-skip|skip-execution|raises-exception|pytest\.(?:skip|importorskip|xfail)|%%script +false")
MARK = re.compile(r'TODO:[^"*<]*')  # a place that a scaffold leaves to its author
REASON = re.compile(r"# skipped since \d{4}-\d\d-\d\d: \w+")


def ids(block: Block) -> Iterator[str]:
    """One id from the task to the scorecard."""
    for number, exercise in enumerate(block.exercises, 1):
        wanted = f"{block.id}.e{number}"
        if exercise.id != wanted:
            yield f"{exercise.id}: as exercise {number} of this folder it is {wanted}: rename it"
        check = next(cell.source for cell in _cells(block, exercise) if cell.role == "check")
        judged = re.findall(r"\bcheck\(\s*[\"']([^\"']*)", check)
        if judged != [exercise.id]:
            whose = ", ".join(judged) or "nobody"
            yield f'{exercise.id}: its check is for {whose}: begin it with check("{exercise.id}")'
    known = {exercise.id for other in blocks(block.root) for exercise in other.exercises}
    known |= {question.id for other in blocks(block.root) for question in questions_of(other.source)}
    texts = [cell.source for cell in (*block.source.cells, *(block.lesson.cells if block.lesson else ()))]
    texts += [text for explained in block.source.explained.values() for text in explained]
    for mentioned in sorted(set(re.findall(r"\bd\d\.b\d\.[eq]\d+\b", "\n".join(texts))) - known):
        yield f"{mentioned} is mentioned, and there is no such exercise or question: mend the id"
    if block.lesson:
        yield from missing(block)


def hints(block: Block) -> Iterator[str]:
    """Direction, concept, shape; never the answer."""
    for exercise in block.exercises:
        found = block.source.hints(exercise.id)
        if len(found) < 2:
            yield f"{exercise.id} has {len(found)} hints: write at least 2, <details><summary>Hint 1: ..."
        given = set(exercise.stub.splitlines())
        solution = [line.strip() for line in exercise.solution.splitlines() if line not in given]
        for number, hint in enumerate(found, 1):
            for line in solution:
                if len(line) > 8 and line in hint.text:
                    yield f"{exercise.id}: hint {number} holds a line of the solution: {line!r}. Say the idea instead"


def questions(block: Block) -> Iterator[str]:
    """What is asked aloud."""
    yield from marks(block, "questions.yaml", ASKED)
    try:
        bank = questions_of(block.source)
    except SourceError as refused:
        yield str(refused)
        return
    if block.lesson is None:
        return
    core, cards = sum(question.core for question in bank), sum(len(question.cards) for question in bank)
    if core != QUESTIONS:
        yield f"it has {core} core questions: {QUESTIONS} of questions.yaml say 'core: true'"
    if cards != CARDS:
        yield f"it has {cards} cards in all its questions: make them {CARDS}"
    asked = {(exercise, name) for question in bank for exercise, names in question.probes.items() for name in names}
    for exercise in block.exercises:
        for variant in exercise.variants:
            if exercise.weight == "core" and variant.says and (exercise.id, variant.name) not in asked:
                yield f"no probe asks about the wrong answer {exercise.id} {variant.name}: add it to a question"


def snippets(block: Block) -> Iterator[str]:
    """What looks as if it could be run is run."""
    cells = [*block.source.cells, *(block.lesson.cells if block.lesson else ())]
    texts = [cell.source for cell in cells if cell.role == "text"]
    texts += [text for explained in block.source.explained.values() for text in explained]
    for language, line in re.findall(r"^```([^\n]*)\n([^\n]*)\n(?:.*?\n)??```$", "\n".join(texts), re.M | re.S):
        if language.strip() not in SHOWN:
            yield f"nobody runs {line!r}: make this fence a code cell, or say ```text if it is a drawing"


def limits(block: Block) -> Iterator[str]:
    """A check that may take for ever is none."""
    for exercise in block.exercises:
        check = next(cell.source for cell in _cells(block, exercise) if cell.role == "check")
        allowed = re.search(r"\bseconds=([^,)]+)", check)
        if allowed and not (allowed[1].isdigit() and int(allowed[1]) <= SECONDS):
            yield f"{exercise.id}: its check may take {allowed[1]} seconds: nobody waits longer than {SECONDS}"


def skips(block: Block) -> Iterator[str]:
    """Nothing is passed over in silence."""
    for cell in (*block.source.cells, *(block.lesson.cells if block.lesson else ())):
        found = SKIP.search(" ".join([cell.source, *cell.tags]))
        if cell.role != "text" and found and not REASON.search(cell.source):
            where = cell.exercise or "a cell"
            yield f"{where} has {found[0]!r}: run it, or say why not: '# skipped since 2026-11-24: reason'"


def size(block: Block) -> Iterator[str]:
    """What fits an evening and a page."""
    for file in sorted(block.folder.iterdir()):
        if file.name not in FILES:
            yield f"{file.name} belongs to no block: only {', '.join(sorted(FILES))} do"
    if block.id not in PLAN:
        yield f"{block.id} is not in the study plan (workbook/plan.py)"
        return
    try:
        bank = questions_of(block.source)
        sheets([block.source])
    except SourceError as refused:
        yield str(refused)
        return
    core = [exercise for exercise in block.exercises if exercise.weight == "core"]
    for exercise in core:
        if exercise.minutes > CORE:
            yield f"{exercise.id} takes {exercise.minutes} minutes: shorten it to {CORE}, or make it extra"
    lesson = block.lesson.minutes if block.lesson else 0
    if lesson is None or (block.lesson and not LESSON[0] <= lesson <= LESSON[1]):
        between = f"{LESSON[0]} to {LESSON[1]}"
        yield f"write below the lesson's title '*Day 1, block 3 · lesson, 20 minutes · needs ...*', {between} minutes"
        return
    parts = [lesson, *(exercise.minutes for exercise in core), *(SPOKEN for question in bank if question.core)]
    most = PLAN[block.id].minutes[1]
    if sum(parts) > most:
        added = " + ".join(map(str, parts))
        yield f"lesson, core and questions take {sum(parts)} minutes ({added}), the plan has {most}: make some extra"


def anatomy(block: Block) -> Iterator[str]:
    """The form that readers know their way in."""
    yield from marks(block, "lesson.md", "exercises.md")
    yield from _exercise_form(block)
    if block.lesson:
        yield from _core_form(block)
        yield from _lesson_form(list(block.lesson.cells))


def marks(block: Block, *names: str) -> Iterator[str]:
    """What is still to be written in these files, and where."""
    for file in (block.folder / name for name in names):
        for number, line in enumerate(file.read_text().split("\n") if file.exists() else (), 1):
            yield from (f"{file.name}:{number}: {mark.strip()}" for mark in MARK.findall(line))


def _exercise_form(block: Block) -> Iterator[str]:
    for exercise in block.exercises:
        if exercise.language not in KINDS:
            yield f"{exercise.id}: its header says {exercise.kind!r}: in brackets, name one of {', '.join(KINDS)}"
        text = "\n".join(block.source.explained[exercise.id])
        for heading in EXPLAINED:
            if heading not in text:
                yield f"{exercise.id}: its solution lacks {heading}"
        yield from _too_wide(exercise.id, exercise.solution)
    for cell in block.source.cells:
        if cell.role == "text":
            yield from _too_wordy(cell, WORDS)
        else:
            yield from _too_wide(cell.exercise or "the first part", cell.source)


def _core_form(block: Block) -> Iterator[str]:
    core = [exercise for exercise in block.exercises if exercise.weight == "core"]
    kinds = " ".join(exercise.kind for exercise in core)
    for kind in ("implement", "repair", "predict|estimate|draw"):
        if not re.search(kind, kinds):
            yield f"no core exercise is of the kind {kind.replace('|', ', ')}: {kinds}"
    if sum(exercise.needs == "nothing but Python" for exercise in core) < 2:
        yield "fewer than two core exercises need nothing but Python"


def _lesson_form(cells: list[Cell]) -> Iterator[str]:
    if not CELLS[0] <= len(cells) <= CELLS[1]:
        yield f"the lesson has {len(cells)} cells: {CELLS[0]} to {CELLS[1]} can be read in its minutes"
    for cell in cells:
        if cell.role == "text":
            yield from _too_wordy(cell, LESSON_WORDS)
            continue
        yield from _too_wide("the lesson", cell.source)
        if len(cell.source.splitlines()) > LINES:
            yield f"the cell {_begin(cell)} has more than {LINES} lines: move some into workbook/labs"
        if "live" in cell.tags and not re.search(r"^assert ", cell.source, re.MULTILINE):
            yield f"the live cell {_begin(cell)} shows something else each time: an assert says what must hold"
    text = "\n".join(cell.source for cell in cells)
    places = [text.find(part) for part in PARTS]
    for part, place in zip(PARTS, places, strict=True):
        if place < 0:
            yield f"the lesson lacks {part!r}"
    if -1 not in places and places != sorted(places):
        yield f"the lesson's parts come in this order: {', '.join(PARTS)}"
    sections = [part for part in re.split(r"(?=^## )", text, flags=re.MULTILINE) if re.match(r"## \d · ", part)]
    for section in sections:
        if not 0 < section.find("**Guess") < section.find("**The rule:**"):
            yield f"section {section.splitlines()[0][3:]} first asks for a **Guess, and ends with **The rule:**"


def _too_wordy(cell: Cell, most: int) -> Iterator[str]:
    words = len(FOLDED.sub("", cell.source).split())
    if words > most:
        yield f"the text {_begin(cell)} has {words} words: cut it to {most}, or part it with +++"


def _too_wide(where: str, source: str) -> Iterator[str]:
    for line in source.splitlines():
        if len(line) > WIDTH:
            yield f"{where}: a line is wider than {WIDTH} characters: {line.strip()[:40]!r}"


def _begin(cell: Cell) -> str:
    return repr(" ".join(cell.source.split())[:40])


def _cells(block: Block, exercise: Exercise) -> list[Cell]:
    return [cell for cell in block.source.cells if cell.exercise == exercise.id]
