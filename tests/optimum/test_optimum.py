"""The clairvoyant optimum against the integer programme, against every plan there is, and sense."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_recording import NARROW, OFFLOAD, SIZES
from worlds import facts_ladder, fading, problem, split, steady

from testbed.metrics.utility import total
from testbed.model import LOCAL, SKIP, Mode, Rung
from testbed.optimum import (
    Utility,
    best_static,
    clairvoyant_mpc,
    integer_optimum,
    myopic,
    problem_of,
    solve,
    upper_bound,
    value_of,
)
from testbed.optimum.headroom import with_plan
from testbed.simulate import simulate

MS = 1_000_000
SKIPPED = Rung(SKIP, 0, 0.0)
FREE = Utility(switching=0, energy=0)


def device(accuracy=0.2, encode_ms=50.0):
    return Rung(LOCAL, 0, accuracy, encode_ns=round(encode_ms * MS), encode_j=1.0)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("utility", "frames"), [(FREE, 30), (Utility(0, 0.1), 30), (Utility(0.02, 0.1), 15)], ids=str
)
def test_the_programme_brackets_the_integer_optimum(seed, utility, frames, capsys):
    """On the fading channel of the study: 15 points, 15 frames/s, 150 ms, up to 2 s."""
    world = problem(facts_ladder(), fading(2, seed), frames, utility=utility)
    found = solve(world)
    value, bound = integer_optimum(world, limit_s=10)
    with capsys.disabled():
        print(f" {found.lower:.4f} <= {value:.4f}..{bound:.4f} <= {found.upper:.4f}", end="")  # noqa: T201

    assert found.lower <= bound + 1e-6
    assert found.upper >= value - 1e-6
    assert found.upper - found.lower < 0.01 * found.upper


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_programme_brackets_the_integer_optimum_for_ten_seconds(seed):
    world = problem(facts_ladder(), fading(10, seed), 150, utility=FREE)
    found = solve(world, bins=1000)
    value, bound = integer_optimum(world, limit_s=60)

    assert found.lower <= bound + 1e-6
    assert found.upper >= value - 1e-6


def test_the_integer_programme_refuses_what_it_does_not_know():
    rungs = (split(0.5, 10_000, 0.3), split(1, 20_000, 0.4, encode_ms=25), SKIPPED)
    with pytest.raises(ValueError, match="do not depend"):
        integer_optimum(problem(rungs, steady(4), 3))
    with pytest.raises(ValueError, match="a point that skips"):
        integer_optimum(problem(rungs[:1], steady(4), 3))
    with pytest.raises(ValueError, match="as fast as the camera"):
        integer_optimum(problem((*rungs[:1], device(encode_ms=90), SKIPPED), steady(4), 3))


RUNGS = [
    (split(0.25, 9_000, 0.30), split(1, 30_000, 0.40), SKIPPED),
    (split(0.25, 9_000, 0.30), split(0.5, 16_000, 0.36), split(1, 30_000, 0.40)),
    (
        split(0.25, 9_000, 0.30, encode_ms=5),
        split(1, 30_000, 0.40, encode_ms=60),
        device(),
        SKIPPED,
    ),
    (split(0.5, 16_000, 0.30), device(0.4, encode_ms=110)),
    (split(0.5, 16_000, 0.30), device(0.4, encode_ms=80), SKIPPED),
]


@settings(max_examples=60, deadline=None)
@given(
    rungs=st.sampled_from(RUNGS),
    seed=st.integers(0, 10_000),
    mbps=st.floats(0.5, 8),
    switching=st.sampled_from([0.0, 0.05, 0.3]),
    energy=st.sampled_from([0.0, 0.1]),
    age=st.sampled_from([0.0, 0.2]),
)
def test_no_plan_is_better_than_the_bound_and_the_plan_found_is_nearly_the_best(
    rungs, seed, mbps, switching, energy, age
):
    """Every plan of five frames is tried; encoders may be slow, frames need not be skippable."""
    world = problem(rungs, fading(1, seed, mbps), 5, utility=Utility(switching, energy, age))
    every = itertools.product(range(len(rungs)), repeat=5)
    best = max(value_of(world, places) for places in every)
    found = solve(world)

    assert found.lower <= best + 1e-9
    assert found.upper >= best - 1e-9
    assert value_of(world, found.places) == pytest.approx(found.lower)
    slow = (world.encode_ns > 66 * MS).any()  # then the grid has a second axis, and few steps
    assert best - found.lower < (0.4 if slow else 0.1)


def test_finer_steps_bring_the_bounds_together():
    world = problem(facts_ladder(), fading(20), 300)
    coarse, fine = solve(world, bins=50), solve(world, bins=800)

    assert fine.upper - fine.lower < 0.3 * (coarse.upper - coarse.lower)
    assert fine.upper <= coarse.upper + 1e-9


class TestSense:
    def test_with_ample_bandwidth_the_most_accurate_point_goes(self):
        world = problem(facts_ladder(), steady(1000), 50, utility=FREE)
        found = solve(world)

        assert {world.rungs[p].point.mode for p in found.places} == {Mode.OFFLOAD}
        assert found.lower == found.upper == pytest.approx(50 * 0.44)

    def test_without_bandwidth_the_device_works_alone(self):
        world = problem(facts_ladder(), steady(0.001), 50, utility=FREE)
        found = solve(world)

        assert {world.rungs[p].point for p in found.places} == {LOCAL}
        assert found.upper == pytest.approx(50 * 0.15)

    def test_without_bandwidth_and_a_device_that_can_frames_are_skipped(self):
        world = problem(facts_ladder(local=False), steady(0.001), 50)
        found = solve(world)

        assert {world.rungs[p].point for p in found.places} == {SKIP}
        assert found.upper == 0

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_a_dominated_point_is_never_chosen(self, seed):
        """The second takes more bytes than the first and is worth less, as some published ones."""
        rungs = (
            split(0.25, 9_000, 0.36),
            split(0.5, 12_000, 0.35),
            split(0.75, 24_000, 0.40),
            split(1.0, 30_000, 0.39),
            SKIPPED,
        )
        world = problem(sorted_rungs(rungs), fading(20, seed), 300, utility=FREE)
        chosen = {world.rungs[p].point.width for p in solve(world).places}

        assert chosen == {0, 0.25, 0.75}

    def test_switching_and_age_change_the_plan_as_they_should(self):
        def plan(utility):
            return solve(problem(facts_ladder(), fading(20), 300, utility=utility)).places

        def switches(places):
            return sum(a != b for a, b in itertools.pairwise(places))

        calm, free = plan(Utility(switching=0.5, energy=0)), plan(FREE)
        assert switches(calm) < switches(free) / 2

    def test_the_age_makes_a_frame_now_and_then_worth_its_energy(self):
        """A frame that costs more energy than it is worth is sent when the last answer is old."""
        rungs = (SKIPPED, split(1, 10_000, 0.05))
        utility = Utility(switching=0, energy=0.1)
        never = solve(problem(rungs, steady(10), 60, utility=utility))
        sometimes = solve(
            problem(rungs, steady(10), 60, utility=Utility(switching=0, energy=0.1, age=0.2))
        )

        assert sum(never.places) == 0
        assert 5 < sum(sometimes.places) < 30


def sorted_rungs(rungs):
    return tuple(sorted(rungs, key=lambda r: (r.payload_bytes, r.accuracy, r.point)))


class TestReferences:
    @pytest.fixture
    def world(self):
        return problem(facts_ladder(), fading(20, seed=5), 300)

    def test_sight_is_worth_something_and_planning_is_too(self, world):
        optimum = solve(world)
        ahead, now, static = clairvoyant_mpc(world), myopic(world), best_static(world)

        assert static.value < now.value < ahead.value <= optimum.upper

    def test_planning_over_everything_is_the_optimum(self):
        short = problem(facts_ladder(), fading(3, seed=5), 40)
        found = solve(short)
        all_of_it = clairvoyant_mpc(short, horizon=40)

        assert found.lower - 0.02 < all_of_it.value <= found.upper

    def test_the_best_static_point_is_the_best_of_all(self, world):
        every = [value_of(world, [place] * world.frames) for place in range(len(world.rungs))]

        assert best_static(world).value == max(every)

    def test_a_refused_payload_leaves_the_link_alone(self):
        """Without skip the second frame finds the first in its way, unless a queue refuses that."""
        rungs = (split(1, 60_000, 0.4),)
        forced = problem(rungs, steady(4), 4, utility=FREE)
        refused = problem(rungs, steady(4), 4, utility=FREE, may_refuse=True)

        assert upper_bound(refused) >= upper_bound(forced)


class TestRecordings:
    @pytest.fixture
    def scenario(self, small_recording, world):
        return world(
            "clients.0.detector", str(small_recording.folder),
            "clients.0.ladder", {"widths": [0.5], "bits": [4], "codecs": ["zstd"],
                                 "modes": ["split", "offload", "local"]},
            "clients.0.source", {"fps": 30, "phase": 0},
            "policies", {"any": {"kind": "random"}},
        )  # fmt: skip

    def test_a_point_sends_what_it_sends_of_each_picture(self, scenario):
        found, rows = problem_of(scenario, 1), simulate(scenario, "any", 1).frames.to_pandas()
        seen = rows["dataset_frame"].tolist()
        sizes = [[0, SIZES[NARROW][k], SIZES[OFFLOAD][k]] for k in seen]

        assert [rung.payload_bytes for rung in found.rungs] == [0, 110, 5000]  # what policies see
        assert (found.units == np.array(sizes) * found.curve.units_per_byte).all()

    @pytest.mark.parametrize("limit", [1, 2, 4])
    @pytest.mark.parametrize("device", ["raspberry-pi-5", "raspberry-pi-4"])
    def test_a_plan_is_worth_in_the_simulator_what_it_says(
        self, small_recording, world, device, limit
    ):
        """The device alone takes 13 or 98 ms of each 33, its queue is short, its radio asleep."""
        scenario = world(
            "clients.0.detector", str(small_recording.folder),
            "clients.0.ladder", {"widths": [0.5], "bits": [4], "codecs": ["zstd"],
                                 "modes": ["split", "offload", "local", "skip"]},
            "clients.0.source", {"fps": 30},
            "clients.0.queue", {"limit": limit},
            "clients.0.device", device,
            "network.uplink", {"kind": "constant", "mbps": 1, "delay_ms": 10},
            "network.downlink", {"kind": "constant", "mbps": 100},
            "deadline_ms", 150,
            "policies", {"any": {"kind": "random"}, "local": {"kind": "fixed", "mode": "local"},
                         "bba": {"kind": "bba"}},
        )  # fmt: skip
        spec, rungs = scenario.spec, scenario.clients[0].ladder
        problem = problem_of(scenario, 1)
        found = solve(problem)

        def value(of, policy):
            frames = simulate(of, policy, 1).frames.to_pandas()
            return total(frames, rungs, spec.utility.weights, spec.deadline_ns)

        assert problem.waking_ns > 200 * MS
        assert value(with_plan(scenario, found.places), "planned") == pytest.approx(found.lower)
        assert max(value(scenario, policy) for policy in spec.policies) <= found.upper + 1e-9
