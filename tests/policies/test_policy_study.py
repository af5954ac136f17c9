"""The study of policies: its tables by hand, its page against its table, the same bytes twice."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from film_recording import film_recording

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "analysis" / "policy_tables.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["tables"] = module
    spec.loader.exec_module(module)
    return module


def row(device, trace, policy, utility, joules=1.0):
    shared = {"deadline_miss_rate": 0.0, "payload_bytes_mean": 1.0, "switches_per_s": 0.0}
    shared |= {"age_mean_ms": 100.0, "technology": "lte", "static": "fixed-1"}
    shared |= {"static_value": 0.3, "optimum": 0.5, "upper": 0.5, "myopic": 0.4}
    shared |= {"clairvoyant-mpc": 0.45, "energy_per_frame_j": joules}
    shared |= {f"knob_{knob}": "" for knob in ("width", "bits", "codec", "mode", "skip")}
    names = {"device": device, "trace": trace, "policy": policy}
    return names | shared | {"utility": utility, "on_time_map": utility}


@pytest.fixture
def rows():
    """Two devices, three traces. `fixed-1` is best but on c of the phone, where `fixed-2` is."""
    return [
        row(device, trace, policy, value + 0.1 * (device, trace, policy).count("fixed-2"))
        for device in ("pi", "phone")
        for trace in "abc"
        for policy, value in (
            ("fixed-1", 0.3),
            ("fixed-2", 0.25 if (device, trace) == ("phone", "c") else 0.1),
            ("good", 0.4),
            ("poor", 0.2),
        )
    ]


def one(board, device, policy, metric="utility"):
    (found,) = (
        r for r in board if (r["device"], r["policy"], r["metric"]) == (device, policy, metric)
    )
    return found


def test_differences_are_against_the_best_static_point_of_each_world(tables, rows):
    """0.1 on five worlds and 0.05 on the sixth: per trace 0.1, 0.1 and 0.075 over both devices."""
    board = tables.leaderboard(rows)
    good = one(board, "all", "good")

    assert good["difference"] == pytest.approx((0.1 + 0.1 + 0.075) / 3, abs=1e-6)
    assert one(board, "phone", "good")["difference"] == pytest.approx(0.25 / 3, abs=1e-6)
    assert good["better_on"] == "6/6"
    assert one(board, "pi", "poor")["better_on"] == "0/3"
    assert [r["policy"] for r in board if r["device"] == "all"] == ["good", "poor"] * 2


def test_one_static_point_for_all_traces_is_the_lesser_rival(tables, rows):
    """On the phone `fixed-1` has the better mean, so that on c it is 0.05 below the best."""
    phone = one(tables.leaderboard(rows), "phone", "good")

    assert phone["against_one"] == pytest.approx(0.1)
    assert phone["captured"] == pytest.approx(0.5)


def test_a_page_keeps_what_stands_outside_its_marks(tables, rows):
    page = "before\n<!-- setting -->\nold\n<!-- end -->\nafter <!-- no such -->\n"
    text = tables.filled(page, rows, tables.leaderboard(rows))

    assert text.startswith("before\n<!-- setting -->\n6 worlds: 3 traces (3 lte) on pi, phone")
    assert "old" not in text
    assert text.endswith("<!-- end -->\nafter <!-- no such -->\n")


def test_moving_boxes_is_compared_on_the_same_runs(tables):
    """Best of either kind by either figure; on the pi a forecast adds 0.1, 0.1 and 0.4."""
    rows = [
        row("pi", trace, policy, 0.3)
        | {"streaming_map": shown, "forecast_map": shown + added[trace]}
        for trace in "abc"
        for policy, shown, added in (
            ("fixed-local", 0.4, dict.fromkeys("abc", 0.0)),
            ("good", 0.3, {"a": 0.1, "b": 0.1, "c": 0.4}),
            ("poor", 0.1, dict.fromkeys("abc", -0.05)),
        )
    ]
    page = "<!-- recording-forecasts -->\n<!-- end -->\n"
    half = tables.RECORDING
    text = tables._forecasts(rows)

    assert page.startswith(f"<!-- {half.marks}forecasts")
    assert "| pi | `good` | 0.300 | 0.500 | +0.200 [+0.100, +0.4" in text
    assert "| pi | `fixed-local` | 0.400 | 0.400 | 0.000 [" in text
    assert "poor" not in text


@pytest.fixture(scope="module")
def worlds():
    """Return the module that makes the worlds."""
    sys.path.insert(0, str(ROOT / "analysis"))
    try:
        import policy_worlds

        yield policy_worlds
    finally:
        sys.path.remove(str(ROOT / "analysis"))


def test_devices_and_links_are_slowed_down_as_the_recorded_network_is_smaller(worlds, tmp_path):
    """EfficientDet-D2 takes 11.14 GMAC and sends 442,368 bytes, the recorded one 0.9 and 30,000."""
    half = worlds.Filmed(film_recording(tmp_path / "film").folder, tmp_path)
    names = {"count": 1, "technologies": ["lte"], "devices": ["raspberry-pi-5"]}
    (world,) = worlds.worlds(half, tmp_path, **names)
    scenario = world.scenario()

    assert (half.work, half.size) == (12, 15)
    assert scenario.spec.network.uplink.among == 15
    assert scenario.clients[0].device.rate == pytest.approx(89 / 12)
    local = next(r for r in scenario.clients[0].ladder if r.point.mode == "local")
    assert local.encode_ns == pytest.approx(0.9e9 * 12 / 89e9 * 1e9, rel=1e-6)
    assert set(half.points) == {rung.point for rung in scenario.clients[0].ladder.pareto} | {
        worlds.SKIP
    }


SMALL = "--technologies lte --traces 1 --devices raspberry-pi-5 --seconds 3".split()


@pytest.mark.slow
def test_the_study_gives_the_same_bytes_twice(tmp_path):
    film = film_recording(tmp_path / "film")
    for name, workers in (("one", "1"), ("two", "2")):
        script = [sys.executable, ROOT / "analysis" / "policy_study.py", *SMALL]
        places = ["--docs", tmp_path / name, "--runs", tmp_path / f"{name}-runs"]
        more = ["--workers", workers, "--recording", film.folder]
        subprocess.run([*script, *places, *more], check=True)
    ones, twos = (
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two")
    )

    assert len(ones) == 15  # the page; for each half three tables and four figures
    assert ones == twos
    assert "`learned`" in ones[Path("study.md")].decode()  # on the published table


@pytest.mark.slow
@pytest.mark.parametrize("name", ["table", "recording"])
def test_the_page_says_what_its_table_says(tables, monkeypatch, name):
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    import policy_study

    data = policy_study.folder_of(name, ROOT / "docs")
    if not data.exists():
        pytest.skip("no recording ships, so that its half has not been played")
    rows = policy_study.joined(
        policy_study.read_table(data / "worlds.csv"),
        policy_study.read_table(data / "references.csv"),
    )
    half = tables.HALVES[name]
    page = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")

    assert tables.filled(page, rows, tables.leaderboard(rows, half), half) == page
