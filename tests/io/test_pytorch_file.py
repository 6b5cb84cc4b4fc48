"""Files of torch.save are read as data: equal to PyTorch's values, and nothing in them runs."""

from __future__ import annotations

import io
import pickle
import random
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.support.pytorch_files import archive_around, hostile_pickles, mutated, write_pytorch_file
from xferlab.io.pytorch_file import read_header
from xferlab.io.tensors import read_tensor

FILES = Path(__file__).parents[1] / "fixtures" / "pytorch"
FORMATS = ("zip.bin", "legacy.bin")


def reason(path: Path) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        read_header(path)
    return str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
def test_values_are_those_that_pytorch_wrote(name):
    values = np.load(FILES / "values.npz")
    tensors = read_header(FILES / name)
    assert tensors.keys() == set(values.files)
    for tensor in tensors.values():
        found = read_tensor(tensor)
        assert found.shape == values[tensor.name].shape
        assert np.array_equal(found.astype("float64"), values[tensor.name])
    types = {name: tensors[name].dtype for name in ("float16", "bfloat16", "int32", "flags")}
    assert types == {"float16": "F16", "bfloat16": "BF16", "int32": "I32", "flags": "BOOL"}


def test_a_state_dict_with_versions_of_its_modules():
    tensors = read_header(FILES / "state_dict.bin")
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "weight": (3, 2),
        "bias": (3,),
    }


def test_a_file_written_by_the_tests_is_the_same_format(tmp_path):
    array = np.arange(6, dtype="float32").reshape(2, 3)
    write_pytorch_file(tmp_path / "a.bin", {"x": array})
    assert np.array_equal(read_tensor(read_header(tmp_path / "a.bin")["x"]), array)


def test_what_no_weights_need_is_refused_by_name():
    assert reason(FILES / "module.bin") == (
        "its pickle names 'torch.nn.modules.linear Linear', which no weights need"
    )
    assert "whose numbers are not in order" in reason(FILES / "strided.bin")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kept", [0, 10, 200, 1000, -1])
def test_a_torn_file(tmp_path, name, kept):
    path = tmp_path / "torn.bin"
    path.write_bytes((FILES / name).read_bytes()[:kept])
    assert reason(path)


def test_a_pointer_of_git_lfs(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "pointer of Git LFS" in reason(path)


def test_a_compressed_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}." + bytes(1000))
    assert "compressed" in reason(tmp_path / "a.bin")


def test_a_tensor_larger_than_its_storage(tmp_path):
    path = tmp_path / "a.bin"
    write_pytorch_file(path, {"x": np.zeros(6, "float32")})
    path.write_bytes(path.read_bytes().replace(b"(J\x06\x00\x00\x00t", b"(J\x07\x00\x00\x00t", 1))
    assert "'x' is larger than its numbers" in reason(path)


def test_hostile_pickles_do_not_run(tmp_path):
    marker = tmp_path / "ran"
    for number, data in enumerate(hostile_pickles(marker)):
        archive = tmp_path / f"{number}.bin"
        archive.write_bytes(archive_around(data))
        bare = tmp_path / f"bare{number}.bin"
        bare.write_bytes(data)
        assert reason(archive)
        assert reason(bare)
    assert not marker.exists()
    pickle.loads(next(hostile_pickles(marker)))
    assert marker.exists()  # so the attack is a real one


@pytest.mark.parametrize(
    "data",
    [b"\x80\x02" + b"]" * (1 << 24), b"\x80\x02" + b"]\x85" * 150_000 + b".", b"(" * (1 << 20)],
    ids=["many lists", "deep tuples", "many marks"],
)
def test_memory_is_bounded(tmp_path, data):
    path = tmp_path / "large.bin"
    path.write_bytes(archive_around(data))
    tracemalloc.start()
    assert reason(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120 << 20


MANY = [300, pytest.param(10_000, marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", MANY)
def test_mutated_files_are_read_or_refused(tmp_path, count):
    """Nothing but a ValueError comes of them, and every tensor is inside the file."""
    source = random.Random(count)
    good = [(FILES / name).read_bytes() for name in FORMATS]
    hostile = [archive_around(data) for data in hostile_pickles(tmp_path / "ran")]
    path = tmp_path / "mutated.bin"
    refused = 0
    for _ in range(count):
        path.write_bytes(mutated(source.choice(source.choice((good, hostile))), source))
        try:
            tensors = read_header(path)
        except ValueError:
            refused += 1
        else:
            for tensor in tensors.values():
                assert read_tensor(tensor).shape == tensor.shape
    assert count / 2 < refused < count
    assert not (tmp_path / "ran").exists()


def test_mutated_pickles_inside_a_whole_archive(tmp_path):
    """Changes of the pickle alone, which the archive's checksum would otherwise show."""
    source = random.Random(1)
    with zipfile.ZipFile(FILES / "zip.bin") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    table = next(name for name in entries if name.endswith("data.pkl"))
    path = tmp_path / "mutated.bin"
    for _ in range(300):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in entries.items():
                archive.writestr(name, mutated(data, source) if name == table else data)
        path.write_bytes(buffer.getvalue())
        try:
            tensors = read_header(path)
        except ValueError:
            continue
        for tensor in tensors.values():
            assert read_tensor(tensor).shape == tensor.shape


def test_reading_imports_nothing_heavy():
    code = (
        "import sys; from pathlib import Path; from xferlab.io.pytorch_file import read_header;"
        "read_header(Path(sys.argv[1]));"
        "print([m for m in ('torch', 'numpy', 'pickle') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(FILES / "zip.bin")]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "['pickle']\n"
