"""One connection to the tracker, kept open; what may be tried again, and when.

Unanswered      no server, no network, a server in trouble (5xx and LATER): the same request may succeed later
NotAllowed      one of these: no key, or one that may not do this; with another key the same request succeeds
Refused         the server understood and said no: the same request will be refused again
"""

from __future__ import annotations

# A socket's first connection imports this codec. In a process that forks just then, it would be unknown for ever.
import encodings.idna  # noqa: F401
import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

from .key import BadKey, find_key

# Not the global generator: a training that has seeded it would go another way whenever the tracker waits.
_CHANCE = random.SystemRandom()

LATER = (408, 421, 429)  # it came too slowly, under a name that the server is not known by yet, or too often
TIMEOUT = 10.0  # s, of one request; a batch is stored in well under one


class Unanswered(Exception):
    """No answer that counts; `retry_after` is what the server asks for, in seconds."""

    def __init__(self, why: str, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class NotAllowed(Unanswered):
    """The server wants another key (`tracker.client.key`)."""


class Refused(Exception):
    """The server's no: its `status`, its sentence as the text, and the places (`at`) that it complains of."""

    def __init__(self, status: int, detail: str, places: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.places = places


class Api:
    """The tracker at `url`, such as http://127.0.0.1:8000. Not for two threads at once."""

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        """Raises ValueError for a URL that cannot be one."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"TRACKER_URL is no address: {url!r}; write one like http://127.0.0.1:8000")
        connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self.url = url.rstrip("/")
        self._prefix = parts.path.rstrip("/")
        self._connection = connect(parts.hostname, parts.port, timeout=timeout)
        self._key: str | None = None  # not looked for yet
        self.date: str | None = None  # the server's clock, as its last answer says

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer. Raises Unanswered and Refused."""
        with self._answer(method, path, body) as response:
            return self._decoded(response)

    def experiment(self, name: str) -> Any:
        """The experiment of this name, None where there is none: the caller's own before another's, if an admin calls.

        Raises Unanswered and Refused.
        """
        for whose in ("&mine=true", ""):
            if items := self.request("GET", f"/experiments?name={quote(name)}{whose}")["items"]:
                return items[0]
        return None

    def stream(self, path: str) -> Iterator[bytes]:
        """The answer to a GET in parts, as they come. Raises Unanswered, even in the middle, and Refused."""
        with self._answer("GET", path, None) as response:
            while part := response.read1():
                yield part

    @contextmanager
    def _answer(self, method: str, path: str, body: Any) -> Iterator[HTTPResponse]:
        """An answer that is no refusal, to be read before the block ends."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        try:
            self._key = find_key(os.environ) if self._key is None else self._key
        except BadKey as bad:
            raise NotAllowed(str(bad)) from None
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            self._connection.request(method, self._prefix + path, data, headers)
            response = self._connection.getresponse()
            self.date = response.headers.get("Date")
            if response.status >= 400:
                self._refuse(response)
            yield response
        except (OSError, HTTPException) as error:
            self._connection.close()  # the next request opens a new one
            raise Unanswered(f"{self.url} does not answer ({error or type(error).__name__})") from error

    def _decoded(self, response: HTTPResponse) -> Any:
        if response.status == 204:
            return None
        try:
            return json.loads(response.read())
        except ValueError:
            raise Unanswered(f"{self.url} does not answer as a tracker does ({response.status})") from None

    def _refuse(self, response: HTTPResponse) -> NoReturn:
        answer = self._decoded(response)
        detail = str(answer.get("detail", response.reason))
        if response.status in (401, 403):
            self._key = None  # whoever mends it need not start the training anew
            raise NotAllowed(f"{self.url} refuses: {detail} (the client's key is TRACKER_KEY, or in TRACKER_KEY_FILE)")
        if response.status in LATER or response.status >= 500:
            raise Unanswered(detail, _seconds(response.headers.get("Retry-After")))
        raise Refused(response.status, detail, tuple(error["at"] for error in answer.get("errors", ())))

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdigit() else 0.0


def pauses(first: float = 0.25, longest: float = 30.0) -> Iterator[float]:
    """Seconds to wait after each failure: doubling, and somewhere in the upper half of that (jitter), so that a
    thousand clients whose server comes back do not all knock at once."""
    pause = first
    while True:
        yield pause * _CHANCE.uniform(0.5, 1.0)
        pause = min(2 * pause, longest)
