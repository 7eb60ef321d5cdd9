import math

from scratch.clamp import clamp


def test_a_value_is_kept_between_its_bounds() -> None:
    assert [clamp(value, 1, 3) for value in (0, 2, 4)] == [1, 2, 3]


def test_nan_is_low() -> None:
    assert clamp(math.nan, 1, 3) == 1
