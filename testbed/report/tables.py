"""Tables of the page."""

from __future__ import annotations

from collections.abc import Sequence


def table(
    caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: bool = True
) -> str:
    """Return a table of ready HTML cells that scrolls within itself where it is too wide."""
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>\n'
        for row in rows
    )
    kind = "" if numeric else ' class="prose"'
    return (
        f'<div class="scroll" role="region" aria-label="{caption}" tabindex="0"><table{kind}>'
        f"<thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table></div>"
    )
