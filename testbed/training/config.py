"""The YAML of a training run: what is trained, on what, how."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from testbed.detectors.configurations import SplitConfig, find
from testbed.errors import InputErrors, TestbedError
from testbed.scenario.source import Source, parse, read

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]

# What the released configurations say where a run does not: passes (N), learning rate, milestones,
# batch (jsiloto/adaptive-cod, config/acod; the N of faster-rcnn-bw is missing there and the one of
# mask-rcnn-bw stands in).
_EVERY_3, _EVERY_2 = (3, 6, 9, 12), (2, 4, 6, 8)
_PUBLISHED: dict[str, tuple[int, float, tuple[int, ...], int]] = {
    "efficientdet-d1-bw": (4, 5e-4, _EVERY_3, 8),
    "efficientdet-d2-bw": (3, 5e-4, _EVERY_3, 8),
    "efficientdet-d2-cp-c48-min25": (4, 1e-4, _EVERY_2, 8),
    "efficientdet-d2-cp-c48-min50": (4, 5e-4, _EVERY_2, 8),
    "efficientdet-d2-cp-c24-min50": (4, 5e-4, _EVERY_2, 8),
    "faster-rcnn-bw": (4, 1e-3, _EVERY_3, 1),
    "mask-rcnn-bw": (4, 1e-3, _EVERY_3, 4),
    "faster-rcnn-cp": (4, 5e-4, _EVERY_2, 8),
}
_FIXED = (1, 5e-4, _EVERY_3, 6)
_GHND = (1, 1e-3, (5, 15), 4)  # b3ch to b12ch (config/ghnd), for 20 epochs with a decay of 0.1
_OTHERWISE = (4, 5e-4, _EVERY_3, 8)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Strict):
    """One data set."""

    path: Path = Field(description="A .json of COCO, a .csv of boxes, or a folder of Pascal VOC.")
    split: str | None = Field(None, description="A list of pictures, where the form has any.")
    classes: tuple[str, ...] | None = Field(None, description="Names in the order of the labels.")


class TrainConfig(_Strict):
    """One training run. Fields that are left out are as published for the detector."""

    detector: str = Field(description="The network; docs/detectors.md lists them.")
    objective: Literal["distillation", "ground-truth"] = Field(
        "distillation", description="A student learns from a teacher, a teacher from boxes."
    )
    teacher: Path | None = Field(None, description="The teacher's weights, for distillation.")
    train: Data
    validation: Data | None = None
    classes: Count | None = Field(None, description="Of the network; 90 if left out, as of COCO.")
    side: Count | None = Field(None, description="Of the picture.")
    anchor_scale: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Side of a level's smallest anchor, in cells, where it is not the usual."
    )
    start: Path | None = Field(
        None, description="Weights of the same network to go on from; fresh ones if left out."
    )
    smallest_width: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="α_min: narrower widths of the network are left out."
    )
    epochs: Count | None = Field(None, description="12, or 20 for GHND.")
    steps: Count | None = Field(
        None, description="End after so many, however far the schedule of all epochs has come."
    )
    batch: Count | None = None
    passes: Count | None = Field(None, description="N, widths per step by the sandwich rule.")
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    milestones: tuple[Count, ...] | None = Field(None, description="Epochs before which it decays.")
    decay: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Factor on the rate at a milestone; 0.5, or 0.1 for GHND."
    )
    schedule: Literal["steps", "cosine"] = Field(
        "steps", description="Whether the rate falls at the milestones, or as a cosine to 0."
    )
    average: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Decay of a running mean over the steps of the weights, which is then what is "
        "judged and saved; none if left out.",
    )
    warmup_steps: Annotated[int, Field(ge=0)] = 1000
    flip: Share = Field(0.5, description="Chance that a picture is mirrored.")
    stochastic_depth: Annotated[float, Field(ge=0, lt=1)] = 0.0
    pretrained_encoder: bool = Field(
        True, description="Whether the encoder starts as the teacher's."
    )
    encoder: Literal["train", "frozen"] = Field(
        "train",
        description="Whether the encoder learns, as published, or stays the teacher's: batches too "
        "small for their statistics do more harm than learning does good.",
    )
    taps: Literal["all", "split"] = Field(
        "all",
        description="Which features are compared with the teacher's: those at the split and those "
        "of the decoder, as published, or those at the split alone, for which no decoder runs.",
    )
    kernels: Literal["random", "centred"] = Field(
        "random",
        description="How the depthwise kernels of a fresh bottleneck start: as published, or with "
        "half a pulse at their centres, which passes on what is where.",
    )
    frozen_statistics: Literal["update", "keep"] = Field(
        "update",
        description="Whether frozen layers normalise by the batch and go on learning statistics, "
        "as published, or stay in evaluation mode.",
    )
    reduction: Literal["sum", "mean"] = Field("sum", description="Of the squared errors of a tap.")
    norm_batches: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Pictures for post-training statistics; 0 for none."
    )
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    workers: Annotated[int, Field(ge=0)] = 0
    checkpoint_steps: Count = 200
    limit: Count | None = Field(None, description="Pictures per data set; all if left out.")
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def split(self) -> SplitConfig:
        """The network. Raise `UnknownName` or `ValueError` if there is none such."""
        config = find(self.detector)
        changes: dict[str, Any] = {}
        if self.classes is not None:
            changes["classes"] = self.classes
        if self.side is not None:
            changes["side"] = self.side
        if self.anchor_scale is not None:
            changes["anchor_scale"] = self.anchor_scale
        if self.smallest_width is not None:
            kept = tuple(w for w in config.widths if w >= self.smallest_width - 1e-9)
            if not kept:
                raise ValueError(f"smallest_width: {config.name} has no width that large")
            changes["widths"] = kept
        return replace(config, **changes)

    def filled_in(self) -> TrainConfig:
        """Return the run with every field said."""
        split = find(self.detector)
        rcnn, fixed = split.family != "efficientdet", split.kind == "fixed"
        ghnd = rcnn and fixed
        otherwise = _GHND if ghnd else _FIXED if fixed else _OTHERWISE
        passes, rate, milestones, batch = _PUBLISHED.get(self.detector, otherwise)
        found = {
            "passes": passes,
            "learning_rate": rate,
            "milestones": milestones,
            "batch": batch,
            "epochs": 20 if ghnd else 12,
            "decay": 0.1 if ghnd else 0.5,
            # Harmful for EfficientDet (arXiv 2105.00591, section 3.1), on for its R-CNNs; GHND
            # knows nothing of it.
            "norm_batches": 1001 if rcnn and not fixed and split.kind != "teacher" else 0,
        }
        own = {key: value for key in found if (value := getattr(self, key)) is not None}
        return self.model_copy(update=found | own)

    def digest(self) -> str:
        """Return what tells this run from others; workers and checkpoints change no result."""
        said = self.model_dump(mode="json", exclude={"workers", "checkpoint_steps"})
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def load(path: Path) -> TrainConfig:
    """Return the run that a YAML file describes, complete; paths are relative to the file.

    Raise `InputErrors` with everything that is wrong in it.
    """
    source = parse(read(path), str(path), path.parent)
    try:
        config = TrainConfig.model_validate(source.data)
    except ValidationError as error:
        raise InputErrors(
            source.problem(tuple(e["loc"]), e["msg"]) for e in error.errors()
        ) from error
    _check(config, source)

    def beside(data: Data | None) -> Data | None:
        return data and data.model_copy(update={"path": path.parent / data.path})

    return config.filled_in().model_copy(
        update={
            "train": beside(config.train),
            "validation": beside(config.validation),
            "teacher": config.teacher and path.parent / config.teacher,
            "start": config.start and path.parent / config.start,
        }
    )


def _check(config: TrainConfig, source: Source) -> None:
    problems = []
    try:
        split = config.split
    except (TestbedError, ValueError) as error:
        raise InputErrors([source.problem(("detector",), str(error))]) from error
    if config.encoder == "frozen":
        if split.kind == "cp":
            message = f"{split.name} narrows its encoder, which has to learn that"
            problems.append(source.problem(("encoder",), message))
        if not config.pretrained_encoder:
            message = "a fresh encoder has to learn; leave out pretrained_encoder or this"
            problems.append(source.problem(("encoder",), message))
    if config.objective == "distillation":
        if split.kind == "teacher":
            message = f"{split.name} has no bottleneck; name a student, or objective: ground-truth"
            problems.append(source.problem(("detector",), message))
        if config.teacher is None:
            problems.append(source.problem((), "distillation needs a teacher"))
    else:
        if split.kind != "teacher" or split.family != "efficientdet":
            message = (
                f"only an EfficientDet without a bottleneck learns from boxes, not {split.name}"
            )
            problems.append(source.problem(("detector",), message))
        if config.teacher is not None:
            problems.append(source.problem(("teacher",), "is for distillation"))
        for key in ("encoder", "taps", "kernels"):
            if getattr(config, key) != TrainConfig.model_fields[key].default:
                problems.append(source.problem((key,), "is for distillation"))
    if problems:
        raise InputErrors(problems)
