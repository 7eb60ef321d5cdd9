import subprocess
import sys
from pathlib import Path

import pytest

from tracker.server.claim import Claim, FolderBusy, holder


def test_a_claimed_folder_is_refused_and_says_who_has_it(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    claim.announce("http://127.0.0.1:1234")
    with pytest.raises(FolderBusy, match="listens at http://127") as busy:
        Claim(tmp_path)
    assert busy.value.address == "http://127.0.0.1:1234"
    claim.release()
    Claim(tmp_path).release()


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from tracker.server.claim import Claim; Claim(pathlib.Path(sys.argv[1])); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path], check=False).returncode == 9
    Claim(tmp_path).release()


def test_who_has_it_is_known_as_long_as_that_lasts(tmp_path: Path) -> None:
    assert holder(tmp_path / "nothing") == ""
    claim = Claim(tmp_path)
    assert holder(tmp_path) == ""
    claim.announce("http://127.0.0.1:8001")
    assert holder(tmp_path) == "http://127.0.0.1:8001"
    claim.release()
    assert holder(tmp_path) == ""
    (tmp_path / "serve.lock").write_text("http://127.0.0.1:8001")  # as a server leaves it that was killed
    assert holder(tmp_path) == ""
