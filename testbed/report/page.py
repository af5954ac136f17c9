"""The report as one HTML page that needs nothing from outside."""

from __future__ import annotations

from html import escape

from testbed.report.view import COLUMNS, View


def page(view: View) -> str:
    """Return the whole page."""
    heads = "".join(f"<th scope=col>{escape(c.head)} {escape(c.unit)}</th>" for c in COLUMNS)
    rows = ""
    for policy in view.policies:
        cells = (view.cell(policy, column) for column in COLUMNS)
        row = "".join(
            f"<td>{escape(c.value)}<br><small>{escape(c.spread)}</small></td>" for c in cells
        )
        rows += f"<tr><th scope=row>{escape(policy)}</th>{row}</tr>\n"
    warnings = "".join(f"<li>{escape(text)}</li>" for text in view.warnings)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{escape(view.name)}</title>
<h1>{escape(view.name)}</h1>
<p><strong>{escape(view.verdicts[0])}</strong></p>
<ul>{warnings}</ul>
<table><thead><tr><th scope=col>policy</th>{heads}</tr></thead><tbody>
{rows}</tbody></table>
</html>
"""
