"""Token classification: a tag for each word, as in named entity recognition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from xferlab.errors import ConfigError
from xferlab.tasks.base import LabelKind, Problem, TaskSpec
from xferlab.tasks.classes import ExclusiveClasses, probe_classes
from xferlab.tasks.label_checks import class_range

if TYPE_CHECKING:
    from xferlab.checks.probe_batch import ProbeBatch
    from xferlab.contracts import Split
    from xferlab.data.labels import Rows
    from xferlab.evaluation.confusion import Confusion
    from xferlab.evaluation.errors_table import ErrorsTable
    from xferlab.evaluation.per_class import ClassReport
    from xferlab.evaluation.split_outputs import SplitOutputs
    from xferlab.statistics.baselines import Baseline
    from xferlab.statistics.tables import Table


class TokenClassification(ExclusiveClasses):
    """One tag for each word; int32 (examples, words), -1 for a word without a tag.

    A data plugin gives one int32 array (words,) for each example.
    """

    name = "token_classification"
    label_kind = LabelKind.token_tags
    unit = "words"
    unit_title = "words by tag"
    is_per_word = True
    has_label_lists = True
    default_metrics: ClassVar = {"entity_f1": {"name": "entity_f1"}}
    pipeline_tag = "token-classification"
    head_class = "TokenClassification"
    title = "a tag a word"
    card_note = (
        "The tag of a word is that of its first token. Give words, as above: on a plain string"
        " `pipeline` makes words of its own, and punctuation inside a word is one more."
    )

    def label_problems(self, split_name: str, split: Any, spec: TaskSpec) -> Iterator[Problem]:
        """Yield a problem unless each word has a tag or -1."""
        import numpy as np

        for number, (words, tags) in enumerate(zip(split.texts, split.labels, strict=True), 1):
            if isinstance(words, str):
                what = f"gives a string as example {number} of {split_name}"
                yield what, "token classification needs a list of words for each example"
            if len(words) != len(tags):
                what = f"gives {len(words)} words and {len(tags)} tags in example {number} of"
                yield f"{what} {split_name}", "one tag a word; -1 for a word without one"
        tagged = [np.asarray(tags) for tags in split.labels if len(tags)]
        tags = np.concatenate(tagged or [np.zeros(0, "int32")])
        if tags.dtype.kind not in "iu":
            yield f"gives tags of {tags.dtype} for {split_name}", "return int32 tag indices"
        sizes = [len(tags) for tags in split.labels]
        example_of = np.repeat(np.arange(len(sizes)), sizes)
        yield from class_range(split_name, tags, spec, -1, example_of)
        if not (tags >= 0).any():
            yield f"gives no tag at all for {split_name}", "-1 is only for words without one"

    def parse_labels(self, split_name: str, rows: Rows, separator: str) -> list[list[str | None]]:
        """Return a list of tags for each example, None for a word without one."""
        from xferlab.data.labels import UNLABELLED, name_of, parts_of, row_error, words_of

        tags = [
            [None if _means_no_tag(tag) else name_of(tag) for tag in parts_of(value, None)]
            for value in rows.labels
        ]
        words_in = [len(words_of(text)) for text in rows.texts]
        tags_in = [sum(tag != "" for tag in each) for each in tags]
        wrong = [i for i, count in enumerate(tags_in) if count != words_in[i]]
        if wrong:
            counts = f"{words_in[wrong[0]]} words and {tags_in[wrong[0]]} tags"
            what = f"of {split_name} have other counts, e.g. {counts}"
            raise row_error(rows, wrong, what, "label")
        if not any(tag is not None for each in tags for tag in each):
            is_test = split_name == "test"
            without = "data.test=null runs without a test split"
            raise ConfigError(
                f"no word of {split_name} has a tag: all are {', '.join(UNLABELLED)} or null",
                where=rows.place(0),
                fix=without if is_test else "choose the column of the tags: data.label=COLUMN",
            )
        return tags

    def label_array(self, codes: Sequence[Sequence[int]], num_classes: int) -> Any:
        """Return one int32 array (words,) for each example."""
        import numpy as np

        return [np.array(tags, dtype="int32") for tags in codes]

    def label_names(self, labels: Any, names: Sequence[str]) -> list[list[str | None]]:
        """Return the tags by name, None for a word without one."""
        return [[names[tag] if tag >= 0 else None for tag in tags] for tags in labels]

    def probe_batch(self, spec: TaskSpec) -> ProbeBatch:
        """Return an example of two words for each class, the second word without a tag."""
        import numpy as np

        from xferlab.checks.probe_batch import ProbeBatch

        classes, one_hot, neutral = probe_classes(spec)
        tags = np.stack([classes, np.full_like(classes, -1)], axis=1)
        return ProbeBatch(tags, np.stack([one_hot, np.zeros_like(one_hot)], axis=1), neutral)

    def predicted_labels(self, probabilities: Any, names: Sequence[str]) -> list[list[str | None]]:
        """Return the most probable tag of each word, None for one without a token."""
        return [
            [None if word[0] != word[0] else names[int(word.argmax())] for word in words]
            for words in probabilities
        ]

    def prediction_cells(
        self, text: Any, label: Any, probabilities: Any, spec: TaskSpec
    ) -> dict[str, Any]:
        """Return ``words``, ``tags`` and the tags' ``probabilities``."""
        pairs = zip(label, probabilities, strict=True)
        best = [None if tag is None else float(word.max()) for tag, word in pairs]
        return {"words": list(text), "tags": label, "probabilities": best}

    def prediction_columns(self, spec: TaskSpec) -> list[str]:
        """Return ``words``, ``tags`` and ``probabilities``."""
        return ["words", "tags", "probabilities"]

    def prediction_tables(
        self, rows: Sequence[Mapping[str, Any]]
    ) -> list[tuple[list[str], list[list[Any]]]]:
        """Return a table for each example, a row a word."""
        header = ["word", "tag", "probability"]
        columns = ((row["words"], row["tags"], row["probabilities"]) for row in rows)
        return [(header, [list(word) for word in zip(*each, strict=True)]) for each in columns]

    def label_tables(self, splits: Mapping[str, Any], spec: TaskSpec) -> list[Table]:
        """Return the words of each tag and, where tags mark entities, the entities of each type."""
        from xferlab.functional.bio_tags import strange_tag
        from xferlab.statistics.labels import entity_table

        tables = super().label_tables(splits, spec)
        is_entities = strange_tag(spec.class_names) is None
        return [*tables, entity_table(splits, spec)] if is_entities else tables

    def balancing(self, splits: Mapping[str, Any], spec: TaskSpec) -> tuple[str, tuple[str, ...]]:
        """Return nothing: most words are outside entities, and the types are a table."""
        return "", ()

    def constant_baseline(self, train: Split, spec: TaskSpec) -> Baseline:
        """Return the frequencies of the tags: the most frequent one is predicted."""
        from xferlab.statistics.baselines import Baseline, log_frequencies, repeated

        outputs = log_frequencies(spec.class_counts)

        def predict(split: Split) -> Any:
            width = max(map(len, split.texts), default=0)
            return repeated(outputs, len(split) * width).reshape(len(split), width, -1)

        return Baseline(f"largest class ({spec.class_names[int(outputs.argmax())]})", predict)

    def text_baseline(self, train: Split, spec: TaskSpec, seed: int) -> Baseline:
        """Return each word's most frequent tag."""
        from xferlab.statistics.baselines import Baseline
        from xferlab.statistics.linear_models import most_frequent_tags

        predict = most_frequent_tags(train, spec.num_classes)
        return Baseline("each word's most frequent tag", predict)

    def baseline_notes(
        self, spec: TaskSpec, split_name: str, labels: Any, outputs: Any
    ) -> Iterator[str]:
        """Yield a line for one tag predicted throughout, or a split without entities."""
        from xferlab.functional.bio_tags import spans, strange_tag

        is_tagged = labels >= 0
        predicted = self.decide(outputs, spec)
        yield from self.constant_note(spec, split_name, predicted[is_tagged], "word")
        if strange_tag(spec.class_names) is not None:
            return
        rows = zip(labels, is_tagged, strict=True)
        sentences = ((spec.class_names[tag] for tag in row[keep]) for row, keep in rows)
        if not any(next(spans(tags), None) for tags in sentences):
            yield (f"no word of {split_name} is in an entity: entity F1 is 0 for all predictions")

    def list_errors(self, outputs: SplitOutputs, number: int) -> ErrorsTable:
        """Return the sentences in order of the probability of their most confident wrong tag."""
        import numpy as np

        from xferlab.evaluation.errors_table import ErrorsTable, most_confident
        from xferlab.evaluation.marked_words import mark_sentence

        confidence = outputs.probabilities.max(axis=-1)
        is_wrong = (outputs.labels >= 0) & (outputs.labels != outputs.predicted)
        highest = np.where(is_wrong, confidence, -1.0).max(axis=1, initial=-1.0)
        has_error = is_wrong.any(axis=1)
        rows = [
            (int(i) + 1, mark_sentence(outputs, int(i)), float(highest[i]))
            for i in most_confident(highest, has_error, number)
        ]
        header = ("row", "sentence ⟦words: true → predicted⟧", "probability")
        order = "the highest probability of a wrong tag"
        return ErrorsTable(header, tuple(rows), int(has_error.sum()), order)

    def confusion(self, outputs: SplitOutputs) -> Confusion:
        """Return the confusion of words: of entity types where tags mark entities."""
        import numpy as np

        from xferlab.evaluation.confusion import count_confusion
        from xferlab.functional.bio_tags import strange_tag, type_of

        labels, predicted, _ = outputs.units
        names = outputs.spec.class_names
        if strange_tag(names) is None:
            types = [type_of(name) for name in names]
            names = tuple(dict.fromkeys(types))
            index = np.array([names.index(kind) for kind in types])
            labels = index[labels]
            predicted = index[predicted]
        return count_confusion(names, labels, predicted, self.unit)

    def class_report(self, outputs: SplitOutputs) -> ClassReport:
        """Return the scores of each entity type; of each tag where tags do not mark entities."""
        from xferlab.evaluation.per_class import entity_report
        from xferlab.functional.bio_tags import strange_tag

        names = outputs.spec.class_names
        if strange_tag(names) is not None:
            return super().class_report(outputs)
        return entity_report(map(outputs.entities, range(len(outputs))), names)

    def prediction_rows(self, outputs: SplitOutputs) -> Iterator[tuple[Any, ...]]:
        """Yield true tag, predicted tag and its probability of each tagged word."""
        yield "row", "word", "text", "true", "predicted", "probability"
        confidence = outputs.probabilities.max(axis=-1)
        for i, words in enumerate(outputs.texts):
            tags = zip(words, *outputs.tags(i), strict=False)
            for j, (word, label, predicted) in enumerate(tags):
                if outputs.labels[i, j] >= 0:
                    probability = "" if outputs.is_unseen[i, j] else float(confidence[i, j])
                    yield i + 1, j + 1, word, label, predicted, probability


def _means_no_tag(value: Any) -> bool:
    from xferlab.data.labels import UNLABELLED, name_of

    return value is None or (not isinstance(value, bool) and name_of(value) in UNLABELLED)
