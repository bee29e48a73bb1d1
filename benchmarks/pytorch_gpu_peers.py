# SPDX-License-Identifier: MIT
"""gpu.cu's rows in PyTorch, one JSON object a line, on a GPU; exit status 77 where PyTorch finds none.

    python3 pytorch_gpu_peers.py

B batch, T sequence, H heads, D head size.
"""
import argparse
import json
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from gpt import LanguageModel, parameter_groups

NAME = f"PyTorch {torch.__version__.split('+')[0]}"
DEVICE = "cuda"
SIZES = ((8192, 8192, 8192), (4096, 4096, 4096), (32768, 768, 768), (32768, 3072, 768), (32768, 768, 3072),
         (8192, 14336, 4096))
TOKENS, CHANNELS = 16384, 2048  # of attention
VOCABULARY, BATCH, CONTEXT = 50257, 32, 1024  # of GPT-2 124M's step


def some(*shape):
    return torch.rand(shape, device=DEVICE, dtype=torch.bfloat16) - 0.5


def seconds(call, prepare=lambda: None, samples=5, least=0.02):
    """The median of samples, each of which calls until `least` seconds are over; a first one does not count."""
    def sample():
        total, calls = 0.0, 0
        while calls == 0 or total < least:
            prepare()
            torch.cuda.synchronize()
            start = time.perf_counter()
            call()
            torch.cuda.synchronize()
            total += time.perf_counter() - start
            calls += 1
        return total / calls
    sample()
    return statistics.median(sample() for _ in range(samples))


def print_row(workload, unit, value, suffix=""):
    print(json.dumps(dict(workload="GPU " + workload, threads=1, unit=unit, results={NAME + suffix: dict(value=value)})),
          flush=True)


@torch.no_grad()
def products():
    for M, N, K in SIZES:
        a, b, bias = some(M, K), some(N, K), some(N)
        flops = 2e-9 * M * N * K
        c = torch.empty(M, N, device=DEVICE, dtype=torch.bfloat16)
        print_row(f"product bfloat16 {M} x {N} x {K}", "GFLOP/s", flops / seconds(lambda: torch.mm(a, b.T, out=c)))
        print_row(f"product bfloat16 {M} x {N} x {K} with bias and GELU", "GFLOP/s",
                  flops / seconds(lambda: F.gelu(F.linear(a, b, bias), approximate="tanh")))


def attention():
    for D in (64, 128):
        for T in (1024, 4096, 16384):
            B, H = TOKENS // T, CHANNELS // D
            q, k, v, dy = (some(B, T, H, D).transpose(1, 2).requires_grad_() for _ in range(4))  # (B, H, T, D)
            held = [None]

            def forward():
                held[0] = F.scaled_dot_product_attention(q, k, v, is_causal=True)

            def backward():
                torch.autograd.grad(held[0], (q, k, v), dy)
            flops = 2e-9 * B * H * D * T * T
            name = f"attention bfloat16 B{B} H{H} D{D} T{T} "
            print_row(name + "forward", "GFLOP/s", flops / seconds(forward))
            print_row(name + "backward", "GFLOP/s", 2.5 * flops / seconds(backward, forward))


def training_step():
    torch.manual_seed(1)
    model = LanguageModel(VOCABULARY, CONTEXT, 768, 12, 12).to(DEVICE)
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.1), lr=1e-3, betas=(0.9, 0.99), fused=True)
    tokens = (torch.arange(BATCH * CONTEXT, device=DEVICE) * 7919 % VOCABULARY).view(BATCH, CONTEXT)
    for loss_of, suffix in ((model, ""), (torch.compile(model), " compiled")):
        def step():
            with torch.autocast(DEVICE, dtype=torch.bfloat16):
                loss = loss_of(tokens, tokens)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        print_row(f"GPT-2 124M step bfloat16 B{BATCH} T{CONTEXT}", "s", seconds(step, least=0.5), suffix)


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if not torch.cuda.is_available():
        print("pytorch_gpu_peers: PyTorch finds no GPU", file=sys.stderr)
        sys.exit(77)
    products()
    attention()
    training_step()


if __name__ == "__main__":
    main()
