"""How fast the tracker is, as `make bench` measures it.

Each thing is measured beside the least that does the same work: the bare system call, or the bare driver (sqlite3,
psycopg) with the tracker's own statements, tables and settings. The two take turns in one run, so their ratio holds on
other machines and on busy ones; the absolute figures do not.

    figure -> rounds, serving, raw -> raw_postgres -> log_call, batches, singles, run_list, one_curve
           -> streams, on_postgres -> through_queue -> __main__

A measured module has one function, `measure(folder, quick)`: it puts its files into `folder` and returns its lines of
the table. `quick` is for a test that it runs: a small part of the work, whose figures say nothing.
"""
