"""The part of MyST Markdown that the sources use: text, and code cells with options.

    ```{code-cell} ipython3
    :role: answer

    1 + 1
    ```

A line "+++" parts two cells of text. A test holds this reader against jupytext's, which takes over a second to load.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_FENCE = re.compile(
    r"^```\{code-cell\}[^\n]*\n"  # ```{code-cell} ipython3
    r"((?::[\w-]+:[^\n]*\n)*)"  # :role: answer
    r"(.*?)"
    r"^```$\n?",
    re.MULTILINE | re.DOTALL,
)


def cells(text: str) -> Iterator[tuple[dict[str, str] | None, str]]:
    """The cells of a MyST text, in order: (options, source) of a code cell, (None, source) of a Markdown cell."""
    text = re.sub(r"\A---\n.*?^---$\n", "", text, flags=re.MULTILINE | re.DOTALL)
    end = 0
    for fence in _FENCE.finditer(text):
        yield from _markdown(text[end : fence.start()])
        options = dict(re.findall(r"^:([\w-]+): *(.*?) *$", fence[1], flags=re.MULTILINE))
        yield options, fence[2].strip("\n")
        end = fence.end()
    yield from _markdown(text[end:])


def _markdown(text: str) -> Iterator[tuple[None, str]]:
    for part in re.split(r"^\+\+\+$", text, flags=re.MULTILINE):
        if part.strip():
            yield None, part.strip()
