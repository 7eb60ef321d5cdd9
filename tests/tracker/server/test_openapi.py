"""What the OpenAPI document says and what the server does are the same.

schemathesis makes requests from the document: every boundary that it names and the step beyond it, right and wrong
bodies at random, methods that a path does not have, and chains (create, change, delete, ask again). All of its checks
look at each answer. What a document cannot say is left out in the open, in `can_be_said`.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

CONFIG = {
    "output": {"sanitization": {"enabled": False}},  # a metric's key is no secret
    # Nothing but a cursor is refused with 400: one that we did not hand out, and no document can say which we did.
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "304", "400", "404", "409"]}},
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
    body = case.body if isinstance(case.body, dict) else {}
    named = [value for key, value in body.items() if key not in ("params", "tags", "description")]
    return all(text.isascii() for text in texts([*named, case.query.get("key"), case.query.get("keys")]))


def fuzz(url: str, examples: int) -> tuple[list[str], Counter[int]]:
    """What went wrong, and how often each status was answered."""
    generation = {"max-examples": examples, "deterministic": True, "database": "none"}
    config = SchemathesisConfig.from_dict(CONFIG | {"base-url": url, "generation": generation})
    document = httpx.get(f"{url}/openapi.json").text.replace(r"[\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}]", "[!-~]")
    schema = schemathesis.openapi.from_dict(json.loads(document), config=config)
    schema.hook("filter_body")(lambda _, body: can_be_said(body))
    schema.hook("filter_case")(lambda _, case: has_plain_names(case))
    wrong: list[str] = []
    statuses: Counter[int] = Counter()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            wrong.append(str(vars(event)))
        elif isinstance(event, events.ScenarioFinished):
            answers = event.recorder.interactions
            statuses.update(answer.response.status_code for answer in answers.values() if answer.response)
            for case, checks in event.recorder.checks.items():
                failed = [check.failure_info for check in checks if check.failure_info]
                wrong += [f"{f.failure.title}\n{f.code_sample}\n{answers[case].response.text}" for f in failed]
    return wrong, statuses


@pytest.mark.parametrize(("examples", "least"), [(30, 1000), pytest.param(1000, 10_000, marks=pytest.mark.slow)])
def test_the_server_does_what_its_document_says(server: Any, examples: int, least: int) -> None:
    wrong, statuses = fuzz(server.url, examples)
    assert not wrong, "\n\n".join(wrong[:5])
    assert statuses.total() >= least
    assert {200, 201, 204, 400, 404, 405, 409, 422} == statuses.keys()
