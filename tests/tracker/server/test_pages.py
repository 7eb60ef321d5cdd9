import httpx
import pytest


@pytest.mark.parametrize(
    "path", ["/ui/nothing", "/ui/../server/app.py", "/ui/%2e%2e/server/app.py", "/ui/..%2f..%2fpyproject.toml"]
)
def test_what_is_no_page_is_404(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_where_no_keys_are_needed_a_ticket_is_dropped(http: httpx.Client) -> None:
    answer = http.get("/ui/?ticket=nonsense")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/")
    assert "set-cookie" not in answer.headers
