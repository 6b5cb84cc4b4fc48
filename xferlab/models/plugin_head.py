"""A plugin of the group ``head``: what it reads, and what it is refused for."""

from __future__ import annotations

from typing import Any

from xferlab.compatibility import contract_violation, name_and_origin
from xferlab.contracts import Reads, TaskSpec
from xferlab.errors import ConfigError
from xferlab.models.architectures import Architecture

GROUP = "head"


def chosen_head(head: Any) -> Any:
    """Return a head plugin, or None for the model's own head."""
    return None if getattr(head, "is_default", False) else head


def head_argument(model: Any, head: Any) -> dict[str, Any]:
    """Return what a model plugin's methods are given of a head beside their other arguments.

    Raises:
        ConfigError: a head is chosen, and the model has none that can be replaced.
    """
    if chosen_head(head) is None:
        return {}
    if not getattr(model, "accepts_head", False):
        raise ConfigError(
            f"{name_and_origin('model', model)[0]} has a head of its own alone",
            where=name_and_origin(GROUP, head)[0],
            fix="head=auto, or model=encoder",
        )
    return {"head": head}


def refuse_masks(model: Any, spec: TaskSpec) -> None:
    """Raise ConfigError for a task that masks tokens and a model without an encoder for it."""
    if spec.task.masks_tokens and not getattr(model, "accepts_head", False):
        raise ConfigError(
            f"{name_and_origin('model', model)[0]} predicts no masked tokens",
            where="model",
            fix="model=encoder, or the preset of one (python -m xferlab list model)",
        )


def reads_of(head: Any, spec: TaskSpec) -> Reads:
    """Return what a head reads; ``own`` where it is None.

    Raises:
        PluginError: it declares something else than a Reads.
    """
    if head is None:
        return Reads("own")
    found = head.reads(spec) if hasattr(head, "reads") else Reads()
    if not isinstance(found, Reads):
        what = f"says that it reads {found!r}"
        raise contract_violation(GROUP, head, what, "return xferlab.Reads(...)")
    return found


def refuse_head(head: Any, spec: TaskSpec, architecture: Architecture, pooling: str) -> None:
    """Raise ConfigError for a head that cannot stand above an encoder, or not for a task.

    Args:
        head: plugin, or None.
        spec: the task.
        architecture: of the encoder.
        pooling: value of ``model.pooling``.
    """
    if head is None:
        return
    name = name_and_origin(GROUP, head)[0]
    if spec.task.masks_tokens != getattr(head, "masks_tokens", False):
        about = "labels" if spec.task.masks_tokens else "masked tokens"
        raise ConfigError(
            f"{name} is of {about}, and data.task is {spec.task.name}",
            where=name,
            fix="head=auto",
        )
    reads = reads_of(head, spec)
    if spec.task.is_per_word and not getattr(head, "is_per_word", False):
        raise ConfigError(
            f"{name} makes one vector of a text, and {spec.task.name} needs one for each word",
            where=name,
            fix="head=auto or last_4",
        )
    if reads.layers > architecture.layers:
        raise ConfigError(
            f"{name} reads {reads.layers} layers, and this encoder has {architecture.layers}",
            where=name,
            fix=f"{name} head.layers={architecture.layers}, or another checkpoint",
        )
    if reads.tokens == "first" and architecture.is_causal:
        raise ConfigError(
            f"{architecture.model_type} is a decoder, and its first token has read no other",
            where=name,
            fix="head=mean, attention or auto",
        )
    if pooling != "auto" and reads.tokens != "own":
        raise ConfigError(
            f"model.pooling={pooling} is of the model's own head, and {name} takes its place",
            where="model.pooling",
            fix="leave one of them out",
        )
