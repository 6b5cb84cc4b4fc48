"""The README of an export: what the model is, how to use it, where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from xferlab.contracts import OutputKind, TaskSpec
from xferlab.errors import printable
from xferlab.escaping import markdown
from xferlab.models.architectures import families

if TYPE_CHECKING:
    from xferlab.inference.run import Run

_MOST_NAMES = 50
_CLASSIFY = """from transformers import pipeline

classify = pipeline("text-classification", model="FOLDER")
print(classify({text}, top_k=None, truncation=True))
"""
_TAG = """from transformers import pipeline

tag = pipeline("token-classification", model="FOLDER", aggregation_strategy="first")
print(tag("Words of a sentence".split(), is_split_into_words=True))
"""


def model_card(run: Run) -> str:
    """Return the README of a transformers folder, with the head that the Hub reads."""
    spec, source = run.spec, _base(run)
    head: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": spec.task.pipeline_tag,
        "tags": ["xferlab"],
    }
    if "/" in source:
        head["base_model"] = source
        licence = _licence(source)
        head |= {"license": licence} if licence else {}
    rows = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    text = '{"text": "a text", "text_pair": "its pair"}' if spec.has_pairs else '"a text"'
    use = _TAG if spec.task.is_per_word else _CLASSIFY.replace("{text}", text)
    return "\n".join(["---", *rows, "---", "", *_body(run, use, [spec.task.card_note])])


def write_graph_card(run: Run, folder: Path, use: str, outputs: str | None = None) -> None:
    """Write the README of a format that is a graph.

    Args:
        run: what was exported.
        folder: where to write it.
        use: Python lines; ``FOLDER`` stands for the folder, ``TEXTS`` for what the tokenizer takes.
        outputs: what comes out, in words; None for the graph's own names.
    """
    spec = run.spec
    if outputs is None and spec.output_kind is OutputKind.logits:
        outputs = "outputs: `logits` and `probabilities`, float32 (batch, classes)"
    outputs = (
        outputs
        or f"outputs: `{'values' if spec.output_kind is OutputKind.values else 'probabilities'}`"
    )
    notes = [outputs + (", a row a token" if spec.task.is_per_word else "") + "."]
    texts = '["a text"]'
    if spec.has_pairs:
        texts = '["a text"], ["its pair"]'
    if spec.task.is_per_word:
        texts = '["Words of a sentence".split()], is_split_into_words=True'
        notes.append("A word's tag is that of its first token: `found.word_ids(0)`.")
    lines = _body(run, use.replace("TEXTS", texts), notes)
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def _body(run: Run, use: str, notes: list[str]) -> list[str]:
    spec, record = run.spec, run.record
    task = spec.task.title
    return [
        f"# {task[0].upper()}{task[1:]}, from {_code(_base(run))}",
        "",
        f"Fine-tuned from {_code(_base(run))} with xferlab"
        f" {markdown(_of(record, 'versions').get('xferlab'))}, run {_code(record.get('run_id'))}.",
        "",
        "```python",
        use.rstrip("\n"),
        "```",
        "",
        *notes,
        "",
        *_labels(spec),
        *_scores(run),
        *_made(run),
    ]


def _labels(spec: TaskSpec) -> list[str]:
    if not spec.class_names:
        return []
    shown = ", ".join(_code(name) for name in spec.class_names[:_MOST_NAMES])
    more = len(spec.class_names) - _MOST_NAMES
    return ["## Labels", "", shown + (f" and {more} more" if more > 0 else ""), ""]


def _scores(run: Run) -> list[str]:
    splits = [
        name for name in ("validation", "test") if isinstance(run.content.metrics.get(name), dict)
    ]
    rows = [
        f"| {split} | {markdown(name)} | {value:.4f} |"
        for split in splits
        for name, value in run.content.metrics[split].items()
        if isinstance(value, int | float)
    ]
    return (
        ["## Scores", "", "| split | score | value |", "|---|---|---|", *rows, ""] if rows else []
    )


def _made(run: Run) -> list[str]:
    data, spec = run.config["data"], run.spec
    names = [str(data[key]) for key in ("path", "dataset", "train") if data.get(key)]
    files = f" ({', '.join(_code(PurePath(name).name) for name in names)})" if names else ""
    rows = _of(_of(run.record, "task"), "rows")
    counts = ", ".join(f"{rows[name]} {markdown(name)}" for name in rows)
    lines = [
        f"- data: {_code(data.get('name'))}{files}; rows: {counts}",
        f"- at most {spec.max_length} tokens; longer texts are cut",
        f"- base checkpoint: {_code(_base(run))}{_licence_line(run)}",
        f"- weights: SHA-256 {_code(run.content.digest)}",
    ]
    for group in ("transfer", "loss", "optimizer", "schedule"):
        node = _of(run.config, group)
        words = [str(node.get("name")), *(f"{k}={v}" for k, v in node.items() if k != "name")]
        lines.append(f"- {group}: {_code(' '.join(words))}")
    return ["## How it was made", "", *lines, ""]


def _licence_line(run: Run) -> str:
    source = _base(run)
    licence = _licence(source)
    if licence:
        return f", {licence}"
    return "" if source.startswith("bundled:") else "; its licence holds for this model too"


def _licence(source: str) -> str | None:
    """Return the licence of a checkpoint that has a preset, by its organisation on the Hub."""
    organisation, _, name = source.partition("/")
    licences = (family.licences.get(organisation) for family in families().values())
    return next(filter(None, licences), None) if name else None


def _base(run: Run) -> str:
    """Return the checkpoint as it may be shown: the Hub's id, or a folder's last name alone."""
    origin = _of(run.record, "checkpoint")
    source = str(origin.get("source") or "random weights")
    if origin.get("revision") or source.startswith("bundled:"):
        return printable(source.partition("@")[0])
    return printable(PurePath(source).name or source)


def _of(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    return value if isinstance(value, Mapping) else {}


def _code(value: Any) -> str:
    return "`" + printable(str(value)).replace("`", "'").replace("|", "/") + "`"
