"""Every SQL statement of the tracker, one module per noun.

    pages         a part of a list, and the cursor of the next part
    experiments   few, edited one by one: ORM objects
    runs          likewise; listed with the newest point of each of their curves
    points        by the thousand, never objects: plain tuples, handed to the driver
    curves        one key of one run, read whole or in buckets
    changes       what of a run is newer than somebody has seen
    archive       an experiment as text, for another tracker or another program
    keys          who may call, and whose experiments and runs are

Each function is given a session whose transaction somebody else began and will end (`Database.read`, `.write`), so that
one request is one transaction.
"""

from . import archive, changes, curves, experiments, keys, points, runs

__all__ = ["archive", "changes", "curves", "experiments", "keys", "points", "runs"]
