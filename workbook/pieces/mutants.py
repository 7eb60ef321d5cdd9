"""Mutants: the tracker with an answer in the place of one of its pieces. Its own tests must not let a wrong one live.

    stdin     {"piece": "tracker.values:parse", "tests": "tests/tracker/test_values.py -k parse", "root": "...",
               "mutants": {"off-by-one": "def parse(...): ..."}}
    stdout    {"the reference": [0, ""], "off-by-one": [1, "FAILED tests/..."]}     pytest's exit codes and last words

One process loads what all of them need, then each is a fork of it, in which the piece's module is loaded with another
text. The reference itself is the first, and must pass.
"""

from __future__ import annotations

import importlib.machinery
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from .piece import NoPiece, grafted, path

REFERENCE = "the reference"
PASSED, FAILED, NOT_TRIED = 0, 1, 2  # pytest's exit codes; it could not even collect, or there is nothing to graft
OPTIONS = ["-x", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "--import-mode=importlib"]


@dataclass(frozen=True)
class Result:
    """What the tests said: pytest's exit code, and of a failure the first test that failed, and why."""

    code: int
    said: str = ""


def judge(piece: str, tests: str, mutants: dict[str, str], root: Path) -> dict[str, Result]:
    """What the tests say of the reference and of each mutant, by name."""
    task = {"piece": piece, "tests": tests, "root": str(root), "mutants": mutants}
    command = [sys.executable, "-m", __name__]
    # Each fork would load the plugins again; and nobody reads the smallest example that a mutant fails.
    few = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "HYPOTHESIS_PROFILE": "mutants", "COLUMNS": "300"}
    ran = subprocess.run(
        command, input=json.dumps(task), cwd=root, env=few, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"the mutants of {piece} were not tried: {ran.stderr.strip()[-500:]}")
    return {name: Result(*said) for name, said in json.loads(ran.stdout).items()}


class _Mutant(MetaPathFinder):
    """Loads one module from another text than its file's."""

    def __init__(self, module: str, file: Path, text: str) -> None:
        self._module, self._file, self._text = module, file, text

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != self._module:
            return None
        loader = _Text(fullname, str(self._file))
        loader.text = self._text
        return importlib.machinery.ModuleSpec(fullname, loader, origin=str(self._file))


class _Text(importlib.machinery.SourceFileLoader):
    """Reads what it was given, and never a file of byte code."""

    text = ""

    def get_code(self, fullname: str) -> Any:
        return compile(self.text, self.path, "exec")


def main() -> None:
    """Tries what stdin asks for."""
    task = json.load(sys.stdin)
    file, root = path(task["piece"], Path(task["root"])), Path(task["root"])
    sys.path.insert(0, str(root))
    import pytest

    # Of what the tests load, all that is not the tracker's: none of it is a mutant.
    for name in ("hypothesis", "fastapi.testclient", "httpx", "sqlalchemy.orm", "uvicorn", "workbook.build"):
        __import__(name)
    texts = {REFERENCE: file.read_text()}
    found: dict[str, tuple[int, str]] = {}
    for name, answer in task["mutants"].items():
        try:
            texts[name] = grafted(task["piece"], file.read_text(), answer)
        except NoPiece as why:
            found[name] = (NOT_TRIED, str(why))
    running: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as quiet:
        while texts or running:
            if texts and len(running) < (os.cpu_count() or 1):
                name = next(iter(texts))
                mutant = _Mutant(task["piece"].partition(":")[0], file, texts.pop(name))
                child = os.fork()
                if child == 0:
                    os.dup2(os.open(f"{quiet}/{os.getpid()}", os.O_CREAT | os.O_WRONLY), 1)
                    sys.meta_path.insert(0, mutant)
                    os._exit(int(pytest.main([*OPTIONS, f"--rootdir={root}", *shlex.split(task["tests"])])))
                running[child] = name
                continue
            child, status = os.wait()
            said = re.search(r"^(?:FAILED|ERROR) .*", Path(quiet, str(child)).read_text(errors="replace"), re.MULTILINE)
            found[running.pop(child)] = (os.waitstatus_to_exitcode(status), said[0] if said else "")
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
