"""Mutants: the tracker with an answer in the place of one of its pieces. Its own tests must not let a wrong one live.

    stdin     {"piece": "tracker.values:parse", "tests": "tests/tracker/test_values.py -k parse", "root": "...",
               "mutants": {"off-by-one": "def parse(...): ..."}}
    stdout    {"the reference": [0, ""], "off-by-one": [1, "FAILED tests/..."]}     pytest's exit codes and last words

Each is a fork of one process, in which the piece's module is loaded with another text. The reference itself is the
first, and must pass; what it had to load, and is not the tracker's, the others find loaded.
"""

from __future__ import annotations

import gc
import importlib.machinery
import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from .piece import NoPiece, grafted, path

REFERENCE = "the reference"
PASSED, FAILED, NOT_TRIED = 0, 1, 2  # pytest's exit codes; it could not even collect, or there is nothing to graft
LOADED = "loaded"  # the file with the names of the modules
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
    root = Path(task["root"])
    file, module = path(task["piece"], root), task["piece"].partition(":")[0]
    sys.path.insert(0, str(root))
    command = [*OPTIONS, f"--rootdir={root}", *shlex.split(task["tests"])]
    texts: dict[str, str] = {}
    found: dict[str, tuple[int, str]] = {}
    for name, answer in task["mutants"].items():
        try:
            texts[name] = grafted(task["piece"], file.read_text(), answer)
        except NoPiece as why:
            found[name] = (NOT_TRIED, str(why))
    with tempfile.TemporaryDirectory() as folder:
        running: dict[int, str] = {_fork(command, _Mutant(module, file, file.read_text()), Path(folder)): REFERENCE}
        while texts or running:
            # Many wait for the reference, and find loaded what it had to load. One is tried beside it.
            while texts and len(running) < (os.cpu_count() or 1) and (REFERENCE in found or len(texts) == 1):
                name = next(iter(texts))
                running[_fork(command, _Mutant(module, file, texts.pop(name)), Path(folder))] = name
            child, status = os.wait()
            said, name = Path(folder, str(child)).read_text(errors="replace"), running.pop(child)
            failure = re.search(r"^(?:FAILED|ERROR) .*", said, re.MULTILINE)
            found[name] = (os.waitstatus_to_exitcode(status), failure[0] if failure else "")
            if name == REFERENCE and texts and Path(folder, LOADED).exists():  # it is not if the tests ended Python
                _load(Path(folder, LOADED).read_text().split())
    json.dump(found, sys.stdout)


def _fork(command: list[str], mutant: _Mutant, folder: Path) -> int:
    """Begins the tests with this mutant, in a process of their own: its id, by which the folder has what they say."""
    child = os.fork()
    if child:
        return child
    os.dup2(os.open(folder / str(os.getpid()), os.O_CREAT | os.O_WRONLY), 1)
    sys.meta_path.insert(0, mutant)
    import pytest

    code = int(pytest.main(command))
    (folder / LOADED).write_text("\n".join(name for name, module in [*sys.modules.items()] if _is_foreign(module)))
    os._exit(code)


def _is_foreign(module: ModuleType) -> bool:
    """Neither is a mutant nor can have loaded one: Python's own, or installed."""
    file = Path(getattr(module, "__file__", None) or "")
    return any(file.is_relative_to(sysconfig.get_path(of)) for of in ("stdlib", "platstdlib", "purelib", "platlib"))


def _load(modules: list[str]) -> None:
    """Loads what the tests of the reference needed; what may have a mutant in it is left to each fork."""
    for name in modules:
        with suppress(ImportError):
            __import__(name)
    gc.freeze()  # pytest ends with a search through all that the process has, and this is no garbage


if __name__ == "__main__":
    main()
