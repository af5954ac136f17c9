"""The report as Markdown: verdict, warnings, the table, and how to repeat the run."""

from __future__ import annotations

import re

from testbed.report.besides import asides
from testbed.report.provenance import repeat_with, stamp_rows
from testbed.report.view import View


def markdown(view: View) -> str:
    """Return the report as a Markdown document."""
    lines = [f"# {_plain(view.name)}", ""]
    lines += [f"**{_plain(view.verdicts[0])}**", ""]
    lines += [f"{_plain(text)}\n" for text in view.verdicts[1:]]
    if view.warnings:
        lines += ["Before you rely on a number:", ""]
        lines += [f"- {_plain(text)}" for text in view.warnings] + [""]
    heads = ["policy", *(f"{c.head}, {c.unit}" if c.unit else c.head for c in view.columns)]
    lines += [_row(heads), _row(["---", *["---:" for _ in view.columns]])]
    for policy in view.policies:
        cells = [view.cell(policy, column) for column in view.columns]
        name = f"{policy} (best static)" if policy == view.best_fixed else policy
        lines.append(
            _row(
                [_plain(name), *(f"{c.value} [{c.spread}]" if c.spread else c.value for c in cells)]
            )
        )
    lines += [
        "",
        f"Mean over {len(view.seeds)} seeds; in brackets the 95 % interval. Latency is over all "
        "captured frames, those without an answer count as infinite.",
        "",
    ]
    if view.claims:
        lines += ["## Claims", ""]
        lines += [f"- {_plain(claim['message'])}" for claim in view.claims] + [""]
    lines += ["## Simple rivals", ""]
    lines += [f"- {_plain(rival['message'])}" for rival in view.baselines] + [""]
    for aside in asides(view.run.summary):
        lines += [f"## {aside.title}", "", _row(list(aside.heads))]
        lines += [_row(["---", *["---:" for _ in aside.heads[1:]]])]
        lines += [_row(list(map(_plain, row))) for row in aside.rows]
        lines += ["", _plain(aside.note), ""]
    lines += ["## Provenance", "", _plain(repeat_with(view.run)), ""]
    lines += [f"- {_plain(what)}: {_plain(value)}" for what, value in stamp_rows(view.run)]
    return "\n".join([*lines, ""])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Return text that Markdown renders as it stands."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))
