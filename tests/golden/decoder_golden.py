# SPDX-License-Identifier: MIT
"""Writes decoder_gpt2.safetensors and decoder_llama.safetensors: what two tiny decoders compute in PyTorch.

Everything is computed in float64; float_error.* is how far PyTorch's own float32 strays from that at most, over many
orders of its sums: one order's error is chance, above all of a gradient whose terms cancel.
B batch, T sequence, C channels, H heads, G key heads, D head size, F feed-forward channels, V vocabulary.
"""
import json
import struct
from pathlib import Path

import torch
import torch.nn.functional as F

B, T = 3, 20
GPT2 = dict(name="gpt2", vocabulary=61, context=24, hidden=32, layers=2, heads=4, key_heads=4, feed_forward=128,
            norm="layer", norm_epsilon=1e-5, activation="gelu_tanh", gated=False, position="learned", bias=True,
            tied_head=True, seed=1)
LLAMA = dict(name="llama", vocabulary=61, context=24, hidden=32, layers=2, heads=4, key_heads=2, feed_forward=88,
             norm="rms", norm_epsilon=1e-5, activation="silu", gated=True, position="rotary", rope_theta=10000.0,
             rope_layout="half_split", bias=False, tied_head=False, seed=2)
ORDERS = 64
TRAINING = dict(steps=10, learning_rate=1e-3, beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip_norm=1.0)


def initial_weights(config):
    """Random weights by name, each representable in float32, so that both precisions start from the same point."""
    generator = torch.Generator().manual_seed(config["seed"])
    C, V, inner = config["hidden"], config["vocabulary"], config["feed_forward"]
    key_channels = C // config["heads"] * config["key_heads"]
    weights = {}

    def draw(name, shape, mean=0.0, deviation=0.2):
        values = mean + deviation * torch.randn(shape, generator=generator, dtype=torch.float64)
        weights[name] = values.float().double()

    def linear(name, outputs, inputs):
        draw(f"{name}.weight", (outputs, inputs))
        if config["bias"]:
            draw(f"{name}.bias", (outputs,), 0.0, 0.1)

    def norm(name):
        draw(f"{name}.gain", (C,), 1.0, 0.1)
        if config["norm"] == "layer":
            draw(f"{name}.bias", (C,), 0.0, 0.1)

    draw("token_embedding.weight", (V, C))
    if config["position"] == "learned":
        draw("position_embedding.weight", (config["context"], C))
    for i in range(config["layers"]):
        norm(f"blocks.{i}.attention_norm")
        for part, outputs in (("query", C), ("key", key_channels), ("value", key_channels), ("output", C)):
            linear(f"blocks.{i}.attention.{part}", outputs, C)
        norm(f"blocks.{i}.feed_forward_norm")
        if config["gated"]:
            linear(f"blocks.{i}.feed_forward.gate", inner, C)
        linear(f"blocks.{i}.feed_forward.up", inner, C)
        linear(f"blocks.{i}.feed_forward.down", C, inner)
    norm("final_norm")
    if not config["tied_head"]:
        linear("head", V, C)
    return weights


def rotate(x, theta):
    """RoPE, half-split layout: channel i of D turns with channel i + D/2 by position * theta^(-2i/D)."""
    time, size = x.shape[-2:]
    frequencies = theta ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angles = torch.outer(torch.arange(time, dtype=torch.float64), frequencies)     # (T, D/2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def decoder(weights, config, tokens, fused=False):
    """tokens (B, T) -> logits (B, T, V), in the precision of the weights; by PyTorch's fused attention or by its parts.
    """
    C, H, G = config["hidden"], config["heads"], config["key_heads"]

    def linear(name, x):
        return F.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    def norm(name, x):
        if config["norm"] == "layer":
            return F.layer_norm(x, (C,), weights[f"{name}.gain"], weights[f"{name}.bias"], config["norm_epsilon"])
        return F.rms_norm(x, (C,), weights[f"{name}.gain"], config["norm_epsilon"])

    def attention(name, x):
        def heads(part, count):
            return linear(f"{name}.{part}", x).view(B, T, count, C // H).transpose(1, 2)
        q, k, v = heads("query", H), heads("key", G), heads("value", G)            # (B, H, T, D), twice (B, G, T, D)
        if config["position"] == "rotary":
            q, k = rotate(q, config["rope_theta"]), rotate(k, config["rope_theta"])
        k, v = (y.repeat_interleave(H // G, dim=1) for y in (k, v))                # (B, H, T, D)
        if fused:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)        # (B, H, T, D)
        else:
            scores = q @ k.transpose(-1, -2) / (C // H) ** 0.5                     # (B, H, T, T)
            future = torch.ones(T, T, dtype=torch.bool).triu(1)
            mixed = scores.masked_fill(future, float("-inf")).softmax(-1) @ v      # (B, H, T, D)
        return linear(f"{name}.output", mixed.transpose(1, 2).reshape(B, T, C))

    def feed_forward(name, x):
        if config["gated"]:
            return linear(f"{name}.down", F.silu(linear(f"{name}.gate", x)) * linear(f"{name}.up", x))
        return linear(f"{name}.down", F.gelu(linear(f"{name}.up", x), approximate="tanh"))

    x = weights["token_embedding.weight"][tokens]                                  # (B, T, C)
    if config["position"] == "learned":
        x = x + weights["position_embedding.weight"][:T]
    for i in range(config["layers"]):
        x = x + attention(f"blocks.{i}.attention", norm(f"blocks.{i}.attention_norm", x))
        x = x + feed_forward(f"blocks.{i}.feed_forward", norm(f"blocks.{i}.feed_forward_norm", x))
    x = norm("final_norm", x)
    return x @ weights["token_embedding.weight"].T if config["tied_head"] else linear("head", x)


def mean_loss(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten().long(), ignore_index=-1)


def run(weights, config, tokens, targets, dtype, fused=False):
    """Logits, loss and gradients by name, in the given precision."""
    leaves = {name: w.to(dtype, copy=True).requires_grad_() for name, w in weights.items()}
    logits = decoder(leaves, config, tokens, fused)
    loss = mean_loss(logits, targets)
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return logits.detach(), loss.detach(), dict(zip(leaves, gradients))


def reordered(x, orders):
    """x with every dimension of a size that `orders` names in that order."""
    for dimension, size in enumerate(x.shape):
        if size in orders:
            x = x.index_select(dimension, orders[size])
    return x


def float_errors(weights, tokens, targets, logits, gradients, sizes, run32):
    """The largest 2-norm by which float32 strays from the logits and from each gradient, by name, over ORDERS orders of
    the vocabulary and of the channels, every second with fused attention. That is the same model, and its sums run in
    other orders. `sizes` of dimensions to reorder, each within parts of so many: a head's channels stay together.
    run32(weights, tokens, targets, fused) returns logits and gradients."""
    errors = {}
    for seed in range(ORDERS):
        generator = torch.Generator().manual_seed(seed)
        orders = {size: torch.cat([start + torch.randperm(part, generator=generator) for start in range(0, size, part)])
                  for size, part in sizes.items()}
        vocabulary = orders[logits.shape[-1]]
        place = torch.cat((torch.argsort(vocabulary), torch.tensor([-1]))).int()   # of a token; -1 stays -1
        logits32, gradients32 = run32({name: reordered(w, orders) for name, w in weights.items()},
                                      [place[x.long()] for x in tokens], place[targets.long()], seed % 2 == 1)
        strays = {"logits": logits32.double() - logits[..., vocabulary]}
        for name, exact in gradients.items():
            strays[f"gradients.{name}"] = gradients32[name].double() - reordered(exact, orders)
        for name, stray in strays.items():
            errors[name] = max(errors.get(name, 0.0), stray.norm().item())
    return {f"float_error.{name}": torch.tensor([error], dtype=torch.float64) for name, error in errors.items()}


def training_losses(weights, config, tokens, targets):
    """The loss before each AdamW step on one batch; matrices decay, vectors do not."""
    leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
    groups = [dict(params=[w for w in leaves.values() if w.dim() >= 2], weight_decay=TRAINING["weight_decay"]),
              dict(params=[w for w in leaves.values() if w.dim() < 2], weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=TRAINING["learning_rate"], eps=TRAINING["epsilon"],
                                  betas=(TRAINING["beta1"], TRAINING["beta2"]), foreach=False)
    losses = []
    for _ in range(TRAINING["steps"]):
        optimizer.zero_grad()
        loss = mean_loss(decoder(leaves, config, tokens), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(leaves.values(), TRAINING["clip_norm"])
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses, dtype=torch.float64)


def save_safetensors(path, tensors, metadata):
    """Header length (8 bytes, little endian), JSON header padded with spaces, data without gaps: widest types first."""
    types = {torch.float64: "F64", torch.float32: "F32", torch.int32: "I32"}
    header, data = {"__metadata__": metadata}, b""
    for name, x in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        content = x.contiguous().numpy().tobytes()
        assert len(data) % x.element_size() == 0, name
        header[name] = {"dtype": types[x.dtype], "shape": list(x.shape),
                        "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def golden(config, sizes):
    generator = torch.Generator().manual_seed(100 + config["seed"])
    text = torch.randint(config["vocabulary"], (B, T + 1), generator=generator, dtype=torch.int32)
    tokens, targets = text[:, :-1].contiguous(), text[:, 1:].contiguous()
    for row, column in ((0, 3), (1, 0), (2, T - 1)):
        targets[row, column] = -1

    weights = initial_weights(config)
    logits, loss, gradients = run(weights, config, tokens, targets, torch.float64)

    def run32(weights, tokens, targets, fused):
        logits, _, gradients = run(weights, config, tokens[0], targets, torch.float32, fused)
        return logits, gradients

    tensors = {"tokens": tokens, "targets": targets, "logits": logits, "loss": loss.view(1),
               "gradient_norm": torch.stack([g.norm() for g in gradients.values()]).norm().view(1),
               "losses": training_losses(weights, config, tokens, targets),
               **float_errors(weights, [tokens], targets, logits, gradients, sizes, run32)}
    for name, w in weights.items():
        tensors[f"weights.{name}"] = w.float()
        tensors[f"gradients.{name}"] = gradients[name]
    metadata = {"torch": torch.__version__, "script": Path(__file__).name, "config": json.dumps(config),
                "training": json.dumps(TRAINING)}
    save_safetensors(Path(__file__).with_name(f"decoder_{config['name']}.safetensors"), tensors, metadata)


if __name__ == "__main__":
    torch.set_num_threads(1)
    golden(GPT2, {61: 61, 128: 128, 32: 8})
    golden(LLAMA, {61: 61, 88: 88})  # and no channels of heads, which RoPE tells apart
