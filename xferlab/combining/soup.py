"""Averages the weights of runs (Wortsman et al. 2022, "Model soups")."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Split
from xferlab.errors import ConfigError
from xferlab.inference.run import Run
from xferlab.training.weights import read_weights_header, weight_arrays

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("xferlab")
KINDS = ("greedy", "uniform")


@dataclasses.dataclass(frozen=True)
class Soup:
    """Averaged weights.

    Attributes:
        run: whose network they are for; it has them.
        arrays: by the names of its variables.
        used: whether each run is in the average.
        scores: of each run alone, by the score that chooses.
        is_merged: whether low-rank matrices of a run were merged into its weights.
    """

    run: Run
    arrays: Mapping[str, np.ndarray]
    used: Sequence[bool]
    scores: Sequence[float]
    is_merged: bool


def refuse_other_networks(runs: Sequence[Run]) -> None:
    """Raise ConfigError for runs whose weights are not of one architecture and origin.

    Nothing here builds a network.
    """
    first = runs[0]
    for run in runs[1:]:
        what = ""
        if run.spec.class_names != first.spec.class_names:
            what = "its classes are in another order"
        elif _sources(run) != _sources(first):
            what = "it started from other pretrained weights"
        elif run.record["model"] != first.record["model"]:
            changed = {k for k, _ in run.record["model"].items() ^ first.record["model"].items()}
            what = f"its network is built of other files ({', '.join(sorted(changed))})"
        elif _node(run, "model") != _node(first, "model"):
            what = "its model is another"
        elif _node(run, "head") != _node(first, "head"):
            what = "its head is another"
        if what:
            raise ConfigError(
                f"{what} than {first.folder.name}'s: an average of their weights is no network",
                where=str(run.folder),
                fix="--how average, which takes any runs of one task",
            )


def _node(run: Run, group: str) -> Any:
    """Return a group's node, without the path of a checkpoint, whose digests are compared."""
    node = run.config.get(group)
    return {k: v for k, v in (node or {}).items() if k != "checkpoint"}


def _sources(run: Run) -> Any:
    origin = run.record.get("checkpoint")
    return origin.get("sha256") if isinstance(origin, Mapping) else None


def make_soup(runs: Sequence[Run], rows: Split, kind: str) -> Soup:
    """Return the average of the weights of all runs, or of those that the greedy recipe takes.

    The greedy recipe begins with the run of the best validation score and adds each other one, from
    the best to the worst, if the score of the average does not become worse.

    Args:
        runs: of one architecture.
        rows: the validation examples.
        kind: ``greedy`` or ``uniform``.
    """
    if _sources(runs[0]) is None and len({run.config.get("seed") for run in runs}) > 1:
        log.warning(
            "note       the runs started from random weights of different seeds: an average of such"
            " weights is rarely as good as one of them"
        )
    plain = [run.with_postprocessor(None) for run in runs]
    sign = -1 if plain[0].recipe.mode == "max" else 1
    name = plain[0].recipe.monitor.removeprefix("val_")
    weights = []
    scores = []
    for run in plain:
        weights.append(weight_arrays(run.model.network))
        _refuse_other_shapes(weights[-1], weights[0], run)
        scores.append(_score(run, rows, name))
        log.info("member     %s  validation %s %.4f", run.folder, name, scores[-1])
    scored = plain[0]
    order = sorted(range(len(runs)), key=lambda i: (sign * scores[i], i))
    chosen = list(range(len(runs)))
    if kind == "greedy":
        chosen = order[:1]
        best = scores[order[0]]
        for i in order[1:]:
            score = _score(_with(scored, mean_of([weights[j] for j in [*chosen, i]])), rows, name)
            is_kept = sign * score <= sign * best
            verb = "added" if is_kept else "left out"
            log.info("soup       %s %s  validation %s %.4f", runs[i].folder, verb, name, score)
            if is_kept:
                chosen.append(i)
                best = score
    arrays = mean_of([weights[i] for i in sorted(chosen)])
    is_merged = any(
        len(read_weights_header(run.content.weights)) != len(each)
        for run, each in zip(runs, weights, strict=True)
    )
    used = [i in chosen for i in range(len(runs))]
    return Soup(_with(scored, arrays), arrays, used, scores, is_merged)


def mean_of(sets: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the mean of weights by name, computed in float64; whole numbers are the first's."""
    import numpy as np

    found = {}
    for position, (name, first) in enumerate(sets[0].items()):
        if first.dtype.kind in "iub":
            found[name] = first
            continue
        every = [list(each.values())[position] for each in sets]
        total = sum((array.astype("float64") for array in every[1:]), every[0].astype("float64"))
        found[name] = (total / len(every)).astype(np.dtype(first.dtype))
    return found


def _with(run: Run, arrays: Mapping[str, np.ndarray]) -> Run:
    """Assign weights to a run's network, and return the run."""
    for variable, array in zip(run.model.network.weights, arrays.values(), strict=True):
        variable.assign(array)
    return run


def _score(run: Run, rows: Split, name: str) -> float:
    return run.evaluation(rows, "validation", samples=0).scores[name].value


def _refuse_other_shapes(
    weights: Mapping[str, np.ndarray], first: Mapping[str, np.ndarray], run: Run
) -> None:
    shapes = [[array.shape for array in each.values()] for each in (weights, first)]
    if shapes[0] != shapes[1]:
        raise ConfigError(
            "its weights have other shapes than the first run's",
            where=str(run.folder),
            fix="--how average, which takes any runs of one task",
        )
