"""The environment is the simulator: same frames, same utility, nothing of its own."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import testbed.environment
from testbed.environment.environment import SplitDetection
from testbed.environment.worlds import on_traces
from testbed.errors import TestbedError
from testbed.metrics.utility import Utility, Worth, in_time, places_of, total
from testbed.simulate import simulate

ALL_MODES = {"widths": [0.167, 0.25, 0.416], "modes": ["split", "local", "skip"]}
POLICIES = {
    "narrow": {"kind": "fixed", "width": 0.167},
    "goodput": {"kind": "goodput"},
    "random": {"kind": "random"},
    "filter": {"kind": "frame-filter", "every": 3, "policy": {"kind": "bba"}},
    "learning": {"kind": "thompson"},
}
WORLDS = {
    "fading": ("network.uplink", {"kind": "replay", "trace": "lte/drive-a.up", "delay_ms": 25}),
    "tcp": ("network.transport", {"kind": "tcp"}),
    "lossy": (
        "network.uplink",
        {"kind": "loss", "rate": 0.2, "link": {"kind": "constant", "mbps": 9}, "delay_ms": 5},
    ),
    "small queues": ("clients.0.queue", {"limit": 1, "drop": "newest"}, "clients.0.source.fps", 40),
    "given up": ("clients.0.drop_expired", True, "network.uplink.mbps", 4),
    "batches": ("server.batch", {"max": 4, "wait_ms": 30}),
    "battery": ("clients.0.battery", {"capacity_wh": 0.004}, "clients.0.device", "phone-sd8g2"),
}


def drive(env, frames, seed):
    """Step through a run with the points of given frames; return the rewards."""
    places = places_of(frames, env.ladder)
    _, info = env.reset(options={"seed": seed})
    rewards, ended = [], False
    while not ended:
        _, reward, terminated, truncated, info = env.step(places[info["frame"]])
        rewards.append(reward)
        ended = terminated or truncated
    return rewards


@pytest.mark.parametrize("changes", WORLDS.values(), ids=WORLDS)
@pytest.mark.parametrize("policy", POLICIES)
def test_stepping_gives_the_simulators_frames_and_joules_bit_for_bit(world, changes, policy):
    scenario = world("clients.0.ladder", ALL_MODES, "policies", POLICIES, *changes)
    theirs = simulate(scenario, policy, 7)
    env = SplitDetection(scenario)

    rewards = drive(env, theirs.frames.to_pandas(), 7)

    ours = env.rows(policy)
    assert ours.frames.equals(theirs.frames)
    assert ours.energy.equals(theirs.energy)
    assert ours.uplink_bytes == theirs.uplink_bytes
    assert ours.radios == theirs.radios
    decided = ours.frames.to_pandas()["mode"].notna().sum()
    assert len(rewards) == decided > 0


@pytest.mark.parametrize("changes", WORLDS.values(), ids=WORLDS)
@pytest.mark.parametrize(
    "utility",
    [Utility(), Utility(switching=0.3, energy=0.2, age=0.4, miss=0.1), Utility(0.0, 0.0)],
    ids=["default", "all weights", "accuracy"],
)
def test_rewards_add_up_to_the_utility_of_the_run(world, changes, utility):
    scenario = world("clients.0.ladder", ALL_MODES, "policies", POLICIES, *changes)
    theirs = simulate(scenario, "random", 3).frames.to_pandas()
    env = SplitDetection(scenario, utility)

    rewards = drive(env, theirs, 3)

    deadline_ns = scenario.spec.deadline_ns
    each = Worth(env.ladder, utility).of(
        places_of(theirs, env.ladder), in_time(theirs, deadline_ns)
    )
    assert env.utilities == tuple(each.tolist())
    assert math.fsum(env.utilities) == total(theirs, env.ladder, utility, deadline_ns)
    assert math.fsum(rewards) == pytest.approx(math.fsum(env.utilities), abs=1e-12)


def test_a_reward_comes_when_the_answer_or_the_deadline_has(world):
    """At 20 Mbit/s the smallest payload is answered before the next capture.

    The largest of D2 takes 184 320 bytes, at 2 Mbit/s 0.74 s: late, which is known at the second
    decision after the one about it, since a frame is due every 0.2 s and the deadline is 0.3 s.
    """
    ladder = (
        "clients.0.ladder",
        {"widths": [0.167, 0.416]},
        "clients.0.device",
        "phone-npu-sd8elite",
    )
    quick = SplitDetection(world(*ladder), Utility(0.0, 0.0))
    slow = SplitDetection(world(*ladder, "network.uplink.mbps", 2), Utility(0.0, 0.0))

    quick.reset(seed=1)
    answered = [quick.step(0)[1] for _ in range(5)][2:]  # the radio has to wake up first
    slow.reset(seed=1)
    slow.step(1)
    known = [len(slow.utilities)]
    for _ in range(2):
        slow.step(1)
        known.append(len(slow.utilities))

    assert answered == [quick.ladder[0].accuracy] * 3
    assert known == [0, 1, 2]
    assert slow.utilities == (0.0, 0.0)


def test_gymnasiums_own_checker_has_no_complaint(world):
    env = gymnasium.make(testbed.environment.ID, scenario=world("clients.0.ladder", ALL_MODES))

    check_env(env.unwrapped)

    assert env.unwrapped.observation_space.shape == (28 + 5,)
    assert env.unwrapped.action_space.n == 5


def test_an_observation_is_what_the_features_say(world):
    env = SplitDetection(world("clients.0.device", "phone-npu-sd8elite"))
    first, _ = env.reset(seed=1)
    env.step(1)
    second = env.step(1)[0]  # the radio had to wake up before the first upload

    assert first[:10].tolist() == [0.0] * 9 + [1.0]  # no upload yet
    assert first[28:].tolist() == [0.0, 0.0, 0.0]
    largest, mbps = env.ladder[2].payload_bytes, 20
    expected = math.log(mbps * 1e6 / (largest * 8 / 0.3)) / math.log(100)
    assert second[:8] == pytest.approx([expected] * 8, abs=1e-3)
    assert second[8] == np.float32(1 / 8)
    assert second[20] == 1.0  # all of the deadline is left
    assert second[21] == pytest.approx(1 - 200 / 300)  # the frame before has no answer yet
    assert second[22:24].tolist() == [0.0, 1 / 8]
    assert second[24] == pytest.approx(50 / 300)
    assert second[25] == pytest.approx(200 / 300)
    assert second[26:28].tolist() == [1.0, 0.0]  # on mains, never warm
    assert second[28:].tolist() == [0.0, 1.0, 0.0]


def test_the_seed_of_the_environment_decides_which_runs_there_are(world):
    scenario = world(
        "network.uplink", {"kind": "replay", "trace": "lte/drive-a.up", "start_s": "random"}
    )

    def episodes(seed):
        env = SplitDetection([scenario, scenario])
        _, first = env.reset(seed=seed)
        return [first, *(env.reset()[1] for _ in range(20))]

    one = episodes(5)
    assert episodes(5) == one
    assert episodes(6) != one
    assert {info["scenario"] for info in one} == {0, 1}
    assert len({info["seed"] for info in one}) == len(one)


def test_the_trace_of_a_link_within_a_link_is_replaced():
    inner = {"kind": "replay", "trace": "lte/drive-a.up"}
    part = json.dumps({"kind": "shared", "among": 4, "delay_ms": 25, "link": inner})
    (found,) = on_traces("quickstart", ["3g/drive-a.up"], [f"network.uplink={part}"])

    assert found.spec.network.uplink.link.trace.endswith("3g/drive-a.up")
    assert found.spec.network.uplink.link.start_s == "random"
    assert found.spec.network.uplink.among == 4


def test_one_scenario_on_several_traces():
    scenarios = on_traces("quickstart", ["lte/drive-a.up", "3g/drive-a.up"], ["duration_s=5"])
    env = SplitDetection(scenarios)

    backlog = {}
    for place in (0, 1):
        env.reset(options={"scenario": place, "seed": 1})
        backlog[place] = max(env.step(5)[0][18] for _ in range(4))

    assert [s.spec.network.uplink.trace for s in scenarios] == ["lte/drive-a.up", "3g/drive-a.up"]
    assert [s.spec.network.uplink.start_s for s in scenarios] == ["random", "random"]
    assert backlog[1] > backlog[0]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_many_at_once(world, mode):
    envs = gymnasium.make_vec(
        testbed.environment.ID, num_envs=3, vectorization_mode=mode, scenario=world()
    )
    first, _ = envs.reset(seed=4)
    _, rewards, _, _, info = envs.step(np.array([0, 1, 2]))
    again, _ = envs.reset(seed=4)
    envs.close()

    assert first.shape == (3, 28 + 3)
    assert (first == again).all()
    assert rewards.shape == (3,)
    assert len(set(info["seed"].tolist())) == 3


def test_an_empty_battery_ends_an_episode_for_good(world):
    flat = SplitDetection(world(*WORLDS["battery"]))
    mains = SplitDetection(world())

    def last(env):
        env.reset(options={"seed": 1})
        while True:
            _, _, terminated, truncated, _ = env.step(0)
            if terminated or truncated:
                return terminated, truncated

    assert last(flat) == (True, False)
    assert last(mains) == (False, True)


def test_scenarios_that_one_cannot_decide_for_are_refused(world):
    with pytest.raises(TestbedError, match="several clients"):
        SplitDetection(world("clients.0.count", 2))
    with pytest.raises(TestbedError, match="another ladder"):
        SplitDetection([world(), world("clients.0.ladder", {"widths": [0.167]})])


def test_gymnasium_can_do_the_import_itself(tmp_path):
    code = """
import gymnasium
env = gymnasium.make("testbed.environment:testbed/SplitDetection-v0", scenario="quickstart")
print(env.spec.id, env.action_space)
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "testbed/SplitDetection-v0 Discrete(11)"
