"""Claims as JUnit XML, which every continuous-integration service can show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as Xml


def junit(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one test suite per run and one test case per claim.

    Args:
        summaries: From the name of a run to the content of its `summary.json`.
    """
    root = Xml.Element("testsuites", name="claims")
    total = failed = 0
    for run, summary in summaries.items():
        claims = summary["claims"]
        broken = sum(not claim["holds"] for claim in claims)
        suite = Xml.SubElement(
            root, "testsuite", name=run, tests=str(len(claims)), failures=str(broken), errors="0"
        )
        for claim in claims:
            name = f"{claim['better']} better than {claim['than']} in {claim['metric']}"
            if claim["by"]:
                name += f" by {claim['by']:g}"
            case = Xml.SubElement(suite, "testcase", classname=run, name=name)
            if claim["holds"]:
                Xml.SubElement(case, "system-out").text = claim["message"]
            else:
                Xml.SubElement(case, "failure", message=claim["message"])
        total, failed = total + len(claims), failed + broken
    root.set("tests", str(total))
    root.set("failures", str(failed))
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, "unicode") + "\n"
