"""How fast the tracker is, as `make bench` measures it.

Each thing is measured beside the least that does the same work: the bare system call, or Python's own sqlite3 with the
tracker's own statements, tables and pragmas. The two take turns in one run, so their ratio holds on other machines and
on busy ones; the absolute figures do not.

    figure -> rounds, serving, raw -> log_call, batches, singles, run_list, one_curve -> __main__

A measured module has one function, `measure(folder, quick)`: it puts its files into `folder` and returns its lines of
the table. `quick` is for a test that it runs: a small part of the work, whose figures say nothing.
"""
