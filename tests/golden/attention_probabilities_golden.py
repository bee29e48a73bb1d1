# SPDX-License-Identifier: MIT
"""Prints the probabilities that attention/probe_test.cpp expects: causal, two query heads on one key head, PyTorch 2.15."""
import torch

q = torch.sin(torch.arange(1, 13, dtype=torch.float64)).reshape(2, 3, 2)  # (H, T, D)
k = torch.cos(torch.arange(1, 7, dtype=torch.float64)).reshape(1, 3, 2)   # (G, S, D)
scores = q @ k.transpose(1, 2) / 2 ** 0.5
hidden = torch.ones(3, 3, dtype=torch.bool).triu(1)
print(scores.masked_fill(hidden, -torch.inf).softmax(-1).flatten().tolist())
