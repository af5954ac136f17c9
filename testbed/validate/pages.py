"""Validations as Markdown and as a page, from the content of their `validation.json` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from testbed.model import NS_PER_MS

Result = Mapping[str, Any]

STAGE_HEADS = (
    "stage",
    "emulated p50, ms",
    "p95",
    "simulated p50, ms",
    "p95",
    "error p50, %",
    "p90",
    "p95",
    "p99",
    "per frame: frames",
    "bias, ms",
    "median, ms",
    "p95",
    "median, %",
    "p95",
    "KS",
)
BOUND_HEADS = ("bound", "value, %", "at most, %", "holds")
OTHER_HEADS = ("sum", "emulated", "simulated", "error, %")
SUMMARY_HEADS = (
    "scenario",
    "frames",
    "one by one",
    "uplink median, %",
    "p95, %",
    "transfer median, %",
    "p95, %",
    "total p50, %",
    "p95, %",
    "without host times: p50, %",
    "p95, %",
    "energy, %",
    "backend",
    "late p99, ms",
    "load",
    "within bounds",
)


def summary_rows(results: Sequence[Result]) -> Iterator[list[str]]:
    """Yield a row of `SUMMARY_HEADS` for each policy of each validation."""
    for result in results:
        for policy in result["policies"]:
            total = policy["stages_ms"]["total"]
            uplink, transfer = (
                policy["stages_ms"][name]["per_frame"] or {} for name in ("uplink", "transfer")
            )
            name = result["scenario"]
            if len(result["policies"]) > 1:
                name += f", {policy['policy']}"
            yield [
                name,
                str(policy["frames"]["emulated"]),
                str(policy["frames"]["compared_one_by_one"]),
                number(uplink.get("median_percent")),
                number(uplink.get("p95_percent")),
                number(transfer.get("median_percent")),
                number(transfer.get("p95_percent")),
                number(total["error_percent"]["p50"]),
                number(total["error_percent"]["p95"]),
                *(
                    number(policy.get("without_host_times_percent", {}).get(q))
                    for q in ("p50", "p95")
                ),
                number(policy["energy_j"]["total"]["error_percent"]),
                result["machine"]["backend"],
                number(result["machine"]["late_p99_ms"]),
                number(result["machine"]["load_1min"]),
                "yes" if policy["holds"] else "no",
            ]


def stage_rows(policy: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield a row of `STAGE_HEADS` for each stage."""
    for name, stage in policy["stages_ms"].items():
        per_frame = stage["per_frame"] or {}
        yield [
            name.replace("_", " "),
            *(number(stage["emulated"][q]) for q in ("p50", "p95")),
            *(number(stage["simulated"][q]) for q in ("p50", "p95")),
            *(number(stage["error_percent"][q]) for q in ("p50", "p90", "p95", "p99")),
            str(per_frame.get("n", "-")),
            *(number(per_frame.get(key)) for key in ("bias_ms", "median_ms", "p95_ms")),
            *(number(per_frame.get(key)) for key in ("median_percent", "p95_percent")),
            number(stage["ks"]),
        ]


def bound_rows(policy: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield bound, value, limit and verdict."""
    as_taken = policy.get("as_taken", {"bounds": []})["bounds"]
    told = [(bound, "") for bound in policy["bounds"]]
    told += [(bound, ", each with its own times") for bound in as_taken]
    for bound, when in told:
        how = (
            f"{bound['figure']} of the errors per frame"
            if bound["per_frame"]
            else f"error of {bound['figure']}"
        )
        yield [
            f"{bound['stage']}, {how}{when}",
            number(bound["value_percent"]),
            f"{bound['most_percent']:g}",
            "yes" if bound["holds"] else "no",
        ]


def other_rows(policy: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield energy and fates: what, emulated, simulated, error."""
    for name, pair in policy["energy_j"].items():
        yield [f"energy, {name}, J", *_pair(pair)]
    for name, pair in policy["fates"].items():
        yield [f"frames {name.replace('_', ' ')}", *_pair(pair)]


def _pair(pair: Mapping[str, Any]) -> list[str]:
    return [number(pair["emulated"]), number(pair["simulated"]), number(pair["error_percent"])]


def number(value: float | None) -> str:
    """Return a figure with three digits; `-` where there is none."""
    if value is None:
        return "-"
    if isinstance(value, int) or value == int(value):
        return f"{value:.0f}"
    size = abs(value)
    return f"{value:.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:.3g}"


def where(result: Result) -> str:
    """Return what a validation took place on, as a sentence."""
    machine = result["machine"]
    priority = "with" if machine["realtime"] else "without"
    return (
        f"Backend {machine['backend']}, {machine['congestion_control']}, kernel "
        f"{machine['kernel']}, {machine['cores']} cores with a load of "
        f"{machine['load_1min']:g}, {priority} real-time priority; packets late by "
        f"{machine['late_p50_ms']:g} ms (median), {machine['late_p99_ms']:g} ms (99 %), "
        f"{machine['late_p999_ms']:g} ms (99.9 %); {machine['valid']} valid of "
        f"{machine['runs']} runs in {machine['attempts']} attempts. "
        f"Times of encoder and decoder: {result['device_times']}. {hosts(result)}"
    )


def hosts(result: Result) -> str:
    """Return what the simulator was told of the machine, as a sentence."""
    if "host_times" not in result:
        return "The simulator was told no host times."
    times = {name: value for name, value in result["host_times"].items() if name.endswith("_ns")}
    said = ", ".join(
        f"{name.removesuffix('_ns').replace('_', ' ')} {value / NS_PER_MS:.3f}"
        for name, value in times.items()
    )
    return (
        f"Host times of the rehearsal, which the simulator adds, ms: {said}; and "
        f"{result['host_times']['frame_bytes']} bytes of the protocol before each payload."
    )


def of_a_network(policy: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the errors of a real network are with other times of it, as sentences."""
    if "as_taken" in policy:
        errors = policy["as_taken"]["total_percent"]
        yield (
            "With what each frame took itself, which leaves everything between encoder and decoder "
            f"to be wrong, the errors end to end are {number(errors['p50'])} % (p50) and "
            f"{number(errors['p95'])} % (p95)."
        )
    if "as_rehearsed_percent" in policy:
        errors = policy["as_rehearsed_percent"]
        yield (
            "With what the network took in the rehearsal, a minute before, the errors end to end "
            f"are {number(errors['p50'])} % (p50) and {number(errors['p95'])} % (p95)."
        )


def markdown(results: Sequence[Result]) -> str:
    """Return validations as Markdown: a section each."""
    lines: list[str] = []
    for result in results:
        lines += [f"## {result['scenario']}", "", where(result), ""]
        for policy in result["policies"]:
            if len(result["policies"]) > 1:
                lines += [f"### {policy['policy']}", ""]
            lines += [*_table(BOUND_HEADS, bound_rows(policy)), ""]
            for said in of_a_network(policy):
                lines += [said, ""]
            lines += [*_table(STAGE_HEADS, stage_rows(policy)), ""]
            lines += [*_table(OTHER_HEADS, other_rows(policy)), ""]
    return "\n".join(lines)


def summary(results: Sequence[Result]) -> str:
    """Return one table over many validations, as Markdown."""
    return "\n".join(_table(SUMMARY_HEADS, summary_rows(results))) + "\n"


def _table(heads: Sequence[str], rows: Iterator[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('---' if i == 0 else '--:' for i in range(len(heads)))}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:76rem;padding:1.5rem;"
    "color:#1a1a1a}table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}"
    "td,th{border-bottom:1px solid #d0d0d0;padding:.25rem .6rem;text-align:right}"
    "td:first-child,th:first-child{text-align:left}.no{color:#8a1f00;font-weight:600}"
)


def html(results: Sequence[Result]) -> str:
    """Return validations as one page that needs nothing from outside."""
    body: list[str] = []
    for result in results:
        verdict = "within its bounds" if result["holds"] else "beyond its bounds"
        body.append(f"<h2>{escape(result['scenario'])}: {verdict}</h2>")
        body.append(f"<p>{escape(where(result))}</p>")
        for policy in result["policies"]:
            body.append(f"<h3>{escape(policy['policy'])}</h3>")
            body.append(_html_table(BOUND_HEADS, bound_rows(policy)))
            body += [f"<p>{escape(said)}</p>" for said in of_a_network(policy)]
            body.append(_html_table(STAGE_HEADS, stage_rows(policy)))
            body.append(_html_table(OTHER_HEADS, other_rows(policy)))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Validation</title><style>{_STYLE}</style></head>\n"
        "<body><h1>The simulator against the kernel's network</h1>\n"
        + "\n".join(body)
        + "</body></html>\n"
    )


def _html_table(heads: Sequence[str], rows: Iterator[list[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    lines = ("".join(f"<td{_class(text)}>{escape(text)}</td>" for text in row) for row in rows)
    return f"<table><tr>{head}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _class(text: str) -> str:
    return ' class="no"' if text == "no" else ""
