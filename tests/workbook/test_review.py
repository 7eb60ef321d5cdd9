"""Reviews: each flaw, put into a good sketch, is told by a sentence of its own."""

import random

import pytest

from workbook.review import LACKS, flaws
from workbook.sketch import KINDS, read

GOOD = """
training -> balancer: write, key, batched   # points
browser -> balancer: read, session
balancer -> api: read, write
api -> queue: write
worker -> queue: read
worker -> postgres: write, batched
api -> postgres: read
api -> redis: read, write
training -> objects: write, signed
api -> objects: write
api x2
without redis: read, write
without postgres: write
without queue: read
without api: read, write
without balancer: nothing
"""
ALL = tuple(KINDS)


def lines(changes: dict[str, str], text: str = GOOD) -> str:
    """The text with some of its lines replaced: each old one is there."""
    for old, new in changes.items():
        assert f"\n{old}" in text, old
        text = "\n".join(new if line.startswith(old) else line for line in text.split("\n"))
    return text


NO_QUEUE = {"api -> queue": "api -> postgres: write", "worker": "", "without queue": "", "without postgres": ""}
FLAWED = {
    "no key": ({"training -> balancer": "training -> balancer: write, batched"}, "nobody asks who it is"),
    "https is no key": ({"browser -> b": "browser -> balancer: read, https"}, "from browser to"),
    "asks the database": ({"browser -> b": "browser -> postgres: read, key"}, "browser asks postgres itself"),
    "asks the queue": ({"training -> b": "training -> queue: write, key"}, "training asks queue itself"),
    "a bucket's key": ({"training -> o": "training -> objects: write, key"}, "signed URLs"),
    "a signed URL to the API": ({"training -> b": "training -> balancer: write, signed"}, "good for one file"),
    "follows nobody": ({"api -> postgres": "api -> postgres: read\napi -> standby: read"}, "whom does it follow"),
    "kept by a cache": (
        {"api -> redis": "", "api -> queue": "api -> redis: write", "worker": "", "api -> postgres": ""},
        "alone",
    ),
    "waits in a cache": (
        {"api -> redis": "redis -> worker: write", "api -> queue": "api -> redis: write", "worker -> queue": ""},
        "waits in redis",
    ),
    "nobody takes": ({"worker -> queue": ""}, "who takes it from there"),
    "nobody stores": ({"worker": "", "api -> queue": ""}, "never reaches"),
    "a miss finds nothing": ({"api -> postgres": "", "api -> objects": ""}, "where does a miss"),
    "nobody reads the cache": ({"api -> redis": "api -> redis: write"}, "nobody reads it"),
    "nobody fills the cache": ({"api -> redis": "api -> redis: read"}, "nobody leaves a copy in it"),
    "a cache beside the way": (
        {"api -> redis": "worker -> redis: read, write"},
        "is on no way that a browser reads by",
    ),
    "nothing to read": ({"api -> postgres": "api -> postgres: write, batched"}, "what browser reads never"),
    "one by one": ({"training -> b": "training -> balancer: write, key", **NO_QUEUE}, "one by one"),
    "no balancer": ({"browser -> b": "browser -> api: read, session"}, "which one does browser ask?"),
    "claims too much": ({"without postgres": "without postgres: read, write"}, "read works without postgres"),
    "claims a write": ({"without queue": "without queue: read, write"}, "write works without queue"),
    "claims too little": ({"without redis": "without redis: write"}, "without redis you give up read"),
    "claims no copy": ({"api x2": "api x1"}, "works without api"),
}


def told(text: str, needs: tuple[str, ...] = ()) -> list[str]:
    sketch = read(text)
    return flaws(sketch, [kind for kind in needs if kind])


def test_a_good_one_has_no_flaw() -> None:
    assert told(GOOD, ALL) == []


@pytest.mark.parametrize("name", FLAWED)
def test_a_flaw_is_named(name: str) -> None:
    changes, says = FLAWED[name]
    text = lines(changes)
    found = {end for line in text.split("\n") if "->" in line for end in line.partition(":")[0].split(" -> ")}
    text = "\n".join(line for line in text.split("\n") if "without" not in line or line.split(":")[0][8:] in found)
    assert any(says in flaw for flaw in told(text)), told(text)


@pytest.mark.parametrize("seed", range(20))
def test_neither_the_order_of_the_lines_nor_the_names_matter(seed: int) -> None:
    chosen = random.Random(seed)
    for name in chosen.sample(sorted(FLAWED), 3):
        changes, says = FLAWED[name]
        text = lines(changes).replace("postgres", "mysql").replace("redis", "my cache").replace("queue", "kafka")
        kept = [line for line in text.split("\n") if line.strip() and not line.startswith("without")]
        chosen.shuffle(kept)
        said = says.replace("postgres", "mysql").replace("redis", "my cache").replace("asks queue", "asks kafka")
        if "works" not in said and "give up" not in said:
            assert any(said in flaw for flaw in told("my cache = cache\n" + "\n".join(kept))), (name, said)


@pytest.mark.parametrize("follows", ["postgres -> replica: write", "replica -> postgres: read"])
def test_a_replica_follows_its_database(follows: str) -> None:
    assert told(f"{GOOD}\n{follows}".replace("api -> postgres", "api -> replica"), ALL) == [
        "without postgres you give up read, and your own arrows have a way around it, or a second postgres"
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_that_the_task_needs_is_missed(kind: str) -> None:
    assert LACKS[kind] in told("a = server\nb = server\na -> b: read", (kind,)) or kind == "server"
    assert kind != "server" or LACKS[kind] in told("browser -> db: read", (kind,))
