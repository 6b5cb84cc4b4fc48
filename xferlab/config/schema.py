"""Types of the config keys that belong to the framework, not to a plugin."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from xferlab.groups import GROUPS, Group
from xferlab.validation import added_field, defaults_of


class Precision(Enum):
    """Keras dtype policies; ``auto`` is the one that this machine multiplies faster in."""

    auto = "auto"
    float32 = "float32"
    mixed_float16 = "mixed_float16"
    mixed_bfloat16 = "mixed_bfloat16"


class Resume(Enum):
    """What to do where an earlier run of the same config was interrupted."""

    never = "never"
    auto = "auto"


class Keep(Enum):
    """The files of weights that a finished run keeps."""

    both = "both"
    best = "best"
    last = "last"
    none = "none"


@dataclass(frozen=True)
class Interval:
    """How often something is done: every so many optimizer steps, or seconds, or not at all."""

    steps: int | None = None
    seconds: float | None = None


_TIME = re.compile(r"(?=.*[1-9])\d+(?:\.\d+)? ?(?:s|min|h)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def interval(text: str | None) -> Interval:
    """Read an interval as people write it; raises ValueError.

    >>> interval("500"), interval("5min"), interval(None)
    (Interval(steps=500, seconds=None), Interval(steps=None, seconds=300.0), Interval(steps=None, \
seconds=None))
    """
    if text is None:
        return Interval()
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|min|h)?", str(text))
    number = float(found[1]) if found else 0.0
    if found is None or number == 0 or (not found[2] and number != int(number)):
        raise ValueError(
            f"checkpoint_every is steps (500) or a time (30s, 5min, 1h) or null, got '{text}'"
        )
    if found[2]:
        return Interval(seconds=number * _SECONDS[found[2]])
    return Interval(steps=int(number))


BALANCED = "balanced"
FEWEST_EPOCHS = 3
"""Default epochs, as Devlin et al. 2019 fine-tune BERT, if they are enough."""
ENOUGH_STEPS = 400
"""Optimizer steps that fine-tuning takes to converge; ``benchmarks/small_data.py`` has figures."""
ENOUGH_VALIDATION_ROWS = 100
"""Examples needed to distinguish epochs: at 100, an accuracy has a standard error of 0.05."""


@dataclass(frozen=True)
class TrainConfig:
    """How long and how to train.

    Attributes:
        epochs: passes over the training split; null is 3, or as many more as make 400 optimizer
            steps: on small data, 3 epochs stop long before fine-tuning has converged (Mosbach et
            al. 2021, Zhang et al. 2021).
        max_steps: stop after this many optimizer steps; null for whole epochs.
        batch_size: rows a batch.
        eval_batch_size: rows a batch when no gradient is taken.
        gradient_accumulation_steps: batches whose gradients are averaged into one optimizer step.
        max_grad_norm: largest global norm of the gradients; null for no clipping.
        sampling: which training examples an epoch has: null, each once; ``balanced``, as many of
            each class and as many in all: rare ones repeat, of frequent ones others in each epoch.
        precision: Keras global dtype policy; ``auto`` measures matrix products for a moment and
            takes mixed_bfloat16 where they are at least 1.3 times as fast as in float32.
        monitor: logged value that picks the best epoch, e.g. ``val_accuracy``; ``auto`` is the
            first metric on the validation split.
        patience: stop after this many epochs without a better monitored value; null never.
        restore_best: evaluate on the test split with the best epoch's weights, not the last's;
            null does so where the validation split has 100 examples or more, or ``patience`` is
            set: fewer cannot distinguish epochs. Of equal epochs the later is the best.
        deterministic: the same seed gives the same bits (same versions, processor, threads).
        checkpoint_every: how often the run's whole state is saved, in optimizer steps (``500``) or
            time (``5min``); null for signals only. By time it never costs more
            than a fiftieth of the run.
        split_on_oom: where a batch does not fit into memory, compute it in halves, quarters and so
            on, whose gradients are added up: the optimizer step stays the same, which batches of
            half the size with twice the accumulation would not. The run reports and records it.
        recompute: keep what is between the transformer layers alone for the gradient, and compute
            the layers again (gradient checkpointing): the same gradients up to rounding in less
            memory, for about a third more work.
        cache_frozen: compute the outputs of frozen blocks once, without dropout, and keep them on
            disk for all epochs, jobs and later runs; false computes them in every step, with
            dropout.
        resume: ``auto`` resumes an interrupted run of the same config, if there is one.
        keep: the weights that stay when the run has finished: of the ``best`` epoch, of the
            ``last``, ``both`` or ``none``; null is both, and in a sweep those that a job's scores
            belong to, both of the best job alone.
    """

    epochs: int | None = None
    max_steps: int | None = None
    batch_size: int = 16
    eval_batch_size: int = 64
    gradient_accumulation_steps: int = 1
    max_grad_norm: float | None = 1.0
    sampling: str | None = added_field(None)
    precision: Precision = Precision.float32
    monitor: str = "auto"
    patience: int | None = None
    restore_best: bool | None = None
    deterministic: bool = True
    checkpoint_every: str | None = "5min"
    split_on_oom: bool = True
    recompute: bool = False
    cache_frozen: bool = True
    resume: Resume = Resume.never
    keep: Keep | None = added_field(None)

    def __post_init__(self) -> None:
        for name in ("batch_size", "eval_batch_size", "gradient_accumulation_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("epochs", "max_steps", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1 or null, got {value}")
        interval(self.checkpoint_every)
        if self.sampling not in (None, BALANCED):
            raise ValueError(f"sampling must be {BALANCED} or null, got '{self.sampling}'")
        if self.max_grad_norm is not None and self.max_grad_norm <= 0:
            raise ValueError(f"max_grad_norm must be above 0 or null, got {self.max_grad_norm}")

    def epochs_of(self, updates_per_epoch: int) -> int:
        """Return ``epochs``, or where it is null enough of them for fine-tuning to converge.

        >>> TrainConfig().epochs_of(1000), TrainConfig().epochs_of(29)
        (3, 14)
        >>> TrainConfig(epochs=2).epochs_of(29)
        2
        """
        if self.epochs is not None:
            return self.epochs
        return max(FEWEST_EPOCHS, -(-ENOUGH_STEPS // updates_per_epoch))

    def restores_best(self, validation_rows: int) -> bool:
        """Return whether the best epoch's weights are the run's, not the last epoch's.

        >>> TrainConfig().restores_best(49), TrainConfig(patience=2).restores_best(49)
        (False, True)
        """
        if self.restore_best is not None:
            return self.restore_best
        return self.patience is not None or validation_rows >= ENOUGH_VALIDATION_ROWS


Words = list[str]


@dataclass(frozen=True)
class SweepConfig:
    """Which jobs a sweep has beside the command line's axes, and how they are run here.

    The parts ``grid``, ``zip``, ``list`` and ``random`` multiply with each other and with the
    axes on the command line. No part of a job's own config.

    Attributes:
        workers: jobs at once; null is one, or one for each of ``gpus``.
        gpus: devices to share out, one a worker, as ``CUDA_VISIBLE_DEVICES`` names them; one
            that is named twice takes two jobs. Empty leaves the environment as it is.
        threads: processor threads a job; null shares the cores out. Results are the same bits
            only at the same number.
        fail_fast: start no further job once one has failed.
        isolate: start a new Python for each job; otherwise the libraries are imported once, each
            job is a fork of that process, and jobs that differ in nothing below a frozen boundary
            take turns in one. The results are the same bits.
        time_limit: a job that takes longer (``30min``, ``2h``) is ended and has failed; null for
            none.
        grid: keys to lists of values; every combination is a job.
        zip: keys to lists of equal length; the first values are a job, the second, ...
        list: mappings of keys to values; each is a job.
        random: ``count``, ``seed`` and ``space``, a mapping of keys to ``{uniform: [low, high]}``,
            ``{loguniform: [low, high]}``, ``{int: [low, high]}`` or ``{choice: [...]}``.
        search: jobs that are chosen one by one by how the earlier ones did: ``space`` as above,
            ``trials``, ``sampler``, ``pruner``, ``seed``, ``storage``; see
            ``docs/hyperparameter-search.md``.
    """

    workers: int | None = None
    gpus: Words = field(default_factory=list)
    threads: int | None = None
    fail_fast: bool = False
    isolate: bool = False
    time_limit: str | None = None
    grid: dict[str, Any] | None = None
    zip: dict[str, Any] | None = None
    list: Any = None
    random: dict[str, Any] | None = None
    search: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("workers", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1 or null, got {value}")
        if self.time_limit is not None and not _TIME.fullmatch(self.time_limit):
            raise ValueError(
                f"time_limit is a time (30s, 5min, 1h) or null, got '{self.time_limit}'"
            )
        if self.gpus and (self.workers or 1) > len(self.gpus):
            raise ValueError(
                f"workers must be at most {len(self.gpus)}, one for each of sweep.gpus, got"
                f" {self.workers}; name a device twice for two jobs on it"
            )

    @property
    def most_workers(self) -> int:
        """How many jobs run at once on this machine."""
        return self.workers or max(1, len(self.gpus))

    @property
    def limit_seconds(self) -> float | None:
        """``time_limit`` in seconds."""
        return interval(self.time_limit).seconds


def root_keys() -> tuple[str, ...]:
    """Return the top-level keys of a composed config."""
    return ("seed", "name", *GROUPS, "train", "sweep")


def root_node() -> dict[str, Any]:
    """Return the node that every config begins with, as Hydra's store takes it.

    ``seed`` seeds Python, NumPy, Keras, the split of data and the order of batches. ``name`` is
    a part of the folder's name and of tables, not of the run's identity. ``sweep`` has the jobs
    of ``-m`` beside the command line's axes. The groups that a config may leave out are in its
    defaults list, so that they can be chosen on top of any config.
    """
    choices = [
        {group.name: _default_choice(group)} for group in GROUPS.values() if group.may_be_absent
    ]
    groups: dict[str, Any] = {
        group.name: {} if group.holds_several else None for group in GROUPS.values()
    }
    return {
        "defaults": ["_self_", *choices],
        "seed": 0,
        "name": None,
        **groups,
        "train": defaults_of(TrainConfig),
        "sweep": defaults_of(SweepConfig),
    }


def _default_choice(group: Group) -> Any:
    return list(group.default) if group.holds_several else next(iter(group.default), None)
