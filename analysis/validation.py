"""Validates the simulator on the scenarios of `scenarios/validation/`, and writes the page.

    python analysis/validation.py              every validation anew, in real time, then the page
    python analysis/validation.py lte-static   only these anew
    python analysis/validation.py --page       the page alone, from what is committed

Each leaves `analysis/validation/NAME.json`; `docs/validation.md` is made from those files and from
nothing else. Needs what `testbed doctor` lists for emulation.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from testbed.emulate.decoding_live import Network
from testbed.emulate.engine import Options
from testbed.errors import EnvironmentLacks
from testbed.scenario import load
from testbed.validate.engines import validate
from testbed.validate.pages import markdown, summary

ROOT = Path(__file__).resolve().parents[1]
ARTEFACTS = ROOT / "analysis" / "validation"
PAGE = ROOT / "docs" / "validation.md"
TEXT = ROOT / "analysis" / "validation" / "page.md"
TRIES = 8

LIVE = "tiny-d0-bw"

VALIDATIONS = {
    "lte-static": ("lte-static", "tun"),
    "lte-drive": ("lte-drive", "tun"),
    "wifi-walk": ("wifi-walk", "tun"),
    "lte-static-idle": ("lte-static-idle", "tun"),
    "lte-static-per-frame": ("lte-static-per-frame", "tun"),
    "two-clients": ("two-clients", "tun"),
    "lte-static-losses": ("lte-static-losses", "tun"),
    "fast-30fps": ("fast-30fps", "tun"),
    "lte-static-tc": ("lte-static", "tc"),
    "live-tiny": ("live-tiny", "tun"),
}
"""Name of the artefact -> scenario and backend; the last has a network that really encodes."""


def network(folder: Path) -> Network:
    """Return the live network with random weights, on which its speed does not depend."""
    import torch

    from testbed.detectors.configurations import find
    from testbed.detectors.split import build
    from testbed.detectors.weights import save

    torch.manual_seed(0)
    save(build(find(LIVE)), folder / f"{LIVE}.safetensors")
    return Network(str(folder / f"{LIVE}.safetensors"), threads=1)


def run(name: str) -> bool:
    """Validate once; return whether the simulator was within its bounds."""
    scenario, backend = VALIDATIONS[name]
    loaded = load(f"validation/{scenario}")
    with tempfile.TemporaryDirectory() as folder:
        live = network(Path(folder)) if name == "live-tiny" else None
        options = Options(backend=backend, tries=TRIES, network=live)
        done = validate(loaded, Path(folder), options)
    result = {**done.result, "scenario": name}
    ARTEFACTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (ARTEFACTS / f"{name}.json").write_text(text, encoding="utf-8")
    return done.holds


def results() -> list[dict]:
    """Return what is committed, in the order of `VALIDATIONS`."""
    files = [ARTEFACTS / f"{name}.json" for name in VALIDATIONS]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]


def page() -> str:
    """Return `docs/validation.md`."""
    found = results()
    text = TEXT.read_text(encoding="utf-8")
    return text.replace("{summary}", summary(found)).replace("{validations}", markdown(found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="; ".join(VALIDATIONS))
    parser.add_argument("--page", action="store_true", help="run nothing, write the page")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(VALIDATIONS):
        parser.error(f"no validation {', '.join(sorted(unknown))}; known: {', '.join(VALIDATIONS)}")
    code = 0
    for name in () if arguments.page else arguments.names or VALIDATIONS:
        try:
            holds = run(name)
        except EnvironmentLacks as error:
            print(f"{name}: {error}", file=sys.stderr)
            code = EnvironmentLacks.exit_code
            continue
        print(f"{name}: {'within' if holds else 'beyond'} its bounds", flush=True)
    PAGE.write_text(page(), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
