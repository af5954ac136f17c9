"""The server against queueing theory and against hand-worked schedules."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from testbed.model import Fate, FrameRecord
from testbed.simulate.clock import Clock
from testbed.simulate.server import Job, Server

MS = 1_000_000


def times(times_ns):
    """Return decode times that are a list, taken in turn."""
    turn = itertools.cycle(times_ns)
    return lambda mac: next(turn)


def work(floor_ns=0):
    """Return decode times of a nanosecond a MAC, but never less than a floor."""
    return lambda mac: max(floor_ns, mac)


def serve(arrivals_ns, decode_ns, *, mac=0, workers=1, deadline_ns=10**15, **options):
    """Send frames to a server; return their records and the log of refusals."""
    settings = {
        "batch_max": 1,
        "batch_wait_ns": 0,
        "queue_limit": 10**9,
        "drop_expired": False,
        **options,
    }
    env = Clock()
    server = Server(env, decode_ns, workers=workers, **settings)
    refusals = []
    frames = [FrameRecord(number, at) for number, at in enumerate(arrivals_ns)]

    class Sender:
        def decoded(self, job):
            pass

        def refused(self, job, fate):
            refusals.append((job.frame.frame, fate))

    sender = Sender()

    def send(job=None):
        number = 0 if job is None else job.frame.frame + 1
        if number < len(frames):
            frame = frames[number]
            job = Job(frame, frame.captured_ns + deadline_ns, mac, sender)
            env.after(frame.captured_ns - env.now, server.arrive, job)
            env.after(frame.captured_ns - env.now, send, job)

    send()
    env.run()
    return frames, refusals


def mean_wait_ms(frames):
    return np.mean([f.batch_start_ns - f.arrived_ns for f in frames]) / MS


def exponential(mean_ns, seed, count=200_000):
    """Return exponential draws, one from each of `count` equal slices of the distribution.

    Stratified, so that the mean is exact and what is left of chance is the order alone.
    """
    slices = (np.arange(count) + 0.5) / count
    return np.random.default_rng(seed).permutation(-mean_ns * np.log1p(-slices)).astype(int)


def poisson(load, workers=1):
    """Return 200 000 Poisson arrivals at a load, for a mean service time of 20 ms."""
    return np.cumsum(exponential(20 * MS / (load * workers), seed=20)).tolist()


@pytest.mark.parametrize(("load", "wait_ms"), [(0.5, 10), (0.8, 40), (0.9, 90)])
def test_credibility_3_md1_mean_wait(load, wait_ms):
    """Deterministic service waits ρD/(2(1−ρ)) (Pollaczek-Khinchine), within 3 %."""
    frames, _ = serve(poisson(load), times([20 * MS]))

    assert mean_wait_ms(frames) == pytest.approx(wait_ms, rel=0.03)


@pytest.mark.parametrize(("load", "wait_ms"), [(0.5, 20), (0.8, 80), (0.9, 180)])
def test_credibility_3_mm1_mean_wait(load, wait_ms):
    """Exponential service waits twice as long as deterministic service."""
    frames, _ = serve(poisson(load), times(exponential(20 * MS, seed=1).tolist()))

    assert mean_wait_ms(frames) == pytest.approx(wait_ms, rel=0.03)


def test_credibility_3_mm2_erlang_c():
    """Two workers at ρ = 0.8: P(wait) = 0.7111 and a mean wait of 35.56 ms (Erlang C)."""
    service = exponential(20 * MS, seed=2).tolist()

    frames, _ = serve(poisson(0.8, workers=2), times(service), workers=2)

    waited = np.mean([f.batch_start_ns > f.arrived_ns for f in frames])
    assert waited == pytest.approx(0.7111, rel=0.03)
    assert mean_wait_ms(frames) == pytest.approx(35.56, rel=0.03)


def test_credibility_4_overload_grows_without_bound():
    """1.5 s of service each second: the k-th job takes 1.5 + 0.5 (k − 1) s."""
    frames, _ = serve([k * 1000 * MS for k in range(100)], times([1500 * MS]))

    sojourn_s = [(f.decoded_ns - f.arrived_ns) / 1e9 for f in frames]

    assert sojourn_s == [1.5 + 0.5 * k for k in range(100)]
    assert (sojourn_s[9], sojourn_s[99]) == (6.0, 51.0)


def test_credibility_4_a_full_queue_drops_one_third():
    """The same overload with a short queue drops the third that cannot be served."""
    frames, refusals = serve(
        [k * 1000 * MS for k in range(3000)], times([1500 * MS]), queue_limit=1
    )

    assert {fate for _, fate in refusals} == {Fate.DROPPED_QUEUE}
    assert len(refusals) / len(frames) == pytest.approx(1 / 3, abs=0.001)


def test_an_idle_server_starts_at_once():
    """Without a waiting time a lone frame is a batch of one."""
    frames, _ = serve([5 * MS], work(), mac=7, batch_max=8)

    assert (frames[0].batch_start_ns, frames[0].decoded_ns) == (5 * MS, 5 * MS + 7)


def test_a_batch_waits_for_company_but_not_longer_than_it_may():
    """Two frames within the waiting time share a batch; it starts when the time is up."""
    frames, _ = serve([0, MS, 10 * MS], work(), mac=100, batch_max=8, batch_wait_ns=2 * MS)

    assert [f.batch_start_ns for f in frames] == [2 * MS, 2 * MS, 12 * MS]
    assert [f.decoded_ns for f in frames] == [2 * MS + 200, 2 * MS + 200, 12 * MS + 100]


def test_a_full_batch_does_not_wait():
    """The last frame of a full batch starts it."""
    frames, _ = serve([0, 1, 2], work(), batch_max=3, batch_wait_ns=MS)

    assert [f.batch_start_ns for f in frames] == [2, 2, 2]


def test_a_batch_costs_the_floor_or_its_work():
    """Below the floor more frames cost nothing more; above it they cost their work."""
    small, _ = serve([0, 0], work(floor_ns=1000), mac=400, batch_max=2, batch_wait_ns=1)
    large, _ = serve([0, 0], work(floor_ns=1000), mac=600, batch_max=2, batch_wait_ns=1)

    assert [f.decoded_ns - f.batch_start_ns for f in small] == [1000, 1000]
    assert [f.decoded_ns - f.batch_start_ns for f in large] == [1200, 1200]


def test_expired_frames_are_given_up_when_asked():
    """A frame whose deadline passed in the queue is not decoded, and costs no time."""
    frames, refusals = serve(
        [0, 1, 2], times([100]), deadline_ns=50, drop_expired=True, queue_limit=9
    )

    assert refusals == [(1, Fate.DROPPED_DEADLINE), (2, Fate.DROPPED_DEADLINE)]
    assert [f.decoded_ns for f in frames] == [100, None, None]


def test_a_frame_that_comes_too_late_is_given_up_by_an_idle_server_as_well():
    env = Clock()
    server = Server(
        env,
        times([100]),
        workers=1,
        batch_max=1,
        batch_wait_ns=0,
        queue_limit=1,
        drop_expired=True,
    )
    refusals = []

    class Sender:
        def refused(self, job, fate):
            refusals.append((env.now, fate))

    job = Job(FrameRecord(0, 0), 50, 1, Sender())
    env.after(60, server.arrive, job)
    env.run()

    assert refusals == [(60, Fate.DROPPED_DEADLINE)]


def test_workers_share_one_queue_in_order():
    """Two workers take frames in the order they came."""
    frames, _ = serve([0, 0, 0, 0], times([100]), workers=2)

    assert [f.batch_start_ns for f in frames] == [0, 0, 100, 100]
