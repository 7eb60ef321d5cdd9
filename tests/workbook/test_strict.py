import pytest
import yaml

from workbook.strict import StrictLoader


def test_it_reads_what_the_safe_loader_reads() -> None:
    text = "a: 1\nb: [x, {c: 2024-01-01}]\n"
    assert yaml.load(text, StrictLoader) == yaml.safe_load(text)


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="'a' is there twice"):
        yaml.load("x:\n  a: 1\n  a: 2\n", StrictLoader)
    with pytest.raises(yaml.YAMLError):
        yaml.load("!!python/object/apply:os.getcwd []", StrictLoader)
