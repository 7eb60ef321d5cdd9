import pytest

from tracker.scope import Scope, check_owner


@pytest.mark.parametrize("owner", [" a", "a\n", "a" * 201])
def test_what_is_no_owner_is_refused(owner: str) -> None:
    with pytest.raises(ValueError, match="name of an owner"):
        check_owner(owner)


def test_an_owner_may_be_nobody() -> None:
    assert [check_owner(""), check_owner("ann")] == ["", "ann"]


def test_a_scope_covers_those_before_it() -> None:
    covered = {scope: [needed.value for needed in Scope if scope.covers(needed)] for scope in Scope}
    assert covered == {"read": ["read"], "write": ["read", "write"], "admin": ["read", "write", "admin"]}
