"""What running a block brings to light, each part found once, when it is first asked for.

`gather` finds all of it, what processes of their own can tell beside what kernels are asked.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat

from ..build import execute, exercise_notebook, solution_notebook
from ..check import VERDICT, State, Verdict
from ..judge import Answer, Judge, NotJudged, answers, load
from ..kinds import KINDS
from ..labs import offline
from ..pieces import mutants
from ..source import ROOT, Exercise
from .block import Block

UNTOUCHED, SOLUTION = "untouched", "solution"
IMPATIENT = 0.5  # seconds, for answers that are known never to end


@dataclass(frozen=True)
class Tested:
    """What nbval said of a notebook: of each test that did not pass its name and why, and how many were skipped."""

    ran: int
    failed: dict[str, str]
    skipped: int


class Evidence:
    """Of one block."""

    def __init__(self, block: Block) -> None:
        self.block = block

    def gather(self) -> None:
        """Finds everything."""
        with ThreadPoolExecutor(1) as pool:  # no kernels in there: each thread that has one leaves an event loop open
            beside = pool.submit(lambda: (self.nbval, self.killed))
            for name in ("verdicts", "moved", "endless", "untouched", "rebuilt"):
                getattr(self, name)
            beside.result()

    @cached_property
    def verdicts(self) -> dict[tuple[str, str], Verdict]:
        """On every answer there is, by exercise and by name, where the notebook was built, or will be."""
        found = {}
        folder = (self.block.root / self.block.source.notebooks[0]).parent
        with Judge(self.block.source, folder if folder.is_dir() else self.block.root) as judge:
            for exercise in self.block.exercises:
                texts = {UNTOUCHED: exercise.stub, SOLUTION: exercise.solution}
                texts |= {variant.name: variant.source for variant in exercise.variants}
                for name, text in texts.items():
                    found[exercise.id, name] = _verdict(judge, exercise, Answer([(text, True)]))
        return found

    @cached_property
    def moved(self) -> dict[str, Verdict]:
        """On the solutions, in a notebook that its reader renamed and moved out of the checkout."""
        notebook = exercise_notebook(self.block.source)
        for cell in notebook.cells:
            mark = cell.metadata.get("workbook", {})
            if mark.get("role") == "answer":
                cell.source = self.block.source.exercises[mark["exercise"]].solution
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "my own copy.ipynb"
            nbformat.write(notebook, file)
            given = answers(load(file))
            with Judge(self.block.source, file.parent) as judge:
                return {e.id: _verdict(judge, e, given.get(e.id, Answer())) for e in self.block.exercises}

    @cached_property
    def endless(self) -> dict[str, Verdict | None]:
        """On answers that never end, to exercises whose answers are run; None where the check did not end them."""
        with Judge(self.block.source, self.block.root, IMPATIENT) as judge:
            found: dict[str, Verdict | None] = {}
            for exercise in self.block.exercises:
                answer = never_ending(exercise)
                if answer:
                    verdict = _verdict(judge, exercise, Answer([(answer, True)]))
                    found[exercise.id] = None if judge.stopped else verdict
            return found

    @cached_property
    def untouched(self) -> dict[str, str]:
        """What Run All in JupyterLab brings in the untouched notebook, by cell: the state of a check, or an error.

        Cells before the first exercise may need the running tracker, and spoken questions ask the bank of the
        installed workbook: both are left out.
        """
        notebook = exercise_notebook(self.block.source)
        notebook.cells = [cell for cell in notebook.cells if not _asks_others(cell.metadata.get("workbook", {}))]
        execute(notebook, self.block.root, allow_errors=True)
        found = {}
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                verdict = output.get("data", {}).get(VERDICT)
                if verdict:
                    found[cell.id] = str(Verdict(verdict["exercise"], State(verdict["state"]), verdict["message"]))
                elif output.output_type == "error":
                    found[cell.id] = f"{output.ename}: {output.evalue}"
        return found

    @cached_property
    def rebuilt(self) -> str:
        """The solution notebook, built again."""
        notebook = solution_notebook(self.block.source)
        execute(notebook, self.block.root, allow_errors=True)
        return str(nbformat.writes(notebook)) + "\n"

    @cached_property
    def nbval(self) -> Tested:
        """The solution notebook as it is stored, tested by nbval; where that can be arranged, without a network."""
        quick = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]  # which takes a second to load
        command = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), *quick]
        with tempfile.TemporaryDirectory() as folder:
            command += [f"--rootdir={self.block.root}", f"--junitxml={folder}/said.xml", "--nbval"]
            command += [str(self.block.root / self.block.source.notebooks[1])]
            if offline.is_possible():
                command = offline.command(command)
            ran = subprocess.run(command, cwd=self.block.root, capture_output=True, text=True, check=False)
            said = Path(folder) / "said.xml"
            cases = list(ElementTree.parse(said).getroot().iter("testcase")) if said.exists() else []
            if not cases:
                return Tested(0, {"pytest": (ran.stderr + ran.stdout).strip()[-500:]}, 0)
        bad = {case.get("name", ""): part for case in cases for part in case if part.tag in ("failure", "error")}
        return Tested(
            ran=len(cases),
            failed={name: str(part.text or part.get("message")) for name, part in bad.items()},
            skipped=sum(part.tag == "skipped" for case in cases for part in case),
        )

    @cached_property
    def killed(self) -> dict[str, dict[str, mutants.Result]]:
        """What the tracker's tests say of each piece, and of each other answer in its place."""
        found = {}
        for exercise in self.block.exercises:
            if exercise.piece:
                others = {variant.name: variant.source for variant in exercise.variants}
                found[exercise.id] = mutants.judge(exercise.piece, exercise.tests, others, self.block.root)
        return found


def _asks_others(mark: dict[str, str]) -> bool:
    return mark == {"role": "scratch"} or mark.get("role") == "ask"


def _verdict(judge: Judge, exercise: Exercise, answer: Answer) -> Verdict:
    """Support code that fails makes no answer right."""
    try:
        return judge.judge(exercise, answer)
    except NotJudged as failed:
        return Verdict(exercise.id, State.WRONG, str(failed))


def never_ending(exercise: Exercise) -> str | None:
    """An answer that never ends: each function of it, beside what else it says; or its text for another language."""
    kind = KINDS.get(exercise.language)
    if kind is None or kind.endless is None:
        return None
    parts, beside = [], []
    try:
        body = ast.parse(exercise.solution).body
    except SyntaxError:
        return None  # the solution's own verdict says so
    for node in body:
        if isinstance(node, ast.FunctionDef) and kind.name == "Python":
            parts.append(ast.unparse(_with_body(node, kind.endless)))
        elif isinstance(node, ast.ClassDef) and kind.name == "Python":
            parts.append(f"class {node.name}:\n    def __init__(self, *_, **__):\n        {kind.endless}")
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and kind.name != "Python":
            text = node.value.value
            if isinstance(text, str) and "\n" in text:
                parts.append(f"{ast.unparse(node.targets[0])} = {kind.endless!r}")
        elif kind.name == "Python":  # a prediction, which its check looks at before it calls anything
            beside.append(ast.unparse(node))
    return "\n\n".join(beside + parts) if parts else None


def _with_body(function: ast.FunctionDef, body: str) -> ast.FunctionDef:
    """The function with another body. It keeps its parameters, and what stands above it: a route is known by them."""
    function.body = ast.parse(body).body
    return function
