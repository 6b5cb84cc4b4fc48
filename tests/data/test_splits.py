"""Data plugins: from what is typed to checked splits."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.hub_server import HubServer
from xferlab.config.compose import compose_config, publish
from xferlab.contracts import Task
from xferlab.data.hub import _named
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError
from xferlab.registry import REGISTRY

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the shared data folder")


@pytest.fixture(scope="module", autouse=True)
def _plugins(tmp_path_factory):
    load_plugins(tmp_path_factory.mktemp("nothing"))


def build(name, seed=0, **fields):
    return REGISTRY.create("data", {"name": name, **fields}).build(seed)


def refusal(name, **fields):
    with pytest.raises(ConfigError) as caught:
        build(name, **fields)
    assert caught.value.where
    assert caught.value.fix
    return caught.value


def write_csv(path, rows, header=("text", "label")):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return str(path)


@pytest.fixture
def train(tmp_path):
    return write_csv(tmp_path / "train.csv", [(f"text {i}", "ab"[i % 2]) for i in range(40)])


def test_reviews_are_in_the_box():
    data = build("reviews")
    assert data.spec.class_names == ("negative", "positive")
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 1200,
        "validation": 1000,
        "test": 1000,
    }
    assert data.spec.max_length == 64


def test_reviews_can_be_limited_on_the_command_line(tmp_path):
    publish(tmp_path)
    config = compose_config(["data=reviews", "data.limit.train=32", "data.max_length=16"])
    data = REGISTRY.create("data", dict(config.data)).build(0)
    assert (len(data.train), len(data.validation), data.spec.max_length) == (32, 1000, 16)
    assert data.spec.class_counts == (16, 16)


def test_a_limit_below_one_is_a_share_of_the_rows(tmp_path):
    publish(tmp_path)
    config = compose_config(["data=reviews", "data.limit.train=0.1", "data.limit.test=1"])
    data = REGISTRY.create("data", dict(config.data)).build(0)
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 120,
        "validation": 1000,
        "test": 1,
    }
    assert data.spec.class_counts == (60, 60)
    same = build("reviews", limit={"train": 120, "validation": None, "test": 1})
    assert data.train.texts == same.train.texts
    assert len(build("reviews", limit={"train": 0.0001}).train) == 1
    assert len(build("reviews", limit={"train": 0.9999}).train) == 1200


@pytest.mark.parametrize("rows", [0, -1, 1.0, 2.5, -0.1, 0.0])
def test_a_limit_that_is_neither_rows_nor_a_share_is_refused(rows):
    error = refusal("reviews", limit={"train": rows})
    assert error.what == (
        f"limit.train must be at least 1 row, a fraction between 0 and 1, or null, got {rows}"
    )


def test_one_file_is_enough(train):
    data = build("files", train=train)
    assert (data.spec.class_names, len(data.train), len(data.validation)) == (("a", "b"), 36, 4)
    assert data.test is None
    assert data.spec.max_length == 128


def test_columns_pairs_and_three_files(tmp_path):
    header = ("q", "a", "stars")
    paths = {
        name: write_csv(tmp_path / f"{name}.csv", [(f"q{name}", "a1", 1), ("q2", "a2", 2)], header)
        for name in ("train", "validation", "test")
    }
    data = build("files", **paths, text="q", pair="a", label="stars")
    assert data.spec.has_pairs
    assert data.spec.class_names == ("1", "2")
    assert data.test.texts == ["qtest", "q2"]
    assert data.test.pairs == ["a1", "a2"]


def test_separator_can_be_typed_as_backslash_t(tmp_path):
    (tmp_path / "a.txt").write_text("text\tlabel\n" + "x, y\t1\nz\t0\n" * 5)
    assert build("files", train=str(tmp_path / "a.txt"), separator="\\t").train.texts[0] == "x, y"


def test_names_beside_the_file_are_used_if_they_fit(tmp_path, train):
    (tmp_path / "labels.txt").write_text("b\na\n\n")
    assert build("files", train=train).spec.class_names == ("b", "a")
    assert build("files", train=train, class_names=["a", "b"]).spec.class_names == ("a", "b")
    (tmp_path / "labels.txt").write_bytes(b"something else \xe9\n")
    assert build("files", train=train).spec.class_names == ("a", "b")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_names_beside_a_file_may_begin_with_a_mark(tmp_path, mark):
    rows = "text,label\n" + "".join(f"text {i},{i % 3}\n" for i in range(30))
    (tmp_path / "train.csv").write_text(rows)
    (tmp_path / "labels.txt").write_bytes(mark + "pump\r\nv\u00e4lve\r\nseal\r\n".encode())
    data = build("files", train=str(tmp_path / "train.csv"))
    assert data.spec.class_names == ("pump", "v\u00e4lve", "seal")
    assert "labels are positions in labels.txt: 0 is pump, 1 is v\u00e4lve" in data.notes[0]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_names_beside_a_file_in_another_encoding_are_refused_where_they_count(tmp_path, encoding):
    rows = "text,label\n" + "".join(f"text {i},{i % 2}\n" for i in range(30))
    (tmp_path / "train.csv").write_text(rows)
    (tmp_path / "labels.txt").write_bytes("p\u00fbmp\nseal\n".encode(encoding))
    error = refusal("files", train=str(tmp_path / "train.csv"))
    assert "is not UTF-8" in error.what
    assert error.where == "labels.txt"
    assert "data.class_names=" in error.fix
    named = build("files", train=str(tmp_path / "train.csv"), class_names=["a", "b"])
    assert named.spec.class_names == ("a", "b")


def test_another_seed_holds_back_other_rows(train):
    sampled = [build("files", seed=seed, train=train).validation.texts for seed in (0, 0, 1)]
    assert sampled[0] == sampled[1] != sampled[2]


@pytest.mark.parametrize(
    ("fields", "what", "where", "fix"),
    [
        (
            {"train": "train.cvs"},
            "there is no file train.cvs",
            "data.train",
            "did you mean train.csv",
        ),
        ({"test": "*.jsonl"}, "no file fits", "data.test", "there are:"),
        ({"text": "sentence"}, "no column 'sentence'", "data.text", "one of those"),
        ({"label": "lable"}, "no column 'lable'", "data.label", "data.label=label"),
        ({"pair": "text2"}, "no column 'text2'", "data.pair", "data.pair=text"),
        ({"separator": ";"}, "is one column: 'text,label'", "data.separator", "data.separator=','"),
        ({"separator": ";;"}, "separator must be one", "data.separator", "describe"),
        ({"label_separator": ""}, "label_separator must be", "data.label", "describe"),
        ({"max_rows": 0}, "max_rows must be at least 1, got 0", "data.max_rows", "describe"),
        ({"max_length": 1}, "max_length must be at least 8", "data.max_length", "describe"),
        ({"limit": {"dev": 5}}, "limit has no split 'dev'", "data.limit", "describe"),
        ({"limit": {"train": "x"}}, "'x'", "data.limit.train", "type"),
        ({"task": "tags"}, "got 'tags'", "data.task", "token_classification"),
        (
            {"task": "regression"},
            "have a label that is no number, e.g. 'a'",
            "train.csv, row 1",
            "data",
        ),
        (
            {"class_names": ["x", "y"]},
            "train has a label 'a' that is none of: x, y",
            "row 1",
            "data.",
        ),
        ({"tran": "x"}, "there is no key 'data.tran'", "data.tran", "did you mean 'train'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_mistakes_in_files_are_explained(fields, what, where, fix, train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = refusal("files", **{"train": "train.csv", **fields})
    assert what in error.what
    assert where in error.where
    assert fix in error.fix


@needs_data
@pytest.mark.parametrize(
    ("name", "fields", "task", "classes", "counts"),
    [
        ("sst2", {}, Task.single_label, 2, (3310, 3610)),
        ("goemotions", {}, Task.multi_label, 28, (4130, 2328)),
        ("mrpc", {"text": "text_a", "pair": "text_b"}, Task.single_label, 2, (1194, 2474)),
        ("stsb", {"text": "text_a", "pair": "text_b"}, Task.regression, 0, ()),
        (
            "wnut17",
            {"text": "tokens", "label": "tags"},
            Task.token_classification,
            13,
            (59_570, 221),
        ),
    ],
)
def test_real_sets_are_what_their_sources_say(name, fields, task, classes, counts):
    suffix = "jsonl" if name == "wnut17" else "csv"
    files = {s: str(DATA / name / f"{s}.{suffix}") for s in ("train", "validation", "test")}
    data = build("files", **files, **fields)
    assert (data.spec.task, data.spec.num_classes) == (task, classes)
    assert data.spec.class_counts[:2] == counts
    assert data.spec.has_pairs == ("pair" in fields)


PRESETS = sorted(path.stem for path in (ROOT / "conf" / "data").glob("*.yaml"))


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_readable_and_say_what_they_are(preset, tmp_path):
    publish(tmp_path)
    config = compose_config([f"data={preset}"])
    plugin = REGISTRY.create("data", dict(config.data))
    assert "/" in plugin.id
    assert (ROOT / "conf" / "data" / f"{preset}.yaml").read_text().startswith("# ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dataset as a folder of JSON lines, which the client of the Hub reads too."""
    root = tmp_path_factory.mktemp("reviews")
    for split, rows in (("train", 30), ("test", 4)):
        lines = [{"text": f"{split} {i}", "label": "np"[i % 2]} for i in range(rows)]
        (root / f"{split}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return root


@pytest.fixture
def _own_cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.usefixtures("_own_cache")
def test_a_folder_is_read_like_a_repository(folder):
    data = build("hub", id=str(folder), validation=None)
    assert (len(data.train), len(data.validation), len(data.test)) == (27, 3, 4)
    assert data.spec.class_names == ("n", "p")
    assert data.test.texts[0] == "test 0"


@pytest.mark.usefixtures("_own_cache")
@pytest.mark.parametrize(
    ("texts", "task"), [("text", Task.multi_label), (["a", "word"], Task.token_classification)]
)
def test_names_declared_for_a_list_of_labels_are_kept(texts, task, tmp_path):
    from datasets import ClassLabel, Dataset, Features, List, Value

    text = Value("string") if isinstance(texts, str) else List(Value("string"))
    features = Features({"text": text, "label": List(ClassLabel(names=["z", "y", "x"]))})
    columns = {"text": [texts] * 4, "label": [[2, 0], [1, 1], [0, 0], [2, 2]]}
    (tmp_path / "set").mkdir()
    Dataset.from_dict(columns, features=features).to_parquet(tmp_path / "set" / "train.parquet")
    data = build("hub", id=str(tmp_path / "set"), validation=None, test=None, limit={"train": 2})
    assert (data.spec.task, data.spec.class_names) == (task, ("z", "y", "x"))


def write_set(folder, text, label, columns, split="train", **more):
    from datasets import Dataset, Features

    folder.mkdir(exist_ok=True)
    features = Features({"text": text, "label": label, **more})
    Dataset.from_dict(columns, features=features).to_parquet(folder / f"{split}.parquet")
    return str(folder)


@pytest.mark.usefixtures("_own_cache")
@pytest.mark.parametrize("nothing", [-1, -100, None])
@pytest.mark.parametrize("named", [True, False])
def test_words_of_a_hub_set_without_a_tag_are_masked(nothing, named, tmp_path):
    from datasets import ClassLabel, List, Value

    label = ClassLabel(names=["O", "B-X", "I-X"]) if named else Value("int64")
    if named and nothing == -100:  # the client lets a ClassLabel hold -1 and null alone
        label = Value("int64")
    texts = [["Ada", "slept", "well", str(i)] for i in range(4)]
    columns = {"text": texts, "label": [[1, nothing, 0, 2]] * 4}
    place = write_set(tmp_path / "set", List(Value("string")), List(label), columns)
    names = [] if named and nothing != -100 else ["O", "B-X", "I-X"]
    data = build("hub", id=place, validation=None, test=None, class_names=names)
    assert data.spec.class_names == ("O", "B-X", "I-X")
    assert [row.tolist() for row in data.train.labels] == [[1, -1, 0, 2]] * 3
    assert data.spec.class_counts == (3, 3, 3)


@pytest.mark.usefixtures("_own_cache")
def test_splits_of_a_hub_set_without_labels_are_left_out_or_refused(tmp_path):
    from datasets import ClassLabel, Value

    label = ClassLabel(names=["no", "yes"])
    text = Value("string")
    for split, labels in (("train", [0, 1, -1, 1, 0]), ("validation", [-1, -1]), ("test", [-1])):
        rows = {"text": [f"{split} {i}" for i in range(len(labels))], "label": labels}
        place = write_set(tmp_path / "set", text, label, rows, split)
    error = refusal("hub", id=place)
    assert error.what == f"no row of {place} validation has a label"
    assert error.where == "data.validation"
    assert error.fix == "data.validation=null holds back a fraction of train"
    data = build("hub", id=place, validation=None)
    assert (len(data.train), len(data.validation), data.test) == (3, 1, None)


@pytest.mark.usefixtures("_own_cache")
def test_examples_of_a_hub_set_have_weights_soft_labels_and_groups(tmp_path):
    from datasets import ClassLabel, List, Value

    label = ClassLabel(names=["no", "yes"])
    rows = {"text": [f"t {i}" for i in range(8)], "label": [0, 1, -1, 1, 0, 1, 0, 1]}
    rows |= {
        "w": [1.0, 2.0, 3.0, 4.0] * 2,
        "p": [[0.2, 0.8], [0.9, 0.1]] * 4,
        "who": list("abcdabcd"),
    }
    number = Value("float64")
    text = Value("string")
    more = {"w": number, "p": List(number), "who": text}
    place = write_set(tmp_path / "set", text, label, rows, **more)
    fields = {"weight": "w", "soft_labels": "p", "group": "who", "validation": None, "test": None}
    data = build("hub", id=place, **fields)
    found = {**by_text(data.train), **by_text(data.validation)}
    assert "t 2" not in found  # it has no label
    assert found["t 3"] == (4.0, pytest.approx([0.9, 0.1]))
    assert not set(data.train.groups.tolist()) & set(data.validation.groups.tolist())
    assert refusal("hub", id=place, **{**fields, "group": "author"}).where == "data.group"


def by_text(split):
    rows = zip(split.weights.tolist(), split.soft_labels.tolist(), strict=True)
    return dict(zip(split.texts, rows, strict=True))


def test_a_number_beyond_the_names_of_a_hub_set_is_refused():
    assert _named([1, -100, None, -1], ["a", "b"], "here") == ["b", -100, None, -1]
    with pytest.raises(ConfigError, match="declares 2 classes and has the label 7"):
        _named([0, 7], ["a", "b"], "x train, row 3")


@pytest.mark.usefixtures("_own_cache")
@pytest.mark.parametrize("name", ["files", "hub"])
@pytest.mark.parametrize(
    ("text", "label", "what"),
    [
        ("a\0b", "x", "row 3 has a NUL byte (\\x00)"),
        ("fine", "x\0", "row 3 has a NUL byte (\\x00)"),
        ("fine", b"x\xff", "row 3 is not Unicode (UTF-8)"),
    ],
)
def test_text_that_is_none_is_named_with_its_row(tmp_path, name, text, label, what):
    import pyarrow
    import pyarrow.parquet

    labels = [b"x", b"y", label if isinstance(label, bytes) else label.encode(), b"y"]
    parts = [pyarrow.py_buffer(b"".join(labels))]
    ends = pyarrow.array([0, *np.cumsum([len(one) for one in labels])], pyarrow.int32())
    column = pyarrow.Array.from_buffers(
        pyarrow.string(), len(labels), [None, ends.buffers()[1], *parts]
    )
    (tmp_path / "set").mkdir()
    path = tmp_path / "set" / "train.parquet"
    pyarrow.parquet.write_table(
        pyarrow.table({"text": ["a", "b", text, "d"], "label": column}), path
    )
    where = {"train": str(path)} if name == "files" else {"id": str(path.parent)}
    error = refusal(name, **where, validation=None, test=None)
    assert (error.what, error.where.endswith(", row 3")) == (what, True)


@pytest.mark.usefixtures("_own_cache")
def test_a_datasets_rows_are_bounded_and_its_pairs_are_offered_together(folder, tmp_path):
    error = refusal("hub", id=str(folder), validation=None, max_rows=29)
    assert error.what == f"{folder} train has 30 rows, and 29 are read"
    assert error.fix == "data.max_rows=30 if so many are meant"
    (tmp_path / "set").mkdir()
    rows = [{"sentence1": "a", "sentence2": "b", "label": i % 2} for i in range(10)]
    (tmp_path / "set" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    error = refusal("hub", id=str(tmp_path / "set"), validation=None, test=None)
    assert error.fix == "if a row is two texts: data.text=sentence1 data.pair=sentence2"


@pytest.mark.usefixtures("_own_cache")
def test_mistakes_about_a_dataset_are_explained(folder):
    error = refusal("hub", id=str(folder))
    assert (error.what, error.where) == (f"{folder} has no split 'validation'", "data.validation")
    assert error.fix.endswith("or data.validation=null for none")
    error = refusal("hub", id=str(folder), train="trian", validation=None)
    assert error.fix == "did you mean 'train'?"
    error = refusal("hub", id=str(folder), validation=None, text="sentence")
    assert error.what == f"{folder} train has no column 'sentence'; its columns are: text, label"
    error = refusal("hub", id=str(folder), config="big", validation=None)
    assert (error.where, error.fix) == ("data.config", "choose one of: default")
    assert refusal("hub", id="./no/such").what == "there is no folder ./no/such"


SCRIPT = """
import json, logging, sys
from pathlib import Path
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError
from xferlab.registry import REGISTRY
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
load_plugins(Path("nothing"))
for fields in json.loads(sys.argv[1]):
    try:
        data = REGISTRY.create("data", {"name": "hub", **fields}).build(0)
        sizes = {name: len(split) for name, split in data.splits.items()}
        print("ok", data.spec.class_names, data.spec.class_counts, sizes, data.train.texts[0])
    except ConfigError as e:
        print(json.dumps([e.what, e.where, e.fix]))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A Hub on loopback with a set like GLUE: named classes, secret test labels, two configs."""
    from datasets import ClassLabel, Dataset, Features, Value

    root = tmp_path_factory.mktemp("hub")
    glue = root / "datasets" / "nyu-mll" / "glue"
    label = ClassLabel(names=["unacceptable", "acceptable"])
    features = Features({"sentence": Value("string"), "label": label, "idx": Value("int32")})
    card = "---\nconfigs:\n"
    for config in ("cola", "sst2"):
        card += f"- config_name: {config}\n  data_files:\n"
        for split, labels in (("train", [1, 0, -1, 1]), ("validation", [0, 1]), ("test", [-1, -1])):
            (glue / config).mkdir(parents=True, exist_ok=True)
            texts = [f"{config} {split} {i}" for i in range(len(labels))]
            rows = {"sentence": texts, "label": labels, "idx": list(range(len(labels)))}
            file = glue / config / f"{split}-00000-of-00001.parquet"
            Dataset.from_dict(rows, features=features).to_parquet(file)
            card += f"  - split: {split}\n    path: {config}/{split}-*\n"
    (glue / "README.md").write_text(card + "---\n")
    scripted = root / "datasets" / "some" / "script"
    scripted.mkdir(parents=True)
    (scripted / "script.py").write_text("open('was_here', 'w')\n")
    cells = root / "datasets" / "some" / "cells"
    cells.mkdir(parents=True)
    rows = [(f"text {i}", ["None", "null", "nan", "NA"][i % 4]) for i in range(40)]
    write_csv(cells / "train.csv", rows)
    with HubServer(root) as server:
        yield server


def ask(hub, home, *requests, **environment):
    """Run the plugin in a process of its own, because the client reads its settings once."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(requests)],
        env=os.environ | hub.environment(home, **environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=home,
    )
    return result.stdout


COLA = {"id": "nyu-mll/glue", "config": "cola", "text": "sentence"}


@pytest.fixture(scope="module")
def fetched(hub, tmp_path_factory):
    """Return the home folder of a process that has fetched a data set, and what it printed."""
    home = tmp_path_factory.mktemp("fetched")
    return home, ask(hub, home, COLA)


def test_hub_names_and_secret_labels(hub, fetched):
    _, out = fetched
    expected = "ok ('unacceptable', 'acceptable') (1, 2) {'train': 3, 'validation': 2} cola train 0"
    assert expected in out
    assert "1 rows of nyu-mll/glue train have no label" in out
    assert "the labels of nyu-mll/glue test are not public: no test split" in out
    assert f"nyu-mll/glue cola is of commit {hub.commit('datasets', 'nyu-mll/glue')}" in out


def test_hub_data_once_fetched_serve_without_a_network(hub, fetched):
    home, _ = fetched
    commit = hub.commit("datasets", "nyu-mll/glue")
    requests = [COLA, {**COLA, "revision": commit}, {**COLA, "revision": "main"}]
    requests += [{**COLA, "config": "sst2"}]
    hub.requests.clear()
    out = ask(hub, home, *requests, HF_HUB_OFFLINE="1")
    assert out.count("cola train 0") == 2
    refused = [json.loads(line) for line in out.splitlines() if line.startswith("[")]
    assert refused[0][0].startswith("the Hub cannot be reached to find revision 'main'")
    assert refused[0][2].endswith(f"data.revision={commit}")
    assert refused[1][0].startswith("'nyu-mll/glue' (sst2) cannot be downloaded from the Hub")
    assert hub.requests == []


def test_hub_cells_of_csv_are_read_as_they_stand_also_from_the_cache(hub, tmp_path):
    cells = {"id": "some/cells", "validation": None, "test": None, "validation_fraction": 0.1}
    expected = "ok ('NA', 'None', 'nan', 'null') (9, 9, 9, 9) {'train': 36, 'validation': 4} text 0"
    assert expected in ask(hub, tmp_path, cells)
    hub.requests.clear()
    assert expected in ask(hub, tmp_path, cells, HF_HUB_OFFLINE="1")
    assert hub.requests == []


def test_hub_mistakes_are_explained_and_no_code_is_run(hub, tmp_path):
    out = ask(
        hub,
        tmp_path,
        {**COLA, "config": None},
        {**COLA, "config": "colla"},
        {**COLA, "id": "nyu-mll/glu"},
        {**COLA, "id": "no such/thing here"},
        {**COLA, "revision": "v9"},
        {**COLA, "text": "sentense"},
        {"id": "some/script"},
    )
    assert [json.loads(line) for line in out.splitlines() if line.startswith("[")] == [
        ["'nyu-mll/glue' has configs", "data.config", "choose one of: cola, sst2"],
        ["'nyu-mll/glue' has no config 'colla'", "data.config", "did you mean 'cola'?"],
        *(
            [
                f"the Hub has no dataset '{name}', or it is private",
                "data.id",
                "type ORG/NAME as on the Hub's page, like nyu-mll/glue;"
                " for a private one type 'hf auth login'; for a folder start with ./",
            ]
            for name in ("nyu-mll/glu", "no such/thing here")
        ),
        [
            "'nyu-mll/glue' has no revision 'v9'",
            "data.revision",
            "name a branch, a tag or a commit of it, or no revision for the newest",
        ],
        [
            "nyu-mll/glue train has no column 'sentense'; its columns are: sentence, label, idx",
            "data.text",
            "did you mean data.text=sentence?",
        ],
        [
            "'some/script' is loaded by a script, and no code of a dataset is run",
            "data.id",
            "use a copy in Parquet of the Hub, or convert it and use data=files",
        ],
    ]
    assert not (tmp_path / "was_here").exists()


def test_hub_terms_that_were_not_accepted(hub, tmp_path):
    hub.mode = "gated"
    try:
        out = ask(hub, tmp_path, COLA)
    finally:
        hub.mode = "good"
    assert "is gated: the Hub gives it to those who accepted its terms" in out
