"""The commands under `testbed trace`."""

import json
import sys

import pytest

from testbed import cli


@pytest.fixture
def testbed(monkeypatch, capsys):
    """Run `testbed trace ...` in this process; return exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["testbed", "trace", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        printed = capsys.readouterr()
        return left.value.code or 0, printed.out, printed.err

    return run


def save(tmp_path, text, name="x.up"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_lint_has_the_promised_keys(testbed, tmp_path):
    code, out, err = testbed("lint", save(tmp_path, "0\n1\n2000\n"), "--json")

    found = json.loads(out)
    assert (code, err) == (0, "")
    promised = "path, format, direction, kind, technology, duration_s, samples, mean_mbps, "
    promised += "p5_mbps, p50_mbps, p95_mbps, period_s, findings"
    assert set(promised.split(", ")) <= set(found)
    assert found["format"] == "mahimahi"
    assert found["direction"] == "up"
    assert found["period_s"] == 2.0


def test_lint_of_a_broken_file_says_every_line_and_leaves_with_2(testbed, tmp_path):
    good, bad = save(tmp_path, "0\n5\n"), save(tmp_path, "0\nx\n5\n6\ny\n", "bad.up")

    code, out, _ = testbed("lint", good, bad)
    assert code == 2
    assert "bad.up: error: 2: 'x' is not a time" in " ".join(out.split())
    assert "bad.up: error: 5: 'y' is not a time" in " ".join(out.split())

    code, out, _ = testbed("lint", good, bad, "--json")
    assert code == 2
    first, second = json.loads(out)
    assert first["format"] == "mahimahi"
    assert second["format"] is None
    assert [each["level"] for each in second["findings"]][:2] == ["error", "error"]


def test_show_prints_figures_and_draws_a_picture(testbed, tmp_path):
    path = save(tmp_path, "\n".join(map(str, range(0, 3001, 2))) + "\n")
    picture = tmp_path / "x.png"

    code, out, _ = testbed("show", path, "--png", picture)
    assert code == 0
    assert "mean_mbps" in out
    assert picture.read_bytes().startswith(b"\x89PNG")

    code, out, _ = testbed("show", path, "--json")
    assert json.loads(out)["mean_mbps"] == pytest.approx(6.0)


def test_show_of_a_broken_file_is_one_line_per_mistake_and_2(testbed, tmp_path):
    path = save(tmp_path, "0\nx\n5\n")

    code, out, err = testbed("show", path)

    assert (code, out) == (2, "")
    assert err == f"{path}:2: 'x' is not a time; allowed: whole milliseconds, such as 1250\n"


def test_a_picture_without_matplotlib_names_the_extra(testbed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    code, _, err = testbed("show", save(tmp_path, "0\n5\n"), "--png", tmp_path / "x.png")

    assert code == 3
    assert "split-testbed[traces]" in err


def test_convert_goes_by_the_name_of_the_new_file_and_replaces_nothing(testbed, tmp_path):
    path = save(tmp_path, "\n".join(map(str, range(2001))) + "\n")
    table = tmp_path / "x.csv"

    code, out, _ = testbed("convert", path, table, "--window-ms", "500", "--json")
    assert code == 0
    assert json.loads(out)["samples"] == 4
    assert "0.5,12\n" in table.read_text()

    code, _, err = testbed("convert", path, table)
    assert code == 2
    assert err == f"{table}: exists already; --force replaces it\n"
    assert testbed("convert", table, tmp_path / "back.up")[0] == 0
    assert testbed("convert", table, tmp_path / "shape.sh")[0] == 0
    assert testbed("lint", tmp_path / "shape.sh")[0] == 0


def test_convert_asks_what_to_where_the_name_does_not_say(testbed, tmp_path):
    path = save(tmp_path, "0\n5\n")

    code, _, err = testbed("convert", path, tmp_path / "x.dat")
    assert code == 2
    assert "Name it with --to: mahimahi, csv or tc" in err
    code, _, err = testbed("convert", path, tmp_path / "x.dat", "--to", "mahimah")
    assert "Did you mean 'mahimahi'?" in err


def test_synthesise_writes_the_same_bytes_to_a_file_and_to_a_pipe(testbed, tmp_path):
    wanted = ("--technology", "lte-driving-up", "--duration", "20", "--seed", "3")

    code, out, _ = testbed("synthesise", *wanted)
    assert code == 0
    assert out.splitlines()[-1] == "20000"
    code, summary, _ = testbed("synthesise", *wanted, "--out", tmp_path / "x.up", "--json")
    assert code == 0
    assert (tmp_path / "x.up").read_text() == out
    assert json.loads(summary)["period_s"] == 20.0


def test_synthesise_names_the_technologies_there_are(testbed):
    code, _, err = testbed("synthesise", "--technology", "lte-drivin-up", "--duration", "20")
    assert code == 2  # the seed is missing
    code, _, err = testbed(
        "synthesise", "--technology", "lte-drivin-up", "--duration", "20", "--seed", "1"
    )
    assert code == 2
    assert "Did you mean 'lte-driving-up'?" in err


def test_ls_lists_what_ships_what_can_be_made_and_what_can_be_fetched(testbed):
    shipped = {row["name"] for row in json.loads(testbed("ls", "--json")[1])}
    assert "lte/drive-a.up" in shipped
    made = json.loads(testbed("ls", "--technologies", "--json")[1])
    assert "lte-driving-up" in {row["technology"] for row in made}
    public = json.loads(testbed("ls", "--published", "--json")[1])
    assert {"name", "licence", "how", "page"} == set(public[0])


def test_a_recording_that_was_not_fetched_says_how(testbed, monkeypatch, tmp_path):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path))

    code, _, err = testbed("lint", "mahimahi/Verizon-LTE-short.up")

    assert code == 2
    assert "run `testbed trace fetch mahimahi/Verizon-LTE-short.up`" in err


@pytest.mark.parametrize("command", ["ls", "show", "lint", "convert", "synthesise", "fetch"])
def test_help_has_examples(testbed, command):
    code, out, _ = testbed(command, "--help")

    assert code == 0
    assert "Examples" in out
    assert f"testbed trace {command}" in out
