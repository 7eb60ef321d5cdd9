"""Sketches: each line that cannot be read is told by a sentence of its own; what works without a part; the drawing."""

import pytest

from workbook.sketch import NotASketch, mermaid, read

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
WRONG = {
    "browser - api: read": "line 1, 'browser - api: read': write 'browser -> api: read, key'",
    "browser -> api": "does browser read from api, or write to it",
    "api -> browser: read": "nobody calls a browser: an arrow goes from who asks",
    "postgres -> api: read": "turn it around: api -> postgres",
    "api -> api: read": "asks itself",
    "browser -> api: read\napi x0": "line 2, 'api x0': write",
    "browser -> api: https, key": "does browser read from api, or write to it",
    "browser -> frob: read": "what is 'frob'",
    "frob = thing": "a thing is no kind of part",
    "browser -> api: read, sesion": "'sesion': is that 'session'",
    "browser -> api: raed": "'raed': is that 'read'",
    "browser -> api: read, no key": "leave out what there is not",
    "browser -> api: read\nwithout api: all": "say what still works",
    "browser -> api: read\nwithout redis: read": "no arrow begins or ends at redis",
    "browser -> api: read\nserver x2": "no arrow begins or ends at server",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_line_that_cannot_be_read_is_shown_with_what_to_write(text: str) -> None:
    with pytest.raises(NotASketch) as refused:
        read(text)
    assert WRONG[text] in str(refused.value)


@pytest.mark.parametrize("text", ["", "\n# your sketch\n"])
def test_nothing_but_remarks_is_not_attempted(text: str) -> None:
    with pytest.raises(NotImplementedError):
        read(text)


@pytest.mark.parametrize("remark", ["cached", "caching", "https", "for five seconds"])
def test_a_remark_is_no_misspelt_word(remark: str) -> None:
    (arrow,) = read(f"browser -> api: read, {remark}").arrows
    assert arrow.words == {"read"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("message queue", "queue"),
        ("queue worker", "server"),
        ("training API", "server"),
        ("read replica", "database"),
        ("postgres eu-2", "database"),
        ("redis 2", "cache"),
    ],
)
def test_a_part_is_what_its_last_word_says_or_its_first(name: str, kind: str) -> None:
    assert read(f"balancer -> {name}: read, write").kinds[name.lower()] == kind


def test_a_list_is_read_too_and_a_sentence() -> None:
    sketch = read("- browser -> api: read, JWT\n* training -> s3: write, pre-signed URL\nWithout API: nothing")
    assert [sorted(arrow.words) for arrow in sketch.arrows] == [["key", "read"], ["signed", "write"]]
    assert sketch.claims == {"api": frozenset()}


@pytest.mark.parametrize(("known", "kind"), [("worker", "server"), ("database", "database"), ("postgres", "database")])
def test_a_part_is_what_it_is_said_to_be(known: str, kind: str) -> None:
    assert read(f"frob = {known}\nbrowser -> frob: read").kinds["frob"] == kind


class TestWorks:
    @pytest.mark.parametrize(
        ("gone", "works"),
        [("redis", {"read", "write"}), ("postgres", {"write"}), ("queue", {"read"}), ("worker", {"read", "write"})],
    )
    def test_it_follows_the_arrows(self, gone: str, works: set[str]) -> None:
        assert read(GOOD).works(gone) == works

    def test_a_second_one_goes_on(self) -> None:
        assert read(GOOD).works("api") == {"read", "write"}
        assert read(GOOD.replace("api x2", "")).works("api") == set()

    def test_another_way_counts(self) -> None:
        assert read(GOOD + "api -> postgres: write, batched").works("queue") == {"read", "write"}

    def test_a_cache_is_no_way(self) -> None:
        assert "read" not in read(GOOD + "redis -> replica: read").works("postgres")


def test_it_is_drawn() -> None:
    sketch = read(GOOD)
    drawn = mermaid(sketch)
    assert drawn.startswith("flowchart LR\n")
    assert '"api x2"' in drawn
    assert '-->|"read, session"|' in drawn
    assert sketch._repr_mimebundle_()["text/markdown"] == f"```mermaid\n{drawn}\n```"
