"""A ``config.json`` for each preset's checkpoint is read; variants are refused.

``tests/fixtures/hub_configs.json`` has them with the keys that no graph depends on. ALBERT, BERT,
DistilBERT, BGE small, E5 small, EuroBERT, ModernBERT base, all-mpnet, NeoBERT, Qwen3 and SmolLM2
are the files of the Hub as public sources have them. The others (Ettin, mmBERT, GTE, large and
small sizes) are the file of a sibling with the published sizes, so a key that only they have is
missing; of Nomic Embed the keys are from descriptions of the file.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from xferlab.config.presets import KINDS, checkpoint_presets
from xferlab.errors import ConfigError
from xferlab.models.architectures import FAMILIES, read_architecture
from xferlab.models.architectures.nomic_bert import OWN_KEYS, OWN_VARIANTS
from xferlab.models.checkpoint import _HUB_ID, check_config

ROOT = Path(__file__).parents[2]
CONFIGS = json.loads((ROOT / "tests" / "fixtures" / "hub_configs.json").read_text())
PRESETS = checkpoint_presets(ROOT / "tests")
ONE_OF_EACH = {table["model_type"]: table for table in CONFIGS.values()}


def refusal(table: dict) -> str:
    with pytest.raises(ConfigError) as caught:
        check_config(table, "model.checkpoint=org/name")
    assert len(str(caught.value).splitlines()) == 3
    return caught.value.what


def test_every_preset_has_its_config_and_every_config_a_preset():
    named = {facts.checkpoint.partition("@")[0] for facts in PRESETS.values()}
    assert named - {"bundled:bert"} == set(CONFIGS)


@pytest.mark.parametrize(("name", "facts"), PRESETS.items(), ids=PRESETS)
def test_a_preset_states_its_facts_and_is_read(name, facts):
    lines = (ROOT / "conf" / "model" / f"{name}.yaml").read_text().splitlines()
    assert [line[:1] for line in lines[:2]] == ["#", "#"]
    assert lines[2:4] == ["defaults: [encoder]", f'checkpoint: "{facts.checkpoint}"']
    assert facts.group in KINDS
    assert facts.licence in ("apache-2.0", "gemma", "mit")
    assert re.fullmatch(r"[\d.]+(MB|GB)|", facts.download)
    if facts.checkpoint.startswith("bundled:"):
        return
    match = _HUB_ID.fullmatch(facts.checkpoint)
    assert match
    assert re.fullmatch("[0-9a-f]{40}", match["revision"] or "0" * 40)
    table = CONFIGS[match["id"]]
    check_config(table, name)
    estimate = read_architecture(table, name).max_parameters / 1e6
    assert float(facts.parameters.removesuffix("M")) == pytest.approx(estimate, rel=0.1)


EVERYWHERE = {
    "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True},
    "position_embedding_type": "alibi",
    "num_hidden_layers": "12",
    "n_layers": 0,
    "vocab_size": None,
}
CHANGES = {
    "bert": [{"position_embedding_type": "relative_key"}, {"is_decoder": True}],
    "roberta": [{"add_cross_attention": True}, {"pad_token_id": None}],
    "albert": [{"num_hidden_groups": 5}, {"position_embedding_type": "relative_key_query"}],
    "deberta-v2": [
        {"relative_attention": False},
        {"conv_kernel_size": 3},
        {"pos_att_type": "p2p"},
        {"embedding_size": 128},
        {"attention_head_size": 32},
        {"norm_rel_ebd": "batch_norm"},
    ],
    "modernbert": [
        {"layer_types": ["full_attention"]},
        {"classifier_pooling": "max"},
        {"sliding_window": 32},
    ],
    "distilbert": [{"num_hidden_layers": 3}, {"hidden_size": 512}],
    "mpnet": [{"relative_attention_num_buckets": 64}],
    "eurobert": [
        {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}},
        {"auto_map": {"AutoTokenizer": "tokenizer.Evil"}},
        {"auto_map": "evil"},
    ],
    "neobert": [
        {"rope": False},
        {"rms_norm": False},
        {"hidden_act": "gelu"},
        {"rope_theta": 20000.0},
        {"num_key_value_heads": 4},
        {"auto_map": {"AutoTokenizer": "tokenizer.Evil"}},
    ],
    "nomic_bert": [
        {"n_embd": 512},
        {"rotary_emb_base": 10000},
        {"num_experts": 8},
        {"qkv_proj_bias": True},
        {"rotary_scaling_factor": 2.0},
        {"activation_function": "geglu"},
    ],
    "qwen3": [
        {"use_sliding_window": True},
        {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
        {"auto_map": {"AutoModel": "evil.Model"}},
    ],
    "llama": [
        {"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4}},
        {
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
            "rope_scaling": {"rope_type": "linear", "factor": 2.0},
        },
        {"layer_types": ["sliding_attention"] * 30},
    ],
    "gemma3_text": [
        {"attn_logit_softcapping": 50.0},
        {"use_bidirectional_attention": True},
        {"layer_types": ["full_attention"] * 17},
    ],
}


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_what_changes_the_mathematics_is_refused(family):
    table = ONE_OF_EACH[family]
    changes = [{key: value} for key, value in EVERYWHERE.items() if key in table]
    changes += [
        {"quantization_config": EVERYWHERE["quantization_config"]},
        {"position_embedding_type": "alibi"},
    ]
    for change in [*changes, *CHANGES.get(family, ())]:
        refusal(table | change)


def test_the_keys_of_nomics_own_code_describe_the_same_encoder():
    both = CONFIGS["nomic-ai/nomic-embed-text-v1.5"]
    theirs = {"hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob"}
    theirs |= {"max_position_embeddings", "rope_parameters", *OWN_KEYS.values()}
    own = {key: value for key, value in both.items() if key not in theirs}
    expected = read_architecture(both | {"max_position_embeddings": 8192}, "here")
    assert read_architecture(own | {"vocab_size": 30522}, "here") == expected
    for key in OWN_VARIANTS:
        left_out = {name: value for name, value in own.items() if name != key}
        assert f"its {key} is None" in refusal(left_out)


def test_the_code_of_another_family_is_no_reason_to_read_it():
    table = CONFIGS["google-bert/bert-base-uncased"] | {"auto_map": {"AutoModel": "a.B"}}
    assert "brings its own code" in refusal(table)


def test_an_unknown_family_is_named_with_the_nearest_and_what_would_work():
    table = CONFIGS["Qwen/Qwen3-0.6B"] | {"model_type": "qwen2"}
    assert refusal(table) == (
        "the checkpoint is of the architecture 'qwen2', which cannot be loaded"
        " (the nearest that can be is 'qwen3')"
    )
    assert "qwen2" not in FAMILIES


ODD = [None, True, -1, 2**70, float("nan"), "", "x", [], [1], {}, {"a": 1}, [[]], 0.5]
ODD += [{"rope_type": []}, {"rope_type": "linear"}, {"full_attention": []}, {"type": {}}]


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_odd_values_of_any_key_are_read_or_refused_in_three_lines(family):
    keys = {*ONE_OF_EACH[family], "rope_parameters", "rope_scaling", "auto_map", "layer_types"}
    refused = []
    for key in keys:
        for value in ODD:
            try:
                check_config(ONE_OF_EACH[family] | {key: value}, "model.checkpoint=org/name")
            except ConfigError as error:
                refused.append(str(error))
    assert {len(text.splitlines()) for text in refused} == {3}
