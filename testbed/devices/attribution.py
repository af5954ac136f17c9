"""Who pays for the radio: which joules belong to which transfer, and which to nobody.

What is drawn while bytes are on the air belongs to their transfers. A promotion and a tail are
there because of a burst of transfers, not of one of them; two conventions exist.

`marginal`      they stay shared: a transfer pays only for its own time on the air.
`proportional`  the transfers of a burst, from one idle to the next, pay for its promotion and tail
                in proportion to what they pay already.

Either way the joules of all transfers and what is shared make the total.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from testbed.devices.on_air import Transfer
from testbed.devices.radio import CONNECTED, IDLE, Radio
from testbed.model import NS_PER_S

Convention = Literal["marginal", "proportional"]


class Shares(NamedTuple):
    """Joules of each transfer, in the order of the `use` calls, and those of nobody."""

    transfers: list[float]
    shared_j: float


def attribute(radio: Radio, convention: Convention = "marginal") -> Shares:
    """Split the energy of a radio, as far as it is settled, among its transfers.

    Transfers on the air at once pay their own rate terms and equal parts of the base power, scaled
    where the sum was capped.
    """
    if convention not in get_args(Convention):
        allowed = " or ".join(get_args(Convention))
        raise ValueError(f"no way to attribute energy is called '{convention}'; it is {allowed}")
    transfers = radio.transfers
    joules = [0.0] * len(transfers)
    order = sorted(range(len(transfers)), key=lambda place: transfers[place][:2])
    coming = 0
    active: list[int] = []
    burst: list[int] = []  # transfers since the last idle
    overhead_j = 0.0
    for start, end, state, power_w in radio.spans:
        energy_j = power_w * (end - start) / NS_PER_S
        while coming < len(order) and transfers[order[coming]][0] <= start:
            active.append(order[coming])
            burst.append(order[coming])
            coming += 1
        if state == CONNECTED:
            active = [place for place in active if transfers[place][1] > start]
            _split(energy_j, active, transfers, joules)
        elif state != IDLE:
            overhead_j += energy_j
        elif convention == "proportional":
            _spread(overhead_j, burst, joules)
            overhead_j, burst = 0.0, []
    if convention == "proportional":
        _spread(overhead_j, burst, joules)
    return Shares(joules, radio.joules - math.fsum(joules))


def _split(
    energy_j: float, active: list[int], transfers: Sequence[Transfer], joules: list[float]
) -> None:
    base_w = max(transfers[place][3] for place in active) / len(active)
    asked = [transfers[place][2] + base_w for place in active]
    total_w = sum(asked)
    for place, own_w in zip(active, asked, strict=True):
        joules[place] += energy_j * own_w / total_w


def _spread(energy_j: float, burst: list[int], joules: list[float]) -> None:
    paid = [joules[place] for place in burst]
    total_j = sum(paid)
    for place, own_j in zip(burst, paid, strict=True):
        joules[place] += energy_j * (own_j / total_j if total_j else 1 / len(burst))
