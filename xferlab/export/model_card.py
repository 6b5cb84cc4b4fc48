"""The README of an export: what the model is, how to use it, how it was trained."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from xferlab.config.presets import checkpoint_presets
from xferlab.contracts import OutputKind, TaskSpec
from xferlab.errors import printable
from xferlab.escaping import markdown
from xferlab.export.folded_head import factor_of
from xferlab.groups import GROUPS
from xferlab.models.prompts import prompts_of

if TYPE_CHECKING:
    from xferlab.inference.run import Run

MAX_LABELS = 50
"""Label names that a card lists."""
_CLASSIFY = """from transformers import pipeline

classify = pipeline("text-classification", model="FOLDER")
print(classify({text}, top_k=None, truncation=True))
"""
_TAG = """from transformers import pipeline

tag = pipeline("token-classification", model="FOLDER", aggregation_strategy="first")
print(tag("Words of a sentence".split(), is_split_into_words=True))
"""
_FILL = """from transformers import pipeline

fill = pipeline("fill-mask", model="FOLDER")
print(fill({text} + f" with a {fill.tokenizer.mask_token}"))
"""
_USAGES = {"text-classification": _CLASSIFY, "token-classification": _TAG, "fill-mask": _FILL}
"""By the pipeline that runs a task."""


def model_card(run: Run, usage: str | None = None, library: str = "transformers") -> str:
    """Return the README of a folder of weights, with the metadata that the Hub reads.

    Args:
        run: what was exported.
        usage: Python lines for a text without its prompt, ``FOLDER`` stands for the folder. None
            for those of transformers' pipeline.
        library: that opens the folder.
    """
    spec = run.spec
    notes = [spec.task.card_note, *_postprocess_notes(run, is_applied=False)]
    notes += _window_notes(spec)
    if usage is None:
        notes = [*_prompt_notes(run), *notes]
        text, pair = _example_texts(run)
        if spec.has_pairs:
            text = f'{{"text": {text}, "text_pair": {pair}}}'
        usage = _USAGES.get(spec.task.pipeline_tag, _CLASSIFY).replace("{text}", text)
    body = _body(run, usage, notes)
    return "\n".join(["---", _metadata(run, library), "---", "", *body])


def _example_texts(run: Run) -> tuple[str, str]:
    """Return a text and its pair as Python literals, each with its prompt."""
    prompts = prompts_of(run.model.tokenizer)
    return json.dumps(f"{prompts.text}a text"), json.dumps(f"{prompts.pair}its pair")


def write_graph_card(
    run: Run, folder: Path, usage: str, outputs: str | None = None, *, more_outputs: str = ""
) -> None:
    """Write the README of a format that is a graph.

    Args:
        run: what was exported.
        folder: where to write it.
        usage: Python lines; ``FOLDER`` stands for the folder, ``TEXTS`` for the tokenizer's input.
        outputs: a description of the outputs; None for the graph's own names.
        more_outputs: what the graph returns beside those.
    """
    spec = run.spec
    first, second = _example_texts(run)
    texts = f"[{first}], [{second}]" if spec.has_pairs else f"[{first}]"
    notes = [f"{outputs or _graph_outputs(spec)}{more_outputs}."]
    if spec.task.is_per_word:
        texts = '["Words of a sentence".split()], is_split_into_words=True'
        notes = [
            f"{outputs or _graph_outputs(spec)}, a row for each token.",
            "A word's tag is that of its first token: `found.word_ids(0)`.",
        ]
    notes += _postprocess_notes(run, is_applied=outputs is None) + _window_notes(spec)
    lines = _body(run, usage.replace("TEXTS", texts), [*_prompt_notes(run), *notes])
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def append_section(folder: Path, section: str) -> None:
    """Add a section to the README of an export."""
    path = folder / "README.md"
    path.write_text(f"{path.read_text(encoding='utf-8')}{section}\n", encoding="utf-8")


def _postprocess_notes(run: Run, *, is_applied: bool) -> list[str]:
    if run.postprocessor is None:
        return []
    described = _code(run.postprocessor.describe())
    if not is_applied and factor_of(run) is not None:
        return ["", f"A postprocess is in the weights of the last layer ({described})."]
    if not is_applied:
        return [
            "",
            f"The run predicts with a postprocess ({described}), which is not in this model:"
            " its outputs are the network's own. `postprocess.json` has the numbers.",
        ]
    more = {"set": "`set` (the classes in the set), ", "low": "`interval`, "}
    names = "".join(more.get(column, "") for column in run.postprocessor.columns)
    return ["", f"A postprocess is in the graph ({described}); it may add {names}`predicted`."]


def _window_notes(spec: TaskSpec) -> list[str]:
    """Return how a text is predicted that is longer than the model reads at once."""
    if spec.windows is None:
        return []
    merged = "the output of a text is the mean of its windows' raw outputs (logits or values)"
    if spec.task.is_per_word:
        merged = "the tag of a word is that of the window in which it has the most context"
    texts = 'texts, pairs, truncation="only_second"' if spec.has_pairs else "texts, truncation=True"
    return [
        "",
        f"Longer texts were read in windows of {spec.max_length} tokens that overlap by"
        f" {spec.windows}: `tokenizer({texts}, stride={spec.windows},"
        f" return_overflowing_tokens=True, padding=True)`; {merged}.",
    ]


def _graph_outputs(spec: TaskSpec) -> str:
    if spec.output_kind is OutputKind.logits:
        return "outputs: `logits` and `probabilities`, float32 (batch, classes)"
    name = "values" if spec.output_kind is OutputKind.values else "probabilities"
    return f"outputs: `{name}`"


def _metadata(run: Run, library: str) -> str:
    """Return the YAML that the Hub reads: library, task, base model, licence, ``model-index``."""
    from huggingface_hub import EvalResult, ModelCardData

    task = run.spec.task.pipeline_tag
    base = _base_checkpoint(run)
    results = [
        EvalResult(
            task_type=task,
            dataset_type=str(run.config["data"].get("name")),
            dataset_name=_dataset_name(run),
            dataset_split=split,
            metric_type=printable(metric),
            metric_value=value,
        )
        for split, metric, value in _scores(run)
    ]
    return ModelCardData(
        library_name=library,
        pipeline_tag=task,
        tags=["xferlab"],
        base_model=base if "/" in base else None,
        license=_licence(base),
        model_name=f"xferlab-{run.record.get('run_id')}",
        eval_results=results or None,
    ).to_yaml()


def _body(run: Run, usage: str, notes: list[str]) -> list[str]:
    title = run.spec.task.title
    base = _code(_base_checkpoint(run))
    version = markdown(_table_of(run.record, "versions").get("xferlab"))
    return [
        f"# {title[0].upper()}{title[1:]}, from {base}",
        "",
        f"Fine-tuned from {base} with xferlab {version}, run {_code(run.record.get('run_id'))}.",
        "",
        "```python",
        usage.rstrip("\n"),
        "```",
        "",
        *notes,
        "",
        *_label_section(run.spec),
        *_score_section(run),
        *_training_section(run),
    ]


def _prompt_notes(run: Run) -> list[str]:
    prompts = prompts_of(run.model.tokenizer)
    if not prompts:
        return []
    pair = "" if prompts.is_one else f", {_code(prompts.pair)} before its pair"
    line = (
        f"It was trained with {_code(prompts.text)} before each text{pair}; no tokenizer adds it."
    )
    return [line, ""]


def _label_section(spec: TaskSpec) -> list[str]:
    if not spec.class_names:
        return []
    line = ", ".join(_code(name) for name in spec.class_names[:MAX_LABELS])
    if len(spec.class_names) > MAX_LABELS:
        line += f" and {len(spec.class_names) - MAX_LABELS} more"
    return ["## Labels", "", line, ""]


def _score_section(run: Run) -> list[str]:
    rows = [
        f"| {split} | {markdown(metric)} | {value:.4f} |" for split, metric, value in _scores(run)
    ]
    if not rows:
        return []
    return ["## Scores", "", "| split | score | value |", "|---|---|---|", *rows, ""]


def _scores(run: Run) -> Iterator[tuple[str, str, float]]:
    """Yield split, metric and value of every score of the run that is a finite number."""
    for split in ("validation", "test"):
        for metric, value in _table_of(run.content.metrics, split).items():
            if isinstance(value, int | float) and math.isfinite(value):
                yield split, metric, value


def _training_section(run: Run) -> list[str]:
    sizes = _table_of(_table_of(run.record, "task"), "rows")
    examples = ", ".join(f"{size} {markdown(split)}" for split, size in sizes.items())
    base = _base_checkpoint(run)
    lines = [
        f"- data: {_code(run.config['data'].get('name'))} ({_code(_dataset_name(run))});"
        f" examples: {examples}",
        f"- at most {run.spec.max_length} tokens; longer texts are"
        f" {'cut' if run.spec.windows is None else 'read in windows'}",
        f"- base checkpoint: {_code(base)}{_licence_note(base)}",
        f"- weights: SHA-256 {_code(run.content.digest)}",
    ]
    for group in ("transfer", "loss", "optimizer", "schedule", "postprocess"):
        for node in GROUPS[group].nodes(_table_of(run.config, group)).values():
            config = node if isinstance(node, Mapping) else {}
            fields = [f"{key}={value}" for key, value in config.items() if key != "name"]
            lines.append(f"- {group}: {_code(' '.join([str(config.get('name')), *fields]))}")
    return ["## How it was trained", "", *lines, ""]


def _licence_note(base: str) -> str:
    licence = _licence(base)
    if licence:
        return f", {licence}"
    return "" if base.startswith("bundled:") else "; its licence applies to this model too"


def _licence(checkpoint: str) -> str | None:
    """Return the licence of a checkpoint that has a preset."""
    for facts in checkpoint_presets(Path.cwd()).values():
        if facts.checkpoint.partition("@")[0] == checkpoint:
            return facts.licence or None
    return None


def _base_checkpoint(run: Run) -> str:
    """Return the checkpoint without a path of this machine: the Hub's id, or a folder's name."""
    record = _table_of(run.record, "checkpoint")
    source = str(record.get("source") or "random weights")
    if record.get("revision") or source.startswith("bundled:"):
        return printable(source.partition("@")[0])
    return printable(PurePath(source).name or source)


def _dataset_name(run: Run) -> str:
    """Return the data set without a path of this machine: its id's or training file's name."""
    data = run.config["data"]
    source = data.get("id") or data.get("train") or data.get("name")
    return printable(PurePath(str(source)).name or str(source))


def _table_of(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    return value if isinstance(value, Mapping) else {}


def _code(value: Any) -> str:
    return "`" + printable(str(value)).replace("`", "'").replace("|", "/") + "`"
