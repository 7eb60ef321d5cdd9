"""The little Markdown of our own lines, for places that do not read it: HTML outputs, a printed page, a terminal.

a line        **bold**, *italic*, `code` and plain text, none inside another:
                  as spans, [("plain", "The key is "), ("bold", "the id")]
a text        paragraphs and lists ("- ...", "1. ..."), with an empty line between them
"""

from __future__ import annotations

import html as _html
import re
import textwrap

_SPAN = re.compile(r"`([^`]+)`|\*\*(?=\S)(.+?)(?<=\S)\*\*|\*(?=[^\s*])(.+?)(?<=[^\s*])\*")
_STYLES = ("code", "bold", "italic")
_TAGS = {"code": "code", "bold": "b", "italic": "i"}


def spans(line: str) -> list[tuple[str, str]]:
    """The parts of a line: (style, text). All texts together are the line without its marks."""
    found, end = [], 0
    for match in _SPAN.finditer(line):
        found.append(("plain", line[end : match.start()]))
        found += [(style, text) for style, text in zip(_STYLES, match.groups(), strict=True) if text]
        end = match.end()
    found.append(("plain", line[end:]))
    return [(style, text) for style, text in found if text]


def html_line(line: str) -> str:
    """A line as HTML, with all escaped that could be taken for a tag."""
    parts = ((_TAGS.get(style), _html.escape(text)) for style, text in spans(line))
    return "".join(f"<{tag}>{text}</{tag}>" if tag else text for tag, text in parts)


def html_text(text: str) -> str:
    """A text as HTML."""
    parts = []
    for part in re.split(r"\n\s*\n", text.strip()):
        if part.startswith("- "):
            points = "".join(
                f"<li>{html_line(' '.join(p.split()))}</li>" for p in re.split(r"^- ", part, flags=re.M)[1:]
            )
            parts.append(f"<ul>{points}</ul>")
        else:
            parts.append(f"<p>{html_line(' '.join(part.split()))}</p>")
    return "\n".join(parts)


def terminal_text(text: str, width: int) -> str:
    """A text in lines that end between words, without its marks; drawings and tables stay as they are."""
    parts = []
    for part in re.split(r"^(```.*?^```)$", text.strip(), flags=re.M | re.S):
        if part.startswith("```"):
            parts.append("\n".join(part.splitlines()[1:-1]))
            continue
        for paragraph in re.split(r"\n\s*\n", part.strip()):
            lines = [paragraph] if not re.match(r"[-|]|\d+\. ", paragraph) else paragraph.splitlines()
            parts.append("\n".join(line if line.startswith("|") else _wrapped(line, width) for line in lines))
    return "\n\n".join(part for part in parts if part)


def _wrapped(line: str, width: int) -> str:
    text = "".join(f"`{text}`" if style == "code" else text for style, text in spans(" ".join(line.split())))
    mark = re.match(r"(- |\d+\. )?", text)
    indent = " " * len(mark[0]) if mark else ""
    return textwrap.fill(text, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
