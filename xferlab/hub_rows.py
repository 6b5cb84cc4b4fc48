"""Rows of a dataset of the Hugging Face Hub, or three lines saying why there are none."""

from __future__ import annotations

import logging
import sys
from typing import Any

from xferlab.errors import ConfigError, did_you_mean
from xferlab.labels import Rows
from xferlab.tables import missing_column

log = logging.getLogger(__name__)

SECRET = (-1, None)
"""What stands for a label that is not told, e.g. in the test splits of GLUE."""


class HubDataset:
    """The splits of one dataset, from the Hub or from its cache on disk.

    Args:
        repo_id: ``ORG/NAME``, or a folder laid out like one.
        config: which of the repository's datasets, where there are several.
        revision: branch, tag or commit; the newest where it is None.

    Raises:
        ConfigError: it cannot be had.
    """

    def __init__(self, repo_id: str, config: str | None, revision: str | None) -> None:
        import datasets

        self.repo_id = repo_id
        if not sys.stderr.isatty():
            datasets.disable_progress_bars()
        try:
            self._splits = datasets.load_dataset(repo_id, config, revision=revision)
        except Exception as e:
            raise _explain(e, repo_id, config, revision) from e

    def rows(self, split: str, key: str, text: str, pair: str | None, label: str) -> Rows:
        """Return the rows of a split that have a label.

        Args:
            split: its name on the Hub.
            key: its name here; ``data.<key>`` is where it was chosen.
            text: column of the text.
            pair: column of the second text, if there is one.
            label: column of the label; positions become the names that the dataset declares.
        """
        if split not in self._splits:
            fix = did_you_mean(split, self._splits)
            raise ConfigError(
                f"{self.repo_id} has no split '{split}'",
                where=f"data.{key}",
                fix=fix if key == "train" else f"{fix}, or data.{key}=null for none",
            )
        found, source = self._splits[split], f"{self.repo_id} {split}"
        columns: dict[str, list[Any]] = {}
        for role, column in {"text": text, "pair": pair, "label": label}.items():
            if column and column not in found.column_names:
                raise missing_column(column, found.column_names, source, f"data.{role}")
            columns[role] = found.data.column(column).to_pylist() if column else []
        labels, names = columns["label"], self.class_names(split, label)
        kept = [i for i, value in enumerate(labels) if not (names and value in SECRET)]
        if all(value in SECRET for value in labels):
            kept = []
        elif len(kept) < len(labels):
            log.info("%d rows of %s have no label", len(labels) - len(kept), source)
        return Rows(
            texts=[columns["text"][i] for i in kept],
            labels=[_named(labels[i], names) for i in kept],
            pairs=[columns["pair"][i] for i in kept] if pair else None,
            place=lambda row: f"{source}, row {kept[row] + 1}",
        )

    def class_names(self, split: str, label: str) -> list[str]:
        """Return the names that a label column, or a column of lists of labels, declares."""
        feature = self._splits[split].features[label]
        return list(getattr(getattr(feature, "feature", feature), "names", None) or [])


def _named(label: Any, names: list[str]) -> Any:
    """Return a label, or a list of them, with its name in place of the position."""
    if not names:
        return label
    return [names[i] for i in label] if isinstance(label, list) else names[label]


def _explain(e: Exception, repo_id: str, config: str | None, revision: str | None) -> ConfigError:
    """Return what the client's error means, and the way on."""
    what = (str(e).strip() or repr(e)).partition("\n")[0]
    return ConfigError(f"{repo_id} cannot be loaded: {what}", where="data.id", fix="")
