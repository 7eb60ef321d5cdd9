"""Rules for the repository as a whole: what it says is true, and it speaks of nothing but itself."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MARKDOWN = ["README.md", "CONTRIBUTING.md"]


def files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("name", MARKDOWN)
def test_every_link_and_every_file_named_is_there(name: str) -> None:
    text = (ROOT / name).read_text()
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (ROOT / link).exists(), link
    for path in re.findall(r"`((?:tracker|workbook|tests|benchmarks)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", MARKDOWN)
def test_every_make_target_named_is_there(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?<![\w-])make ([a-z-]+)(?=[`\n ;])", (ROOT / name).read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in set(phony[1].split()) - {"help", "setup"}:
        assert f"make {target} " in shown, target
    for target in phony[1].split():
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_figures_of_the_readme_are_those_that_were_kept() -> None:
    figures = json.loads((ROOT / "benchmarks/results.json").read_text())["figures"]
    kept = figures["run.log() of two metrics / os.write"]["us, median"]
    said = f"{kept['tracker']:.1f} µs for two metrics, {kept['tracker / raw']:.1f} times a bare `os.write`"
    assert said in (ROOT / "README.md").read_text()


def test_the_figures_of_an_exercise_are_those_that_were_kept() -> None:
    kept = json.loads((ROOT / "benchmarks/point_keys.json").read_text())
    ours, with_id = (round(kept[key]["bytes per point"]) for key in ("(metric, step)", "id and unique"))
    block = ROOT / "workbook/blocks/day1-python-backend-db/03-database-schema"
    assert f"{with_id} bytes a point instead of {ours} (`benchmarks/" in (block / "exercises.md").read_text()


def test_no_package_comes_from_a_named_host() -> None:
    """The lock holds names, versions and hashes: each machine has its own way to the packages."""
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--index" not in lock
    assert lock.count("--hash=sha256:") > 500
    assert not (ROOT / "uv.lock").exists()


def test_ci_runs_what_the_readme_says() -> None:
    assert (ROOT / ".ci/run").read_text().splitlines()[1:] == ["exec make test"]
    assert "`make test` sets everything up and runs every check" in (ROOT / "README.md").read_text()


def test_no_file_names_a_private_place() -> None:
    private = re.compile(rb"/(?:root|home|work|Users)/[a-z]")
    for file in files():
        found = private.search(file.read_bytes())
        assert not found, f"{file}: {found and found[0]!r}"
