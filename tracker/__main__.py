"""`python -m tracker` is the command `tracker`."""

import sys

from .cli import main

sys.exit(main())
