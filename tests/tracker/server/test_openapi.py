"""What the OpenAPI document says and what the server does are the same.

schemathesis makes requests from the document: every boundary that it names and the step beyond it, right and wrong
bodies at random, methods that a path does not have, and chains (create, change, delete, ask again). All of its checks
look at each answer. What a document cannot say is left out in the open, in `can_be_said`.

So that not every other answer is "there is no run 8316", there are ROWS experiments to begin with, each with a run of
the same number that has logged "loss"; and every second id is made one of theirs.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

pytestmark = pytest.mark.parametrize("server", ["sqlite", "postgresql"], indirect=True)

ROWS = 60
LISTS = ("status", "keys", "run")  # parameters that may be sent several times
NO_NAMES = ("params", "tags", "description", "sort", "cursor")
CONFIG = {
    "request-timeout": 60,  # seconds: a busy machine is no fault of the server
    "suppress-health-check": ["all"],  # nor is one that makes examples slowly
    "output": {"sanitization": {"enabled": False}},  # a metric's key is no secret
    # Nothing but a cursor is refused with 400: one that we did not hand out, and no document can say which we did.
    # Nor can one say who has a key: this server asks nobody for one, and gives none (`test_auth` asks one that does).
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "304", "400", "401", "403", "404", "409"]}},
}


def texts(value: Any) -> Iterator[str]:
    """Every text in a body or a query, keys included."""
    if isinstance(value, dict):
        value = [part for pair in value.items() for part in pair]
    if isinstance(value, list):
        yield from (text for part in value for text in texts(part))
    elif isinstance(value, str):
        yield value


def can_be_said(body: Any) -> bool:
    """Whether the document could tell that this body will be refused, if it will."""
    if not isinstance(body, dict):
        return True
    # That columns are equally long.
    every = body["series"].values() if isinstance(body.get("series"), dict) else ()
    lengths = [{len(c) for c in series.values() if isinstance(c, list)} for series in every if isinstance(series, dict)]
    # That settings hold no NUL, however deep in them: only a type that contains itself could say so.
    settings = texts([body.get("params"), body.get("tags")])
    return all(len(each) < 2 for each in lengths) and not any("\0" in text for text in settings)


def has_plain_names(case: Any) -> bool:
    """schemathesis knows `\\p{L}` and its kin only roughly. It is told of the ASCII characters of a name, and what it
    makes of others is left out: `test_wire` asks about each of them."""
    given = {**(case.body if isinstance(case.body, dict) else {}), **(case.query or {})}
    named = [value for key, value in given.items() if key not in NO_NAMES]
    return all(text.isascii() for text in texts(named))


def is_sent_once(case: Any) -> bool:
    """Of a parameter that is sent several times the last one counts. So a list or an object, where the document wants
    one text, is not refused: it is sent as the same parameter several times."""
    return not any(isinstance(value, list | dict) for name, value in (case.query or {}).items() if name not in LISTS)


def fill(url: str) -> None:
    with httpx.Client(base_url=url) as http:
        for number in range(1, ROWS + 1):
            assert http.post("/experiments", json={"name": str(number)}).json()["id"] == number
            assert http.post(f"/experiments/{number}/runs", json={}).json()["id"] == number
            loss = {"steps": [0, 1, 2], "values": ["NaN", 0.5, "-Infinity"]}
            assert http.post(f"/runs/{number}/metrics", json={"series": {"loss": loss}}).status_code == 201


def known(number: Any) -> Any:
    return 1 + number // 2 % ROWS if type(number) is int and number in range(2, 2**53, 2) else number


def aim_path(_: Any, path: Any) -> Any:
    aimed = {name: known(value) for name, value in (path or {}).items()}
    return aimed | {"key": "loss"} if "key" in aimed and aimed != path else aimed


def aim_query(_: Any, query: Any) -> Any:
    runs = (query or {}).get("run")
    return query | {"run": [known(run) for run in runs]} if isinstance(runs, list) else query


def fuzz(url: str, examples: int) -> tuple[list[str], Counter[int]]:
    """What went wrong, and how often each status was answered."""
    generation = {"max-examples": examples, "deterministic": True, "database": "none"}
    chains = {"stateful": {"generation": {**generation, "max-examples": 3 * examples}, "max-steps": 15}}
    config = SchemathesisConfig.from_dict(CONFIG | {"base-url": url, "generation": generation, "phases": chains})
    document = httpx.get(f"{url}/openapi.json").text.replace(r"[\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}]", "[!-~]")
    # A stream of events does not end by itself, and who waits for its end waits for ever: `test_live` asks for them.
    schema = schemathesis.openapi.from_dict(json.loads(document), config=config).exclude(path_regex="/events$")
    schema.hook("filter_body")(lambda _, body: can_be_said(body))
    schema.hook("filter_case")(lambda _, case: has_plain_names(case) and is_sent_once(case))
    schema.hook("map_path_parameters")(aim_path)
    schema.hook("map_query")(aim_query)
    wrong: list[str] = []
    statuses: Counter[int] = Counter()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            wrong.append(f"{event.phase} {event.label}: {event.value!r}")
        elif isinstance(event, events.FatalError):
            wrong.append(repr(event.exception))
        elif isinstance(event, events.ScenarioFinished):
            answers = event.recorder.interactions
            statuses.update(answer.response.status_code for answer in answers.values() if answer.response)
            for case, checks in event.recorder.checks.items():
                failed = [check.failure_info for check in checks if check.failure_info]
                wrong += [f"{f.failure.title}\n{f.code_sample}\n{answers[case].response.text}" for f in failed]
    return wrong, statuses


# Hypothesis warns before it prints a large example; that one is large is no fault of the server.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize(
    ("examples", "least"),
    [pytest.param(20, 1000, marks=pytest.mark.thorough), pytest.param(750, 10_000, marks=pytest.mark.slow)],
)
def test_the_server_does_what_its_document_says(
    server: Any, examples: int, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # schemathesis would have Hypothesis climb towards requests that are accepted. Now and then that makes ever larger
    # ones for a quarter of an hour, until their text alone is a warning.
    monkeypatch.setattr(hypothesis, "target", lambda *_, **__: None)
    fill(server.url)
    wrong, statuses = fuzz(server.url, examples)
    assert not wrong, "\n\n".join(wrong[:5])
    assert statuses.total() >= least
    assert {200, 201, 204, 400, 401, 403, 404, 405, 409, 422} == statuses.keys()
