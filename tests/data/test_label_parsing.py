"""What labels stand for, where they can be read in more than one way: used, reported or refused."""

import pytest

from tests.data.test_labels import data_of, refusal
from xferlab.contracts import Task, TaskSpec
from xferlab.data.label_parsing import literal_list
from xferlab.data.labels import Rows
from xferlab.data.splits import known_split
from xferlab.errors import ConfigError


def note(data, words):
    """Return the one note that holds some words."""
    found = [line for line in data.notes if words in line]
    assert len(found) == 1, data.notes
    return found[0]


# Lists of 0 and 1


HOT = [[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]]


@pytest.mark.parametrize(
    "written",
    [
        lambda row: row,
        lambda row: [bool(x) for x in row],
        lambda row: [float(x) for x in row],
        lambda row: str(row),
        lambda row: "[" + " ".join(map(str, row)) + "]",
        lambda row: "|".join(map(str, row)),
    ],
    ids=["int", "bool", "float", "text", "numpy", "separator"],
)
def test_lists_of_0_and_1_are_multi_hot(written):
    data = data_of([written(row) for row in HOT], [written([0, 0, 1])])
    assert data.spec.task is Task.multi_label
    assert data.spec.class_names == ("0", "1", "2")
    assert data.train.labels.tolist() == HOT
    assert data.validation.labels.tolist() == [[0, 0, 1]]
    assert "3 times 0 or 1" in note(data, "multi-hot")


def test_multi_hot_classes_are_the_names_that_are_given_or_beside():
    names = ["joy", "love", "anger"]
    for given in ({"class_names": names}, {"suggested_names": names}):
        data = data_of(HOT, HOT, **given)
        assert data.spec.class_names == tuple(names)
        assert data.spec.class_counts == (2, 2, 2)
    data = data_of(HOT, HOT, suggested_names=["joy", "love"])
    assert data.spec.class_names == ("0", "1", "2")
    assert "the 2 names that come with it do not fit" in note(data, "multi-hot")
    assert "name 3" in refusal(HOT, HOT, class_names=["joy", "love"]).fix


def test_a_class_without_a_training_row_is_there_in_multi_hot_lists():
    data = data_of([[1, 0, 0], [0, 0, 0]], [[0, 0, 1]])
    assert data.spec.class_counts == (1, 0, 0)
    assert note(data, "without a training row").startswith("the lists of 0 and 1: 3 classes")
    assert refusal([[0, 0], [0, 0]], [[0, 0]]).what == "no row has a label"


@pytest.mark.parametrize("odd", [[1, 0], [1, 0, 1, 0], [1, 2, 0], ["joy"], [1, -1, 0], [], "joy"])
def test_a_row_that_is_not_multi_hot_like_the_others_is_named(odd):
    error = refusal([*HOT, odd], HOT)
    assert "row 5" in error.what
    assert "3 times 0 or 1" in error.what
    assert "row 2" in refusal(HOT, [HOT[0], odd]).what


def test_lists_of_names_stay_lists_of_names():
    data = data_of([["joy", "love"], ["joy"], []], [["love"]])
    assert data.spec.class_names == ("joy", "love")
    assert data.notes == ()
    # numbers of classes: each once in a list, and lists of any length
    data = data_of([[0], [1], [0, 1], []], [[1]])
    assert data.spec.class_names == ("0", "1")
    assert data.train.labels.tolist() == [[1, 0], [0, 1], [1, 1], [0, 0]]
    data = data_of([[3, 7], [7], [3]], [[7]])
    assert data.spec.class_names == ("3", "7")


def test_one_1_a_row_may_be_one_label_or_several():
    one_hot = [[0, 1], [1, 0], [0, 1]]
    data = data_of(one_hot, one_hot)
    assert data.train.labels.tolist() == one_hot
    assert "data.task=single_label" in note(data, "one 1 a row")
    data = data_of(one_hot, one_hot, task="single_label")
    assert data.train.labels.tolist() == [1, 0, 1]
    assert data.spec.class_names == ("0", "1")


def test_a_list_of_one_0_or_1_is_refused_as_it_may_be_either():
    error = refusal([[0], [1], [1]], [[0]])
    assert "it may be the number of a class" in error.what
    assert "data.class_names" in error.fix
    data = data_of([[0], [1], [1]], [[0]], class_names=["no", "yes"])
    assert data.train.labels.tolist() == [[1, 0], [0, 1], [0, 1]]


def test_shares_of_classes_are_refused():
    error = refusal([[0.2, 0.8], [0.5, 0.5]], [[0.1, 0.9]])
    assert "numbers with fractions" in error.what


# Lists as text


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("['joy', 'love']", ["joy", "love"]),
        ('["joy", "love"]', ["joy", "love"]),
        ("['joy' 'love']", ["joy", "love"]),
        ("['joy'\n 'love']", ["joy", "love"]),
        ("('joy',)", ["joy"]),
        ("{'joy', 'love'}", ["joy", "love"]),
        ("[]", []),
        (" [1, 0, 1] ", [1, 0, 1]),
        ("[1 0 1]", [1, 0, 1]),
        ("[1. 0. 1.]", [1.0, 0.0, 1.0]),
        ("[True, false, None]", [True, False, None]),
        ('["it\'s", \'say "x"\']', ["it's", 'say "x"']),
        (r"['it\'s']", ["it's"]),
        (r'["caf\u00e9"]', ["café"]),
        ("['a, b', 'c']", ["a, b", "c"]),
        ("[joy, love]", None),
        ("[joy]", None),
        ("['joy'", None),
        ("['joy'x]", None),
        ("{'a': 1}", None),
        ("[['a'], ['b']]", None),
        ("joy", None),
        ("[", None),
    ],
)
def test_lists_in_text_are_read_as_json_python_and_numpy_write_them(text, items):
    assert literal_list(text) == items


def test_lists_in_text_are_read_and_reported():
    data = data_of(["['joy', 'love']", "['anger']", "[]"], ["['love']"])
    assert data.spec.task is Task.multi_label
    assert data.spec.class_names == ("anger", "joy", "love")
    assert data.train.labels.tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert "read as lists" in note(data, "written as text")


def test_lists_in_text_may_be_tags_of_words_in_text():
    data = data_of(
        ["['B-PER', 'O']", "['O']"],
        texts=["['Ada', 'slept']", "['Bob']"],
        validation=None,
        task="token_classification",
    )
    every = [*data.train.texts, *data.validation.texts]
    assert sorted(every) == [["Ada", "slept"], ["Bob"]]


def test_a_label_that_is_no_list_among_lists_is_named():
    error = refusal(["['joy']", "love", "['love']"], ["['joy']"])
    assert "row 2" in error.what
    assert "'love'" in error.what
    assert "data.task=single_label" in error.fix
    error = refusal(["['joy']", "['love']"], ["['joy']", "love"])
    assert error.what.startswith("1 row of validation has a label that is no list")


def test_a_few_lists_among_names_are_names_and_reported():
    data = data_of(["a", "b", "a", "['x']"], ["a"])
    assert data.spec.class_names == ("['x']", "a", "b")
    assert "row 4" in note(data, "taken for the name of a class")
    data = data_of(["['joy']", "['love']"], ["['joy']"], task="single_label")
    assert data.spec.class_names == ("['joy']", "['love']")


def test_lists_with_one_item_a_word_are_tags():
    data = data_of([["O", "B"], ["O", "O", "B"]], [["O", "B"]], texts=["a b", "c d e"])
    assert data.spec.task is Task.token_classification
    assert "one item for each word" in note(data, "data.task is token_classification")


# Numbers


@pytest.mark.parametrize("stray", ["nan", "N/A", "high", "-", "inf"])
def test_one_word_among_ratings_is_refused_with_its_row(stray):
    error = refusal(["1.5", "2.0", stray, "4.5"], ["1.0"])
    assert error.what == (
        f"1 row of train has a label that is no number, e.g. '{stray}', and the other 3 are"
        " numbers with fractions: row 3"
    )
    assert error.where == "train.csv, row 3"
    assert "data.task=single_label" in error.fix


def test_nan_among_whole_numbers_is_refused_and_a_word_is_reported():
    assert "row 3" in refusal(["0", "1", "nan", "1"], ["1"]).what
    data = data_of(["1", "2", "other", "2"], ["1"])
    assert data.spec.class_names == ("1", "2", "other")
    assert "'other' (row 3)" in note(data, "words and numbers")
    data = data_of(["1", "2", "nan", "2"], ["1"], task="single_label")
    assert data.spec.class_names == ("1", "2", "nan")


def test_words_for_nothing_among_names_are_reported():
    assert "'None' (row 2)" in note(data_of(["a", "None", "b"], ["a"]), "missing label")


def test_a_decimal_comma_is_read_where_all_have_it():
    data = data_of(["1,5", "2,0", "-0,25", "3"], ["4,5"])
    assert data.spec.task is Task.regression
    assert data.train.labels.tolist() == [1.5, 2.0, -0.25, 3.0]
    assert data.validation.labels.tolist() == [4.5]
    assert "'1,5' is 1.5" in note(data, "the labels of train have a decimal comma")


def test_commas_that_may_mean_something_else_are_refused():
    assert "between thousands" in refusal(["1,000", "2,500"], ["1,000"]).what
    error = refusal(["1,5", "2.5", "3.0"], ["1.5"])
    assert "another decimal sign" in error.what
    assert error.what.endswith("row 1")
    assert "no number" in refusal(["1.234,5", "2,5", "3,5"], ["1,5"]).what


def test_a_comma_may_separate_labels_if_the_user_says_so():
    assert data_of(["1,5", "5"], ["1"], label_separator=",").spec.class_names == ("1", "5")


def test_whole_numbers_with_a_point_are_classes():
    data = data_of(["0.0", "1.0", "1.0"], ["1.0"], ["0"])
    assert data.spec.task is Task.single_label
    assert data.spec.class_names == ("0", "1")
    assert data.test.labels.tolist() == [0]
    assert "data.task=regression" in note(data, "whole numbers written with a point")
    assert data_of(["0", "1"], ["1.0"]).validation.labels.tolist() == [1]
    named = data_of(["0.0", "1.0"], ["1.0"], class_names=["no", "yes"])
    assert named.train.labels.tolist() == [0, 1]
    versions = data_of(["1.0", "1.1"], ["1.0"], task="single_label")
    assert versions.spec.class_names == ("1.0", "1.1")
    assert data_of(["1.0", "2.0"], ["1.0"], task="regression").spec.class_names == ()


def test_numbers_beyond_float32_are_no_numbers():
    assert "no number" in refusal(["1e39", "2.5"], ["1.5"], task="regression").what
    assert data_of(["9" * 5000, "a"], ["a"]).spec.class_names == ("9" * 5000, "a")


def test_a_few_fractions_among_whole_numbers_are_named():
    data = data_of(["1", "2", "1", "1.5", "2"], ["1"])
    assert data.spec.task is Task.regression
    assert "in row 4 of 5" in note(data, "data.task is regression")
    assert "of 3" not in note(data_of(["1.5", "2.5", "1"], ["1"]), "data.task is regression")


def test_values_of_a_split_without_labels_are_refused():
    error = refusal(["1.5", "2.0"], ["0.5"], ["-1", "-1.0"])
    assert error.what == "every label of test is -1, which means 'not labelled'"
    assert "data.test=null" in error.fix
    assert data_of(["-1.0", "-1.5"], ["-1.0", "-1.5"]).validation.labels.tolist() == [-1, -1.5]


# Names with the separator


def test_labels_with_another_sign_between_them_are_reported():
    data = data_of(["joy, love", "love", "joy"], ["joy"])
    assert data.spec.class_names == ("joy", "joy, love", "love")
    assert "data.label_separator=','" in note(data, "taken for names of classes")
    assert "'1,0,1'" in note(data_of(["1,0,1", "0,0,1"], ["0,0,1"]), "taken for names of classes")
    assert data_of(["Paris, France", "Rome, Italy"], ["Rome, Italy"]).notes == ()


@pytest.mark.parametrize("sign", ["|", ", "])
def test_names_beside_the_data_may_hold_a_separator(sign):
    data = data_of(
        [f"toys{sign}games", "toys"], ["toys"], suggested_names=["toys", f"toys{sign}games"]
    )
    assert data.spec.task is Task.single_label
    assert data.spec.class_names == ("toys", f"toys{sign}games")
    assert not data.notes


def test_a_name_with_the_separator_is_a_name_if_its_parts_stand_nowhere_else():
    data = data_of(["TV|Audio", "Phones", "TV|Audio", "Kitchen"], ["Phones"])
    assert data.spec.task is Task.single_label
    assert data.spec.class_names == ("Kitchen", "Phones", "TV|Audio")
    assert "'TV|Audio'" in note(data, "taken for the name of one class")
    several = data_of(["TV|Audio", "Phones"], ["Phones"], task="multi_label")
    assert several.spec.class_names == ("Audio", "Phones", "TV")


def test_several_labels_are_told_by_parts_that_stand_elsewhere():
    data = data_of(["joy|love", "love", "anger|R&B"], ["joy"])
    assert data.spec.task is Task.multi_label
    line = note(data, "data.task is multi_label")
    assert "2 of 3 labels hold '|'" in line
    assert "'anger|R&B' (row 3)" in line
    assert data_of(["a|b", "b|c"], ["a"]).spec.task is Task.multi_label


def test_names_that_are_given_may_hold_the_separator():
    data = data_of(["A|B", "A", "B"], ["A"], class_names=["A", "B", "A|B"])
    assert data.spec.task is Task.single_label
    assert data.train.labels.tolist() == [2, 0, 1]


# Names beside the data


def test_positions_are_reported_with_their_names():
    data = data_of(["0", "1"], ["1"], suggested_names=["no", "yes", "maybe"])
    assert "0 is no, 1 is yes, 2 is maybe" in note(data, "positions")
    assert "maybe" in note(data, "without a training row")


@pytest.mark.parametrize("given", ["class_names", "suggested_names"])
def test_numbers_from_1_are_refused(given):
    error = refusal(["1", "2", "3"], ["1"], **{given: ["a", "b", "c"]})
    assert "counted from 0" in error.what
    assert error.where == "train.csv, row 3"
    assert "data.class_names=[1,2,3]" in error.fix
    assert data_of(["1", "2", "3"], ["1"], class_names=["1", "2", "3"]).spec.num_classes == 3


def test_names_of_another_file_are_reported_as_not_used():
    data = data_of(["a", "b"], ["b"], suggested_names=["no", "yes"], suggested_from="labels.txt")
    assert note(data, "not used") == (
        "labels.txt is not used: the label 'a' is none of its 2 names, no, yes"
    )
    data = data_of(["Good", "Bad"], ["Bad"], suggested_names=["good", "bad"])
    assert "'bad' differs only in case" in note(data, "not used")
    data = data_of(["a", "b"], ["b"], suggested_names=["a", "a"])
    assert "names 'a' twice" in note(data, "not used")


# Labels that stand for none


def test_minus_1_beside_names_is_no_class():
    for given in ("class_names", "suggested_names"):
        for labels in (["0", "-1", "1"], ["no", "-1", "yes"]):
            error = refusal(labels, labels[:1], **{given: ["no", "yes"]})
            assert "which means 'not labelled': row 2" in error.what


def test_minus_1_without_names_is_a_class_and_reported():
    data = data_of([0, -1, 1], [1])
    assert data.spec.class_names == ("-1", "0", "1")
    assert "leave these rows out" in note(data, "label -1 (1 row)")
    assert data_of([-2, -1, 1], [1]).notes == ()
    assert "-100" in refusal([0, 1, -100], [1]).what


def test_a_test_split_without_labels_is_refused_with_the_way_on():
    for label in ("-1", None):
        error = refusal(["0", "1"], ["1"], [label, label])
        assert "data.test=null" in error.fix


@pytest.mark.parametrize("nothing", [-1, -100, None, "-100"])
def test_words_without_a_tag_are_masked(nothing):
    labels = [[1, nothing, 0], [0, 1, nothing]]
    data = data_of(labels, texts=[["a", "b", "c"]] * 2, validation=None, class_names=["O", "B-X"])
    every = sorted([*data.train.labels, *data.validation.labels], key=lambda row: row.tolist())
    assert [row.tolist() for row in every] == [[0, 1, -1], [1, -1, 0]]
    assert sum(data.spec.class_counts) == 2
    bare = data_of(labels, texts=[["a", "b", "c"]] * 2, validation=None)
    assert bare.spec.class_names == ("0", "1")


def test_a_split_without_any_tag_is_refused():
    error = refusal([[-100, -100], [-1, -1]], texts=[["a", "b"]] * 2)
    assert error.what == "no word of train has a tag: all are -1, -100 or null"


def test_one_tag_alone_is_refused():
    assert refusal([["O", "O"]] * 3, texts=[["a", "b"]] * 3).what == (
        "every word of train has the tag 'O'"
    )


@pytest.mark.parametrize("odd", [{"a": 1}, [["a"]], [{"a": 1}]])
def test_tables_and_lists_in_lists_are_no_labels(odd):
    error = refusal(["a", odd, "b"], ["a"])
    assert "no name, number or list of those" in error.what
    assert "row 2" in error.what


def test_a_number_beyond_the_names_is_the_one_that_is_told():
    error = refusal([[1, 5, 0]], texts=[["a", "b", "c"]], class_names=["O", "B-X", "I-X"])
    assert error.what.startswith("there is a label 5, and data.class_names names 3 classes")
    data = data_of(["0", "1", "7"], ["0"], suggested_names=["no", "yes"])
    assert "the label '7'" in note(data, "not used")


def test_a_label_of_many_letters_is_cut_in_messages():
    assert len(refusal(["x" * 9999, "a"], ["b" * 9999]).what) < 400
    assert len(refusal(["1" * 9999, "1.5"], ["1.5"], task="regression").what) < 400


# Classes that are alike


@pytest.mark.parametrize(
    "pair",
    [("Good", "good"), ("caf\u00e9", "cafe\u0301"), ("a b", "a  b"), ("01", "1"), ("ﬁne", "fine")],
)
def test_classes_that_are_nearly_the_same_are_reported(pair):
    data = data_of([*pair, pair[0], "other"], [pair[0]])
    assert "are kept apart" in note(data, "differ only in case")
    assert data_of(["a", "b"], ["a"]).notes == ()


# Rows for a task that is known already


def known(labels, names, task=Task.multi_label, texts=None, **kwargs):
    texts = texts or ["x"] * len(labels)
    spec = TaskSpec(task, names, 9, 32)
    return known_split("new", Rows(texts, labels), spec, **kwargs).labels


def test_known_classes_are_found_in_lists_of_0_and_1():
    names = ("joy", "love", "anger")
    assert known([[1, 0, 1], [0, 0, 0]], names).tolist() == [[1, 0, 1], [0, 0, 0]]
    assert known(["1|0|1", "0|0|0"], names).tolist() == [[1, 0, 1], [0, 0, 0]]
    assert known(["[0, 1, 1]"], names).tolist() == [[0, 1, 1]]
    assert known([[0, 0, 1]], names, suggested_names=["love", "anger", "joy"]).tolist() == [
        [1, 0, 0]
    ]
    assert known(["['joy']", "[]"], names).tolist() == [[1, 0, 0], [0, 0, 0]]
    with pytest.raises(ConfigError, match="the run has 3 classes"):
        known([[1, 1], [0, 0]], names)


def test_the_name_of_a_known_class_is_not_split():
    names = ("a|b", "a", "b")
    assert known(["a|b", " a|b ", "b|a"], names).tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 1]]
    assert known(["b|a", "a"], ("a", "b", "b|a"), Task.single_label).tolist() == [2, 0]
    assert known(["a;b"], names, label_separator=";").tolist() == [[0, 1, 1]]


def test_known_values_may_have_a_decimal_comma():
    assert known(["1,5", "2,0"], (), Task.regression).tolist() == [1.5, 2.0]
    with pytest.raises(ConfigError, match="no number"):
        known(["1,5", "nan"], (), Task.regression)


def test_known_classes_are_found_by_name_and_by_position():
    assert known(["0.0", "1.0"], ("no", "yes"), Task.single_label).tolist() == [0, 1]
    assert known(["1.0", "0.0"], ("0", "1"), Task.single_label).tolist() == [1, 0]
    with pytest.raises(ConfigError, match="counted from 0"):
        known(["1", "2"], ("no", "yes"), Task.single_label)
    with pytest.raises(ConfigError, match="not labelled"):
        known(["0", "-1"], ("no", "yes"), Task.single_label)


def test_known_tags_may_be_missing():
    for labels in ([[1, -100], [-1, 0]], [["B-X", None], ["-100", "O"]]):
        found = known(labels, ("O", "B-X"), Task.token_classification, [["a", "b"]] * 2)
        assert [row.tolist() for row in found] == [[1, -1], [-1, 0]]
