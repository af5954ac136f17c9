"""The wheel, installed with the core's libraries only, the sources gone: what users get."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("testbed", "traces", "devices", "scenarios", "analysis", "tests", "docs")

pytestmark = pytest.mark.slow


def run(*command, cwd, check=True):
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "TESTBED_CATALOG")}
    env["NO_COLOR"] = "1"
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def core_distributions():
    """Every distribution that an installation without extras brings, by the metadata of each."""
    found = {}
    wanted = [r for r in metadata.requires("split-testbed") if "extra ==" not in r]
    while wanted:
        requirement = Requirement(wanted.pop())
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name in found or (requirement.marker and not requirement.marker.evaluate()):
            continue
        found[name] = metadata.distribution(name)
        for nested in found[name].requires or []:
            marker = Requirement(nested).marker
            if marker is None or marker.evaluate({"extra": ""}):
                wanted.append(nested)
    return found.values()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel made from a source distribution made from a copy of the tree, the copy deleted."""
    folder = tmp_path_factory.mktemp("build")
    copy = folder / "tree"
    copy.mkdir()
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, copy)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, copy, cwd=folder)
    shutil.rmtree(copy)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A virtual environment with the wheel and the libraries of the core, and nothing else.

    The libraries are links to those of this environment, so that no network is needed.
    """
    venv = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=venv)
    (site,) = venv.glob("lib/python*/site-packages")
    for distribution in core_distributions():
        for top in {top_level(file) for file in distribution.files or []} - {None}:
            if not (site / top).exists():
                (site / top).symlink_to(distribution.locate_file(top))
    before = listed(site)
    pip = (sys.executable, "-m", "pip", "--python", venv / "bin" / "python")
    options = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    run(*pip, "install", *options, wheel, cwd=venv)
    return venv, listed(site) - before - {"__pycache__"}


def top_level(file):
    """Return the name in site-packages to which an installed file belongs, None for others."""
    top = file.parts[0]
    alone = len(file.parts) == 1
    if top in ("..", "__pycache__") or (alone and file.suffix not in (".py", ".so")):
        return None
    return top


def listed(folder):
    return {path.name for path in folder.iterdir()}


def test_the_wheel_puts_one_name_into_site_packages(installed):
    _, added = installed

    assert {name for name in added if not name.endswith(".dist-info")} == {"testbed"}
    assert len(added) == 2


def test_the_wheel_carries_the_whole_catalogue_and_no_code_in_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    carried = {name for name in names if name.startswith("testbed/_catalog/")}

    expected = {
        f"testbed/_catalog/{path.relative_to(ROOT).as_posix()}"
        for shelf in ("traces", "devices", "scenarios")
        for path in (ROOT / shelf).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert carried == expected
    assert not [name for name in carried if name.endswith(".py")]
    assert "testbed/detectors/published/efficientdet-d2-bw.yaml" in names


def test_the_wheel_runs_the_demo_scenario_with_the_sources_gone(installed, tmp_path):
    venv, _ = installed
    python = venv / "bin" / "python"
    where = run(python, "-c", "import testbed; print(testbed.__file__)", cwd=tmp_path).stdout
    assert Path(where.strip()).is_relative_to(venv)

    done = run(python, "-m", "testbed", "run", "quickstart", "--out", "results", cwd=tmp_path)

    (folder,) = (tmp_path / "results").iterdir()
    assert (folder / "report.html").stat().st_size > 10_000
    assert (folder / "frames.parquet").is_file()
    assert json.loads((folder / "summary.json").read_text())
    assert "report.html" in done.stdout
    assert listed(tmp_path) == {"results"}


def test_the_installed_command_finds_nothing_missing(installed, tmp_path):
    venv, _ = installed
    findings = json.loads(run(venv / "bin" / "testbed", "doctor", "--json", cwd=tmp_path).stdout)

    assert findings["can_run"] is True


def test_the_installed_command_answers_a_slip_without_a_traceback(installed, tmp_path):
    venv, _ = installed
    done = run(venv / "bin" / "testbed", "run", "--no-such-option", cwd=tmp_path, check=False)

    assert done.returncode == 2
    assert "--no-such-option" in done.stderr
    assert "Traceback" not in done.stderr
