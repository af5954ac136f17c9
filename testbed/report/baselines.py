"""The simple rivals that an adaptive policy has to beat, as a table of the page."""

from __future__ import annotations

from html import escape

from testbed import compare
from testbed.report.tables import table
from testbed.report.view import COLUMNS, View

_COSTS = tuple(c for c in COLUMNS if c.metric in ("energy_per_frame_j", "payload_bytes_mean"))


def rivals(view: View) -> str:
    """Return the section: which rivals were run, how they do, and which are missing."""
    rows, missing = [], []
    for rival in view.baselines:
        name, policy = escape(rival["baseline"]), rival["policy"]
        if policy is None:
            missing.append(f"<li>{escape(rival['message'])}</li>")
            continue
        cells = [view.cell(policy, column) for column in (view.accuracy, *_COSTS)]
        gap = rival["difference"]
        rows.append(
            [
                name,
                escape(policy),
                *(f"{escape(c.value)}<small>{escape(c.spread)}</small>" for c in cells),
                "-" if gap is None else escape(compare.difference(gap, view.primary)),
                f"<strong>{'yes' if rival['wins'] else 'no'}</strong>" if gap else "-",
            ]
        )
    ours = next((r["against"] for r in view.baselines if r["against"]), None)
    heads = ["rival", "policy", escape(view.accuracy.head)]
    heads += [f"{escape(c.head)}<small>{escape(c.unit)}</small>" for c in _COSTS]
    heads += [f"{escape(ours or 'nothing adapts')} minus the rival", "rival better?"]
    said = _said(view, ours)
    if rows:
        said += table("Simple rivals", heads, rows)
    if missing:
        said += f"<h3>Rivals that this run does not have</h3><ul>{''.join(missing)}</ul>"
    return said


def _said(view: View, ours: str | None) -> str:
    """Return the sentences above the table; a rival that wins is named in them."""
    winners: dict[str, list[str]] = {}
    for rival in view.baselines:
        if rival["wins"] and rival["policy"]:
            winners.setdefault(rival["policy"], []).append(rival["baseline"])
    sentences = []
    if ours is None:
        sentences.append("Nothing adapts in this run, so that the rivals have nobody to beat.")
    elif winners:
        listed = ", ".join(f"{policy} ({', '.join(names)})" for policy, names in winners.items())
        sentences.append(f"{ours} is beaten by {listed}.")
    else:
        sentences.append(f"No rival that was run is shown to be better than {ours}.")
    found = {compare.at_matched_map(ladder) for ladder in view.ladders.values()}
    photos: dict[str, int] = view.run.provenance.get("jpeg95_bytes", {})
    found |= {compare.beside_one_picture(view.ladders[c], size) for c, size in photos.items()}
    sentences += sorted(text for text in found if text)
    return "".join(f"<p>{escape(text)}</p>" for text in sentences)
