"""`tracker key`: keys given out, listed and revoked, by REST where a server answers, else in the folder itself.

SQLite has one process that writes. So where a server has the folder, it is asked, and wants a key that may admin; where
none has it, whoever may write the folder needs no key. That is how the first key is made.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.scope import Scope, check_owner
from tracker.values import check_name, now_ms

from .client.http import Api
from .server.claim import holder

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class Keys:
    """Those of the tracker at `url`; without one, of the server that has the folder, or of the folder."""

    def __init__(self, url: str | None, folder: Path) -> None:
        self._server = url or holder(folder)
        self._folder = folder

    def create(self, name: str, owner: str, scope: str | None) -> dict[str, Any]:
        """A new key, with the key itself as `key`. Without a scope it may write; a folder's first key may admin.

        Raises ValueError with a sentence that says what to do, and what `Api.request` raises.
        """
        made = {"name": check_name(name, "name of a key"), "owner": check_owner(owner)}
        if self._server:
            answer: dict[str, Any] = self._ask("POST", "/keys", made | ({"scope": scope} if scope else {}))
            return answer
        from .server import store
        from .server.auth import hash_of, new_key

        key = new_key()
        with self._session() as session:
            needed = Scope(scope) if scope else Scope.WRITE if store.keys.first_admin(session) else Scope.ADMIN
            row = store.keys.create_key(session, **made, scope=needed, key_hash=hash_of(key), at=now_ms())
            return made | {"id": row.id, "scope": str(row.scope), "key": key}

    def all(self) -> Iterator[dict[str, Any]]:
        """Each key, newest first, without the key itself. Raises what `create` raises."""
        cursor: str | None = ""
        while cursor is not None:
            if self._server:
                page = self._ask("GET", f"/keys?limit=200{cursor and f'&cursor={cursor}'}")
                yield from page["items"]
                cursor = page["next"]
            else:
                from .server import store

                with self._session() as session:
                    here = store.keys.list_keys(session, cursor=cursor or None, limit=200)
                columns = ("id", "name", "owner", "scope", "created_at", "revoked_at", "last_used_at")
                yield from ({column: getattr(row, column) for column in columns} for row in here.items)
                cursor = here.next

    def revoke(self, key_id: int) -> None:
        """From now on, or in a few seconds, the key opens nothing. Raises ValueError and what `create` raises."""
        if self._server:
            self._ask("DELETE", f"/keys/{key_id}")
            return
        from .server import store
        from .server.problem import NotFound

        try:
            with self._session() as session:
                store.keys.revoke_key(session, key_id, now_ms())
        except NotFound as unknown:
            raise ValueError(str(unknown)) from None

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        with closing(Api(self._server)) as api:
            return api.request(method, path, body)

    @contextmanager
    def _session(self) -> Iterator[Session]:
        try:
            from .server.opening import CannotServe, claimed, opened, settings_for
        except ModuleNotFoundError as missing:
            raise ValueError(f"keys need {missing.name}: pip install 'tracker-workbook[server]'") from None
        try:
            settings = settings_for(self._folder)
            with claimed(settings), opened(settings) as database, database.write() as session:
                yield session
        except CannotServe as reason:
            raise ValueError(str(reason)) from None


def add_commands(commands: Any) -> None:
    """Adds `key` to the parsers of `tracker`."""
    key = commands.add_parser("key", help="give out keys, list and revoke them")
    actions = key.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key, which is shown this once")
    create.add_argument("name", help="what it is for, or where it is: you will want to know when you revoke it")
    create.add_argument("--owner", help="whose all is that is made with it (default: NAME; '': what was made without)")
    create.add_argument("--scope", choices=[*Scope], help="default: write; for a folder's first key: admin")
    create.add_argument("--output", "-o", type=Path, metavar="FILE", help="a new file for it, which only you can read")
    create.set_defaults(run=_create)
    list_ = actions.add_parser("list", help="what keys there are, and when each was used last")
    list_.set_defaults(run=_list)
    revoke = actions.add_parser("revoke", help="from now on the key opens nothing")
    revoke.add_argument("id", type=int, help="its number in `tracker key list`")
    revoke.set_defaults(run=_revoke)
    for action in (create, list_, revoke):
        action.add_argument("--dir", type=Path, help="where tracker.db is (default: $TRACKER_DIR, else ./.tracker)")
        action.add_argument("--url", help="the tracker (default: $TRACKER_URL, else the one of the folder)")


def _keys(options: argparse.Namespace) -> Keys:
    folder = Path(options.dir or os.environ.get("TRACKER_DIR") or ".tracker").absolute()
    elsewhere = None if options.dir else os.environ.get("TRACKER_URL")
    return Keys(options.url or elsewhere, folder)


def _create(options: argparse.Namespace) -> None:
    owner = options.name if options.owner is None else options.owner
    if options.output and options.output.exists():
        raise ValueError(f"{options.output} is there already: name another file, or delete it")
    made = _keys(options).create(options.name, owner, options.scope)
    said = f"tracker: key {made['id']} {options.name!r} of {owner!r} may {made['scope']}"
    if not options.output:
        print(f"{said}; it is shown only this once:", file=sys.stderr)
        print(made["key"])
        return
    try:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(options.output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as written:
            written.write(made["key"] + "\n")
    except OSError as error:
        raise ValueError(f"{said}, but {options.output} cannot be written ({error.strerror}): revoke it") from None
    print(f"{said}; it is in {options.output}")


def _list(options: argparse.Namespace) -> None:
    for key in _keys(options).all():
        used = f"used {_day(key['last_used_at'])}" if key["last_used_at"] else "never used"
        state = f"revoked {_day(key['revoked_at'])}" if key["revoked_at"] else used
        made = _day(key["created_at"])
        print(f"{key['id']:>4}  {key['scope']:<5}  {key['owner']!r}  {key['name']!r}  made {made}, {state}")


def _revoke(options: argparse.Namespace) -> None:
    _keys(options).revoke(options.id)
    print(f"tracker: key {options.id} is revoked; what it sends from now on stays with its clients")


def _day(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at / 1000))
