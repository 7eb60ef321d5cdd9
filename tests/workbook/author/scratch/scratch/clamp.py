"""The piece of the scratch block."""

import math


def clamp(value: float, low: float, high: float) -> float:
    """The value, or the bound that it is beyond; NaN is low."""
    return low if math.isnan(value) else min(max(value, low), high)
