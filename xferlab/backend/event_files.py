"""TensorBoard event files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class EventWriter:
    """A TensorBoard event file.

    Args:
        folder: where the file is written.
    """

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._summary = tf.summary
        self._writer = tf.summary.create_file_writer(str(folder))

    def scalar(self, name: str, value: float, step: int = 0) -> None:
        """Write one number."""
        with self._writer.as_default():
            self._summary.scalar(name, value, step=step)

    def text(self, name: str, markdown: str, step: int = 0) -> None:
        """Write a text, which TensorBoard renders as Markdown."""
        with self._writer.as_default():
            self._summary.text(name, markdown, step=step)

    def image(self, name: str, png: bytes, step: int = 0) -> None:
        """Write an image from the bytes of a PNG file."""
        import tensorflow as tf

        with self._writer.as_default():
            self._summary.image(name, tf.io.decode_png(png, channels=3)[tf.newaxis], step=step)

    def hparams(self, settings: Mapping[str, Any], trial_id: str) -> None:
        """Write a run's row of the HParams page."""
        from tensorboard.plugins.hparams import api

        with self._writer.as_default():
            api.hparams(dict(settings), trial_id=trial_id)

    def flush(self) -> None:
        """Write everything so far to the file."""
        self._writer.flush()

    def close(self) -> None:
        """Write everything and close the file."""
        self._writer.close()


def indented(text: str) -> str:
    """Return a text as a Markdown code block."""
    return "\n".join(f"    {line}" for line in text.splitlines())
