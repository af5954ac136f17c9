import itertools

import pytest

from testbed.devices.ledger import COMPONENTS, Ledger, Span

S = 10**9


def test_every_component_covers_the_run_without_gap_or_overlap(radio):
    lte = radio("lte-2012-aro")
    ledger = Ledger(idle_w=2.5, radio=lte)
    ledger.compute(S, 2 * S, 3.0)
    ledger.compute(2 * S, 3 * S, 4.0)
    ready = lte.wake(3 * S)
    lte.use(ready, ready + S, up_bytes=100_000)
    spans = ledger.close(10 * S)

    for component in COMPONENTS:
        mine = [span for span in spans if span.component == component]
        assert (mine[0].start_ns, mine[-1].end_ns) == (0, 10 * S)
        assert all(a.end_ns == b.start_ns for a, b in itertools.pairwise(mine))
    assert sum(span.energy_j for span in spans) == pytest.approx(25 + 3 + 4 + lte.joules, abs=1e-9)


def test_an_idle_device_draws_its_idle_power_and_nothing_else():
    ledger = Ledger(idle_w=2.5)

    assert list(ledger.close(4 * S)) == [
        Span("compute", "off", 0, 4 * S, 0.0),
        Span("idle", "on", 0, 4 * S, 2.5),
    ]


def test_an_encoding_under_way_at_the_end_is_cut_there():
    ledger = Ledger(idle_w=0.0)
    ledger.compute(3 * S, 9 * S, 2.0)
    ledger.compute(9 * S, 10 * S, 2.0)

    assert [span for span in ledger.close(5 * S) if span.component == "compute"] == [
        Span("compute", "off", 0, 3 * S, 0.0),
        Span("compute", "busy", 3 * S, 5 * S, 2.0),
    ]


def test_an_encoder_does_one_thing_at_a_time():
    ledger = Ledger(idle_w=0.0)
    ledger.compute(0, 2 * S, 2.0)

    with pytest.raises(ValueError, match="busy until 2000000000"):
        ledger.compute(S, 3 * S, 2.0)


def test_energy_so_far_is_the_closed_ledger_up_to_then(radio):
    def book(ledger: Ledger, until_ns: int) -> None:
        for second in range(0, until_ns // S, 3):
            ledger.compute(second * S, (second + 2) * S, 4.0)
            ready = ledger.radio.wake((second + 2) * S)
            ledger.radio.use(ready, ready + S // 5, up_bytes=50_000)

    for now in (1, 4, 6, 9):
        ledger = Ledger(2.0, radio("lte-2012-aro"), waiting_w=0.5)
        book(ledger, now * S)
        so_far_j = ledger.joules_by(now * S)
        assert so_far_j == pytest.approx(sum(span.energy_j for span in ledger.close(now * S)))
