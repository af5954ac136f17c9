"""The report as one HTML page that needs nothing from outside and asks for nothing."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from testbed.metrics import METRICS
from testbed.report import delivered, joules, latency, shares, timeline, tradeoffs
from testbed.report.baselines import rivals
from testbed.report.besides import Aside, asides
from testbed.report.plot import Chart
from testbed.report.provenance import figure_count, figure_rows, repeat_with, stamp_rows
from testbed.report.tables import table
from testbed.report.view import View
from testbed.report.words import scenario_in_words


def page(view: View) -> str:
    """Return the whole page."""
    ladder, boxes = tradeoffs.ladder(view), delivered.charts(view)
    sections = [
        ("what", "What was run", _what(view)),
        ("results", "Results", _results(view)),
        ("baselines", "Simple rivals", rivals(view)),
        *([("delivered", "What was shown", _charts(boxes))] if boxes else []),
        *((aside.key, aside.title, _aside(aside)) for aside in asides(view.run.summary)),
        ("latency", "Latency", _charts(drawn := latency.charts(view))),
        ("energy", "Energy", _charts(energy := joules.charts(view))),
        ("accuracy", "Accuracy and its cost", _charts(costs := tradeoffs.charts(view))),
        (
            "frames",
            "Frames",
            _charts([fates := shares.fates(view), time := timeline.timeline(view)]),
        ),
    ]
    if ladder:
        sections.append(("ladder", "Operating points", _charts([ladder])))
    sections.append(("provenance", "Provenance", _provenance(view)))
    charts = [*boxes, *drawn, *energy, *costs, fates, time, *([ladder] if ladder else [])]
    links = "".join(f'<li><a href="#about-{key}">{title}</a></li>' for key, title, _ in sections)
    body = "".join(
        f'<section id="about-{key}" aria-labelledby="about-{key}-h">'
        f'<h2 id="about-{key}-h">{title}</h2>\n'
        f"{inner}</section>\n"
        for key, title, inner in sections
    )
    plotly, script = _plotly(), _own("page.js")
    policy = f"default-src 'none'; script-src {_hash(plotly)} {_hash(script)}; "
    policy += "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(view.name)}: report</title>
<style>
{_own("page.css")}</style>
</head>
<body>
<header>
<p class="kind">Testbed report</p>
<h1>{escape(view.name)}</h1>
{_verdict(view)}
{_warnings(view)}
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main>
{body}</main>
<noscript><p>The charts need JavaScript; every number they show is in the tables.</p></noscript>
<script type="application/json" id="charts">{_json({c.key: c.variants for c in charts})}</script>
<script>{plotly}</script>
<script>{script}</script>
</body>
</html>
"""


def _verdict(view: View) -> str:
    first, *others = view.verdicts
    more = "".join(f"<li>{escape(text)}</li>" for text in others)
    return f'<p class="verdict">{escape(first)}</p>' + (f"<ul>{more}</ul>" if more else "")


def _warnings(view: View) -> str:
    if not view.warnings:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in view.warnings)
    return (
        '<div class="warnings" role="note" aria-labelledby="warnings-h">'
        f'<p id="warnings-h"><strong>Before you rely on a number</strong></p><ul>{items}</ul></div>'
    )


def _what(view: View) -> str:
    facts = "".join(
        f"<div><dt>{escape(term)}</dt><dd>{escape(text)}</dd></div>"
        for term, text in scenario_in_words(view.run.scenario)
    )
    return f"<dl>{facts}</dl>"


def _results(view: View) -> str:
    heads = [
        f'<abbr title="{escape(c.definition.meaning)}">{escape(c.head)}</abbr>'
        + (f"<small>{escape(c.unit)}</small>" if c.unit else "")
        for c in view.columns
    ]
    rows = []
    for policy in view.policies:
        badge = '<small class="badge">best static</small>' if policy == view.best_fixed else ""
        cells = (view.cell(policy, column) for column in view.columns)
        rows.append(
            [
                f"{escape(policy)}{badge}",
                *(f"{escape(c.value)}<small>{escape(c.spread)}</small>" for c in cells),
            ]
        )
    seeds = len(view.seeds)
    spread = "; below it the 95 % interval (Student t)" if seeds > 1 else ""
    note = (
        f"Mean over {seeds} {'seeds' if seeds > 1 else 'seed'}{spread}. Latency is over all "
        "captured frames, those without an answer count as infinite. The best static policy is "
        f"the fixed one with the best {view.accuracy.head}, known only in hindsight."
    )
    said = table("Results by policy", ["policy", *heads], rows) + f'<p class="note">{note}</p>'
    if view.claims:
        marks = {True: "holds", False: "fails"}
        items = "".join(
            f'<li class="{marks[claim["holds"]]}">{escape(claim["message"])}</li>'
            for claim in view.claims
        )
        said += f'<h3>Claims of the scenario</h3><ul class="claims">{items}</ul>'
    terms = "".join(
        f"<div><dt>{escape(c.head)}</dt><dd>{escape(c.definition.meaning)} "
        f"({escape(c.metric)})</dd></div>"
        for c in view.columns
    )
    return said + f"<details><summary>What the columns mean</summary><dl>{terms}</dl></details>"


def _aside(aside: Aside) -> str:
    rows = [[escape(cell) for cell in row] for row in aside.rows]
    said = table(escape(aside.title), [escape(head) for head in aside.heads], rows)
    return said + f'<p class="note">{escape(aside.note)}</p>'


def _charts(charts: Iterable[Chart]) -> str:
    return "".join(map(_chart, charts))


def _chart(chart: Chart) -> str:
    key, title = chart.key, escape(chart.title)
    height = max(figure["layout"]["height"] for figure in chart.variants.values())
    choice = ""
    if len(chart.variants) > 1:
        options = "".join(f"<option>{escape(name)}</option>" for name in chart.variants)
        choice = (
            f'<p class="choice"><label for="{key}-choice">{chart.choice.capitalize()}</label> '
            f'<select id="{key}-choice" data-chart="{key}">{options}</select></p>'
        )
    heads, rows = chart.table
    numbers = ""
    if rows:
        cells = [[escape(cell) for cell in row] for row in rows]
        shown = table(f"{title}: numbers", [escape(head) for head in heads], cells)
        numbers = f"<details><summary>The numbers</summary>{shown}</details>"
    return (
        f'<figure id="{key}"><h3 id="{key}-h">{title}</h3>{choice}'
        f'<div class="plot" id="{key}-plot" role="img" aria-labelledby="{key}-h" '
        f'aria-describedby="{key}-c" style="min-height:{height}px"></div>'
        f'<figcaption id="{key}-c">{escape(chart.caption)}</figcaption>{numbers}</figure>\n'
    )


def _provenance(view: View) -> str:
    stamps = [[escape(a), f"<code>{escape(b)}</code>"] for a, b in stamp_rows(view.run)]
    figures = [[escape(cell) for cell in row] for row in figure_rows(view.run)]
    said = f"<p>{escape(repeat_with(view.run))}</p>"
    said += table("What identifies the run", ["what", "value"], stamps, numeric=False)
    if figures:
        heads = ["profile", "figure", "value", "kind", "source"]
        shown = table("Figures used", heads, figures, numeric=False)
        said += f"<details><summary>{figure_count(view.run)}</summary>{shown}</details>"
    scenario = Path(view.run.folder, "scenario.yaml") if view.run.folder else None
    if scenario and scenario.is_file():
        text = escape(scenario.read_text(encoding="utf-8"))
        said += f"<details><summary>scenario.yaml</summary><pre tabindex=0>{text}</pre></details>"
    names = "".join(
        f"<div><dt><code>{name}</code></dt><dd>{escape(m.meaning)} ({escape(m.unit)})</dd></div>"
        for name, m in METRICS.items()
    )
    return (
        said + f"<details><summary>Every metric of summary.json</summary><dl>{names}</dl></details>"
    )


def _json(content: Any) -> str:
    """Return JSON that cannot end the script element it stands in, whatever its strings say."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _own(name: str) -> str:
    return (files("testbed.report") / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Return plotly.js as the plotly package ships it, without importing that package."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("plotly is not installed; it brings the plotly.js of reports")
    bundle = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    return bundle.read_text(encoding="utf-8").replace("</script", "<\\/script")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{b64encode(digest).decode()}'"
