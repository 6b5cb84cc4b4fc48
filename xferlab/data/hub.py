"""Examples of a dataset of the Hugging Face Hub, or an error that explains the client's."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from xferlab.data.columns import missing_column
from xferlab.data.example_columns import ExampleColumns
from xferlab.data.labels import Rows
from xferlab.data.readers.examples import NOT_UNICODE, text_problem
from xferlab.data.readers.parquet_reader import NO_TEXT, values_of
from xferlab.data.readers.table import MAX_ROWS, TEXT_KEYS
from xferlab.data.streaming import pick, stored
from xferlab.errors import ConfigError, did_you_mean
from xferlab.models.hub_errors import DATASET, gated, unknown_repository, unknown_revision

log = logging.getLogger(__name__)

CELLS_AS_WRITTEN = {"keep_default_na": False, "na_values": [""]}
"""Settings of the client's CSV reader, which otherwise reads ``None`` or ``NA`` as no value."""
UNLABELLED_VALUES = (-1, -100, None)
"""What means "no label", e.g. in the test splits of GLUE, or a word without a tag."""


class HubDataset:
    """The splits of one dataset, from the Hub or from its cache on disk.

    Args:
        repo_id: ``ORG/NAME``, or a folder laid out like one.
        config: which of the repository's datasets, where there are several.
        revision: branch, tag or commit; the newest where it is None.

    Raises:
        ConfigError: it cannot be loaded.
    """

    def __init__(self, repo_id: str, config: str | None, revision: str | None) -> None:
        self.repo_id = repo_id
        path = Path(os.path.expanduser(repo_id))  # Path's own raises for an unknown user
        if repo_id.startswith(("./", "../", "/", "~")) and not path.is_dir():
            raise ConfigError(
                f"there is no folder {repo_id}", where="data.id", fix="data.id=FOLDER or ORG/NAME"
            )
        import datasets

        if not sys.stderr.isatty():
            datasets.disable_progress_bars()
        try:
            builder = _builder(str(path), config, revision)
            _check_revision(builder, repo_id, revision)
            _refuse_outside(builder, repo_id, path if path.is_dir() else None)
            builder.download_and_prepare()
            self._splits = builder.as_dataset()
        except ConfigError:
            raise
        except Exception as e:
            raise _explain(e, repo_id, config, revision) from e
        log.info("%s %s is of commit %s", repo_id, config or "", builder.hash)

    def rows(
        self,
        split: str,
        key: str,
        text: str,
        pair: str | None,
        own: ExampleColumns,
        max_rows: int = MAX_ROWS,
        chosen_names: Sequence[str] = (),
    ) -> Rows:
        """Return the rows of a split that have a label.

        Args:
            split: its name on the Hub.
            key: its name here; ``data.<key>`` is where it was chosen.
            text: column of the text.
            pair: column of the second text, if there is one.
            own: the columns beside the texts; positions of the label's become the names that the
                dataset declares.
            max_rows: most rows; more are refused.
            chosen_names: class names that the user gave.
        """
        if split not in self._splits:
            fix = did_you_mean(split, self._splits)
            raise ConfigError(
                f"{self.repo_id} has no split '{split}'",
                where=f"data.{key}",
                fix=fix if key == "train" else f"{fix}, or data.{key}=null for none",
            )
        found = self._splits[split]
        source = f"{self.repo_id} {split}"
        if found.num_rows > max_rows:
            raise ConfigError(
                f"{source} has {found.num_rows:,} rows, and {max_rows:,} are read",
                where=f"data.{key}",
                fix=f"data.max_rows={found.num_rows} if so many are meant",
            )
        keys = {text: "data.text", **own.keys(key)} | ({pair: "data.pair"} if pair else {})
        there = [name for name in own.unread() if name in found.column_names]
        keys = dict.fromkeys(there, "data.label") | keys
        columns: dict[str, Any] = {}
        for column, column_key in keys.items():
            if column not in found.column_names:
                raise missing_column(column, found.column_names, source, column_key)
            values_in = values_of(found.data.column(column))
            columns[column] = stored(values_in) if column_key in TEXT_KEYS else values_in
            _refuse_no_text(columns[column], source)
        kept = list(range(found.num_rows))
        if own.label is not None and own.has_labels:
            kept, columns[own.label] = self._labelled(split, own.label, columns[own.label])

        def values(name: str, _: str) -> Any:
            return pick(columns[name], kept)

        pairs = values(pair, "") if pair else None
        rows = Rows(values(text, ""), (), pairs, lambda row: f"{source}, row {kept[row] + 1}")
        return own.rows(key, values, rows, chosen_names)

    def _labelled(self, split: str, label: str, labels: list[Any]) -> tuple[list[int], list[Any]]:
        """Return the rows that have a label, and the labels of all rows by name."""
        source = f"{self.repo_id} {split}"
        names = self.class_names(split, label)
        kept = [i for i, value in enumerate(labels) if not (names and value in UNLABELLED_VALUES)]
        if all(value in UNLABELLED_VALUES for value in labels):
            kept = []
        elif len(kept) < len(labels):
            log.info("%d rows of %s have no label", len(labels) - len(kept), source)
        named = [_named(each, names, f"{source}, row {i + 1}") for i, each in enumerate(labels)]
        return kept, named

    def class_names(self, split: str, label: str) -> list[str]:
        """Return the names that a label column, or a column of lists of labels, declares."""
        feature = self._splits[split].features.get(label)  # none where no label is read
        return list(getattr(getattr(feature, "feature", feature), "names", None) or [])


def _refuse_no_text(values: Iterable[Any], source: str) -> None:
    """Raise ConfigError for the first value that is text and cannot be stored or shown."""
    for number, value in enumerate(values, 1):
        problem = NOT_UNICODE if value is NO_TEXT else text_problem(value)
        if problem:
            raise ConfigError(
                f"row {number} {problem}",
                where=f"{source}, row {number}",
                fix="correct that row in a copy, and use data=files",
            )


def _builder(path: str, config: str | None, revision: str | None) -> Any:
    """Return the client's builder of a dataset; of CSV files one that reads cells unchanged."""
    import datasets

    def load(**settings: Any) -> Any:
        return datasets.load_dataset_builder(path, config, revision=revision, **settings)

    try:
        builder = load()
    except ValueError as e:
        if "find cache" not in str(e):
            raise
        try:
            return load(**CELLS_AS_WRITTEN)  # in the cache under the name of these settings
        except ValueError:
            raise e from None
    kinds = {cls.__module__ for cls in type(builder).__mro__}
    own = builder.config
    if "datasets.packaged_modules.csv.csv" in kinds and own.keep_default_na and not own.na_values:
        return load(**CELLS_AS_WRITTEN)
    return builder


def _named(label: Any, names: list[str], where: str) -> Any:
    """Return a label, or a list of them, with its name in place of the position.

    What means "no label" stays unchanged.
    """
    if not names:
        return label
    if isinstance(label, list):
        return [_named(item, names, where) for item in label]
    if label in UNLABELLED_VALUES:
        return label
    if not 0 <= label < len(names):
        raise ConfigError(
            f"the dataset declares {len(names)} classes and has the label {label}",
            where=where,
            fix="choose another column: data.label=COLUMN; or name data.class_names for data=files",
        )
    return names[label]


def _check_revision(builder: Any, repo_id: str, revision: str | None) -> None:
    """Raise ConfigError where the client, offline, takes another revision from its cache."""
    from_cache = type(builder).__module__.startswith("datasets.packaged_modules.cache")
    if from_cache and revision not in (None, builder.hash):
        raise ConfigError(
            f"the Hub cannot be reached to find revision '{revision}' of {repo_id}",
            where="data.revision",
            fix=f"go online, or take what is in the cache: data.revision={builder.hash}",
        )


def _refuse_outside(builder: Any, repo_id: str, folder: Path | None) -> None:
    """Raise ConfigError for a dataset whose card or links name files outside it.

    Args:
        builder: what the client made of the dataset.
        repo_id: what was typed.
        folder: the dataset's folder, or None for one of the Hub.
    """
    for file in (str(f) for files in (builder.config.data_files or {}).values() for f in files):
        if folder is None:
            inside = file.startswith("hf://datasets/")
        else:
            inside = "://" not in file and Path(file).resolve().is_relative_to(folder.resolve())
        if not inside:
            raise ConfigError(
                f"'{repo_id}' names a file outside as its own: {file}",
                where="data.id",
                fix="do not use this dataset unless you know why; data=files reads your own files",
            )


def _explain(e: Exception, repo_id: str, config: str | None, revision: str | None) -> ConfigError:
    """Return the client's error with its cause and a fix."""
    text = str(e).strip() or repr(e)
    name = f"'{repo_id}'" + (f" ({config})" if config else "")
    kind = type(e).__name__
    listed = re.search(r"\[(.*?)\]", text)
    if isinstance(e, ConnectionError) or "find cache" in text:
        what = f"{name} cannot be downloaded from the Hub and is not in the cache on disk"
        where = "data.id"
        fix = "go online once (files are kept); data=reviews needs no network"
    elif listed and ("BuilderConfig" in text or "Config name is missing" in text):
        names = [word.strip(" '\"") for word in listed[1].split(",")]
        what = f"'{repo_id}' has no config '{config}'" if config else f"'{repo_id}' has configs"
        where = "data.config"
        fix = did_you_mean(config or "", names)
    elif "Revision" in text and revision:
        return unknown_revision(repo_id, revision, "data.revision")
    elif "gated" in text:
        return gated(DATASET, repo_id, "data.id")
    elif kind in ("DatasetNotFoundError", "HFValidationError"):
        return unknown_repository(DATASET, repo_id, "data.id")
    elif "scripts are no longer supported" in text:
        what = f"'{repo_id}' is loaded by a script, and no code of a dataset is run"
        where = "data.id"
        fix = "use a copy in Parquet of the Hub, or convert it and use data=files"
    else:
        cause = f" ({e.__cause__})" if e.__cause__ else ""
        what = f"'{repo_id}' cannot be loaded: {kind}: {text}{cause}"
        where = "data.id"
        what = " ".join(what.split())
        fix = "check its files; data=files reads your own"
    return ConfigError(what, where=where, fix=fix)
