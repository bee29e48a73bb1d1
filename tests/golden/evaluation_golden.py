# SPDX-License-Identifier: MIT
"""Prints what scikit-learn and seqeval say of the predictions in evaluate/classification_test.cpp and spans_test.cpp."""
from importlib.metadata import version

import sklearn
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

# Class 3 is never wanted, class 4 never predicted, class 5 neither.
TARGETS = [0, 0, 0, 1, 1, 2, 2, 2, 2, 4, 4, 1, 0, 2]
PREDICTIONS = [0, 1, 0, 1, 2, 2, 2, 0, 3, 0, 2, 1, 0, 2]
BINARY_TARGETS = [0, 1, 1, 0, 1, 1, 0, 0, 0, 1]
BINARY_PREDICTIONS = [0, 1, 0, 1, 1, 1, 0, 0, 0, 0]

# O is 0, B-k is 2 k + 1, I-k is 2 k + 2, with types A (k = 0) and B (k = 1).
NAMES = ["O", "B-A", "I-A", "B-B", "I-B"]
TAGS = [[1, 2, 0, 3, 4, 4, 0], [2, 2, 3, 1, 1, 2], [0, 0, 4, 2, 0, 3], [0, 0], [3, 4, 0, 1]]
FOUND = [[1, 2, 0, 3, 4, 0, 0], [1, 2, 3, 1, 2, 2], [0, 1, 4, 2, 0, 3], [3, 1], [3, 4, 0, 0]]


def show(name, scores):
    print(name, ", ".join(f"{x:.17g}" for x in scores[:3]))


print("scikit-learn", sklearn.__version__, "seqeval", version("seqeval"))
print(confusion_matrix(TARGETS, PREDICTIONS, labels=range(6)).tolist())
print("accuracy", repr(accuracy_score(TARGETS, PREDICTIONS)))
each = precision_recall_fscore_support(TARGETS, PREDICTIONS, labels=range(6), zero_division=0)
for c in range(6):
    show(f"class {c}:", [each[i][c] for i in range(3)])
for average in ("macro", "micro"):
    show(average, precision_recall_fscore_support(TARGETS, PREDICTIONS, average=average, zero_division=0))
show("binary", precision_recall_fscore_support(BINARY_TARGETS, BINARY_PREDICTIONS, average="binary"))
named = [[[NAMES[tag] for tag in tags] for tags in all_tags] for all_tags in (TAGS, FOUND)]
show("spans", [score(*named) for score in (precision_score, recall_score, f1_score)])
for tags in named[0][:3]:
    print(get_entities(tags))
