"""``postprocess.json`` in a run's folder: what was fitted, on what, and what it changed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError
from xferlab.io.atomic import sha256_of, write_json
from xferlab.io.records import damaged, read_record
from xferlab.postprocessing.steps import Postprocessor, Step, chosen_steps

FILE = "postprocess.json"
SHAPE = {
    "fitted_on": {"split": str, "examples": int, "data": str, "weights": str},
    "steps": [{"name": str, "parameters": {"*": {"shape": [range(2**31)], "values": [float]}}}],
}
"""What is read again; see ``records.Shape``."""


def write_postprocess(
    folder: Path, fitted: Postprocessor, *, data: str, examples: int, **more: Any
) -> str:
    """Write a run's fitted steps, whole; return the SHA-256 of the file.

    Args:
        folder: of the run.
        fitted: the steps.
        data: SHA-256 of the validation examples.
        examples: how many there are.
        more: further values, e.g. scores before and after.
    """
    steps = [
        {
            "name": step.name,
            "describes": step.describe(fitted.spec),
            "parameters": {
                name: {"shape": list(array.shape), "values": array.ravel().tolist()}
                for name, array in step.parameters.items()
            },
        }
        for step in fitted.steps
    ]
    fitted_on = {"split": "validation", "examples": examples, "data": data}
    record = {"fitted_on": {**fitted_on, "weights": fitted.weights}, "steps": steps, **more}
    write_json(folder / FILE, record)
    return sha256_of(folder / FILE)


def read_postprocess(folder: Path, chosen: Any, spec: TaskSpec) -> Postprocessor | None:
    """Return what a run has fitted; None where it has chosen no postprocess.

    Args:
        folder: of the run.
        chosen: what its config chooses of the group.
        spec: its task.

    Raises:
        ConfigError: the file is missing or damaged, or does not fit the config.
    """
    import numpy as np

    plugins = chosen_steps(chosen)
    if not plugins:
        return None
    path = folder / FILE
    if not path.is_file() or path.is_symlink():
        raise ConfigError(
            f"{FILE} is missing in this run's folder",
            where=str(folder),
            fix="copy the whole run folder again",
        )
    record = read_record(path, SHAPE)
    if [step["name"] for step in record["steps"]] != list(plugins):
        raise damaged(path, f"{FILE} has other steps than config.yaml")
    steps = []
    for step in record["steps"]:
        parameters = {}
        for name, array in step["parameters"].items():
            values = np.asarray(array["values"], "float32")
            if values.size != math.prod(array["shape"]):
                raise damaged(path, f"{FILE} is damaged: {name} has another shape")
            parameters[name] = values.reshape(array["shape"])
        steps.append(Step(step["name"], plugins[step["name"]], parameters))
    return Postprocessor(spec, tuple(steps), record["fitted_on"]["weights"])
