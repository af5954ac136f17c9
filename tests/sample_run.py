"""A small pipeline that writes what a run writes, for tests of everything that reads a run.

It is a plain loop, independent of the simulator: a camera, an encoder, a first-in first-out uplink
whose capacity wanders, a server. Every fate occurs.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

MS = 1_000_000
S = 1_000_000_000
WIDTHS = {0.25: 0.292, 0.5: 0.331, 0.75: 0.352, 1.0: 0.349}  # α -> mAP; the last is dominated
PAYLOAD = {width: int(442_368 * width) for width in WIDTHS}
INSTANTS = [
    "captured_ns",
    "encode_start_ns",
    "encode_end_ns",
    "send_start_ns",
    "sent_ns",
    "arrived_ns",
    "batch_start_ns",
    "decoded_ns",
    "answered_ns",
]
COLUMNS = [
    "policy", "seed", "client", "frame", *INSTANTS, "width", "bits", "mode", "payload_bytes",
    "wire_bytes", "encode_j", "radio_j", "fate", "stale_ns", "battery_j", "temperature_c",
]  # fmt: skip
SPANS = [
    "policy", "seed", "client", "component", "state", "start_ns", "end_ns", "power_w", "energy_j",
]  # fmt: skip


def typed(rows: list[dict]) -> pd.DataFrame:
    """Return frame rows as a data frame of the types that `records.read` gives."""
    frames = pd.DataFrame(rows, columns=COLUMNS)
    integers = [*INSTANTS, "stale_ns", "bits"]
    frames[integers] = frames[integers].astype("Int64")
    frames["width"] = frames["width"].astype("Float64")
    for name in ("policy", "client", "mode", "fate"):
        frames[name] = pd.Categorical(frames[name], frames[name].dropna().unique())
    return frames


def spans(rows: list[tuple]) -> pd.DataFrame:
    """Return energy rows as a data frame of the types that `records.read` gives."""
    energy = pd.DataFrame(rows, columns=SPANS)
    for name in ("policy", "client", "component", "state"):
        energy[name] = pd.Categorical(energy[name], energy[name].unique())
    return energy


def capacity(seed: int, client: int, seconds: int) -> np.ndarray:
    """Return Mbit/s per 100 ms: a wandering channel with an outage."""
    rng = np.random.default_rng([seed, client, 7])
    steps = rng.normal(0, 0.22, seconds * 10)
    log = np.zeros(seconds * 10)
    for i in range(1, len(log)):
        log[i] = 0.96 * log[i - 1] + steps[i]
    mbps = 34 * np.exp(log)
    outage = int(rng.integers(len(log) // 3, 2 * len(log) // 3))
    mbps[outage : outage + 8] = 0.4
    return mbps.round(3)


def _row(policy: str, seed: int, client: str, frame: int, captured: int) -> dict:
    row = dict.fromkeys(COLUMNS)
    row |= {"policy": policy, "seed": seed, "client": client, "frame": frame}
    row |= {"captured_ns": captured, "payload_bytes": 0, "wire_bytes": 0}
    row |= {"encode_j": 0.0, "radio_j": 0.0, "fate": "unfinished"}
    return row


def _choose(policy: str, mbps: float, frame: int) -> float:
    if policy in ("narrow", "wide"):
        return {"narrow": 0.25, "wide": 1.0}[policy]
    if policy == "adaptive" and mbps < 2:
        return 0.0
    fitting = [w for w in WIDTHS if PAYLOAD[w] * 8 / 1e6 / 0.075 < mbps]
    return fitting[-1] if fitting else 0.25


def client_run(policy: str, seed: int, index: int, seconds: int) -> tuple[list, list]:
    """Return frame rows and energy rows of one client."""
    client = f"camera-{index}"
    rng = np.random.default_rng([seed, index])
    mbps = capacity(seed, index, seconds)
    end = seconds * S
    encoder_free = uplink_free = server_free = 0
    compute, radio, rows = [], [], []
    for frame in range(seconds * 10):
        captured = frame * 100 * MS + index * 3 * MS
        jitter, luck = rng.random(), rng.random()
        row = _row(policy, seed, client, frame, captured)
        rows.append(row)
        start = max(captured, encoder_free)
        if start - captured > 300 * MS or uplink_free - captured > 700 * MS:
            row["fate"] = "dropped_queue"
            continue
        seen = mbps[max(0, captured // (100 * MS) - 1)]
        width = _choose(policy, seen, frame)
        if width == 0:
            row |= {"width": 0.0, "bits": 0, "mode": "skip", "fate": "skipped"}
            continue
        if policy == "adaptive" and frame % 97 == 50:
            encoder_free = start + 170 * MS
            row |= {"width": 1.0, "bits": 0, "mode": "local", "fate": "local"}
            row |= {"encode_start_ns": start, "encode_end_ns": encoder_free}
            row |= {"answered_ns": encoder_free, "encode_j": 0.9}
            compute.append(("busy", start, min(encoder_free, end), 5.3))
            continue
        row |= {"width": width, "bits": 8, "mode": "split", "payload_bytes": PAYLOAD[width]}
        encoded = start + int((28 + 12 * width + 4 * jitter) * MS)
        encoder_free = encoded
        row |= {"encode_start_ns": start, "encode_end_ns": encoded}
        row["encode_j"] = (encoded - start) / S * 4.2
        compute.append(("busy", start, min(encoded, end), 4.2))
        send = max(encoded, uplink_free)
        if send - captured > 500 * MS:
            row["fate"] = "dropped_deadline"
            continue
        if send >= end:
            continue
        row["send_start_ns"] = send
        bits, sent = PAYLOAD[width] * 8 * 1500 // 1448, send
        while bits > 0:
            rate = mbps[min(sent // (100 * MS), len(mbps) - 1)] * 1e6
            slot_end = (sent // (100 * MS) + 1) * 100 * MS
            takes = int(bits / rate * S)
            if sent + takes <= slot_end or sent > end:
                sent, bits = sent + takes, 0
            else:
                bits -= int(rate * (slot_end - sent) / S)
                sent = slot_end
        uplink_free = max(sent, encoded)
        row["wire_bytes"] = PAYLOAD[width] * 1500 // 1448
        radio.append(("connected", send, min(sent, end), 2.1))
        row["radio_j"] = (sent - send) / S * 2.1
        if sent >= end:
            continue
        if luck < 0.003:
            row |= {"sent_ns": sent, "fate": "lost"}
            continue
        arrived = sent + 25 * MS
        batch = max(arrived, server_free)
        decoded = batch + int((9 + 3 * width) * MS)
        answered = decoded + 25 * MS
        if answered > end:
            row |= {"sent_ns": sent, "arrived_ns": arrived}
            continue
        server_free = decoded
        row |= {"sent_ns": sent, "arrived_ns": arrived, "batch_start_ns": batch}
        row |= {"decoded_ns": decoded, "answered_ns": answered}
        row["fate"] = "on_time" if answered - captured <= 200 * MS else "late"
    ledger = [("idle", "on", 0, end, 2.6)]
    ledger += [("compute", *span) for span in compute]
    at = 0
    for state, start, stop, power in radio:
        if start > at:
            tail = min(start, at + 200 * MS) if at else at
            if tail > at:
                ledger.append(("radio", "tail", at, tail, 1.1))
            ledger.append(("radio", "idle", tail, start, 0.03))
        ledger.append(("radio", state, start, stop, power))
        at = stop
    energy = [
        (policy, seed, client, component, state, start, stop, power, power * (stop - start) / S)
        for component, state, start, stop, power in ledger
        if stop > start
    ]
    return rows, energy


def rung(width: float, accuracy: float, **more) -> dict:
    """Return an operating point as the provenance lists it."""
    point = {"width": width, "bits": 8, "mode": "split", "accuracy": accuracy, "payload_bytes": 0}
    point |= {"encode_ms": 40.0, "encode_j": 0.15, "decode_ms": 11.0, "dominated_by": None}
    return point | more


def sample_run(
    *,
    policies: dict[str, dict] | None = None,
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5),
    clients: int = 1,
    seconds: int = 20,
    name: str = "drive-lte",
) -> SimpleNamespace:
    """Return a run as `records.read` does, made by the loop above."""
    policies = policies or {
        "narrow": {"kind": "fixed", "width": 0.25, "bits": 8, "mode": "split"},
        "wide": {"kind": "fixed", "width": 1.0, "bits": 8, "mode": "split"},
        "adaptive": {"kind": "goodput", "safety": 0.8},
    }
    rows, energy = [], []
    for policy in policies:
        for seed in seeds:
            for index in range(clients):
                more, joules = client_run(policy, seed, index, seconds)
                rows += more
                energy += joules
    names = [f"camera-{i}" for i in range(clients)]
    ladder = [
        rung(width, accuracy, payload_bytes=PAYLOAD[width], encode_ms=30 + 12 * width)
        for width, accuracy in WIDTHS.items()
    ]
    ladder[3]["dominated_by"] = "α=0.75 8 bit"
    ladder.append(rung(1.0, 0.301, mode="local", bits=0, encode_ms=170.0, encode_j=0.9))
    ladder.append(rung(0.0, 0.0, mode="skip", bits=0, encode_ms=0.0, encode_j=0.0))
    scenario = {
        "schema": 1,
        "name": name,
        "seeds": list(seeds),
        "duration_s": seconds,
        "deadline_ms": 200,
        "server": {
            "profile": "t4-trt-int8",
            "workers": 1,
            "batch": {"max": 8, "wait_ms": 2},
            "queue": {"limit": 64, "discipline": "fifo"},
        },
        "network": {
            "uplink": {
                "kind": "replay", "trace": "lte/drive-a.up", "delay_ms": 25, "queue_bytes": 300000,
            },
            "downlink": {"kind": "constant", "mbps": 20, "delay_ms": 25},
            "transport": {"kind": "tcp"},
        },
        "clients": [
            {
                "name": "camera", "count": clients, "device": "raspberry-pi-5", "radio": "lte-2021",
                "detector": "published/efficientdet-d2-bw",
                "source": {"fps": 10},
                "ladder": {
                    "widths": list(WIDTHS), "bits": [8], "modes": ["split", "local", "skip"],
                },
            }
        ],
        "policies": policies,
        "claims": [
            {"metric": "on_time_map", "better": "adaptive", "than": "best-fixed", "by": 0.0,
             "confidence": 0.95}
        ],
    }  # fmt: skip
    provenance = {
        "schema": 1,
        "engine": "simulate",
        "digest": "ab12cd34",
        "seeds": list(seeds),
        "files": {"traces/lte/drive-a.up": "5f" * 32, "devices/raspberry-pi-5": "0c" * 32},
        "versions": {"split-testbed": "0.1.0", "python": "3.11.2", "numpy": "2.4.6"},
        "figures": [
            {
                "profile": "radio lte-2021", "key": "transmit_w", "value": 2.1,
                "kind": "published", "source": "Table 3 of a <paper> & its \"supplement\"",
            },
            {
                "profile": "device raspberry-pi-5", "key": "mac_per_s", "value": 6.1e9,
                "kind": "assumed", "source": "between the published figures of its neighbours",
            },
        ],
        "ladders": dict.fromkeys(names, ladder),
        "capacity_mbps": {
            client: {
                "bin_s": 0.1,
                "seed": {str(s): capacity(s, i, seconds).tolist() for s in seeds},
            }
            for i, client in enumerate(names)
        },
        "warnings": [
            "mAP is the published table's frame-weighted mean, not measured on the frames shown",
            "the trace lte/drive-a.up is synthetic",
        ],
    }  # fmt: skip
    return SimpleNamespace(
        accuracy=None,
        folder=None,
        frames=typed(rows),
        energy=spans(energy),
        scenario=scenario,
        provenance=provenance,
        summary=None,
    )


def accuracy_of(run: SimpleNamespace) -> dict:
    """Return what `metrics.summarise` wants, from the ladders in the provenance."""
    return {
        client: {(r["width"], r["bits"], r["mode"]): r["accuracy"] for r in rungs}
        for client, rungs in run.provenance["ladders"].items()
    }


def write_sample(folder: Path, run: SimpleNamespace) -> Path:
    """Write a run folder as an engine leaves it and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    run.frames.to_parquet(folder / "frames.parquet")
    run.energy.to_parquet(folder / "energy.parquet")
    (folder / "scenario.yaml").write_text(json.dumps(run.scenario, indent=1), encoding="utf-8")
    (folder / "provenance.json").write_text(json.dumps(run.provenance), encoding="utf-8")
    return folder
