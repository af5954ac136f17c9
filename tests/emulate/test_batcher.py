"""The server's rules against the simulator's server: the same frames, the same fates and starts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from testbed.devices.profile import bounded_ns
from testbed.emulate.batcher import Batcher, Job
from testbed.model import Fate, FrameRecord
from testbed.simulate.clock import Clock
from testbed.simulate.server import Job as SimulatedJob
from testbed.simulate.server import Server as SimulatedServer

FAR = 10**15

frames = st.lists(
    st.tuples(
        st.integers(1, 30),  # since the one before
        st.integers(1, 40),  # work
        st.none() | st.integers(0, 120),  # until its deadline
    ),
    min_size=1,
    max_size=40,
)
rules = st.fixed_dictionaries(
    {
        "workers": st.integers(1, 3),
        "batch_max": st.integers(1, 4),
        "batch_wait_ns": st.integers(0, 25),
        "queue_limit": st.integers(1, 6),
        "drop_expired": st.booleans(),
    }
)


def decode_ns(work):
    return max(7, work)


def simulated(arrivals, options):
    """What the simulator's server does: (start, end or fate) of each frame."""
    env = Clock()
    server = SimulatedServer(env, decode_ns, measured=True, **options)
    seen = {}

    class Sender:
        def decoded(self, job):
            seen[job.frame.frame] = (job.frame.batch_start_ns, job.frame.decoded_ns)

        def refused(self, job, fate):
            seen[job.frame.frame] = (env.now, fate)

    for number, (at, work, deadline) in enumerate(arrivals):
        until = FAR if deadline is None else at + deadline
        job = SimulatedJob(FrameRecord(number, at), until, work, Sender(), work)
        env.after(at, server.arrive, job)
    env.run()
    return seen


def served(arrivals, options):
    """What the batcher does when somebody does what it says, at the very instants."""
    seen = {}
    batcher = Batcher(
        given_up=lambda job, now: seen.__setitem__(job.owner, (now, Fate.DROPPED_DEADLINE)),
        **options,
    )
    jobs = [
        Job(number, at, FAR if deadline is None else at + deadline, work)
        for number, (at, work, deadline) in enumerate(arrivals)
    ]
    coming = list(jobs)
    under_way = []  # (end, order, worker, batch)
    order = 0
    while coming or under_way or len(batcher):
        instants = [coming[0].arrived_ns] if coming else []
        instants += [min(under_way)[0]] if under_way else []
        instants += [batcher.next_ns] if batcher.next_ns is not None else []
        now = min(instants)
        for end in sorted(e for e in under_way if e[0] == now):
            under_way.remove(end)
            batcher.finish(end[2])
            for job in end[3]:
                seen[job.owner] = (job.batch_start_ns, now)
        arrive = coming and coming[0].arrived_ns == now
        if arrive and not batcher.arrive(job := coming.pop(0)):
            seen[job.owner] = (now, Fate.DROPPED_QUEUE)
        while (begun := batcher.start(now)) is not None:
            worker, batch = begun
            works = [job.work for job in batch]
            spent = bounded_ns(decode_ns(sum(works)), works)
            order += 1
            under_way.append((now + spent, order, worker, batch))
    return seen


@given(frames, rules)
def test_the_batcher_and_the_simulated_server_agree(gaps, options):
    # Arrivals at multiples of 100, work, waits and deadlines at none: no two things at once, which
    # no real server could order as the simulator does.
    arrivals, at = [], 0
    for number, (gap, work, deadline) in enumerate(gaps):
        at += 100 * gap
        late = None if deadline is None else 100 * deadline + 50
        arrivals.append((at, 700 * work + number * 2 + 1, late))
    options = options | {"batch_wait_ns": 100 * options["batch_wait_ns"] + 25}

    assert served(arrivals, options) == simulated(arrivals, options)
