# SPDX-License-Identifier: MIT
"""A GPT in PyTorch, the peer of Plinth's Decoder.  B batch, T sequence, C channels, H heads, V vocabulary."""
import math

import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint


class Block(nn.Module):
    def __init__(self, channels, heads, bias, approximate, dropout):
        super().__init__()
        self.heads, self.approximate = heads, approximate
        self.attention_norm = nn.LayerNorm(channels, bias=bias)
        self.query_key_value = nn.Linear(channels, 3 * channels, bias=bias)
        self.output = nn.Linear(channels, channels, bias=bias)
        self.feed_forward_norm = nn.LayerNorm(channels, bias=bias)
        self.up = nn.Linear(channels, 4 * channels, bias=bias)
        self.down = nn.Linear(4 * channels, channels, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):                                                               # (B, T, C)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2)                 # (B, H, T, C/H)
                   for part in self.query_key_value(self.attention_norm(x)).chunk(3, dim=-1))
        dropped = self.dropout.p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropped)
        x = x + self.dropout(self.output(mixed.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.down(F.gelu(self.up(self.feed_forward_norm(x)), approximate=self.approximate)))


class LanguageModel(nn.Module):
    """The GELU is exact with approximate="none", GPT-2's with "tanh"; dropout as nanoGPT's, everywhere."""

    def __init__(self, vocabulary, context, channels, layers, heads, bias=True, approximate="tanh", dropout=0.0):
        super().__init__()
        self.checkpointed = False  # every block
        self.tokens = nn.Embedding(vocabulary, channels)
        self.positions = nn.Embedding(context, channels)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(channels, heads, bias, approximate, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(channels, bias=bias)
        for name, weight in self.named_parameters():
            if weight.dim() >= 2:
                ends_branch = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * layers) if ends_branch else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(self, inputs, targets, reduction="mean"):                               # (B, T) twice -> loss
        x = self.dropout(self.tokens(inputs) + self.positions.weight[:inputs.size(1)])  # (B, T, C)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.checkpointed else block(x)
        logits = F.linear(self.norm(x), self.tokens.weight)                             # (B, T, V), the head is tied
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction=reduction)


def parameter_groups(model, weight_decay):
    """For an optimiser: matrices decay, vectors do not."""
    return [dict(params=[w for w in model.parameters() if w.dim() >= 2], weight_decay=weight_decay),
            dict(params=[w for w in model.parameters() if w.dim() < 2], weight_decay=0.0)]
