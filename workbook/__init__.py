"""The workbook: four days of lessons and exercises around the package `tracker`, which knows nothing of it.

A notebook needs one name of it: `from workbook import check`.
"""

from .check import check as check

__all__ = ["check"]
