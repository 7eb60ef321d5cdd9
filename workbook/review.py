"""What a reviewer says of a sketch: its **flaws**, the worst first, a sentence each.

Every way from outside to data asks who it is; what is accepted reaches a database; a cache holds what a database holds,
too; no point costs a commit of its own; the parts are there that the task needs; and a claim of what still works
without a part is what the arrows say, neither more nor less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from .sketch import OUTSIDE, PROOFS, Sketch

LACKS = {  # what is said where there is no part of this kind
    "training": "there is no training: who writes the points?",
    "browser": "there is no browser: who looks at them?",
    "server": "there is no server: who checks that a caller may see a run?",
    "balancer": "there is no balancer: whom do callers ask when a server is gone?",
    "database": "there is no database: which part still has the points tomorrow?",
    "objects": "there are no objects: where does a model of a gigabyte go? Not into a row",
    "cache": "there is no cache: each of the many who look asks the database",
    "queue": "there is no queue: what takes the points while the database is away?",
}


def flaws(sketch: Sketch, needs: Collection[str] = ("training", "browser", "server", "database")) -> list[str]:
    """What a reviewer would say, the worst first; `needs` are the kinds of part that the task asks for."""
    return list(_flaws(sketch, needs))


def _flaws(sketch: Sketch, needs: Collection[str]) -> Iterator[str]:
    yield from _open_doors(sketch)
    yield from _lost_writes(sketch)
    yield from _lost_reads(sketch)
    yield from _small_writes(sketch)
    yield from (LACKS[kind] for kind in LACKS if kind in needs and not sketch.of(kind))
    yield from _claims(sketch)


def _open_doors(sketch: Sketch) -> Iterator[str]:
    kinds = sketch.kinds
    for caller in sketch.of(*OUTSIDE):
        open_to = sketch.reach(caller, lambda a: not a.words & PROOFS and kinds[a.target] not in OUTSIDE)
        for data in [part for part in sketch.of("database", "objects", "cache", "queue") if part in open_to][:1]:
            yield f"from {caller} to {data} nobody asks who it is: no arrow on the way has a key, session or signed"
    for arrow in sketch.arrows:
        if kinds[arrow.source] in OUTSIDE and kinds[arrow.target] in ("database", "cache", "queue"):
            yield (
                f"{arrow.source} asks {arrow.target} itself: whoever has its password has everybody's data; "
                "put a server between them"
            )
        elif kinds[arrow.source] in OUTSIDE and kinds[arrow.target] == "objects" and "signed" not in arrow.words:
            yield f"{arrow.source} holds a key to all of {arrow.target}: let a server hand out signed URLs, one a file"
        elif kinds[arrow.target] != "objects" and arrow.words & PROOFS == {"signed"}:
            yield (
                f"{arrow.source} asks {arrow.target} by a signed URL, and that is good for one file in the objects: "
                "say key, or session"
            )


def _lost_writes(sketch: Sketch) -> Iterator[str]:
    kinds = sketch.kinds
    for caller in sketch.callers("write"):
        reached = sketch.reach(caller, lambda a: "write" in a.words)
        safely = sketch.reach(caller, lambda a: "write" in a.words and kinds[a.source] != "cache")
        if {*sketch.of("database")} & safely:
            continue
        caches = [part for part in sketch.of("cache") if part in reached]
        if {*sketch.of("database")} & reached:
            yield f"what {caller} writes waits in {caches[0]}, which forgets: let it wait in a queue"
        elif any(kinds[part] == "queue" for part in reached):
            yield f"what {caller} writes stays in the queue: who takes it from there into a database?"
        elif caches and not any(kinds[a.target] == "database" and a.source in reached for a in sketch.arrows):
            yield f"what {caller} writes is kept by {caches[0]} alone: a cache holds copies, and forgets"
        else:
            yield f"what {caller} writes never reaches a database: follow its arrows that say write"
    for arrow in sketch.arrows:
        asks = {kinds[a.target] for a in sketch.arrows if a.source == arrow.source}
        if kinds[arrow.target] == "cache" and not asks & {"database", "objects"}:
            yield f"{arrow.source} asks {arrow.target} and no database: where does a miss find what it looks for?"


def _lost_reads(sketch: Sketch) -> Iterator[str]:
    for caller in sketch.callers("read"):
        safely = sketch.reach(caller, lambda a: "read" in a.words and sketch.kinds[a.source] != "cache")
        if not {*sketch.of("database")} & safely:
            yield f"what {caller} reads never comes from a database: follow its arrows that say read"
    for copy in sketch.of("database"):
        arrows = [a for a in sketch.arrows if copy in (a.source, a.target)]
        if not any("write" in a.words for a in arrows) and not any(a.source == copy for a in arrows):
            yield f"{copy} is read, and nobody writes to it: whom does it follow?"
    for cache in sketch.of("cache"):
        words = frozenset().union(*(a.words for a in sketch.arrows if a.target == cache))
        if words & {"read", "write"} == {"write"} and not any(a.source == cache for a in sketch.arrows):
            yield f"{cache} is written, and nobody reads it"
        elif words & {"read", "write"} == {"read"}:
            yield f"{cache} is read, and nobody leaves a copy in it"
        elif (readers := sketch.callers("read")) and not any(
            cache in sketch.reach(caller, lambda a: "read" in a.words) for caller in readers
        ):
            yield f"{cache} is on no way that a {sketch.kinds[readers[0]]} reads by: it spares the database nothing"


def _small_writes(sketch: Sketch) -> Iterator[str]:
    for caller in sketch.of("training"):
        singly = sketch.reach(
            caller, lambda a: "write" in a.words and "batched" not in a.words and sketch.kinds[a.source] != "queue"
        )
        if {*sketch.of("database")} & singly:
            yield f"{caller}'s points come one by one, a commit each: batch them, or let them wait in a queue"


def _claims(sketch: Sketch) -> Iterator[str]:
    for arrow in sketch.arrows:
        many = sketch.kinds[arrow.target] == "server" and sketch.copies.get(arrow.target, 1) > 1
        if many and sketch.kinds[arrow.source] in OUTSIDE:
            yield f"there are several {arrow.target}: which one does {arrow.source} ask? Put a balancer before them"
    for part, claimed in sketch.claims.items():
        works = sketch.works(part)
        for word in sorted(claimed - works):
            yield f"you say that {word} works without {part}, and every way of it leads through {part}"
        for word in sorted(works - claimed):
            yield f"without {part} you give up {word}, and your own arrows have a way around it, or a second {part}"
