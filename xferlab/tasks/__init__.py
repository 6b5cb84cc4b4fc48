"""What a model predicts: one file a task. Importing the package registers the built-in tasks."""

from xferlab.tasks.base import register_task
from xferlab.tasks.masked_lm import MaskedLM
from xferlab.tasks.multi_label import MultiLabel
from xferlab.tasks.regression import Regression
from xferlab.tasks.similarity import Retrieval, Similarity
from xferlab.tasks.single_label import SingleLabel
from xferlab.tasks.token_classification import TokenClassification

# in the order in which messages list them
for _task in (
    SingleLabel,
    MultiLabel,
    Regression,
    TokenClassification,
    MaskedLM,
    Similarity,
    Retrieval,
):
    register_task(_task)
