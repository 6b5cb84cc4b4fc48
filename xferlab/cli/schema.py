"""``schema``: the JSON schema of config files."""

from __future__ import annotations

import argparse
import json

from xferlab.config.json_schema import config_schema
from xferlab.errors import ConfigError


def schema(flags: argparse.Namespace, arguments: list[str]) -> int:
    """Print the schema, with the plugins that are registered right now."""
    if arguments:
        raise ConfigError(
            "schema has no arguments",
            where=arguments[0],
            fix="python -m xferlab schema > xferlab.schema.json",
        )
    print(json.dumps(config_schema(), indent=1))
    return 0
