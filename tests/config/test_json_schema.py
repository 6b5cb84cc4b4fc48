"""The JSON schema of config files: complete, and met by every file and default there is."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from xferlab.cli.main import main
from xferlab.config.compose import compose_config, publish
from xferlab.config.json_schema import config_schema
from xferlab.config.reference import TYPED, all_settings
from xferlab.config.schema import root_keys
from xferlab.groups import GROUPS
from xferlab.origin import own_folder
from xferlab.registry import REGISTRY
from xferlab.validation import plain

FILES = sorted(
    path for group in ("experiment", "debug") for path in own_folder("conf").glob(f"{group}/*.yaml")
)


@pytest.fixture(scope="module")
def schema(only_built_in_plugins) -> dict[str, Any]:
    return config_schema()


def node_of(schema: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the schema of a key, whichever of the shapes on its way has it."""
    nodes = [schema]
    for part in key.split("."):
        shapes = [shape for node in nodes for shape in (node, *node.get("anyOf", []))]
        nodes = [s["properties"][part] for s in shapes if part in s.get("properties", {})]
    return nodes[0]


def test_every_setting_is_in_it(schema):
    assert set(root_keys()) <= schema["properties"].keys()
    settings = [setting for _, setting in all_settings() if setting not in TYPED]
    assert len(settings) > 150
    for setting in settings:
        node = node_of(schema, setting.key)
        texts = [
            node.get("description", ""),
            *(x.get("description", "") for x in node.get("anyOf", [])),
        ]
        assert any(setting.text in text for text in texts), setting.key


def test_it_is_printed(schema, capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema
    assert main(["schema", "x"]) == 2


@pytest.mark.slow  # the package is not among those of the tests
def test_files_and_composed_configs_meet_it(schema, tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft7Validator(schema)
    jsonschema.Draft7Validator.check_schema(schema)
    publish(tmp_path)
    for path in FILES:
        validator.validate(yaml.safe_load(path.read_text()))
    for entry in REGISTRY:
        overrides = [GROUPS[entry.group].override(entry.name)]
        if entry.group == "data":
            overrides += [f"data.{key}=x" for key, v in entry.defaults().items() if v == "???"]
        composed = plain(compose_config(overrides), resolve=False)
        validator.validate({k: v for k, v in composed.items() if v != "???"})
    for wrong in (
        {"train": {"epoch": 3}},
        {"train": {"precision": "bf16"}},
        {"loss": {"gamma": "high"}},
        {"optimizer": {"lr": [1e-5]}},
        {"metric": {"f1": {"averag": "macro"}}},
        {"lr": 1},
    ):
        assert not validator.is_valid(wrong), wrong
    for right in (
        {"optimizer": {"lr": "1e-5"}},
        {"data": {"limit": {"train": "${train.batch_size}"}}},
        {"metric": {"mine": {"name": "f1", "average": "macro"}}},
        {"transfer": {"lora": {"rank": 4}}},
        {"transfer": {"name": "lora", "rank": 4}},
    ):
        validator.validate(right)
