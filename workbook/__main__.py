"""`python -m workbook` is the command `workbook`."""

import sys

from .cli import main

sys.exit(main())
