"""How a browser is known: by a cookie that says which key signed in and until when, signed so that nobody can write
one; and by tickets, with which an address that we print signs in the one who opens it first.

    cookie   3.1767830400.9f86d081...     key 3, until then (s since 1970), HMAC-SHA256 of both with our secret
    ticket   256 random bits, of which this process keeps the hash for ten minutes, or until it is used

The page never holds the key, and a script that got into it could not take the cookie along (HttpOnly). The secret is a
file of the folder that only its owner reads, not a row: a stolen database opens no door. Servers that share a database
need the same TRACKER_SECRET, or each of them asks a browser to sign in. A key that is revoked ends its sessions,
because every request looks the key up.

A cookie is sent by the browser whichever page asks, so a request that changes something must also come from a page of
ours (CSRF): its Origin must be this server. Browsers send Origin with every such request,
and no page can write it. SameSite=Strict alone is not enough: to it, all ports of 127.0.0.1 are one site, and on one of
them JupyterLab may show anybody's notebook. That a body must be JSON, which no form can send, alone is not enough
either: DELETE has none. We have both beside it, since neither costs anything.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response

from .config import Settings

LIFETIME = 7 * 24 * 3600  # s that a browser stays signed in
TICKET_LIFETIME = 600  # s: long enough to click it
MOST_TICKETS = 100  # that wait to be used; the oldest goes first


class Sessions:
    """The cookies and tickets of one server."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        # Cookies are shared by all ports of a host: two trackers on one machine must not sign each other out.
        self.cookie = f"tracker_{hashlib.sha256(b'name' + secret).hexdigest()[:8]}"
        self._tickets: dict[bytes, tuple[float, int]] = {}

    @classmethod
    def of(cls, settings: Settings) -> Sessions:
        """Those of a server with these settings; its secret is made when there is none. Raises OSError."""
        return cls(settings.secret.encode() or secret_in(settings.folder / "session.secret"))

    def sign_in(self, answer: Response, key_id: int, *, secure: bool) -> None:
        """The answer makes its browser known; `secure`: only over HTTPS from now on."""
        answer.set_cookie(
            self.cookie, self.sign(key_id), LIFETIME, path="/", secure=secure, httponly=True, samesite="strict"
        )

    def sign(self, key_id: int, now: float | None = None) -> str:
        """A cookie's value for who has shown this key."""
        said = f"{key_id}.{int(time.time() if now is None else now) + LIFETIME}"
        return f"{said}.{self._mac(said)}"

    def key_id(self, value: str, now: float | None = None) -> int | None:
        """The key that signed in; None for a cookie that is not ours, or not any more."""
        said, _, mac = value.rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(said).encode()):
            return None
        key_id, _, until = said.partition(".")
        return int(key_id) if int(until) > (time.time() if now is None else now) else None

    def ticket(self, key_id: int) -> str:
        """One that signs in with this key, once."""
        ticket = secrets.token_urlsafe(32)
        if len(self._tickets) >= MOST_TICKETS:
            del self._tickets[next(iter(self._tickets))]
        self._tickets[_hash(ticket)] = time.monotonic() + TICKET_LIFETIME, key_id
        return ticket

    def redeem(self, ticket: str) -> int | None:
        """The key of a ticket, which is used with that; None for one that is none, or not any more."""
        until, key_id = self._tickets.pop(_hash(ticket), (0.0, 0))
        return key_id if until > time.monotonic() else None

    def _mac(self, said: str) -> str:
        return hmac.new(self._secret, b"session " + said.encode(), hashlib.sha256).hexdigest()


def _hash(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()


def secret_in(file: Path) -> bytes:
    """The secret that the file holds; it is made, for its owner alone, if it is not there. Raises OSError."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f"{file.name}.part")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            written.write(secrets.token_bytes(32))
        unfinished.replace(file)
    return file.read_bytes()


def is_own_page(headers: Headers) -> bool:
    """Whether a page of this server asks; see above."""
    return urlsplit(headers.get("Origin", "").lower()).netloc == headers.get("Host", "").lower() != ""
