"""What is refused, or adjusted and reported, before a network is built."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.plugin_isolation import isolated_plugins
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab import ConfigError
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.discovery import load_plugins
from xferlab.experiment.prepare import prepare_inputs
from xferlab.models.limits import refuse_ids
from xferlab.training.assemble import assemble

load_plugins(Path("/nonexistent"))
PAIRS = ["data=files", "data.text=a", "data.pair=b"]


def recipe(*overrides: str):
    publish(Path("/nonexistent"))
    return read(compose_config(list(overrides)))


def rows_file(folder: Path) -> str:
    rows = "".join(
        f"the film number {i},it is {'good' if i % 2 else 'bad'},{i % 2}\n" for i in range(20)
    )
    path = folder / "rows.csv"
    path.write_text(f"a,b,label\n{rows}")
    return f"data.train={path}"


@pytest.mark.parametrize("architecture", ["bert", "albert"])
def test_pairs_are_refused_by_a_checkpoint_of_one_segment(architecture, tmp_path):
    checkpoint = write_tiny_checkpoint(tmp_path / "one", architecture, type_vocab_size=1)
    overrides = [*PAIRS, rows_file(tmp_path), "model=encoder", f"model.checkpoint={checkpoint}"]
    with pytest.raises(ConfigError, match="does not distinguish the two") as caught:
        prepare_inputs(recipe(*overrides, "data.max_length=32"))
    assert caught.value.where == f"model.checkpoint={checkpoint}"
    single = ["data=files", "data.text=a", rows_file(tmp_path)]
    prepare_inputs(recipe(*single, *overrides[-2:], "data.max_length=32"))


def test_a_default_length_that_does_not_fit_is_adjusted_and_reported(tmp_path, caplog):
    checkpoint = write_tiny_checkpoint(tmp_path / "short")
    overrides = ["data=files", "data.text=a", rows_file(tmp_path)]
    overrides += ["model=encoder", f"model.checkpoint={checkpoint}"]
    with caplog.at_level(logging.WARNING, "xferlab"):
        _, data = prepare_inputs(recipe(*overrides))
    assert data.spec.max_length == 64
    assert "data.max_length is 64, not its default of 128" in caplog.text
    with pytest.raises(ConfigError, match="max_length=100 is more than this model's 64"):
        prepare_inputs(recipe(*overrides, "data.max_length=100"))


def refusal_of_patterns(*matches: str, head: str = "auto") -> list[str]:
    groups = ",".join(f"{{match: '{match}', rate: 2}}" for match in matches)
    chosen = ["model=bert", f"head={head}", "transfer=patterns", f"transfer.groups=[{groups}]"]
    try:
        prepare_inputs(recipe(*chosen))
    except ConfigError as error:
        return str(error).splitlines()
    return []


def test_a_pattern_that_matches_no_variable_is_refused_before_there_is_a_network():
    """The names are those of the family's layers that the header of the weights has tensors of."""
    what, where, fix = refusal_of_patterns("*/qury/kernel")
    assert "'*/qury/kernel' matches no trained variable, like '" in what
    assert where == " where: transfer.groups"
    assert fix == "   fix: change transfer.groups"
    assert refusal_of_patterns("*/query/kernel", "pooler/*", "head/bias", "*_norm/gamma") == []
    assert refusal_of_patterns("scores/kernel", head="mean") == []  # that head may have it


def test_token_ids_beyond_the_table_are_refused_in_words_about_the_checkpoint():
    with pytest.raises(ConfigError, match="gives ids up to 40, and its table of embeddings has 40"):
        refuse_ids(40, 40, "mine")
    refuse_ids(39, 40, "mine")


def test_a_vocabulary_longer_than_the_table_is_refused(tmp_path):
    checkpoint = write_tiny_checkpoint(tmp_path / "more")
    vocabulary = sorted((checkpoint / "vocab.txt").read_text().split())
    (checkpoint / "tokenizer.json").unlink(missing_ok=True)
    more = [*vocabulary, *(f"new{i}" for i in range(5))]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    rest = [word for word in more if word not in special]
    (checkpoint / "vocab.txt").write_text("\n".join([*special, *rest]) + "\n")
    overrides = ["data=files", "data.text=a", rows_file(tmp_path), "data.max_length=32"]
    overrides += ["model=encoder", f"model.checkpoint={checkpoint}"]
    with pytest.raises(ConfigError, match="and the checkpoint's table has") as caught:
        prepare_inputs(recipe(*overrides))
    assert caught.value.where == f"model.checkpoint={checkpoint}"


OWN = """
from dataclasses import dataclass

from xferlab import register


@register("optimizer", "own")
@dataclass(frozen=True)
class Own:
    \"\"\"An optimizer with settings that are the framework's.\"\"\"

    lr: float = 1e-3
    setting: str = "use_ema"

    def build(self, learning_rate):
        import keras

        value = {"use_ema": True, "gradient_accumulation_steps": 2}.get(self.setting, 0.5)
        return keras.optimizers.Adam(learning_rate, **{self.setting: value})
"""
REFUSED = {
    "use_ema": "has use_ema=True, which averages weights that no score is of",
    "clipnorm": "has clipnorm=0.5, which replaces train.max_grad_norm",
    "clipvalue": "has clipvalue=0.5, which train.max_grad_norm leaves without effect",
    "gradient_accumulation_steps": "has gradient_accumulation_steps=2",
}


@pytest.mark.parametrize(("setting", "message"), REFUSED.items(), ids=REFUSED)
@pytest.mark.parametrize("transfer", ["full", "head_first"])
def test_what_a_keras_optimizer_does_behind_the_frameworks_back_is_refused(
    setting, message, transfer, tmp_path
):
    (tmp_path / "plugins" / "optimizer").mkdir(parents=True)
    (tmp_path / "plugins" / "optimizer" / "own.py").write_text(OWN)
    overrides = ["debug=tiny", "model=bag_of_embeddings", "optimizer=own", f"transfer={transfer}"]
    overrides += ["train.epochs=2"]
    with isolated_plugins():
        load_plugins(tmp_path)
        made, data = prepare_inputs(recipe(*overrides, f"optimizer.setting={setting}"))
        with pytest.raises(ConfigError, match=message) as caught:
            assemble(made, data)
    assert caught.value.where == "optimizer"
    assert len(str(caught.value).splitlines()) == 3
