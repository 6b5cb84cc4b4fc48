"""Checkpoints: what is typed becomes a checked folder, or three lines that say what to type."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.family_checkpoints import write_family_checkpoint
from tests.support.pytorch_files import convert_checkpoint, write_pytorch_file
from tests.support.tiny_checkpoints import ARCHITECTURES, write_tiny_checkpoint
from xferlab.errors import ConfigError
from xferlab.io.tensors import read_weight
from xferlab.models import checkpoint as checkpoints
from xferlab.models.architectures import FAMILIES
from xferlab.models.checkpoint import resolve
from xferlab.models.config_reader import ConfigReader
from xferlab.models.content import content_of_checkpoint


@pytest.fixture
def tiny(tmp_path):
    return write_tiny_checkpoint(tmp_path / "tiny")


def refusal(text: str, **kwargs) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolve(text, **kwargs)
    return str(caught.value).splitlines()


def change_json(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


# --- what may be typed ---------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_supported_architecture_resolves(tmp_path, architecture):
    assert resolve(str(write_tiny_checkpoint(tmp_path, architecture))).model_type == architecture


def test_an_absolute_path_a_relative_one_and_home_are_the_same_folder(tiny, monkeypatch):
    monkeypatch.chdir(tiny.parent)
    monkeypatch.setenv("HOME", str(tiny.parent))
    for text in (str(tiny), "tiny", "./tiny", "../" + tiny.parent.name + "/tiny", "~/tiny"):
        assert resolve(text).folder == tiny.resolve()
        assert resolve(text).source == text


def test_a_bundled_name_is_a_folder_of_the_box(tiny, monkeypatch):
    monkeypatch.setattr(checkpoints, "BUNDLED", tiny.parent)
    assert checkpoints.bundled_names() == ["tiny"]
    assert resolve("bundled:tiny").folder == tiny


def test_the_record_says_source_digest_and_size(tiny):
    weights = tiny / "model.safetensors"
    assert resolve(str(tiny)).record() == {
        "source": str(tiny),
        "revision": None,
        "sha256": {weights.name: hashlib.sha256(weights.read_bytes()).hexdigest()},
        "architecture": "bert",
        "parameters": 7280,
    }


def test_the_digest_follows_a_change_of_the_file(tmp_path):
    first = resolve(str(write_tiny_checkpoint(tmp_path)))
    write_tiny_checkpoint(tmp_path, seed=1)
    os.utime(tmp_path / "model.safetensors", ns=(1, 1))
    assert resolve(str(tmp_path)).sha256 != first.sha256


def test_shards_are_all_digested_and_counted(tmp_path):
    checkpoint = resolve(str(write_tiny_checkpoint(tmp_path, shards=2)))
    assert list(checkpoint.sha256) == [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    assert checkpoint.parameters == 7280


def test_without_weights_architecture_and_tokenizer_are_enough(tiny):
    (tiny / "model.safetensors").unlink()
    checkpoint = resolve(str(tiny), weights=False)
    assert (checkpoint.model_type, checkpoint.sha256, checkpoint.tensors) == ("bert", {}, {})


def test_nothing_heavy_is_imported_for_a_folder(tiny):
    code = (
        "import sys; from xferlab.models.checkpoint import resolve; resolve(sys.argv[1]);"
        "heavy = {'keras', 'tensorflow', 'transformers', 'huggingface_hub', 'datasets'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tiny)]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == "[]"


# --- what is refused -----------------------------------------------------------------------------


def test_an_unknown_bundled_name(tiny, monkeypatch):
    monkeypatch.setattr(checkpoints, "BUNDLED", tiny.parent)
    assert refusal("bundled:tinny") == [
        " error: there is no bundled checkpoint 'tinny'",
        " where: model.checkpoint=bundled:tinny",
        "   fix: did you mean 'tiny'?",
    ]


def test_a_bundled_name_without_its_kind(tiny, monkeypatch):
    monkeypatch.setattr(checkpoints, "BUNDLED", tiny.parent)
    assert refusal("tiny") == [
        " error: 'tiny' alone may be the bundled checkpoint or one of the Hub",
        " where: model.checkpoint=tiny",
        "   fix: type model.checkpoint=bundled:tiny, or ORG/tiny for one of the Hub",
    ]


@pytest.mark.parametrize(
    "text", ["./nowhere", "/nowhere", "~/nowhere", "~nobody/x", "a/b/c", "", "a b", "x@y@z"]
)
def test_a_folder_that_is_not_there(text, tiny, monkeypatch):
    monkeypatch.setattr(checkpoints, "BUNDLED", tiny.parent)
    assert refusal(text) == [
        f" error: there is no folder '{text}'",
        f" where: model.checkpoint={text}",
        "   fix: give the path of a folder, ORG/NAME or ORG/NAME@REVISION of the Hub, "
        "or bundled:tiny",
    ]


def test_a_file_instead_of_its_folder(tiny):
    weights = tiny / "model.safetensors"
    assert refusal(str(weights)) == [
        f" error: '{weights}' is a file, a checkpoint is a folder",
        f" where: model.checkpoint={weights}",
        f"   fix: give the folder that has config.json in it: model.checkpoint={tiny}",
    ]


def test_a_folder_without_config(tiny):
    (tiny / "config.json").unlink()
    assert refusal(str(tiny)) == [
        f" error: the folder has no config.json: {tiny}",
        f" where: model.checkpoint={tiny}",
        "   fix: give a folder that transformers' save_pretrained wrote",
    ]


@pytest.mark.parametrize("content", [b'{"model_type": ', b"\xff\xfe", b"[1]"])
def test_a_config_that_is_no_json_table(tiny, content):
    (tiny / "config.json").write_bytes(content)
    assert refusal(str(tiny))[0].startswith(" error: config.json ")


def test_an_architecture_that_cannot_be_loaded(tiny):
    change_json(tiny / "config.json", model_type="gpt2")
    assert refusal(str(tiny)) == [
        " error: the checkpoint is of the architecture 'gpt2', which cannot be loaded",
        f" where: model.checkpoint={tiny}",
        "   fix: choose a checkpoint of one of these: " + ", ".join(sorted(FAMILIES)),
    ]


def test_the_nearest_family_is_named(tiny):
    change_json(tiny / "config.json", model_type="xlm-roberta-xl")
    assert "(the nearest that can be is 'xlm-roberta')" in refusal(str(tiny))[0]


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_in_a_checkpoint(tiny, name):
    change_json(tiny / name, auto_map={"AutoModel": "modeling.Evil"})
    assert refusal(str(tiny)) == [
        f" error: the checkpoint brings its own code ({name} has auto_map), and that is never run",
        f" where: model.checkpoint={tiny}",
        "   fix: choose a checkpoint without code of its own: " + ", ".join(sorted(FAMILIES)),
    ]


def test_code_of_a_family_that_is_built_here_is_left_aside(tmp_path):
    from xferlab.data.tokenizer import load_tokenizer

    folder = write_family_checkpoint(tmp_path / "euro", "eurobert")
    code = {"AutoConfig": "configuration_eurobert.Config", "AutoModel": "modeling_eurobert.Model"}
    change_json(folder / "config.json", auto_map=code)
    for module in ("configuration_eurobert", "modeling_eurobert"):
        (folder / f"{module}.py").write_text(f"open({str(tmp_path / 'touched')!r}, 'w')")
    assert resolve(str(folder)).model_type == "eurobert"
    assert load_tokenizer(folder).largest_id > 0
    assert not (tmp_path / "touched").exists()


def test_no_tokenizer(tiny):
    for name in ("tokenizer.json", "vocab.txt"):
        (tiny / name).unlink()
    assert refusal(str(tiny)) == [
        f" error: the checkpoint has no tokenizer: {tiny}",
        f" where: model.checkpoint={tiny}",
        "   fix: put its tokenizer.json beside config.json: tokenizer.save_pretrained(FOLDER)",
    ]


@pytest.mark.parametrize("shards", [1, 2])
def test_weights_of_pytorch_are_read_as_data(tmp_path, shards):
    expected = resolve(str(write_tiny_checkpoint(tmp_path / "a")))
    found = resolve(str(convert_checkpoint(write_tiny_checkpoint(tmp_path / "b"), shards)))
    assert found.parameters == expected.parameters
    assert len(found.sha256) == shards
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert (read_weight(tensor) == read_weight(found.tensors[name])).all()


def test_weights_of_pytorch_beside_safetensors_are_not_looked_at(tiny):
    (tiny / "pytorch_model.bin").write_bytes(b"not weights")
    assert list(resolve(str(tiny)).sha256) == ["model.safetensors"]
    assert "checkpoint: pytorch_model.bin" not in content_of_checkpoint(str(tiny))


def test_the_content_of_pytorch_weights_is_identified(tiny):
    before = content_of_checkpoint(str(convert_checkpoint(tiny)))
    (tiny / "pytorch_model.bin").write_bytes(b"others")
    changed = content_of_checkpoint(str(tiny))
    assert [name for name in before if before[name] != changed[name]] == [
        "checkpoint: pytorch_model.bin"
    ]


def test_a_pickle_that_would_run_code(tiny):
    (tiny / "model.safetensors").unlink()
    write_pytorch_file(tiny / "pytorch_model.bin", {"x": np.zeros(2, "float32")})
    path = tiny / "pytorch_model.bin"
    path.write_bytes(
        path.read_bytes().replace(b"collections\nOrderedDict", b"builtins\n__________exec")
    )
    assert refusal(str(tiny)) == [
        " error: the weights in pytorch_model.bin cannot be read as data: its pickle names "
        "'builtins __________exec', which no weights need",
        f" where: model.checkpoint={tiny}",
        f"   fix: copy or download it again, or {CONVERT}",
    ]


CONVERT = (
    "save it once with transformers (AutoModel.from_pretrained(FOLDER).save_pretrained(NEW)); "
    "many checkpoints of the Hub have a converted copy in a pull request: ORG/NAME@refs/pr/N"
)


def test_weights_of_another_format_alone(tiny):
    (tiny / "model.safetensors").rename(tiny / "model.pt")
    assert refusal(str(tiny)) == [
        " error: the checkpoint has no model.safetensors, only files that are never unpickled: "
        "model.pt",
        f" where: model.checkpoint={tiny}",
        f"   fix: {CONVERT}",
    ]


def test_no_weights_at_all(tiny):
    (tiny / "model.safetensors").unlink()
    lines = refusal(str(tiny))
    assert lines[0] == " error: the checkpoint has no model.safetensors"
    assert lines[2].endswith("; or start from random weights with model.pretrained=false")


@pytest.mark.parametrize(
    "name",
    ["../evil.safetensors", "/tmp/evil.safetensors", "sub/evil.safetensors", "..\\x.safetensors"],
)
def test_an_index_that_leaves_the_folder(tmp_path, name):
    write_tiny_checkpoint(tmp_path, shards=2)
    change_json(tmp_path / "model.safetensors.index.json", weight_map={"a": name})
    assert refusal(str(tmp_path)) == [
        f" error: model.safetensors.index.json names a file outside the checkpoint: '{name}'",
        f" where: model.checkpoint={tmp_path}",
        "   fix: do not use this checkpoint: its index is damaged or malicious",
    ]


def test_an_index_that_names_a_pickled_file(tmp_path):
    write_tiny_checkpoint(tmp_path, shards=2)
    change_json(tmp_path / "model.safetensors.index.json", weight_map={"a": "pytorch_model.bin"})
    assert "names a file outside the checkpoint: 'pytorch_model.bin'" in refusal(str(tmp_path))[0]


def test_a_shard_that_is_missing(tmp_path):
    write_tiny_checkpoint(tmp_path, shards=2)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    assert refusal(str(tmp_path)) == [
        " error: model.safetensors.index.json names 'model-00002-of-00002.safetensors', "
        f"which is not in {tmp_path}",
        f" where: model.checkpoint={tmp_path}",
        "   fix: copy the whole folder again",
    ]


@pytest.mark.parametrize("content", ["{}", '{"weight_map": {}}', '{"weight_map": []}'])
def test_an_index_of_nothing(tmp_path, content):
    write_tiny_checkpoint(tmp_path, shards=2)
    (tmp_path / "model.safetensors.index.json").write_text(content)
    assert refusal(str(tmp_path))[0] == " error: model.safetensors.index.json names no files"


def header(**entry) -> bytes:
    row = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | entry
    text = json.dumps({"a": row}).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "header too small"),
        (b"\x10\x27" + bytes(20), "invalid header length"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is only a pointer of Git LFS"),
        (b"\x02" + bytes(7) + b"{]", "invalid JSON in header"),
        (b"\x02" + bytes(7) + b"[]", "invalid JSON in header: invalid type: sequence"),
        (header() + bytes(3), "incomplete metadata, file not fully covered"),
        (
            header(data_offsets=[-4, 4]) + bytes(8),
            "invalid JSON in header: invalid value: integer `-4`",
        ),
        (header(shape=[3]) + bytes(8), "invalid shape, data type, or offset for tensor"),
        (header(shape=[-2]) + bytes(8), "invalid value: integer `-2`"),
        (header(shape="x") + bytes(8), 'invalid JSON in header: invalid type: string "x"'),
        (header(data_offsets=None) + bytes(8), "invalid JSON in header: invalid type: null"),
    ],
)
def test_torn_and_damaged_weights(tiny, content, reason):
    weights = tiny / "model.safetensors"
    weights.write_bytes(content)
    lines = refusal(str(tiny))
    assert lines[0].startswith(" error: the weights in model.safetensors are torn or damaged: ")
    assert reason in lines[0]
    assert lines[1:] == [
        f" where: model.checkpoint={tiny}",
        f"   fix: copy or download it again: {weights}",
    ]


@pytest.mark.parametrize("fraction", [0.02, 0.5, 0.999])
def test_a_file_cut_off_anywhere_is_torn(tiny, fraction):
    weights = tiny / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[: int(len(data) * fraction)])
    assert "are torn or damaged" in refusal(str(tiny))[0]


@pytest.mark.parametrize(
    "number",
    [10**400, float("inf"), float("nan"), True, "1", None],
    ids=["huge", "infinite", "none", "a truth", "a text", "missing"],
)
def test_a_number_of_a_config_is_one_that_a_float_holds(number):
    with pytest.raises(ConfigError, match="its layer_norm_eps is"):
        ConfigReader({"layer_norm_eps": number}, "config.json").number("layer_norm_eps")
