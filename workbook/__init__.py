"""The workbook: four days of lessons and exercises around the package `tracker`, which knows nothing of it.

A notebook needs a few names of it: `from workbook import check, sql`.
"""

from .check import check
from .kinds import file, filled, prose, shell, sql, sql_script, sql_work, yaml

__all__ = ["check", "file", "filled", "prose", "shell", "sql", "sql_script", "sql_work", "yaml"]
