"""Attacks by whoever can only write data: each was seen to succeed somewhere, none does here."""

from __future__ import annotations

import os

import pytest
from omegaconf import OmegaConf

from xferlab.errors import ConfigError
from xferlab.record import write_config
from xferlab.safety import LARGEST_FILE, read_config_data

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)
SAVED = {
    "an environment variable": ("name: ${oc.env:SECRET}\n", "holds an interpolation"),
    "an interpolation in a key": ("'${oc.env:SECRET}': 1\n", "holds an interpolation"),
    "another key": ("a: 1\nb: ${a}\n", "holds an interpolation"),
    "a tag that calls": (
        "name: !!python/object/apply:os.system ['touch marker']\n",
        "uses a tag: tag:yaml.org,2002:python/object/apply:os.system",
    ),
    "a tag that OmegaConf knows": (
        "name: !!python/object/apply:pathlib.Path [x]\n",
        "uses a tag",
    ),
    "aliases that grow": (BOMB, "uses an alias: *a0"),
    "an alias to itself": ("a: &a [*a]\n", "uses an alias: *a"),
    "depth": ("a: " + "[" * 5000 + "]" * 5000, "is deeper than 32 levels"),
    "size": ("a: 1\n" + "#" * LARGEST_FILE, "has more than"),
    "bytes": ("a: \x00", "is not YAML"),
    "a list": ("- 1\n", "is not a table of keys"),
    "a key twice": ("a: 1\na: 2\n", "is not YAML"),
}


@pytest.mark.parametrize(("text", "said"), SAVED.values(), ids=SAVED)
def test_a_strangers_saved_config_is_plain_data_or_refused(text, said, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config_data(path)
    assert said in caught.value.what
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3
    assert not (tmp_path / "marker").exists()


def test_a_saved_config_is_an_ordinary_file(tmp_path):
    (tmp_path / "secret").write_text("a: 1\n")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe.yaml")  # reading it would wait for ever
    for name, said in {
        "link.yaml": "is not an ordinary file",
        "pipe.yaml": "is not an ordinary file",
        "none.yaml": "is not there",
    }.items():
        with pytest.raises(ConfigError, match=said):
            read_config_data(tmp_path / name)


def test_what_a_run_writes_is_read_back(tmp_path):
    config = {
        "seed": 1,
        "name": None,
        "optimizer": {"lr": 1e-5, "name": "adamw"},
        "data": {"classes": ["a: b", "*x", "&y", "!z", "1e-5"], "same": [], "other": []},
    }
    write_config(tmp_path, config)
    assert read_config_data(tmp_path / "config.yaml") == config
    assert OmegaConf.to_container(OmegaConf.load(tmp_path / "config.yaml")) == config
