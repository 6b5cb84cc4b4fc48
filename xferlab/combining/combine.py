"""Combines finished runs into one, in a run folder like any other."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xferlab.combining.members import (
    has_common_validation,
    read_members,
    refuse_unlike,
    scored_split,
)
from xferlab.combining.soup import KINDS, Soup, make_soup, refuse_other_networks
from xferlab.config.overrides import flatten
from xferlab.contracts import OutputKind
from xferlab.errors import ConfigError, did_you_mean
from xferlab.evaluation.split_evaluation import Evaluation
from xferlab.formatting import format_scores
from xferlab.inference.evaluation_split import choose_split
from xferlab.inference.load import load_run
from xferlab.inference.run import Run
from xferlab.io.atomic import sha256_of, write_json
from xferlab.io.folders import atomic_folder
from xferlab.postprocessing.fit import fit_postprocess
from xferlab.postprocessing.record import FILE as POSTPROCESS
from xferlab.postprocessing.record import write_postprocess
from xferlab.postprocessing.steps import GROUP, Postprocessor, chosen_steps
from xferlab.registry import REGISTRY
from xferlab.runs.combined import FILE, MEMBERS
from xferlab.runs.inputs import FILE as INPUTS
from xferlab.runs.metadata import provenance, write_config, write_status
from xferlab.runs.predictions import keep_predictions
from xferlab.training.weights import frozen_of, write_weights

log = logging.getLogger("xferlab")
WAYS = ("average", "vote", "soup")


def combine(
    runs: Sequence[str | Path],
    how: str = "average",
    output: str | Path | None = None,
    soup: str = "greedy",
) -> Run:
    """Combine finished runs of one task and return the result, a run with a folder of its own.

    Args:
        runs: their folders.
        how: ``average`` of outputs, ``vote``, or ``soup``, the average of weights.
        output: the new folder; by default below ``outputs/runs``.
        soup: ``greedy`` takes the runs that improve the validation score, ``uniform`` all.

    Raises:
        ConfigError: runs that cannot be combined, or a folder that is not empty.
    """
    for word, known, where in ((how, WAYS, "--how"), (soup, KINDS, "--soup")):
        if word not in known:
            what = f"there is no way '{word}' to combine runs"
            raise ConfigError(what, where=where, fix=did_you_mean(word, known))
    members = read_members([Path(run) for run in runs])
    refuse_unlike(members, how)
    if how == "soup":
        refuse_other_networks(members)
    run_id = _run_id(members, f"{how} {soup if how == 'soup' else ''}")
    folder = Path(output) if output else _usual_folder(run_id)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError("this folder is not empty", where=str(folder), fix="--output NEW_FOLDER")
    splits = {split: _own_split(members[0], split) for split in _splits_to_score(members)}
    with atomic_folder(folder) as new:
        made = None
        if how == "soup":
            made = _write_soup(members, new, splits, soup)
        else:
            _write_members(members, new)
        write_status(new, "finished")
        _write_records(members, new, run_id, how, made)
        _score(members, new, splits)
    return load_run(folder)


def _splits_to_score(members: Sequence[Run]) -> list[str]:
    splits = ["validation"] if has_common_validation(members) else []
    if not splits:
        log.warning(
            "note       the runs have different validation examples, and each was trained on some"
            " of the others': there is no validation score, and no postprocess"
        )
    last = scored_split(members[0])
    return [*splits, *([last] if last not in splits else [])]


def _own_split(run: Run, split: str) -> Any:
    """Return the examples of a run's split; ConfigError if they are not those of the training."""
    chosen = choose_split(run, [f"split={split}"])
    if not chosen.own:
        raise ConfigError(
            f"the {split} examples are not those that the runs were scored on",
            where=f"{run.folder}: data",
            fix="put the data of the training back",
        )
    return chosen.rows


def _usual_folder(run_id: str) -> Path:
    return Path("outputs/runs") / f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S}-{run_id}"


def _run_id(members: Sequence[Run], how: str) -> str:
    text = "\n".join([how, *(member.content.digest for member in members)])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _write_members(members: Sequence[Run], new: Path) -> None:
    """Copy what each member of an ensemble is loaded from."""
    for number, member in enumerate(members):
        place = new / MEMBERS / str(number)
        (place / "model").mkdir(parents=True)
        (place / "checkpoints").mkdir()
        names = ["run.json", "metrics.json", "config.yaml", "status.json"]
        names += [f"model/{name}" for name in member.record["model"]]
        names.append(f"checkpoints/{member.content.weights.name}")
        frozen = frozen_of(member.content.weights)
        names += [] if frozen is None else [f"checkpoints/{frozen[0].name}"]
        if POSTPROCESS in member.content.metrics["sha256"]:
            names.append(POSTPROCESS)
        for name in names:
            _link_or_copy(member.folder / name, place / name)


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file of weights a second name; copy any other, and across file systems."""
    if source.suffix == ".safetensors":
        try:
            os.link(source, target)
            return
        except OSError:
            pass
    shutil.copyfile(source, target)


def _write_soup(members: Sequence[Run], new: Path, splits: Mapping[str, Any], kind: str) -> Soup:
    """Write the averaged weights, and the files that the network is built of."""
    made = make_soup(members, splits["validation"], kind)
    used = _used(members, made)
    (new / "model").mkdir()
    for name in used[0].record["model"]:
        shutil.copyfile(used[0].folder / "model" / name, new / "model" / name)
    write_weights(made.arrays, new / "checkpoints" / "best.safetensors")
    log.info("soup       %d of %d runs are in the average", len(used), len(members))
    if len(used) == 1:
        log.warning(
            "note       no average has a validation score as good as that of %s alone: the soup is"
            " this run again, and a report of both compares it with itself (--how average combines"
            " the outputs of all)",
            used[0].folder,
        )
    return made


def _used(members: Sequence[Run], made: Soup | None) -> list[Run]:
    """Return the members that are in a combination: all of an ensemble, of a soup those chosen."""
    return list(members) if made is None else list(itertools.compress(members, made.used))


def _write_records(
    members: Sequence[Run], new: Path, run_id: str, how: str, made: Soup | None
) -> None:
    """Write what the combination is: ``combine.json``, ``run.json``, ``config.yaml``."""
    used = _used(members, made)
    first = used[0]
    record = {
        "how": how,
        "differ": _differing_keys(used),
        "members": [
            {
                "run": str(member.folder),
                "run_id": member.record["run_id"],
                "weights": member.content.digest,
                "data": member.record["data"],
                "used": made is None or made.used[number],
                **({} if made is None else {"validation": made.scores[number]}),
            }
            for number, member in enumerate(members)
        ],
    }
    write_json(new / FILE, record)
    alone = f" ({first.folder.name})" if len(used) == 1 else ""
    config = {**first.config, "combine": f"{how} of {len(used)}{alone}"}
    if made is not None and made.is_merged:
        config["transfer"] = REGISTRY.get("transfer", "full").defaults()
    if not has_common_validation(members):
        config.pop(GROUP, None)
    write_config(new, config)
    task = dict(first.record["task"])
    if made is None:
        task["output_kind"] = _combined_kind(first).value
    run = {**first.record, **provenance(config), "run_id": run_id, "task": task}
    if made is None:
        run["model"] = {}
        run.pop("blocks", None)
    write_json(new / "run.json", run)
    if (first.folder / INPUTS).is_file():
        shutil.copyfile(first.folder / INPUTS, new / INPUTS)


def _differing_keys(members: Sequence[Run]) -> list[str]:
    """Return the dotted keys of the config in which the members differ."""
    configs = [dict(flatten(member.config)) for member in members]
    keys = dict.fromkeys(key for config in configs for key in config)
    return [key for key in keys if len({repr(config.get(key)) for config in configs}) > 1]


def _combined_kind(run: Run) -> OutputKind:
    """Return the kind of an ensemble's outputs."""
    return OutputKind.logits if run.spec.task.has_classes else OutputKind.values


def _score(members: Sequence[Run], new: Path, splits: Mapping[str, Any]) -> None:
    """Score the combination, fit its postprocess, store its outputs, and write ``metrics.json``."""
    recipe = members[0].recipe
    seconds = sum(float(member.content.metrics.get("seconds", 0.0)) for member in members)
    is_soup = not (new / MEMBERS).exists()
    files = [new / FILE, *([new / "checkpoints" / "best.safetensors"] if is_soup else [])]
    metrics: dict[str, Any] = {
        "best": {"monitor": recipe.monitor, "value": None, "epoch": None},
        "weights": "best",
        "sha256": {path.name: sha256_of(path) for path in files},
        "seconds": round(seconds, 3),
    }
    write_json(new / "metrics.json", metrics)  # a run is loaded with it
    run = load_run(new)
    plugins = chosen_steps(run.plugin(GROUP))
    run = run.with_postprocessor(None)
    if "validation" in splits:
        found = run.evaluation(splits["validation"], "validation", samples=0)
        metrics["validation"] = _values(found)
        metrics["best"]["value"] = found.scores[recipe.monitor.removeprefix("val_")].value
        if plugins or "test" not in splits:
            _keep(new, found)
        if plugins:
            fitted = _fitted(plugins, run, found)
            data = splits["validation"].digest
            digest = write_postprocess(new, fitted, data=data, examples=len(found.outputs))
            metrics["sha256"][POSTPROCESS] = digest
            run = run.with_postprocessor(fitted)
    if "test" in splits:
        found = run.evaluation(splits["test"], "test", samples=0)
        metrics["test"] = _values(found)
        _keep(new, found)
    write_json(new / "metrics.json", metrics)
    for split in ("validation", "test"):
        if split in metrics:
            log.info("%-10s %s", split, format_scores(metrics[split]))


def _values(found: Evaluation) -> dict[str, float]:
    return {name: score.value for name, score in found.scores.items()}


def _keep(new: Path, found: Evaluation) -> None:
    """Store the combination's own outputs, without a postprocess."""
    outputs = found.outputs.before or found.outputs
    keep_predictions(new, found.name, outputs.labels, outputs.outputs)


def _fitted(plugins: Mapping[str, Any], run: Run, found: Evaluation) -> Postprocessor:
    """Return the postprocess of the first run's config, fitted to the combined outputs."""
    outputs = found.outputs
    digest = run.content.digest
    fitted = fit_postprocess(plugins, outputs.labels, outputs.outputs, run.spec, digest)
    log.info("fitted     %s", fitted.describe())
    return fitted
