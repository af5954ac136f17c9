"""The repository keeps its own rules: who imports whom, what is pinned, what the manual says."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import testbed
from testbed import catalog, scenario
from testbed.sweep import load_sweep

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
MANUAL = sorted(
    path for form in ("*.md", "docs/*.md", "[a-z]*/README.md") for path in ROOT.glob(form)
)
SWEEPS = sorted((ROOT / "scenarios" / "sweeps").rglob("*.yaml"))
SCENARIOS = sorted(set((ROOT / "scenarios").rglob("*.yaml")) - set(SWEEPS))

HEAVY = ("torch", "pandas", "scipy", "pyarrow", "plotly", "simpy", "matplotlib", "ruamel.yaml")


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def python(code, cwd):
    """Run `code` in a Python of its own and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_imports_go_one_way():
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout.partition("Broken contracts")[2] or done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["ls", "--help"]])
def test_help_comes_without_heavy_imports(arguments, tmp_path):
    code = f"""
import sys
sys.argv = ["testbed", *{arguments!r}]
from testbed.cli import main
try:
    main()
except SystemExit as left:
    assert not left.code, left.code
print("loaded:", *sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    assert python(code, tmp_path).splitlines()[-1].strip() == "loaded:"


def test_the_simulator_is_not_loaded_by_looking_around(tmp_path):
    code = """
import sys
sys.argv = ["testbed", "show", "detector", "published/efficientdet-d2-bw"]
from testbed.cli import main
try:
    main()
except SystemExit as left:
    assert not left.code, left.code
print("loaded:", *sorted({"torch", "pandas", "scipy", "pyarrow", "simpy"} & set(sys.modules)))
"""
    assert python(code, tmp_path).splitlines()[-1].strip() == "loaded:"


@pytest.mark.parametrize("path", SCENARIOS, ids=names(SCENARIOS))
def test_every_shipped_scenario_loads(path):
    loaded = scenario.load(path)

    assert loaded.spec.name
    assert catalog.name_of("scenarios", path) is not None


@pytest.mark.parametrize("path", SWEEPS, ids=names(SWEEPS))
def test_every_point_of_every_shipped_sweep_loads(path):
    assert len(load_sweep(str(path))) > 1


@pytest.mark.parametrize("shelf", ["traces", "devices", "scenarios"])
def test_data_folders_hold_data_and_never_python(shelf):
    assert not names((ROOT / shelf).rglob("*.py"))
    assert (ROOT / shelf / "README.md").is_file()


def test_the_changelog_knows_this_version():
    """The section for this version is there, released or to be."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\](.*)$", changelog, re.MULTILINE)

    newest = headings[0][1] if headings[0][0] == "Unreleased" else headings[0][0]
    assert testbed.__version__ in newest


def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "name==version, no more"
    return {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower(): line for line in lines}


def test_every_declared_dependency_is_pinned_at_a_version_it_allows():
    project = PYPROJECT["project"]
    declared = [*project["dependencies"], *PYPROJECT["build-system"]["requires"]]
    for extra in project["optional-dependencies"].values():
        declared += extra
    pinned = pins()

    for requirement in map(Requirement, declared):
        line = pinned.get(re.sub(r"[-_.]+", "-", requirement.name).lower())
        assert line is not None, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(line.partition("==")[2]), line


def test_the_pins_are_sorted_and_name_nothing_twice():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()

    assert len(pins()) == len(lines)
    assert lines == sorted(lines, key=lambda line: line.lower().replace("_", "-"))


def targets():
    return set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def code_of(path):
    """Yield every line of code in a Markdown file, of blocks and of single `spans`."""
    text = path.read_text(encoding="utf-8")
    fence = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
    for block in fence.findall(text):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", fence.sub("", text))


def test_make_alone_lists_every_target():
    done = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)

    assert {line.split()[1] for line in done.stdout.splitlines()} == targets()


@pytest.mark.parametrize("path", MANUAL, ids=names(MANUAL))
def test_the_manual_names_only_make_targets_that_exist(path):
    used = {
        word
        for line in code_of(path)
        if (found := re.match(r"(?:\$ )?make((?: [a-z-]+)+)", line.strip()))
        for word in found[1].split()
    }

    assert used <= targets()


@pytest.mark.parametrize(
    "path", [p for p in MANUAL if p.name != "DESIGN.md"], ids=lambda p: str(p.relative_to(ROOT))
)
def test_the_manual_names_only_commands_that_exist(path):
    import typer

    from testbed.cli import app

    known = set(typer.main.get_command(app).commands)
    used = {
        found[1]
        for line in code_of(path)
        if (found := re.match(r"(?:\$ )?testbed ([a-z]+)", line.strip()))
    }

    assert used <= known


@pytest.mark.parametrize("path", MANUAL, ids=names(MANUAL))
def test_the_links_of_the_manual_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    broken = [
        link
        for link in re.findall(r"\]\(([^)\s]+)\)", text)
        if not re.match(r"[a-z]+:|#", link)
        and not (path.parent / link.partition("#")[0]).resolve().exists()
    ]

    assert not broken


def test_the_manual_has_every_page_in_its_contents():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}

    assert pages == set(re.findall(r"\]\((\w[\w-]*\.md)\)", index))


def test_hooks_run_what_lint_runs_and_download_nothing():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")

    assert re.findall(r"repo: (\S+)", hooks) == ["local"]
    for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports"):
        assert f"entry: .venv/bin/{tool}" in hooks
        assert f"$(BIN)/{tool}" in MAKEFILE


def test_the_first_scenario_of_the_readme_is_right():
    from testbed.scenario import load_text

    text = (ROOT / "README.md").read_text(encoding="utf-8")

    scenario = load_text(text.split("```yaml\n")[1].split("```")[0])

    assert list(scenario.spec.policies) == ["narrow", "wide", "adaptive"]


def test_the_policy_of_the_contributing_guide_works_as_it_stands(monkeypatch, capsys):
    """Its file, its line in the table, its referee, `testbed show` and a scenario."""
    from testbed import cli
    from testbed.policies import policies

    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    policy, line, referee, _ = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (override,) = re.findall(r"--set '(.*?)'", text)
    module = types.ModuleType("testbed.policies.cautious")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(policies, "_targets", dict(policies._targets))

    exec(policy, module.__dict__)
    exec(line, {"policies": policies})
    exec(referee, tests := {})
    tests["test_keeps_its_contract"]()
    monkeypatch.setattr(sys, "argv", ["testbed", "show", "policy", "cautious"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    loaded = scenario.load("quickstart", [override])

    assert not left.value.code
    assert "What is little, bytes." in capsys.readouterr().out
    assert loaded.spec.policies["mine"].most_bytes == 5000


def test_the_detector_of_the_contributing_guide_is_held_to_its_points(monkeypatch):
    from testbed import testing

    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    *_, referee = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    held = []
    monkeypatch.setattr(testing, "check_detector", lambda make, points: held.append((make, points)))
    exec(referee, {"MyDetector": lambda weights: ("detector", weights), "weights": "w"})
    ((make, points),) = held

    assert make() == ("detector", "w")
    assert [str(point) for point in points] == ["α=0.25 8 bit", "α=1 4 bit zstd"]
