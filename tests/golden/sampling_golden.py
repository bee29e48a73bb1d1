# SPDX-License-Identifier: MIT
"""Prints the probabilities that generate/sample_test.cpp expects, from the logits processors of transformers."""
import torch
import transformers
from transformers import (LogitsProcessorList, MinPLogitsWarper, RepetitionPenaltyLogitsProcessor,
                          TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)

LOGITS = [1.25, -0.5, 3.0, 0.75, -2.25, 2.5, 0.0, -1.0, 1.75, 2.25]
SEEN = [2, 7, 2, 8, 1]

# temperature, top_k, top_p, min_p, repetition_penalty: in this order generate() of transformers applies the last first,
# then the others from left to right.
CASES = [
    (1, 0, 1, 0, 1), (0.7, 0, 1, 0, 1), (1, 4, 1, 0, 1), (1, 0, 0.8, 0, 1), (1, 0, 0.3, 0, 1), (1, 0, 0.05, 0, 1),
    (1, 0, 1, 0.2, 1), (1, 0, 1, 0.9, 1), (1, 0, 1, 0, 1.3), (1, 0, 1, 0, 0.8), (1.5, 6, 0.9, 0.3, 1.2),
    (0.5, 5, 0.95, 0.05, 1), (2, 8, 0.6, 0, 1.5),
]


def probabilities(temperature, top_k, top_p, min_p, penalty):
    processors = LogitsProcessorList()
    if penalty != 1:
        processors.append(RepetitionPenaltyLogitsProcessor(penalty))
    processors.append(TemperatureLogitsWarper(float(temperature)))
    if top_k:
        processors.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        processors.append(TopPLogitsWarper(top_p))
    if min_p:
        processors.append(MinPLogitsWarper(min_p))
    logits = torch.tensor([LOGITS], dtype=torch.float64)
    return processors(torch.tensor([SEEN]), logits).softmax(-1)[0].tolist()


print(f"// transformers {transformers.__version__}, torch {torch.__version__}")
for case in CASES:
    values = ", ".join(f"{p:.16g}" for p in probabilities(*case))
    print("{{" + ", ".join(str(x) for x in case) + "}, {" + values + "}},")
