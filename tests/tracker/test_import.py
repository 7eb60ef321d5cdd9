"""What `import tracker` costs on a compute node that has nothing but Python."""

import subprocess
import sys

import pytest

import tracker

LOADED = """
import sys
before = set(sys.modules)
import tracker
tracker.init, tracker.Run, tracker.log, tracker.to_frame
import tracker.client.run
for name in sorted(set(sys.modules) - before):
    print(name.partition(".")[0])
"""


def test_importing_the_client_loads_the_standard_library_only() -> None:
    listed = subprocess.run([sys.executable, "-I", "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = set(listed.stdout.split())
    assert "tracker" in loaded
    assert loaded - sys.stdlib_module_names == {"tracker"}


def test_importing_the_package_alone_loads_nothing_of_it() -> None:
    code = "import sys, tracker; print(*[m for m in sys.modules if m.startswith('tracker')])"
    listed = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == ["tracker"]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        tracker.nonsense  # noqa: B018
