"""What a reader must know before believing a number of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from testbed.report.provenance import figures_used

if TYPE_CHECKING:
    from testbed.records import Run


def caveats(run: Run) -> list[str]:
    """Return the warnings of a run, those about the evidence it rests on first."""
    return [*_evidence(run), *(str(text) for text in run.provenance.get("warnings", []))]


def _evidence(run: Run) -> Iterator[str]:
    published = sorted(
        {
            group["detector"]
            for group in run.scenario.get("clients", [])
            if str(group.get("detector", "")).startswith("published/")
        }
    )
    if published:
        yield (
            "mAP is the frame-weighted mean of a published table "
            f"({', '.join(published)}), not measured on the frames of this run"
        )
    for trace in sorted(set(_traces(run.scenario.get("network", {})))):
        if f"traces/{trace}" in run.provenance.get("files", {}):  # of the catalogue
            yield f"the trace {trace} is synthetic, like every trace that ships with the testbed"
    kinds = [figure["kind"] for figure in figures_used(run)]
    if "assumed" in kinds:
        yield (
            f"{kinds.count('assumed')} of the {len(kinds)} figures used of the profiles are "
            "assumed, neither measured nor published; the provenance lists them first"
        )


def _traces(part: Any) -> Iterator[str]:
    """Yield the names of the traces in a part and in the parts within it."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "trace":
                yield str(value)
            else:
                yield from _traces(value)
    elif isinstance(part, list):
        for value in part:
            yield from _traces(value)
