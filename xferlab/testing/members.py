"""What the framework calls and reads of a plugin: the methods and declarations of each group."""

from __future__ import annotations

OF_ANY = {"identity": 0, "inputs": 0}
"""Optional methods of any plugin, with the number of their arguments."""
METHODS: dict[str, dict[str, int]] = {
    "data": {"build": 1, "read": 3},
    "model": {
        "build": 1,
        "restore": 2,
        "check": 1,
        "max_sequence_length": 0,
        "fetch": 0,
        "tokenizer": 1,
        "variables": 1,
    },
    "head": {"build": 2, "reads": 1, "objective": 0},
    "transfer": {"apply": 2, "check_plan": 2},
    "loss": {"build": 1, "check": 1},
    "optimizer": {"build": 1},
    "schedule": {"build": 2, "check": 1, "react": 3},
    "metric": {"build": 1, "check": 1},
    "objective": {"build": 1, "arrays": 2, "check": 0},
    "average": {"take": 1},
    "postprocess": {"fit": 3, "apply": 3, "check": 2, "describe": 2},
    "callback": {"build": 1, "check": 1},
}
"""Methods of a group's plugins that the framework calls, with the number of their arguments."""
ARGUMENTS = {
    ("data", "build"): "seed",
    ("data", "read"): "split, spec, seed",
    ("model", "build"): "spec",
    ("model", "restore"): "spec, folder",
    ("model", "check"): "spec",
    ("model", "tokenizer"): "spec",
    ("model", "variables"): "spec",
    ("head", "build"): "encoder, spec",
    ("head", "reads"): "spec",
    ("transfer", "apply"): "model, budget",
    ("transfer", "check_plan"): "plan, blocks",
    ("loss", "build"): "spec",
    ("loss", "check"): "spec",
    ("optimizer", "build"): "learning_rate",
    ("schedule", "build"): "peak, budget",
    ("schedule", "check"): "budget",
    ("schedule", "react"): "peak, values, mode",
    ("metric", "build"): "spec",
    ("metric", "check"): "spec",
    ("objective", "build"): "spec",
    ("objective", "arrays"): "data, spec",
    ("average", "take"): "moment",
    ("postprocess", "fit"): "outputs, labels, spec",
    ("postprocess", "apply"): "outputs, parameters, xp",
    ("postprocess", "check"): "spec, labels",
    ("postprocess", "describe"): "parameters, spec",
    ("callback", "build"): "run",
    ("callback", "check"): "logged",
}
"""The names of the arguments, for a fix."""
DECLARATIONS: dict[str, tuple[str, ...]] = {
    "data": (),
    "model": ("accepts_head", "has_layers"),
    "head": ("is_per_word", "pooling", "masks_tokens"),
    "transfer": ("chooses_weights",),
    "loss": ("accepts", "accepts_soft_labels", "largest", "needs_whole_batch"),
    "optimizer": (),
    "schedule": (),
    "metric": ("accepts", "mode", "bounds"),
    "objective": ("accepts", "needs", "parts", "uses_weights", "accepts_soft_labels"),
    "average": ("slots",),
    "postprocess": ("accepts", "by_frequency"),
    "callback": ("package", "parts"),
}
"""Class attributes that the framework reads of a group's plugins."""
FLAGS = (
    "accepts_head",
    "accepts_soft_labels",
    "by_frequency",
    "chooses_weights",
    "has_layers",
    "is_per_word",
    "needs_whole_batch",
    "uses_weights",
)
"""Declarations that are true or false."""


def declarations_of(group: str) -> set[str]:
    """Return the class attributes that are read of a group's plugins."""
    return {*DECLARATIONS[group], "contract", "is_default"}
