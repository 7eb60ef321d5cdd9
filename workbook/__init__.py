"""The workbook: four days of lessons and exercises around the package `tracker`, which knows nothing of it.

A notebook needs a few names of it: `from workbook import check, sql`.
"""

import sys

# jsonschema, which reads notebooks for nbformat, would compile a grammar of web addresses if it found this package:
# a second at each start, and no notebook has an address to be checked.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # how Python says that there is none

from .bank.ask import ask  # noqa: E402
from .board import status  # noqa: E402
from .check import check  # noqa: E402
from .kinds import file, filled, prose, shell, sql, sql_script, sql_work, yaml  # noqa: E402

__all__ = [
    "ask",
    "check",
    "file",
    "filled",
    "prose",
    "shell",
    "sql",
    "sql_script",
    "sql_work",
    "status",
    "yaml",
]
