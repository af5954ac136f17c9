"""How far the simulator may be from the emulator, and which scenarios that holds for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from testbed.model import NS_PER_MS
from testbed.scenario import Scenario
from testbed.scenario.channels import OpenLinks, open_channel
from testbed.validate.stages import Stage

PER_FRAME = "per frame"
QUANTILES = "quantiles"
NETWORK = "real network"
SHAPER = "shaper"


@dataclass(frozen=True)
class Bound:
    """One figure of a validation that must not be larger, in percent.

    Args:
        stage: Of `testbed.validate.stages.STAGES`.
        figure: `median` or `p95` of the errors frame by frame; or the error of a quantile, such as
            `p50`, of all frames.
        per_frame: Which of the two.
        most_percent: The bound.
    """

    stage: str
    figure: str
    per_frame: bool
    most_percent: float

    def value(self, stages: list[Stage]) -> float | None:
        """Return the size of the figure; None where it is undefined."""
        stage = next(found for found in stages if found.name == self.stage)
        if not self.per_frame:
            error = stage.error_percent[self.figure]
            return None if error is None else abs(error)
        if stage.per_frame is None:
            return None
        value: float | None = getattr(stage.per_frame, f"{self.figure}_percent")
        return value


EXACT = (
    Bound("uplink", "median", True, 0.2),
    Bound("uplink", "p95", True, 1.0),
    Bound("total", "p50", False, 1.0),
    Bound("total", "p95", False, 3.0),
)
"""For one long-lived TCP connection over a link of its own that loses nothing: the simulator knows
every packet. From handing over to the last byte, since where waiting ends and transfer begins is
some microseconds within the kernel that no application sees."""

DISTRIBUTIONS = tuple(
    Bound(stage, quantile, False, 5.0)
    for stage in ("uplink", "total")
    for quantile in ("p50", "p90", "p95")
)
"""For everything else: losses, shared cells, a connection per frame, frames that take no time. What
a packet meets there depends on microseconds, so frames cannot be compared one by one."""


LIVE = tuple(
    replace(bound, most_percent={"p50": 1.0, "p95": 3.0}[bound.figure])
    if bound.stage == "total" and bound.figure in ("p50", "p95")
    else bound
    for bound in DISTRIBUTIONS
)
"""Where a real network encodes and decodes, over a link of which every packet is known. A frame
takes what the frame before it took, so only distributions can agree."""

TAKEN = EXACT[:2]
"""And where each frame takes what it took itself, which leaves the network alone to be wrong."""

LONG_ENOUGH_NS = 50 * NS_PER_MS
"""Of frames that usually take less, the tenths of a millisecond that a host takes are more than the
error frame by frame may be."""

SHAPED = tuple(Bound("total", quantile, False, 15.0) for quantile in ("p50", "p90", "p95"))
"""For the kernel's own shapers: they follow a trace in steps of 100 ms and let a burst pass after a
pause, so they are a cross-check from outside and not the link of the scenario."""


def bounds_of(
    scenario: Scenario, backend: str = "auto", *, live: bool = False
) -> tuple[str, tuple[Bound, ...]]:
    """Return what kind of bounds a scenario is held to, and the bounds.

    Args:
        scenario: What is run.
        backend: What shapes the packets.
        live: Whether a network really encodes, whose times no random stream knows beforehand.
    """
    if backend == "tc":
        return SHAPER, SHAPED
    if not _is_known(scenario):
        return QUANTILES, DISTRIBUTIONS
    if live:
        return NETWORK, LIVE
    if _usual_ns(scenario) < LONG_ENOUGH_NS:
        return QUANTILES, DISTRIBUTIONS
    return PER_FRAME, EXACT


def _is_known(scenario: Scenario) -> bool:
    """Return whether the simulator knows where every packet is."""
    spec = scenario.spec
    names = [name for group in spec.clients for name in group.names]
    transport = spec.network.transport.model_dump()
    if transport["kind"] != "tcp" or transport["connection"] != "long":
        return False
    for direction, link in (("uplink", spec.network.uplink), ("downlink", spec.network.downlink)):
        channel = open_channel(link, names, direction, spec.seeds[0])
        if not isinstance(channel, OpenLinks) or _may_drop(channel):
            return False
        if len(names) > 1 and len({id(each) for each in channel.links.values()}) == 1:
            return False
    return True


def _usual_ns(scenario: Scenario) -> float:
    """Return what the smallest payload takes at the mean rate of its link."""
    spec = scenario.spec
    names = [name for group in spec.clients for name in group.names]
    channel = open_channel(spec.network.uplink, names, "uplink", spec.seeds[0])
    assert isinstance(channel, OpenLinks)  # or not every packet would be known
    times = []
    for group in scenario.clients:
        sizes = [rung.payload_bytes for rung in group.ladder if rung.payload_bytes]
        for name in group.spec.names if sizes else ():
            link = channel.links[name]
            units = max(1, link.capacity.offered(spec.duration_ns))
            per_unit_ns = spec.duration_ns / units
            times.append(link.delay_ns + min(sizes) * link.capacity.units_per_byte * per_unit_ns)
    return min(times, default=0.0)


def _may_drop(channel: OpenLinks) -> bool:
    return any(link.may_drop for link in channel.links.values())
