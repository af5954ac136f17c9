"""Model-predictive control that distrusts its estimate as far as that has been wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from testbed.estimators.estimator import Estimator
from testbed.estimators.robust import Robust
from testbed.parts import Nested
from testbed.policies.mpc import Mpc


@dataclass(kw_only=True)
class RobustMpc(Mpc):
    """MPC at the estimate over 1 + its largest relative error of late.

    RobustMPC (Yin et al., SIGCOMM 2015), which maximises the worst case of the interval that the
    last five errors span. Everything else is `mpc`'s.

    State and cost: those of `mpc`.
    """

    estimator: Annotated[
        Estimator, Nested("estimator"), Field(description="What estimates the goodput.")
    ] = field(default_factory=Robust)
