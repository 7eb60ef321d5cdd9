"""Mutants: the tracker with an answer in the place of one of its pieces. Its own tests must not let a wrong one live.

    stdin     {"piece": "tracker.values:parse", "tests": "tests/tracker/test_values.py -k parse", "root": "...",
               "mutants": {"off-by-one": "def parse(...): ..."}}
    stdout    {"the reference": 0, "off-by-one": 1}          pytest's exit codes

One process loads what all of them need, then each is a fork of it, in which the piece's module is loaded with another
text. The reference itself is the first, and must pass.
"""

from __future__ import annotations

import importlib.machinery
import json
import os
import shlex
import subprocess
import sys
import tempfile
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from .piece import NoPiece, grafted, path

REFERENCE = "the reference"
PASSED, FAILED, NOT_TRIED = 0, 1, 2  # pytest's exit codes; it could not even collect, or there is nothing to graft
OPTIONS = ["-x", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "--import-mode=importlib"]


def judge(piece: str, tests: str, mutants: dict[str, str], root: Path) -> dict[str, int]:
    """What the tests say of the reference and of each mutant, by name."""
    task = {"piece": piece, "tests": tests, "root": str(root), "mutants": mutants}
    command = [sys.executable, "-m", __name__]
    few = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # each fork would load them again
    ran = subprocess.run(
        command, input=json.dumps(task), cwd=root, env=few, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"the mutants of {piece} were not tried: {ran.stderr.strip()[-500:]}")
    said: dict[str, int] = json.loads(ran.stdout)
    return said


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

    # Of what the tests load, all that is not ours: none of it is a mutant.
    for name in ("hypothesis", "fastapi.testclient", "httpx", "sqlalchemy.orm", "uvicorn"):
        __import__(name)
    texts: dict[str, str | None] = {REFERENCE: file.read_text()}
    for name, answer in task["mutants"].items():
        try:
            texts[name] = grafted(task["piece"], file.read_text(), answer)
        except NoPiece:
            texts[name] = None
    codes = {}
    with tempfile.TemporaryDirectory() as quiet:
        for name, text in texts.items():
            if text is None:
                codes[name] = NOT_TRIED
                continue
            child = os.fork()
            if child == 0:
                os.dup2(os.open(f"{quiet}/said", os.O_CREAT | os.O_WRONLY | os.O_TRUNC), 1)
                sys.meta_path.insert(0, _Mutant(task["piece"].partition(":")[0], file, text))
                os._exit(int(pytest.main([*OPTIONS, f"--rootdir={root}", *shlex.split(task["tests"])])))
            codes[name] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    json.dump(codes, sys.stdout)


if __name__ == "__main__":
    main()
