"""Checks: what says whether an answer is right, and if not, why.

    with check("d1.b3.e3"):
        assert latest(runs) == [4, 3, 2, 1], "each run once, highest id first"

A check ends in one of four states. *Not attempted*: the answer, or the support code for an empty one, raised
NotImplementedError. *Wrong*: an assert failed, or the answer raised something else. *Self-scored*: it is prose, which
its author compares with the points of a good answer. *Solved*: none of these. In a notebook the verdict is a box below
the cell, and the cells after it go on; elsewhere a check that is neither solved nor self-scored raises CheckFailed.

An assert's message names the likely mistake. What was asserted, what came and what was expected are added here: inside
a check, `assert a == b, why` is compiled to a call that has both sides at hand, as pytest does for its tests.
"""

from __future__ import annotations

import ast
import html
import pprint
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType, TracebackType
from typing import Any, Self

from .kinds import SECONDS, SelfScored
from .tries import keep_from_notebook

VERDICT = "application/vnd.workbook.verdict+json"  # the output by which a verdict leaves the kernel


class State(StrEnum):
    """How an exercise stands."""

    NOT_ATTEMPTED = "not attempted"
    WRONG = "wrong"
    SELF_SCORED = "self-scored"
    SOLVED = "solved"

    @property
    def done(self) -> bool:
        """There is nothing left to do."""
        return self in (State.SOLVED, State.SELF_SCORED)


SYMBOL = {State.NOT_ATTEMPTED: "○", State.WRONG: "✗", State.SELF_SCORED: "◐", State.SOLVED: "✓"}
COLOUR = {  # that can be read on a light and on a dark page
    State.NOT_ATTEMPTED: "#8a8f98",
    State.WRONG: "#d64545",
    State.SELF_SCORED: "#3d84d6",
    State.SOLVED: "#2f9e5b",
}


@dataclass(frozen=True)
class Verdict:
    """What a check found. The message's first line is what the reader should see first."""

    exercise: str
    state: State
    message: str = ""

    def __str__(self) -> str:
        text = f"{SYMBOL[self.state]} {self.exercise} {self.state}"
        return f"{text}\n{self.message}" if self.message else text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """How Jupyter shows it. All text has the page's own colour, so it can be read on a light and on a dark one."""
        colour = COLOUR[self.state]
        first, _, rest = self.message.partition("\n")
        box = (
            f'<div style="border-left: 4px solid {colour}; background: {colour}1f; padding: 4px 12px; margin: 4px 0">'
            f'<b><span style="color: {colour}">{SYMBOL[self.state]}</span> '
            f"{html.escape(self.exercise)} {self.state}</b>"
        )
        if first:
            box += f"<div>{html.escape(first)}</div>"
        if rest:
            box += f'<pre style="background: none; margin: 4px 0; white-space: pre-wrap">{html.escape(rest)}</pre>'
        data = {"exercise": self.exercise, "state": self.state.value, "message": self.message}
        return {"text/plain": str(self), "text/html": box + "</div>", VERDICT: data}


class CheckFailed(AssertionError):
    """A check outside a notebook was not solved."""


class _Untrue(AssertionError):
    """An assert of a check failed; the text is ready for the reader."""


class _TimeUp(BaseException):
    """The check took too long. No Exception, so that an answer's own `except Exception` cannot swallow it."""


class check:
    """The context manager around an exercise's asserts; see the module's docstring."""

    def __init__(self, exercise: str, *, seconds: float = SECONDS) -> None:
        self.exercise = exercise
        self._seconds = seconds
        self._passed = 0
        self._alarm: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._alarm = signal.signal(signal.SIGALRM, _time_up)
            signal.setitimer(signal.ITIMER_REAL, self._seconds)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self._alarm is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm)
        if isinstance(error, KeyboardInterrupt):
            return False
        verdict = self._verdict(error)
        if _shell() is not None:
            from IPython.display import display

            display(verdict)  # type: ignore[no-untyped-call]  # IPython's is not typed
            if verdict.state is not State.NOT_ATTEMPTED:
                keep_from_notebook(self.exercise, verdict.state, _shell().user_ns.get("In", []))
        elif not verdict.state.done:
            raise CheckFailed(str(verdict)) from error
        return True

    def _verdict(self, error: BaseException | None) -> Verdict:
        if error is None:
            return Verdict(self.exercise, State.SOLVED, f"{self._passed} checks passed" if self._passed else "")
        if type(error) is NotImplementedError:  # no subclass: IPython's answer to input() is one
            return Verdict(self.exercise, State.NOT_ATTEMPTED)
        if isinstance(error, SelfScored):
            return Verdict(self.exercise, State.SELF_SCORED, str(error))
        if isinstance(error, _TimeUp):
            message = f"it took longer than {self._seconds:g} seconds: an endless loop?"
        elif isinstance(error, AssertionError):
            message = str(error) or "an assert failed"
        else:
            message = describe(error)
        return Verdict(self.exercise, State.WRONG, message)

    def compare(self, left: Any, right: Any, operator: str, source: str, why: Callable[[], Any]) -> None:
        """What `assert left == right, why` becomes."""
        if not _OPERATORS[operator](left, right):
            if operator in ("in", "not in"):
                sides = {"looked for" if operator == "in" else "found": left, "in": right}
            else:
                sides = {"got": left, "expected" if operator in ("==", "is") else f"expected {operator}": right}
            raise _Untrue(_explain(why, source, sides))
        self._passed += 1

    def true(self, value: Any, source: str, why: Callable[[], Any]) -> None:
        """What `assert value, why` becomes."""
        if not value:
            raise _Untrue(_explain(why, source, {"got": value}))
        self._passed += 1


def describe(error: BaseException) -> str:
    """An exception that the candidate's code raised, in one line, and the line of their cell that it came from."""
    if isinstance(error, SystemExit):
        return "your code ended the program (sys.exit or exit)"
    text = str(error).partition("\n")[0]
    said = f"your code raised {type(error).__name__}" + (f": {text}" if text else "")
    # In a notebook the check is the outermost cell; what it called of another cell is the answer or its support code.
    cells = [f for f in traceback.extract_tb(error.__traceback__) if "ipykernel_" in f.filename]
    inner = [f for f in cells if f.filename != cells[0].filename]
    return f"{said}\nin line {inner[-1].lineno} of its cell:  {inner[-1].line}" if inner else said


def _time_up(number: int, frame: FrameType | None) -> None:
    raise _TimeUp


def _explain(why: Callable[[], Any], source: str, sides: dict[str, Any]) -> str:
    reason = why()
    lines = [] if reason is None else [str(reason)]
    texts = {"checked": source} | {name: _show(value) for name, value in sides.items()}
    width = max(8, *map(len, texts)) + 3
    for name, text in texts.items():
        lines.append(f"{name + ':':{width}}" + text.replace("\n", "\n" + " " * width))
    return "\n".join(lines)


def _show(value: Any) -> str:
    text = pprint.pformat(value, width=100, sort_dicts=False, compact=True)
    return text if len(text) <= 800 else text[:800] + " ..."


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
    "is": lambda a, b: a is b,
    "is not": lambda a, b: a is not b,
}
_NAMES = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}


class _Asserts(ast.NodeTransformer):
    """`with check(...): assert a == b, why`  ->  `with check(...) as _check: _check.compare(a, b, "==", ..., why)`."""

    def __init__(self) -> None:
        self._check: ast.expr | None = None

    def visit_With(self, node: ast.With) -> ast.With:
        outer = self._check
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "check":
                item.optional_vars = item.optional_vars or ast.Name("_check", ast.Store())
                self._check = ast.parse(ast.unparse(item.optional_vars), mode="eval").body
        self.generic_visit(node)
        self._check = outer
        return ast.fix_missing_locations(node)

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        if self._check is None:
            return node
        test, why = node.test, ast.Lambda(_NO_ARGUMENTS, node.msg or ast.Constant(None))
        source = ast.Constant(ast.unparse(test))
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            operator = ast.Constant(_NAMES[type(test.ops[0])])
            method, arguments = "compare", [test.left, test.comparators[0], operator, source, why]
        else:
            method, arguments = "true", [test, source, why]
        call = ast.Call(ast.Attribute(self._check, method, ast.Load()), arguments, [])
        return ast.copy_location(ast.Expr(call), node)


_NO_ARGUMENTS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


def _shell() -> Any:
    """The notebook's interpreter; None in a plain Python process, where IPython is not even loaded."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def install() -> None:
    """From the next cell of this kernel on, the asserts of checks explain themselves. Does nothing elsewhere."""
    shell = _shell()
    if shell is not None and not any(isinstance(t, _Asserts) for t in shell.ast_transformers):
        shell.ast_transformers.append(_Asserts())


install()
