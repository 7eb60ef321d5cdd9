"""A system's architecture as a few lines that somebody writes in five minutes: who asks whom, and what they say of it.

    training -> balancer: write, key, batched       who asks -> who is asked: read, write or both, and how
    balancer -> api: read, write
    api x2                                          there are two of them (otherwise there is one)
    lake = database                                 a part whose name does not say what it is
    without redis: read, write                      a claim: when one redis is gone, this still works (or: nothing)
    # a remark

A **part** is of one of the `KINDS`, which its name says. A training and a browser are *outside*. What is written is
kept by a database. A queue keeps it until somebody takes it: `queue -> worker: write`, or `worker -> queue: read`. A
cache forgets. Objects are large files, outside of what *read* and *write* mean here: runs and their points.

Words after the colon say `read` or `write`, `key`, `session` or `signed` (who asks can be known), and `batched`. Any
other word is a remark. `flaws` are what a reviewer would say, the worst first, a sentence each.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

KINDS = {  # kind -> names that say it
    "training": {"training", "trainings", "client", "job", "trainer", "sdk"},
    "browser": {"browser", "browsers", "user", "viewer", "dashboard"},
    "balancer": {"balancer", "load balancer", "lb", "nginx", "gateway", "ingress", "proxy"},
    "server": {"server", "api", "backend", "app", "worker", "workers", "consumer", "service"},
    "database": {"database", "db", "postgres", "postgresql", "mysql", "sqlite", "replica", "standby"},
    "objects": {"objects", "object storage", "s3", "minio", "bucket", "gcs"},
    "cache": {"cache", "redis", "valkey", "memcached"},
    "queue": {"queue", "rabbitmq", "kafka", "broker", "sqs"},
}
OUTSIDE = {"training", "browser"}
WORDS = {  # what is understood -> how people write it
    "read": {"read", "reads"},
    "write": {"write", "writes"},
    "batched": {"batched", "batch", "batches", "bulk"},
    "key": {"key", "keys", "token", "session", "cookie"},
    "signed": {"signed"},
}
PROOFS = {"key", "signed"}
KNOWN = {spelling: word for word, spellings in WORDS.items() for spelling in spellings}
NEGATIONS = {"no", "not", "without", "never"}
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
_NAME = r"[A-Za-z][\w ./-]*?"
_ARROW = re.compile(rf"({_NAME})\s*(?:-+>|→)\s*({_NAME})\s*(?::(.*))?")
_COPIES = re.compile(rf"({_NAME})\s+x\s*(\d+)")
_OWN = re.compile(rf"({_NAME})\s*=\s*(\w+)")
_CLAIM = re.compile(rf"without\s+({_NAME})\s*:(.*)")


class NotASketch(AssertionError):
    """A line that cannot be read; the text says which, and what to write."""


@dataclass(frozen=True)
class Arrow:
    """Who asks whom: `words` are those of WORDS."""

    source: str
    target: str
    words: frozenset[str]
    label: str = ""  # as it was written


@dataclass
class Sketch:
    """Parts by name, arrows, and claims: the part that is gone -> what is said to work."""

    kinds: dict[str, str] = field(default_factory=dict)
    copies: dict[str, int] = field(default_factory=dict)
    arrows: list[Arrow] = field(default_factory=list)
    claims: dict[str, frozenset[str]] = field(default_factory=dict)

    def of(self, *kinds: str) -> list[str]:
        """The parts of these kinds."""
        return [part for part, kind in self.kinds.items() if kind in kinds]

    def reach(self, start: str, may: Callable[[Arrow], bool]) -> set[str]:
        """Where one gets to from a part, along arrows that one may take."""
        found, ahead = {start}, [start]
        while ahead:
            here = ahead.pop()
            for arrow in self.arrows:
                if arrow.source == here and arrow.target not in found and may(arrow):
                    found.add(arrow.target)
                    ahead.append(arrow.target)
        return found - {start}

    def callers(self, word: str) -> list[str]:
        """Those outside who read, or write, something else than objects."""
        asked = {a.source for a in self.arrows if word in a.words and self.kinds[a.target] != "objects"}
        return [part for part in self.of(*OUTSIDE) if part in asked]

    def works(self, without: str) -> frozenset[str]:
        """What still works when one of a part is gone: everybody's read, everybody's write."""
        gone = {without} if self.copies.get(without, 1) == 1 else set()

        def may(word: str) -> Callable[[Arrow], bool]:
            return lambda a: word in a.words and not {a.source, a.target} & gone and self.kinds[a.source] != "cache"

        ends = {"read": {*self.of("database")}, "write": {*self.of("database", "queue")}}
        return frozenset(
            word
            for word, keepers in ends.items()
            if (callers := self.callers(word)) and all(self.reach(c, may(word)) & keepers for c in callers)
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """How Jupyter draws it."""
        drawn = mermaid(self)
        return {"text/plain": drawn, "text/markdown": f"```mermaid\n{drawn}\n```"}


def read(text: str) -> Sketch:
    """The sketch that the lines make. Raises NotImplementedError where there are none yet, and NotASketch."""
    sketch = Sketch()
    lines = [(n, line.partition("#")[0].strip()) for n, line in enumerate(text.strip("\n").split("\n"), 1)]
    lines = [(n, line) for n, line in lines if line]
    if not lines:
        raise NotImplementedError
    own: dict[str, str] = {}
    for number, line in lines:
        if found := _OWN.fullmatch(line):
            if found[2].lower() not in KINDS:
                raise NotASketch(f"line {number}: a {found[2]} is no kind of part: say one of {', '.join(KINDS)}")
            own[found[1].lower()] = found[2].lower()
    for number, line in lines:
        try:
            _take(sketch, line, own)
        except NotASketch as refused:
            raise NotASketch(f"line {number}, {line!r}: {refused}") from None
    for part in {*sketch.copies, *sketch.claims} - {end for a in sketch.arrows for end in (a.source, a.target)}:
        raise NotASketch(f"no arrow begins or ends at {part}: is it another part's name, misspelt?")
    return sketch


def _take(sketch: Sketch, line: str, own: dict[str, str]) -> None:
    """Adds what one line says. Raises NotASketch."""

    def part(name: str) -> str:
        name = " ".join(name.lower().split())
        first = re.split(r"[ ./_\-\d]", name)[0]
        kinds = [own.get(name)] + [kind for one in (name, first) for kind, names in KINDS.items() if one in names]
        kind = next((kind for kind in kinds if kind), None)
        if kind is None:
            raise NotASketch(f"what is {name!r}? Say it on a line of its own, such as '{name} = server'")
        sketch.kinds.setdefault(name, kind)
        return name

    if found := _CLAIM.fullmatch(line):
        said = set(re.findall(r"\w+", found[2].lower())) - {"and"}
        if not said or said - {"read", "write", "nothing"} or ("nothing" in said and len(said) > 1):
            raise NotASketch("say what still works: read, write, both (read, write), or nothing")
        sketch.claims[part(found[1])] = frozenset(said - {"nothing"})
    elif found := _ARROW.fullmatch(line):
        source, target = part(found[1]), part(found[2])
        words = _words(found[3] or "", source, target)
        if sketch.kinds[target] == "queue" and "write" not in words:  # taking from a queue: what is written goes on
            source, target, words = target, source, words - {"read"} | {"write"}
        sketch.arrows.append(Arrow(source, target, words, (found[3] or "").strip()))
    elif found := _COPIES.fullmatch(line):
        sketch.copies[part(found[1])] = int(found[2])
    elif not _OWN.fullmatch(line):
        raise NotASketch("write 'browser -> api: read, key', 'api x2' or 'without redis: read, write'")


def _words(label: str, source: str, target: str) -> frozenset[str]:
    said = re.findall(r"[\w'-]+", label.lower())
    for word in said:
        if word in NEGATIONS:
            raise NotASketch(f"say what there is, and leave out what there is not ({word!r})")
        near = difflib.get_close_matches(word, KNOWN, 1, 0.75)
        if word not in KNOWN and near:
            raise NotASketch(f"{word!r}: is that {near[0]!r}?")
    words = frozenset(KNOWN[word] for word in said if word in KNOWN)
    if not words & {"read", "write"}:
        raise NotASketch(f"does {source} read from {target}, or write to it? After a colon, say so")
    return words


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
    for cache in sketch.of("cache"):
        words = frozenset().union(*(a.words for a in sketch.arrows if a.target == cache))
        if words & {"read", "write"} == {"write"} and not any(a.source == cache for a in sketch.arrows):
            yield f"{cache} is written, and nobody reads it"
        elif words & {"read", "write"} == {"read"}:
            yield f"{cache} is read, and nobody leaves a copy in it"


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


def mermaid(sketch: Sketch) -> str:
    """The sketch in the language of the drawing program mermaid."""
    shapes = {"database": ("[(", ")]"), "objects": ("[(", ")]"), "queue": ("[[", "]]"), "cache": ("([", "])")}
    ids = {part: f"p{number}" for number, part in enumerate(sketch.kinds)}
    lines = ["flowchart LR"]
    for part, kind in sketch.kinds.items():
        left, right = shapes.get(kind, ("(", ")") if kind in OUTSIDE else ("[", "]"))
        copies = sketch.copies.get(part, 1)
        lines.append(f'    {ids[part]}{left}"{part}{f" x{copies}" if copies > 1 else ""}"{right}')
    for arrow in sketch.arrows:
        label = re.sub(r"[^\w ,.'-]", " ", arrow.label)
        lines.append(f'    {ids[arrow.source]} -->|"{label}"| {ids[arrow.target]}')
    return "\n".join(lines)
