"""A report is one page and one Markdown file, made from a run folder and from nothing else."""

from __future__ import annotations

import copy
import itertools
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from sample_run import sample_run, write_sample

from testbed import report
from testbed.devices.ledger import COMPONENTS
from testbed.errors import EnvironmentLacks, RunError
from testbed.report import joules
from testbed.report.markdown import markdown
from testbed.report.page import page
from testbed.report.view import View

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Outline(HTMLParser):
    """Checks that elements nest, and collects what a test asks about."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.links: list[str] = []
        self.refers: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(tag)
        self.links += [values[key] for key in ("src", "href", "action") if key in values]
        for key in ("aria-labelledby", "aria-describedby", "for"):
            self.refers += (values.get(key) or "").split()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def sample():
    return sample_run(seeds=(1, 2, 3), clients=2, seconds=6)


@pytest.fixture(scope="module")
def html(sample):
    return page(View(sample))


def variant(run, **changes):
    """Return a copy of a run with some attributes replaced."""
    other = copy.copy(run)
    for name, value in changes.items():
        setattr(other, name, value)
    return other


def test_the_page_is_well_formed_with_headings_in_order_and_no_name_twice(html):
    outline = Outline()
    outline.feed(html)

    assert outline.open == []
    assert len(set(outline.ids)) == len(outline.ids)
    assert set(outline.refers) <= set(outline.ids)
    levels = [int(tag[1]) for tag in outline.headings]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_the_page_refers_to_nothing_outside_itself(html):
    outline = Outline()
    outline.feed(html)

    assert outline.links
    assert all(link.startswith("#") and link[1:] in outline.ids for link in outline.links)
    policy = re.search('http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")


def test_the_page_stays_small_beside_plotly(html):
    from importlib.util import find_spec
    from pathlib import Path

    bundle = Path(find_spec("plotly").origin).parent / "package_data" / "plotly.min.js"

    assert len(html.encode()) < bundle.stat().st_size + 2_000_000


def test_every_figure_can_be_traced_to_what_it_came_from(sample, html):
    """Scenario digest, seeds, hashes of trace and profiles, version, kinds, n and pairing."""
    wanted = ["ab12cd34", "1, 2, 3", *sample.provenance["files"].values(), "0.1.0"]
    for text in [*wanted, "assumed", "published", "Mean over 3 seeds", "95 % over 3 seeds"]:
        assert text in html, text
    for text in wanted:
        assert text in markdown(View(sample)), text


def test_the_page_says_everything_that_was_asked(html):
    for text in [
        "vs",
        "best static",
        "Before you rely on a number",
        "deadline misses",
        "of which compute",
        "payload",
        "mean α",
        "switches",
        "raspberry-pi-5",
        "To repeat this run",
        "5f" * 32,
        "assumed",
        "Claims of the scenario",
    ]:
        assert text in html, text


CHARTS = [
    "latency-cdf", "stages", "energy", "power", "accuracy-latency", "accuracy-energy", "fates",
    "timeline", "ladder",
]  # fmt: skip


def embedded(html: str) -> dict:
    """Return the figures in a page."""
    return json.loads(re.search(r'<script [^>]*id="charts">(.*?)</script>', html, re.S)[1])


def test_every_chart_has_data_and_a_place(html):
    charts = embedded(html)

    assert sorted(charts) == sorted(CHARTS)
    for key, variants in charts.items():
        assert f'id="{key}-plot"' in html
        for figure in variants.values():
            assert any(len(trace.get("x", trace["y"])) for trace in figure["data"])
    assert set(charts["timeline"]) == {"narrow", "wide", "adaptive"}
    assert set(charts["accuracy-latency"]) == {"p50", "p95", "p99"}


def test_charts_can_be_told_apart_without_colour(html):
    charts = embedded(html)

    def looks(key, pick):
        return [pick(trace) for trace in charts[key][""]["data"]]

    dashes = looks("latency-cdf", lambda trace: trace["line"]["dash"])
    patterns = looks("stages", lambda trace: trace["marker"]["pattern"]["shape"])
    markers = looks("accuracy-energy", lambda trace: trace["marker"]["symbol"])
    for kind in (dashes, patterns, markers):
        assert len(set(kind)) == len(kind)


def test_the_latency_distribution_ends_at_the_share_that_was_answered(sample, html):
    traces = {t["name"]: t for t in embedded(html)["latency-cdf"][""]["data"]}
    frames = sample.frames[sample.frames["policy"] == "wide"]

    share = frames["answered_ns"].notna().mean()
    assert traces["wide"]["y"][-1] == pytest.approx(share, rel=1e-4)
    assert traces["wide"]["y"] == sorted(traces["wide"]["y"])


def test_stages_add_up_to_the_mean_latency_of_the_answered(sample, html):
    bars = embedded(html)["stages"][""]["data"]
    total = sum(trace["x"][trace["y"].index("narrow")] for trace in bars)
    frames = sample.frames[sample.frames["policy"] == "narrow"]
    latency = (frames["answered_ns"] - frames["captured_ns"]).dropna().astype(float)

    assert total == pytest.approx(latency.mean() / 1e6, rel=1e-3)


def test_energy_and_fates_are_whole(sample, html):
    charts = embedded(html)
    shares = [t["x"][t["y"].index("wide")] for t in charts["fates"][""]["data"]]
    joules = [t["x"][t["y"].index("wide")] for t in charts["energy"][""]["data"]]

    assert sum(shares) == pytest.approx(100, rel=1e-4)
    spent = sample.energy.loc[sample.energy["policy"] == "wide", "energy_j"].sum()
    frames = (sample.frames["policy"] == "wide").sum()
    assert sum(joules) == pytest.approx(spent / frames, rel=1e-4)


def test_the_area_of_the_power_is_the_energy(sample, html):
    """Mean power times width, over all states and bins: what the ledger says of that client."""
    for policy, figure in embedded(html)["power"].items():
        drawn = sum(sum(area["y"]) * area["dx"] for area in figure["data"])

        rows = sample.energy
        rows = rows[(rows["policy"] == policy) & (rows["seed"] == 1)]
        spent = rows.loc[rows["client"] == "camera-0", "energy_j"].sum()
        assert drawn == pytest.approx(spent, rel=1e-3)
        assert all(len(area["y"]) == len(figure["data"][0]["y"]) for area in figure["data"])


def test_the_power_starts_where_the_state_does(sample):
    figure = embedded(page(View(sample)))["power"]["narrow"]
    rows = sample.energy
    rows = rows[(rows["policy"] == "narrow") & (rows["seed"] == 1) & (rows["client"] == "camera-0")]
    first_s = rows.loc[rows["state"] == "connected", "start_ns"].min() / 1e9

    (area,) = (area for area in figure["data"] if area["name"] == "radio: connected")

    drawn = next(i for i, watts in enumerate(area["y"]) if watts)
    assert drawn == int(first_s / area["dx"])


def test_the_table_of_states_has_totals_and_what_frames_pay(sample):
    """Every state adds up to the total; without tails frames pay less than with them."""
    chart = joules.charts(View(sample))[0]
    _, rows = chart.table
    figures = {
        tuple(names): list(map(float, rest)) for names, rest in ((row[:2], row[2:]) for row in rows)
    }

    states = [values for names, values in figures.items() if names[0] in COMPONENTS]
    for i, total in enumerate(figures["total", ""]):
        assert sum(values[i] for values in states) == pytest.approx(total, abs=0.01)
        assert figures["total", ""][i] - figures["idle", "on"][i] == pytest.approx(
            figures["net of idle", ""][i], abs=0.01
        )
    without, with_tails = (figures["of frames", how] for how in ("without tails", "with tails"))
    assert all(a < b for a, b in zip(without, with_tails, strict=True))


def test_strings_of_the_user_can_neither_end_a_script_nor_become_markup(sample):
    evil = '</script><script>alert(1)</script><b onmouseover="x">&'
    frames = sample.frames.copy()
    frames["policy"] = frames["policy"].cat.rename_categories({"wide": evil})
    energy = sample.energy.copy()
    energy["policy"] = energy["policy"].cat.rename_categories({"wide": evil})
    policies = {
        evil if name == "wide" else name: options
        for name, options in sample.scenario["policies"].items()
    }
    scenario = sample.scenario | {"name": evil, "policies": policies}
    provenance = sample.provenance | {"warnings": [evil], "files": {evil: evil}}
    changed = variant(
        sample, frames=frames, energy=energy, scenario=scenario, provenance=provenance
    )
    html = page(View(changed))

    assert "<script>alert" not in html
    assert "<b on" not in html
    assert html.count("</script>") == 3
    names = [trace["name"] for trace in embedded(html)["latency-cdf"][""]["data"]]
    assert names[1].startswith("&lt;/script&gt;")
    assert "<script>" not in markdown(View(changed)).replace(r"\<", "")


def test_long_runs_are_thinned_but_keep_their_worst_frames(sample):
    long = sample_run(seeds=(1,), seconds=400)
    figure = embedded(page(View(long)))["timeline"]["narrow"]
    latency = next(t for t in figure["data"] if t["name"] == "latency")
    frames = long.frames[long.frames["policy"] == "narrow"]
    worst = (frames["answered_ns"] - frames["captured_ns"]).max() / 1e6

    assert len(frames) == 4000
    assert len(latency["x"]) <= 1600
    assert max(v for v in latency["y"] if v) == pytest.approx(worst, rel=1e-4)


def test_a_run_without_provenance_of_links_and_ladders_still_has_a_report(sample):
    bare = variant(sample, provenance={"schema": 1})
    html = page(View(bare))

    assert "ladder" not in embedded(html)
    assert "on-time mAP" in html


def test_one_seed_has_no_intervals_and_a_verdict_that_says_so():
    html = page(View(sample_run(seeds=(1,), seconds=4)))

    assert "on one seed, so without an interval" in html
    assert "Mean over 1 seed." in html


def test_policies_without_a_single_answer_can_be_drawn(sample):
    frames = sample.frames.copy()
    lost = frames["policy"] == "wide"
    frames.loc[lost, ["answered_ns", "decoded_ns"]] = None
    html = page(View(variant(sample, frames=frames)))

    assert embedded(html)["accuracy-latency"]["p50"]["layout"]["xaxis2"]["ticktext"] == ["∞"]


def test_the_markdown_has_the_verdict_the_warnings_and_a_row_per_policy(sample):
    text = markdown(View(sample))

    assert text.startswith("# drive-lte\n\n**adaptive")
    assert "- the trace lte/drive-a.up is synthetic" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 3
    assert len({line.count("|") for line in rows}) == 1
    assert sum("(best static)" in row for row in rows) == 1


def test_identical_folders_give_identical_bytes(sample, tmp_path):
    """In other processes, with other hash seeds."""
    one = write_sample(tmp_path / "a" / "run", sample)
    two = write_sample(tmp_path / "b" / "run", sample)
    for folder, seed in ((one, "1"), (two, "2")):
        code = "import sys, pathlib, testbed.report as r; r.write(pathlib.Path(sys.argv[1]))"
        env = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, str(folder)], check=True, env=env)

    for name in ("report.html", "report.md"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_a_report_never_imports_plotly(sample, tmp_path):
    folder = write_sample(tmp_path / "run", sample)
    code = (
        "import sys, pathlib, testbed.report as r; r.write(pathlib.Path(sys.argv[1]));"
        "sys.exit('plotly' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)


def test_an_incomplete_or_missing_folder_is_refused_by_name(sample, tmp_path):
    folder = write_sample(tmp_path / "killed", sample)
    (folder / "INCOMPLETE").touch()

    with pytest.raises(RunError, match="killed: incomplete"):
        report.write(folder)
    with pytest.raises(RunError, match="absent: no such run folder"):
        report.write(tmp_path / "absent")
    assert not (folder / "report.html").exists()


def test_a_folder_that_cannot_be_written_is_the_machines_fault(sample, tmp_path):
    folder = write_sample(tmp_path / "run", sample)
    (folder / "report.md").mkdir()

    with pytest.raises(EnvironmentLacks, match=r"cannot write .*report\.md: Is a directory"):
        report.write(folder)
