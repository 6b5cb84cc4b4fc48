"""TensorBoard event files, written as TensorBoard's own protocol buffers.

TensorFlow's writer (``tf.summary``) runs some operations for each number, which takes half a
millisecond.
"""

from __future__ import annotations

import itertools
import os
import platform
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_NUMBERS = itertools.count()
"""Of the files that this process writes."""


class EventWriter:
    """A TensorBoard event file.

    Args:
        folder: where the file is written.
    """

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        folder.mkdir(parents=True, exist_ok=True)
        number = f"{os.getpid()}.{next(_NUMBERS)}"
        name = f"events.out.tfevents.{time.time():010.0f}.{platform.node()}.{number}.v2"
        self._writer = tf.io.TFRecordWriter(str(folder / name))
        self._write(file_version="brain.Event:2")

    def scalar(self, name: str, value: float, step: int = 0) -> None:
        """Write one number."""
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        self._write(step=step, summary=scalar_pb(name, value))

    def text(self, name: str, markdown: str, step: int = 0) -> None:
        """Write a text, which TensorBoard renders as Markdown."""
        from tensorboard.plugins.text.summary_v2 import text_pb

        self._write(step=step, summary=text_pb(name, markdown))

    def image(self, name: str, png: bytes, step: int = 0) -> None:
        """Write an image from the bytes of a PNG file."""
        import numpy as np
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.image.metadata import create_summary_metadata
        from tensorboard.util.tensor_util import make_tensor_proto

        width, height = struct.unpack(">II", png[16:24])  # of its header
        content = np.array([b"%d" % width, b"%d" % height, png], dtype=object)
        summary = Summary()
        summary.value.add(
            tag=name,
            metadata=create_summary_metadata(display_name=None, description=None),
            tensor=make_tensor_proto(content),
        )
        self._write(step=step, summary=summary)

    def hparams(self, settings: Mapping[str, Any], trial_id: str) -> None:
        """Write a run's row of the HParams page."""
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        self._write(summary=hparams_pb(dict(settings), trial_id=trial_id))

    def flush(self) -> None:
        """Write everything so far to the file."""
        self._writer.flush()

    def close(self) -> None:
        """Write everything and close the file."""
        self._writer.close()

    def _write(self, **event: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.write(Event(wall_time=time.time(), **event).SerializeToString())


def indented(text: str) -> str:
    """Return a text as a Markdown code block."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def read_scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    """Return step and value of each number with a tag in a log folder, by step."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.util.tensor_util import make_ndarray

    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for record in RawEventFileLoader(str(path)).Load():
            event = Event.FromString(record)
            found += [
                (int(event.step), float(make_ndarray(value.tensor)))
                for value in event.summary.value
                if value.tag == tag
            ]
    return sorted(found, key=lambda entry: entry[0])
