"""A system's architecture as a few lines that somebody writes in five minutes: who asks whom, and what they say of it.

    training -> balancer: write, key, batched       who asks -> who is asked: read, write or both, and how
    balancer -> api: read, write
    api x2                                          there are two of them (otherwise there is one)
    lake = database                                 a part whose name does not say what it is (or: = postgres)
    without redis: read, write                      a claim: when one redis is gone, this still works (or: nothing)
    # a remark

A **part** is of one of the `KINDS`, which its name says. A training and a browser are *outside*. What is written is
kept by a database. A queue keeps it until somebody takes it: `queue -> worker: write`, or `worker -> queue: read`. A
cache forgets. Objects are large files, outside of what *read* and *write* mean here: runs and their points.

Words after the colon say `read` or `write`, `key`, `session` or `signed` (who asks can be known), and `batched`. Any
other word is a remark. What is wrong with a sketch, `workbook.review` says.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

KINDS = {  # kind -> names that say it
    "training": {"training", "trainings", "client", "job", "trainer", "sdk"},
    "browser": {"browser", "browsers", "user", "viewer", "dashboard"},
    "balancer": {"balancer", "load balancer", "lb", "nginx", "gateway", "ingress", "proxy"},
    "server": {"server", "servers", "api", "apis", "backend", "app", "worker", "workers", "consumer", "service"},
    "database": {"database", "db", "postgres", "postgresql", "mysql", "sqlite", "replica", "standby"},
    "objects": {"objects", "object storage", "s3", "minio", "bucket", "gcs"},
    "cache": {"cache", "redis", "valkey", "memcached"},
    "queue": {"queue", "rabbitmq", "kafka", "broker", "sqs", "celery"},
}
OUTSIDE = {"training", "browser"}
WORDS = {  # what is understood -> how people write it
    "read": {"read", "reads"},
    "write": {"write", "writes"},
    "batched": {"batched", "batch", "batches", "bulk"},
    "key": {"key", "keys", "token", "jwt", "session", "cookie"},
    "signed": {"signed", "presigned", "pre-signed"},
}
PROOFS = {"key", "signed"}
KNOWN = {spelling: word for word, spellings in WORDS.items() for spelling in spellings}
REMARKS = {"cache", "cached", "caches"}  # no misspelt "batched"
NEGATIONS = {"no", "not", "without", "never"}
_NAME = r"[A-Za-z][\w ./-]*?"
_ARROW = re.compile(rf"({_NAME})\s*(?:-+>|→)\s*({_NAME})\s*(?::(.*))?")
_COPIES = re.compile(rf"({_NAME})\s+x\s*([1-9]\d*)")
_OWN = re.compile(rf"({_NAME})\s*=\s*(\w+)")
_CLAIM = re.compile(rf"without\s+({_NAME})\s*:(.*)", re.IGNORECASE)
_BULLET = re.compile(r"^[-*]\s+")


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

    def __repr__(self) -> str:
        return mermaid(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """How Jupyter draws it."""
        drawn = mermaid(self)
        return {"text/plain": drawn, "text/markdown": f"```mermaid\n{drawn}\n```"}


def read(text: str) -> Sketch:
    """The sketch that the lines make. Raises NotImplementedError where there are none yet, and NotASketch."""
    sketch = Sketch()
    lines = [(n, line.partition("#")[0].strip()) for n, line in enumerate(text.strip("\n").split("\n"), 1)]
    lines = [(n, _BULLET.sub("", line)) for n, line in lines if line]
    if not lines:
        raise NotImplementedError
    own: dict[str, str] = {}
    for number, line in lines:
        if found := _OWN.fullmatch(line):
            kind = _kind(found[2].lower())
            if kind is None:
                raise NotASketch(f"line {number}: a {found[2]} is no kind of part: say one of {', '.join(KINDS)}")
            own[found[1].lower()] = kind
    for number, line in lines:
        try:
            _take(sketch, line, own)
        except NotASketch as refused:
            raise NotASketch(f"line {number}, {line!r}: {refused}") from None
    for part in {*sketch.copies, *sketch.claims} - {end for a in sketch.arrows for end in (a.source, a.target)}:
        raise NotASketch(f"no arrow begins or ends at {part}: is it another part's name, misspelt?")
    return sketch


def _kind(name: str) -> str | None:
    """Of which kind a part of this name is."""
    return next((kind for kind, names in KINDS.items() if name in names), None)


def _take(sketch: Sketch, line: str, own: dict[str, str]) -> None:
    """Adds what one line says. Raises NotASketch."""

    def part(name: str) -> str:
        name = " ".join(name.lower().split())
        words = re.findall(r"[a-z]+", name)  # a "queue worker" is a worker, and "postgres eu" is a postgres
        kind = own.get(name) or _kind(name) or _kind(words[-1]) or _kind(words[0])
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
        _asks(source, target, sketch.kinds)
        words = _words(found[3] or "", source, target)
        if sketch.kinds[target] == "queue" and "write" not in words:  # taking from a queue: what is written goes on
            source, target, words = target, source, words - {"read"} | {"write"}
        sketch.arrows.append(Arrow(source, target, words, (found[3] or "").strip()))
    elif found := _COPIES.fullmatch(line):
        sketch.copies[part(found[1])] = int(found[2])
    elif not _OWN.fullmatch(line):
        raise NotASketch("write 'browser -> api: read, key', 'api x2' or 'without redis: read, write'")


def _asks(source: str, target: str, kinds: dict[str, str]) -> None:
    """Answers have no arrows of their own. Raises NotASketch."""
    turn = f"an arrow goes from who asks to who is asked, so turn it around: {target} -> {source}"
    if source == target:
        raise NotASketch(f"{source} asks itself: give two parts two names")
    if kinds[target] in OUTSIDE:
        raise NotASketch(f"nobody calls a {kinds[target]}: {turn}")
    if kinds[source] in ("database", "objects") and kinds[target] in ("server", "balancer"):
        raise NotASketch(f"{source} calls nobody: {turn}")


def _words(label: str, source: str, target: str) -> frozenset[str]:
    said = re.findall(r"[\w'-]+", label.lower())
    for word in said:
        if word in NEGATIONS:
            raise NotASketch(f"say what there is, and leave out what there is not ({word!r})")
        near = difflib.get_close_matches(word, KNOWN, 1, 0.75)
        if word not in KNOWN.keys() | REMARKS and near:
            raise NotASketch(f"{word!r}: is that {near[0]!r}?")
    words = frozenset(KNOWN[word] for word in said if word in KNOWN)
    if not words & {"read", "write"}:
        raise NotASketch(f"does {source} read from {target}, or write to it? After a colon, say so")
    return words


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
    lines.append("    linkStyle default stroke:#8a8f98,stroke-width:2px")  # seen on a light and on a dark page
    return "\n".join(lines)
