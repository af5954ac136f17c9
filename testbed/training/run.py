"""A training run from its first step, or from wherever it was killed, to its last."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from torch import distributed as dist
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from testbed import datasets
from testbed.datasets.dataset import Dataset
from testbed.detectors import weights
from testbed.detectors.accelerator import device_of
from testbed.detectors.calibrate import keep_largest_channels
from testbed.detectors.outside import load_any
from testbed.detectors.split import SplitDetector, build
from testbed.errors import TestbedError
from testbed.evaluation.evaluate import UNQUANTISED, evaluate
from testbed.training.config import Data, TrainConfig
from testbed.training.objectives import (
    Distillation,
    GroundTruth,
    Objective,
    Runner,
    centre_kernels,
    recalibrate,
    sandwich,
    start_encoder_afresh,
)
from testbed.training.pictures import annotated, batches, plan
from testbed.training.schedule import learning_rate
from testbed.training.state import BEST, FINAL, Board, Log, Progress, resume, save

CALIBRATION_PICTURES = 64
"""The first of the set, on which channels to drop are chosen before the first step."""

JUDGED = (0.25, 0.5, 0.75, 1.0)
"""Widths whose mean mAP decides which weights are the best, as in the released code."""

Told = Callable[[int, int, dict[str, float]], None]


def train(
    config: TrainConfig,
    folder: Path,
    *,
    device: str = "auto",
    told: Told = lambda done, total, losses: None,
) -> SplitDetector:
    """Return the trained network; everything else is in the folder.

    Started again with the same folder, a run goes on after its last checkpoint and ends with the
    same weights as if it had never stopped. Under `torchrun` each process takes its share of the
    batches, and gradients are added up.

    Args:
        config: Complete, as `testbed.training.config.load` returns it.
        folder: Where the run lives.
        device: `cpu`, `cuda`, `cuda:1` …, or `auto` for a GPU where there is one.
        told: Called after each step with steps done, their number, and the losses.
    """
    with _processes() as (rank, world):
        return _Run(config, folder, _device(device, rank), rank, world).all(told)


class _Run:
    def __init__(
        self, config: TrainConfig, folder: Path, device: torch.device, rank: int, world: int
    ) -> None:
        config = config.filled_in()
        assert config.passes is not None
        assert config.learning_rate is not None
        assert config.batch is not None
        assert config.milestones is not None
        assert config.epochs is not None
        assert config.decay is not None
        self.config, self.folder, self.rank, self.world = config, folder, rank, world
        self.passes, self.rate, self.batch = config.passes, config.learning_rate, config.batch
        self.epochs, self.milestones, self.decay = config.epochs, config.milestones, config.decay
        self.data = annotated(_open(config.train, config.limit))
        if not self.data:
            raise TestbedError(f"{config.train.path}: no picture has a box")
        self.validation = _open(config.validation, config.limit) if config.validation else None
        self.detector, self.objective = _network(config)
        # Channels last is how depthwise convolutions are fast.
        self.detector.to(device).to(memory_format=torch.channels_last)
        if isinstance(self.objective, Distillation):
            self.objective.teacher.to(device).to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.Adam(self.objective.trained, lr=self.rate, fused=True)
        scaler = None
        if config.precision == "fp16":
            # A sum over all features has gradients that are large enough as they are.
            scale = 1.0 if config.reduction == "sum" else 2.0**16
            scaler = torch.amp.GradScaler(device.type, init_scale=scale)
        kinds = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
        self.runner = Runner(device, kinds[config.precision], scaler)
        self.parts = {"network": self.detector, "optimiser": self.optimiser}
        self.average: AveragedModel | None = None
        if config.average is not None:
            self.average = AveragedModel(
                self.detector,
                multi_avg_fn=get_ema_multi_avg_fn(config.average),  # type: ignore[no-untyped-call]
                use_buffers=True,
            )
            self.parts["average"] = self.average
        if scaler is not None:
            self.parts["scaler"] = scaler
        # Every process has a share of each step, so a step takes `world` batches.
        per_epoch = len(plan(self.data, seed=config.seed, epoch=0, batch=self.batch))
        self.per_epoch = max(1, per_epoch // world)

    def all(self, told: Told) -> SplitDetector:
        self.folder.mkdir(parents=True, exist_ok=True)
        digest = self.config.digest()
        progress = resume(self.folder, digest, self.parts)
        if not progress.step and self.config.split.compressor == "drop-magnitude":
            some = self.data.only(CALIBRATION_PICTURES)
            keep_largest_channels(self.detector, (some.load(picture) for picture in some))
        widths = [f"{width:g}" for width in self.detector.widths.values]
        named = widths if self.config.objective == "distillation" else ["total", "class", "box"]
        logs = None
        if self.rank == 0:
            text = self.config.model_dump_json(indent=2)
            (self.folder / "config.json").write_text(text + "\n", encoding="utf-8")
            logs = (
                Log(self.folder / "log.csv", ["rate", *named], progress.step),
                Log(self.folder / "validation.csv", ["mean", *widths], progress.step),
                Board(self.folder / "tensorboard", progress.step),
            )
        total = min(self.epochs * self.per_epoch, self.config.steps or sys.maxsize)
        while progress.step < total:
            for losses, rate in self._epoch(progress):
                if logs is not None:
                    logs[0].add(progress.step, losses | {"rate": rate})
                    logs[2].add(progress.step, "loss", losses)
                if progress.step % self.config.checkpoint_steps == 0:
                    self._checkpoint(digest, progress)
                told(progress.step, total, losses)
                if progress.step == total:
                    break
            scores = self._finish_epoch()
            if logs is not None and scores:
                logs[1].add(progress.step, scores)
                logs[2].add(progress.step, "map", scores)
            if self.rank == 0 and (not scores or scores["mean"] > progress.best):
                progress.best = scores.get("mean", progress.best)
                weights.save(self.judged, self.folder / BEST)
            progress.epoch, progress.batch = progress.epoch + 1, 0
            self._checkpoint(digest, progress)
        if logs is not None:
            weights.save(self.judged, self.folder / FINAL)
            logs[2].close()
        return self.judged.eval()

    @property
    def judged(self) -> SplitDetector:
        """What is evaluated and saved: the running mean, if there is one."""
        if self.average is None:
            return self.detector
        return cast("SplitDetector", self.average.module)

    def _epoch(self, progress: Progress) -> Iterator[tuple[dict[str, float], float]]:
        """Do what is left of an epoch; yield the losses and the rate of each step."""
        config, epoch = self.config, progress.epoch
        chosen = plan(self.data, seed=config.seed, epoch=epoch, batch=self.batch)
        mine = chosen[self.rank :: self.world][: self.per_epoch] or chosen[:1]
        self.objective.mode()
        for batch in batches(
            self.data, self.detector, mine[progress.batch :], epoch=epoch, seed=config.seed,
            flip=config.flip, workers=config.workers,
        ):  # fmt: skip
            rate = learning_rate(
                self.rate, epoch=epoch, batch=progress.batch, batches=self.per_epoch,
                milestones=self.milestones, decay=self.decay, warmup_steps=config.warmup_steps,
                epochs=self.epochs if config.schedule == "cosine" else None,
            )  # fmt: skip
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            self.optimiser.zero_grad(set_to_none=True)
            widths = sandwich(
                self.detector.widths, self.passes, seed=config.seed, step=progress.step
            )
            # Dropped branches are drawn from torch's own state, which so follows from the step.
            torch.manual_seed((config.seed * 1_000_003 + progress.step) * self.world + self.rank)
            losses = self.objective.backward(batch, widths, self.runner)
            self._add_up_gradients()
            if self.runner.scaler is None:
                self.optimiser.step()
            else:
                self.runner.scaler.step(self.optimiser)
                self.runner.scaler.update()
            if self.average is not None:
                self.average.update_parameters(self.detector)
                # A mean of whole numbers, such as which channels are kept, is cut off at each step.
                for mean, own in zip(self.judged.buffers(), self.detector.buffers(), strict=True):
                    if not own.is_floating_point():
                        mean.copy_(own)
            progress.batch += 1
            progress.step += 1
            yield losses, rate

    def _add_up_gradients(self) -> None:
        if self.world > 1:
            trained = self.objective.trained
            for parameter in trained:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            # In one piece: a call for each of hundreds of tensors would wait hundreds of times.
            flat = torch.cat([p.grad.reshape(-1) for p in trained if p.grad is not None])
            dist.all_reduce(flat)
            start = 0
            for parameter in trained:
                end = start + parameter.numel()
                parameter.grad = flat[start:end].view_as(parameter)
                start = end

    def _finish_epoch(self) -> dict[str, float]:
        """Take statistics anew if the run says so; return the mAP of each judged width."""
        config = self.config
        if self.world > 1:
            for buffer in self.judged.buffers():
                if buffer.is_floating_point():
                    dist.all_reduce(buffer)
                    buffer /= self.world
        if config.norm_batches:
            some = [
                self.detector.prepare(self.data.load(self.data[k % len(self.data)]))[0]
                for k in range(config.norm_batches)
            ]
            recalibrate(self.judged, some, self.runner.device)
        if self.validation is None or self.rank:
            return {}
        values = self.detector.widths.values
        judged = [width for width in JUDGED if width in values] or [values[-1]]
        scores = {
            f"{score.width:g}": score.metrics["map"]
            for score in evaluate(self.judged, self.validation, widths=judged, bits=[UNQUANTISED])
        }
        return scores | {"mean": sum(scores.values()) / len(scores)}

    def _checkpoint(self, digest: str, progress: Progress) -> None:
        if self.rank == 0:
            save(self.folder, digest, progress, self.parts)


def _network(config: TrainConfig) -> tuple[SplitDetector, Objective]:
    """Return the network and what it is to learn."""
    split = config.split
    objective: Objective
    if config.objective == "ground-truth":
        detector = build(split, seed=config.seed)
        objective = GroundTruth(detector)
    else:
        assert config.teacher is not None
        teacher = load_any(config.teacher, split)
        try:
            detector = build(split, seed=config.seed, teacher=teacher)
        except ValueError as error:
            raise TestbedError(f"{config.teacher}: {error}") from error
        if not config.pretrained_encoder:
            start_encoder_afresh(detector, config.seed)
        if config.kernels == "centred":
            centre_kernels(detector)
        objective = Distillation(
            detector,
            teacher,
            reduction=config.reduction,
            frozen_statistics=config.frozen_statistics,
            frozen_encoder=config.encoder == "frozen",
            taps=config.taps,
        )
    if config.start is not None:
        # A state only: the side and the anchors of this run may be others.
        weights.fill(detector, load_any(config.start, split).state_dict(), config.start)
        if config.encoder == "frozen" and isinstance(objective, Distillation):
            detector.encoder.load_state_dict(objective.teacher.encoder.state_dict())
    if split.family == "efficientdet":
        from testbed.detectors.efficientdet import set_stochastic_depth

        set_stochastic_depth(detector, config.stochastic_depth)
    return detector, objective


def _open(data: Data, limit: int | None) -> Dataset:
    found = datasets.load(data.path, data.split, data.classes)
    return found if limit is None else found.only(limit)


def _device(name: str, rank: int) -> torch.device:
    if name != "auto":
        return device_of(name)
    if torch.cuda.is_available():
        return torch.device("cuda", rank % torch.cuda.device_count())
    return torch.device("cpu")


@contextmanager
def _processes() -> Iterator[tuple[int, int]]:
    """Join the processes that torchrun started, if it did; yield one's number and how many."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or dist.is_initialized():
        yield (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield dist.get_rank(), world
    finally:
        dist.destroy_process_group()
