"""``frozen.safetensors``: the weights of a run that nothing trains, once for all of its files.

A file of weights that leaves them out has the SHA-256 of ``frozen.safetensors`` among its metadata:
so its own SHA-256 identifies all weights, and a file of other weights beside it is found. A weight
that is in both files has the value of the file that is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xferlab.io.safetensors import read_header, read_metadata
from xferlab.io.tensors import Tensor, has_same_bits, read_tensor

FILE = "frozen.safetensors"
DIGEST = "frozen_sha256"
"""In the metadata of a file that leaves weights out."""


def digest_of_frozen(path: Path) -> str | None:
    """Return the SHA-256 that ``frozen.safetensors`` beside a file of weights must have.

    Returns:
        None where the file has all weights itself.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: the file is torn or is not in the format.
    """
    return read_metadata(path).get(DIGEST)


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Return the place of each weight of a file and of what it leaves out, by name.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file is torn or is not in the format.
    """
    own = read_header(path)
    if digest_of_frozen(path) is None:
        return own
    return read_header(path.with_name(FILE)) | own


def have_same_weights(first: Path, second: Path) -> bool:
    """Return whether two files have the same weights in the same order, bit for bit."""
    tensors = [sorted(tensors_of(path).items()) for path in (first, second)]
    if len(tensors[0]) != len(tensors[1]):
        return False
    pairs = zip(*tensors, strict=True)
    return all(has_same_bits(read_tensor(a), read_tensor(b)) for (_, a), (_, b) in pairs)


def delete_unused(checkpoints: Path, names: Iterable[str]) -> None:
    """Delete ``frozen.safetensors`` where none of these files of weights leaves it any.

    Args:
        checkpoints: their folder.
        names: of the files that there may be.
    """
    frozen = checkpoints / FILE
    if frozen.exists() and not any(_may_need_it(checkpoints / name) for name in names):
        frozen.unlink(missing_ok=True)


def _may_need_it(path: Path) -> bool:
    try:
        return digest_of_frozen(path) is not None
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True  # a damaged file, which is reported where it is read
