"""How well any policy could have done, had it known the channel beforehand.

`problem_of` takes what one client of a scenario meets on one seed out of the scenario; `solve`
gives a plan and bounds on the best there is; `headroom` sets policies beside them, and
`gain_by_knob` says what a policy owes to each knob.
"""

from testbed.metrics import Utility
from testbed.optimum.headroom import Headroom, headroom
from testbed.optimum.integer import integer_optimum
from testbed.optimum.knobs import KNOBS, Gain, gain_by_knob
from testbed.optimum.problem import Problem, problem_of
from testbed.optimum.reference import (
    Optimum,
    best_static,
    clairvoyant_mpc,
    myopic,
    solve,
    upper_bound,
    value_of,
)

__all__ = [
    "KNOBS",
    "Gain",
    "Headroom",
    "Optimum",
    "Problem",
    "Utility",
    "best_static",
    "clairvoyant_mpc",
    "gain_by_knob",
    "headroom",
    "integer_optimum",
    "myopic",
    "problem_of",
    "solve",
    "upper_bound",
    "value_of",
]
