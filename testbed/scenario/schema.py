"""What a scenario file may say: every key, its type, its limits, its default and its unit.

The models are frozen and hold values as the user wrote them; properties that end in `_ns` convert,
once and exactly. Options of parts (links, transports, policies) come from the parts themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.types import Strict
from pydantic_core import PydanticCustomError

from testbed.errors import did_you_mean
from testbed.metrics import METRICS, Utility
from testbed.model import NS_PER_MS, NS_PER_S, Mode
from testbed.parts import Nested, PartSpec, spec_model, table

BEST_FIXED = "best-fixed"
"""What a claim calls the best policy of kind `fixed` in hindsight."""


METRICS_WITH_A_BETTER = [name for name, metric in METRICS.items() if metric.better is not None]


def to_ns(value: float, ns_per_unit: int) -> int:
    """Return a duration in nanoseconds, halves to even, as exact as the text it was written in."""
    exact = Decimal(str(value)) * ns_per_unit
    return int(exact.to_integral_value(rounding=ROUND_HALF_EVEN))


def client_names(name: str, count: int) -> tuple[str, ...]:
    """Return the names of the clients of a group: the group's own, then `name-2` and so on.

    A larger count leaves the names, and with them the random draws, of the others alone.
    """
    return (name, *(f"{name}-{i}" for i in range(2, count + 1)))


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", value) or value.strip(".") == "":
        raise PydanticCustomError("plain", "must be made of letters, digits, '-', '_' and '.'")
    return value


def _metric(value: str) -> str:
    if value not in METRICS_WITH_A_BETTER:
        hint = did_you_mean(value, METRICS_WITH_A_BETTER, limit=len(METRICS_WITH_A_BETTER))
        message = f"no metric '{value}' in which a policy can be better{hint}"
        raise PydanticCustomError("plain", "{message}", {"message": message})
    return value


def _unique(values: Sequence[Any]) -> Sequence[Any]:
    twice = sorted({str(v) for v in values if values.count(v) > 1})
    if twice:
        message = f"{', '.join(twice)}: there more than once; keep one"
        raise PydanticCustomError("plain", "{message}", {"message": message})
    return values


def _lasts(value: float) -> float:
    if to_ns(value, NS_PER_MS) < 1:
        raise PydanticCustomError("plain", "is less than a nanosecond")
    return value


# YAML has lists where we keep tuples.
_LIST = (Strict(False), AfterValidator(_unique), Field(json_schema_extra={"uniqueItems": True}))

Name = Annotated[
    str,
    AfterValidator(_name),
    Field(json_schema_extra={"pattern": r"^[A-Za-z0-9_.-]{1,100}$"}),
]
Width = Annotated[float, Field(gt=0, le=1)]
Bits = Annotated[int, Field(ge=1, le=16)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Count = Annotated[int, Field(ge=1, le=10_000)]
Positive = Annotated[float, Field(gt=0), AfterValidator(_lasts)]


class Keys(BaseModel):
    """A group of keys of the scenario file."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )


class BatchSpec(Keys):
    """How the server groups frames."""

    max: int = Field(1, ge=1, description="Most frames decoded together.")
    wait_ms: float = Field(
        0.0, ge=0, description="How long a frame waits for others while a worker is free, ms."
    )

    @property
    def wait_ns(self) -> int:
        """`wait_ms` in nanoseconds."""
        return to_ns(self.wait_ms, NS_PER_MS)


class ServerQueueSpec(Keys):
    """Where frames wait for a worker."""

    limit: int = Field(64, ge=1, description="Most frames waiting; one more is dropped.")
    discipline: Literal["fifo"] = Field("fifo", description="Who is next: `fifo`, who came first.")


class ServerSpec(Keys):
    """Who decodes."""

    profile: str = Field(description="Server profile: a name in the catalogue, or a path.")
    workers: int = Field(1, ge=1, description="Batches that can be decoded at the same time.")
    batch: BatchSpec = Field(default_factory=BatchSpec, description="How frames are grouped.")
    queue: ServerQueueSpec = Field(
        default_factory=ServerQueueSpec, description="Where frames wait for a worker."
    )
    drop_expired: bool = Field(
        False, description="Whether a frame whose deadline has passed is given up undecoded."
    )


class LinkSpec(PartSpec):
    """One direction of the network: a link, and the keys that every link has."""

    delay_ms: float = Field(
        0.0, ge=0, description="Propagation delay, ms; comes on top of the link, never busy time."
    )
    queue_bytes: int | None = Field(
        None, gt=0, description="Drop-tail limit on what waits, bytes; null for none."
    )
    sharing: Literal["none", "fifo", "processor-sharing", "round-robin", "proportional-fair"] = (
        Field(
            "processor-sharing",
            description=(
                "How clients share it: `processor-sharing`, equally at every instant, as in a "
                "cell; `round-robin`, a packet each in turn; `proportional-fair`, the same time "
                "for each, at the rate of a channel of its own; `fifo`, one queue for all; `none`, "
                "a link of its own for each client."
            ),
        )
    )

    @property
    def delay_ns(self) -> int:
        """`delay_ms` in nanoseconds."""
        return to_ns(self.delay_ms, NS_PER_MS)


class TransportSpec(PartSpec):
    """How a payload crosses a link."""


def _ideal() -> TransportSpec:
    ideal: Any = spec_model(table("transport"), "ideal", TransportSpec)
    return ideal(kind="ideal")  # type: ignore[no-any-return]


class PolicySpec(PartSpec):
    """Who picks the operating point of each frame."""


class NetworkSpec(Keys):
    """What lies between the clients and the server."""

    uplink: Annotated[LinkSpec, Nested("link", LinkSpec)] = Field(
        description="From the clients to the server."
    )
    downlink: Annotated[LinkSpec, Nested("link", LinkSpec)] = Field(
        description="From the server to the clients; carries the answers."
    )
    transport: Annotated[TransportSpec, Nested("transport", TransportSpec)] = Field(
        default_factory=_ideal,
        description="How a payload crosses a link.",
    )


class SourceSpec(Keys):
    """The camera of a client."""

    dataset: str | None = Field(
        None,
        description=(
            "Name of the pictures; null is whatever the detector, a recording, was recorded on."
        ),
    )
    fps: float = Field(gt=0, le=1000, description="Frames captured per second.")
    phase: Annotated[float, Field(ge=0)] | Literal["random"] = Field(
        "random",
        description=(
            "Instant of the first capture, ms; `random` draws it from the seed, for each client, "
            "within one frame period."
        ),
    )

    @property
    def phase_ns(self) -> int | None:
        """`phase` in nanoseconds; None if it is drawn."""
        return None if self.phase == "random" else to_ns(self.phase, NS_PER_MS)


class LadderSpec(Keys):
    """The operating points that policies may choose from: all combinations of these lists."""

    widths: Literal["all"] | Annotated[tuple[Width, ...], Field(min_length=1), *_LIST] = Field(
        "all", description="Values of α, share of channels in use; `all` that the detector has."
    )
    bits: Annotated[tuple[Bits, ...], *_LIST] = Field(
        (8,), min_length=1, description="Bits per value of the bottleneck."
    )
    modes: Annotated[tuple[Annotated[Mode, Strict(False)], ...], *_LIST] = Field(
        (Mode.SPLIT,),
        min_length=1,
        description=(
            "Where frames may be processed: `split` between device and server, `local` on the "
            "device, `offload` as a compressed picture on the server, `skip` not at all."
        ),
    )
    codecs: Annotated[tuple[str, ...], *_LIST] = Field(
        ("raw",),
        min_length=1,
        description=(
            "Entropy coders of the payload, `raw` being none, and for `offload` codecs of the "
            "picture, such as `jpeg-75`; without any of these, all that were recorded."
        ),
    )


class ClientQueueSpec(Keys):
    """Where captured frames wait for the encoder."""

    limit: int = Field(4, ge=1, description="Most frames waiting; one more makes one drop out.")
    drop: Literal["newest", "oldest"] = Field(
        "oldest", description="Which one: the `newest` is refused, or the `oldest` gives way."
    )


class BatterySpec(Keys):
    """What a client runs on; without this it is on mains."""

    capacity_wh: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Energy of the full battery, Wh; null is what the device's file says."
    )
    charge: float = Field(1.0, ge=0, le=1, description="Share of it that is left at the start.")


class WeightsSpec(Keys):
    """What it costs to run at another width with a detector that has weights for each."""

    residency: Literal["sram", "dram", "storage"] = Field(
        description=(
            "Where the weights of the other widths lie: in the `sram` of an accelerator as far as "
            "they fit, in `dram`, or in `storage`."
        )
    )
    set_mb: float = Field(gt=0, description="Size of the weights of one width, MB.")
    restart: bool = Field(
        False, description="Whether the runtime is set up anew for other weights."
    )


class ClientSpec(Keys):
    """A group of equal clients, each a camera with an encoder and a radio."""

    name: Name = Field(description="Of the group; unique.")
    count: Count = Field(1, description="How many: `name`, `name-2`, `name-3` and so on.")
    device: str = Field(description="Device profile: a name in the catalogue, or a path.")
    mode: str | None = Field(
        None, description="Frequency mode of the device, of those it has; null is its default."
    )
    radio: str = Field(description="Radio profile: a name in the catalogue, or a path.")
    detector: str = Field(
        description=(
            "What is encoded: a recording, by its name or its folder, or a published table, such "
            "as `published/efficientdet-d2-bw`."
        )
    )
    source: SourceSpec = Field(description="The camera.")
    ladder: LadderSpec = Field(
        default_factory=LadderSpec, description="What policies may choose from."
    )
    queue: ClientQueueSpec = Field(
        default_factory=ClientQueueSpec, description="Where frames wait for the encoder."
    )
    drop_expired: bool = Field(
        False, description="Whether a frame whose deadline has passed is given up unencoded."
    )
    battery: BatterySpec | None = Field(
        None, description="What it runs on until that is empty; null is mains."
    )
    ambient_c: Annotated[float, Field(ge=-40, le=85)] | None = Field(
        None, description="Air around the device, °C; null is a device that never gets warm."
    )
    weights: WeightsSpec | None = Field(
        None,
        description="Where weights of other widths lie; null is a change of width for nothing.",
    )
    answer_bytes: int = Field(400, ge=1, description="Size of an answer on the downlink, bytes.")

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each client of the group."""
        return client_names(self.name, self.count)


class ClaimSpec(Keys):
    """Something the results must show; a claim that fails makes the run end with exit code 1."""

    metric: Annotated[str, AfterValidator(_metric)] = Field(
        description="What is compared.", json_schema_extra={"enum": list(METRICS_WITH_A_BETTER)}
    )
    better: Name = Field(description="The policy that must be better.")
    than: Name = Field(
        description=f"The policy it is compared with, or `{BEST_FIXED}`: the best of kind `fixed`."
    )
    by: float = Field(0.0, ge=0, description="By how much at least, in the unit of the metric.")
    confidence: float = Field(
        0.95, ge=0.5, lt=1, description="Confidence with which the results must show it."
    )


_WEIGHTS = Utility()


class UtilitySpec(Keys):
    """What a frame is worth: accuracy if it is answered in time, less what these weigh."""

    switching: float = Field(
        _WEIGHTS.switching, ge=0, description="Of a switch across the whole ladder, less for less."
    )
    energy: float = Field(
        _WEIGHTS.energy, ge=0, description="Of the encoding energy of the ladder's dearest point."
    )
    age: float = Field(
        _WEIGHTS.age,
        ge=0,
        description="Of 15 frames or more since the last in time, less for less.",
    )
    miss: float = Field(_WEIGHTS.miss, ge=0, description="Of a frame that is not in time.")

    @property
    def weights(self) -> Utility:
        """The same as a `testbed.metrics.Utility`."""
        return Utility(self.switching, self.energy, self.age, self.miss)


class ScenarioSpec(Keys):
    """Everything one run depends on."""

    schema_version: Literal[1] = Field(alias="schema", description="Version of this format: 1.")
    name: Name = Field(description="Of the scenario; begins the name of the run folder.")
    seeds: Annotated[tuple[Seed, ...], *_LIST] = Field(
        min_length=1, description="One run per seed and policy; policies share every random draw."
    )
    duration_s: Positive = Field(description="How long a run lasts, s.")
    deadline_ms: Positive = Field(
        description="From capture to answer, ms; an answer after that is late."
    )
    server: ServerSpec = Field(description="Who decodes.")
    network: NetworkSpec = Field(description="What lies between the clients and the server.")
    clients: Annotated[tuple[ClientSpec, ...], Strict(False)] = Field(
        min_length=1, description="Groups of equal clients."
    )
    policies: dict[Name, Annotated[PolicySpec, Nested("policy", PolicySpec)]] = Field(
        min_length=1,
        description="What is compared: a name of yours, and a policy.",
        json_schema_extra={"additionalProperties": False},
    )
    utility: UtilitySpec = Field(
        default_factory=UtilitySpec,
        description="What a frame is worth, for the metric `utility`, the optimum and policies.",
    )
    claims: Annotated[tuple[ClaimSpec, ...], Strict(False)] = Field(
        (), description="What the results must show."
    )
    sha256: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "Checksums of the files that the scenario names; a file that has changed since is "
            "refused. Written by the testbed into the scenario beside the results."
        ),
    )

    @property
    def duration_ns(self) -> int:
        """`duration_s` in nanoseconds."""
        return to_ns(self.duration_s, NS_PER_S)

    @property
    def deadline_ns(self) -> int:
        """`deadline_ms` in nanoseconds."""
        return to_ns(self.deadline_ms, NS_PER_MS)
