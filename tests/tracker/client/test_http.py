import itertools
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tracker.client.http import Api, NotAllowed, Refused, Unanswered, pauses


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """A server that gives each connection the next of these answers, whatever it asks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


def answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://127.0.0.1", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="write one like http://127"):
        Api(url)


def test_no_server_is_unanswered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unanswered, match="does not answer"):
        Api(f"http://127.0.0.1:{port}").request("GET", "/")


def test_a_server_that_hangs_up_is_unanswered() -> None:
    with answering(b"") as url, pytest.raises(Unanswered, match="does not answer"):
        Api(url).request("GET", "/")


def test_a_server_that_is_silent_is_unanswered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unanswered, match="timed out"):
            Api(url, timeout=0.1).request("GET", "/")


def test_a_server_that_is_no_tracker_is_unanswered() -> None:
    with answering(answer("200 OK", b"<html>")) as url, pytest.raises(Unanswered, match="as a tracker does"):
        Api(url).request("GET", "/")


@pytest.mark.parametrize(
    "status",
    ["408 Request Timeout", "421 Misdirected Request", "429 Too Many Requests", "503 Service Unavailable"],
)
def test_a_server_in_trouble_is_unanswered_and_says_when(status: str) -> None:
    with answering(answer(status, b'{"detail": "later"}', "Retry-After: 7")) as url:
        with pytest.raises(Unanswered, match="later") as error:
            Api(url).request("GET", "/")
        assert error.value.retry_after == 7


def test_a_fault_without_a_time_may_be_tried_at_once() -> None:
    with answering(answer("500 Oh", b"{}")) as url, pytest.raises(Unanswered, match="Oh") as error:
        Api(url).request("GET", "/")
    assert error.value.retry_after == 0


def test_a_no_is_refused() -> None:
    with answering(answer("409 Conflict", b'{"detail": "taken"}')) as url:
        with pytest.raises(Refused, match="taken") as error:
            Api(url).request("POST", "/", {})
        assert error.value.status == 409


def test_after_a_failure_the_next_request_connects_anew() -> None:
    with answering(b"", answer("200 OK", b'{"a": 1}')) as url:
        api = Api(url)
        with pytest.raises(Unanswered):
            api.request("GET", "/")
        assert api.request("GET", "/") == {"a": 1}


def test_pauses_double_up_to_a_limit_and_differ() -> None:
    taken = list(itertools.islice(pauses(first=1.0, longest=8.0), 6))
    for pause, full in zip(taken, [1, 2, 4, 8, 8, 8], strict=True):
        assert full / 2 <= pause <= full
    assert list(itertools.islice(pauses(), 3)) != list(itertools.islice(pauses(), 3))


def test_waiting_leaves_the_chance_of_a_training_alone() -> None:
    random.seed(7)
    before = random.getstate()
    list(itertools.islice(pauses(), 3))
    assert random.getstate() == before


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_no_to_who_asks_may_become_a_yes(status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So nothing is given up: the next request looks for a key anew."""
    good = answer("200 OK", b"{}")
    with answering(answer(status, b'{"detail": "no"}'), good) as url:
        api = Api(url)
        with pytest.raises(NotAllowed, match=f"{url} refuses: no .*TRACKER_KEY"):
            api.request("GET", "/")
        assert issubclass(NotAllowed, Unanswered)
        assert api.request("GET", "/") == {}


def test_a_key_that_cannot_be_used_is_a_no_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_KEY", "two words")
    with pytest.raises(NotAllowed, match="TRACKER_KEY holds no key"):
        Api("http://127.0.0.1:1").request("GET", "/")


def test_an_answer_without_a_body_is_none() -> None:
    with answering(answer("204 No Content", b"")) as url:
        assert Api(url).request("DELETE", "/") is None
