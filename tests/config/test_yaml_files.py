"""A user's folders of YAML files, as they are composed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.plugin_isolation import isolated_plugins
from xferlab.config.compose import compose_config, publish


@pytest.fixture
def preset(tmp_path):
    with isolated_plugins():
        path = tmp_path / "conf" / "optimizer" / "mine.yaml"
        path.parent.mkdir(parents=True)
        yield path


def rate(preset: Path, text: str) -> float:
    preset.write_text(text)
    publish(preset.parents[2])
    return compose_config(["optimizer=mine"]).optimizer.lr


def test_a_file_that_is_edited_is_read_again(preset):
    assert rate(preset, "defaults: [adamw]\nlr: 0.1\n") == 0.1
    assert rate(preset, "defaults: [adamw]\nlr: 0.2\n") == 0.2


def test_what_one_config_changes_no_other_sees(preset):
    assert rate(preset, "defaults: [adamw]\nlr: 0.1\n") == 0.1
    assert compose_config(["optimizer=mine", "optimizer.lr=0.3"]).optimizer.lr == 0.3
    assert compose_config(["optimizer=mine"]).optimizer.lr == 0.1


def test_a_package_behind_a_byte_order_mark_is_found(preset):
    experiment = preset.parents[1] / "experiment" / "other.yaml"
    experiment.parent.mkdir()
    experiment.write_text("\ufeff# @package _global_\noptimizer: {lr: 0.4}\n", encoding="utf-8")
    publish(preset.parents[2])
    assert compose_config(["experiment=other"]).optimizer.lr == 0.4


def test_the_name_is_in_the_name_of_the_folder(tmp_path):
    publish(tmp_path)
    config = compose_config(["name='a try: 2'"])
    assert str(config.hydra.sweep.dir).endswith("-a_try_2")
    assert re.search(r"\d-a_try_2-[0-9a-f]{8}$", str(config.hydra.run.dir))
    assert re.search(r"\d\d-\d\d-[0-9a-f]{8}$", str(compose_config([]).hydra.run.dir))
