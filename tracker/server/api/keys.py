"""Keys: made, listed and revoked by whoever has one with the scope admin; see `auth`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request, status
from pydantic import AfterValidator, BaseModel, Field

from tracker.scope import Scope, check_owner
from tracker.values import now_ms

from .. import store, wire
from ..auth import Admin, hash_of, new_key
from ..digits import Id, Limit
from ..store.pages import PAGE
from .route import Cursor, Db, refuses, router

Owner = Annotated[str, AfterValidator(check_owner)]


class KeyCreate(BaseModel, extra="forbid"):
    """A new key."""

    name: wire.Name
    owner: Owner = Field(default="", description="whose all is that is made with it; empty: nobody's in particular")
    scope: Scope = Scope.WRITE


class KeyOut(BaseModel, from_attributes=True):
    """A key, without the key itself."""

    id: int
    name: str
    owner: str
    scope: Scope
    created_at: int
    revoked_at: int | None
    last_used_at: int | None = Field(description="give or take a minute")


class KeyMade(KeyOut):
    """A new key, with the key itself, this once."""

    key: str


@router.post("/keys", status_code=status.HTTP_201_CREATED, responses=refuses(413))
def create_key(body: KeyCreate, db: Db, admin: Admin) -> KeyMade:
    """Makes a key, which is shown in this answer and never again."""
    key = new_key()
    with db.write() as session:
        made = store.keys.create_key(session, **dict(body), key_hash=hash_of(key), at=now_ms())
    return KeyMade(**dict(KeyOut.model_validate(made)), key=key)


@router.get("/keys", responses=refuses(400))
def list_keys(db: Db, admin: Admin, cursor: Cursor = None, limit: Limit = PAGE) -> wire.Page[KeyOut]:
    """Lists keys, newest first, revoked ones included."""
    with db.read() as session:
        page = store.keys.list_keys(session, cursor=cursor, limit=limit)
        return wire.Page[KeyOut].model_validate(page)


@router.delete("/keys/{key_id}", status_code=status.HTTP_204_NO_CONTENT, responses=refuses(404))
def revoke_key(key_id: Id, db: Db, admin: Admin, request: Request) -> None:
    """Revokes the key: from now on it opens nothing. Other servers notice within seconds."""
    with db.write() as session:
        store.keys.revoke_key(session, key_id, at=now_ms())
    request.app.state.gate.forget()
