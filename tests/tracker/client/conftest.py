from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tracker.client.http import Api
from tracker.client.spool import Spool, Writer


class Recorder(Api):
    """The real connection, which remembers what it was asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked: list[tuple[str, str, Any]] = []

    def request(self, method: str, path: str, body: Any = None) -> Any:
        self.asked.append((method, path, body))
        return super().request(method, path, body)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with closing(Writer(tmp_path / "run.jsonl")) as writer:
        yield writer


@pytest.fixture
def spool(writer: Writer) -> Iterator[Spool]:
    with closing(Spool(writer.file)) as spool:
        yield spool


@pytest.fixture
def api(http: httpx.Client) -> Iterator[Recorder]:
    with closing(Recorder(str(http.base_url).rstrip("/"))) as api:
        yield api
