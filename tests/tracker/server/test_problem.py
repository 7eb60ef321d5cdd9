from tracker.server import problem
from tracker.server.problem import Refusal


def refusals() -> list[type[Refusal]]:
    return Refusal.__subclasses__()


def test_the_docstring_draws_every_refusal_with_its_status() -> None:
    drawn = [line.split() for line in (problem.__doc__ or "").splitlines() if "──" in line]
    assert {name: int(status) for _, name, status, *_ in drawn} == {r.__name__: r.status for r in refusals()}


def test_every_refusal_has_a_kind_of_its_own_form() -> None:
    for refusal in refusals():
        assert refusal.kind == refusal.kind.lower()
        assert 400 <= refusal.status < 500 or refusal.retry_after  # or not now


def test_a_place_is_named_as_one_would_write_it() -> None:
    errors = [
        {"type": "missing", "loc": ("body", "points", 3, "value"), "msg": "Field required"},
        {"type": "missing", "loc": ("body", "points", 3, "value"), "msg": "twice for one place"},
        {"type": "missing", "loc": ("query", "run"), "msg": "Field required"},
        {"type": "missing", "loc": ("body",), "msg": "Field required"},
    ]
    assert [e["at"] for e in problem.in_sentences(errors)] == ["points[3].value", "run", "body"]
