import pytest
from sqlalchemy.orm import Session

from tracker.scope import Scope
from tracker.server import problem
from tracker.server.store import experiments, keys, runs


def make(session: Session, name: str, scope: Scope = Scope.WRITE) -> int:
    return keys.create_key(session, name=name, owner="ann", scope=scope, key_hash=f"hash of {name}", at=5).id


def test_an_unknown_one_is_none_or_refused(session: Session) -> None:
    assert keys.find_key(session, "hash of a") is None
    assert keys.find_key(session, 7) is None
    with pytest.raises(problem.NotFound, match="no key 7"):
        keys.revoke_key(session, 7, at=9)


def test_it_is_found_by_hash_and_by_id_until_it_is_revoked(session: Session) -> None:
    key_id = make(session, "a")
    for known in ("hash of a", key_id):
        found = keys.find_key(session, known)
        assert found
        assert (found.id, found.name, found.owner, found.scope, found.created_at) == (key_id, "a", "ann", "write", 5)
    keys.revoke_key(session, key_id, at=9)
    assert keys.find_key(session, "hash of a") is keys.find_key(session, key_id) is None


def test_a_second_revocation_leaves_the_time_of_the_first(session: Session) -> None:
    key_id = make(session, "a")
    for at in (9, 10):
        keys.revoke_key(session, key_id, at=at)
    assert keys.list_keys(session).items[0].revoked_at == 9


def test_the_first_admin_is_one_that_counts(session: Session) -> None:
    make(session, "writer")
    assert keys.first_admin(session) is None
    first, second = make(session, "a", Scope.ADMIN), make(session, "b", Scope.ADMIN)
    assert keys.first_admin(session) == first
    keys.revoke_key(session, first, at=9)
    assert keys.first_admin(session) == second


def test_pages_join_without_gap_or_repeat(session: Session) -> None:
    for name in "abcde":
        make(session, name)
    first = keys.list_keys(session, limit=3)
    second = keys.list_keys(session, limit=3, cursor=first.next)
    assert [key.name for key in first.items + second.items] == ["e", "d", "c", "b", "a"]
    assert second.next is None


def test_a_key_knows_when_it_was_used(session: Session) -> None:
    key_id = make(session, "a")
    keys.touch_key(session, key_id, at=77)
    session.expire_all()
    assert keys.list_keys(session).items[0].last_used_at == 77


def test_a_run_is_whose_its_experiment_is(session: Session) -> None:
    experiment = experiments.create_experiment(session, "a", "", at=0, owner="ann")
    run, _ = runs.create_run(session, experiment.id, at=0)
    assert keys.experiment_owner(session, experiment.id) == "ann"
    assert keys.run_owners(session, [run.id, run.id + 1]) == {run.id: "ann"}
    assert keys.experiment_owner(session, experiment.id + 1) is None


def test_lists_are_of_one_owner_or_of_all(session: Session) -> None:
    for owner in ("ann", "bob"):
        experiment = experiments.create_experiment(session, "same name", "", at=0, owner=owner)
        runs.create_run(session, experiment.id, at=0)
    assert [e.owner for e in experiments.list_experiments(session, name="same name").items] == ["bob", "ann"]
    assert [e.owner for e in experiments.list_experiments(session, owner="ann").items] == ["ann"]
    assert len(runs.list_runs(session, None).items) == 2
    assert [run.experiment_id for run in runs.list_runs(session, None, owner="bob").items] == [2]
