# SPDX-License-Identifier: MIT
"""Plinth's benchmarks in PyTorch: the rows of the programs of the same names, one JSON object a line.

    python3 pytorch_peers.py --limit build/benchmarks/benchmarks/limit training_step --batch 4 --context 256
    python3 pytorch_peers.py --limit build/benchmarks/benchmarks/limit attention --contexts 1024 2048
    python3 pytorch_peers.py --limit build/benchmarks/benchmarks/limit gemm

Every sample stands between two runs of the program that measures the processor's limit.
B batch, T sequence, H heads, D head size.
"""
import argparse
import json
import resource
import statistics
import subprocess
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from gpt import LanguageModel, parameter_groups

NAME = f"PyTorch {torch.__version__.split('+')[0]}"
VOCABULARY, CONTEXT, CHANNELS, LAYERS, HEADS = 50257, 1024, 768, 12, 12  # GPT-2 124M
GEMM_SHAPES = [(M, N, K) for M in (64, 256, 1024) for N, K in ((3072, 768), (768, 3072), (4096, 4096))]
GEMM_SHAPES.append((256, 50257, 768))


class Limit:
    """GFLOP/s of multiply-adds, measured in a process of its own."""

    def __init__(self, program, element):
        self.command = [program, "--threads", str(torch.get_num_threads())]
        self.element = element

    def __call__(self):
        return json.loads(subprocess.run(self.command, check=True, capture_output=True).stdout)[self.element]


def sample(limit, gigaflops, call, prepare=lambda: None, least_seconds=0.02):
    """Runs call for least_seconds between two measurements of the limit: (seconds of a call, part of the limit)."""
    before, seconds, calls = limit(), 0.0, 0
    while calls == 0 or seconds < least_seconds:
        prepare()
        start = time.perf_counter()
        call()
        seconds += time.perf_counter() - start
        calls += 1
    return seconds / calls, 2 * gigaflops * calls / seconds / (before + limit())


def medians(count, *arguments):
    """Medians of that many samples, after one that does not count."""
    sample(*arguments)
    return [statistics.median(column) for column in zip(*(sample(*arguments) for _ in range(count)))]


def print_row(workload, unit, value, share=None, suffix=""):
    result = dict(value=value) if share is None else dict(value=value, share=share)
    print(json.dumps(dict(workload=workload, threads=torch.get_num_threads(), unit=unit,
                          results={NAME + suffix: result})), flush=True)


def training_step(options):
    torch.manual_seed(1)
    model = LanguageModel(VOCABULARY, CONTEXT, CHANNELS, LAYERS, HEADS)
    model.checkpointed = options.checkpoint == 1
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.1), lr=1e-3, betas=(0.9, 0.99), fused=True)
    loss_of = torch.compile(model) if options.compile else model
    tokens = (torch.arange(options.batch * options.context) * 7919 % VOCABULARY).view(options.batch, options.context)

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.type == "bfloat16"):
            loss = loss_of(tokens, tokens)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
    parameters = sum(weight.numel() for weight in model.parameters())
    seconds, share = medians(options.steps, Limit(options.limit, options.type),
                             6e-9 * parameters * options.batch * options.context, step)
    workload = f"GPT-2 124M step {options.type} B{options.batch} T{options.context}"
    if options.checkpoint:
        workload += f" checkpoint {options.checkpoint}"
    suffix = " compiled" if options.compile else ""
    print_row(workload, "s", seconds, share, suffix)
    print_row(workload + " memory", "MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-6, suffix=suffix)


def unfused_attention(q, k, v, hidden):
    scores = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).masked_fill(hidden, float("-inf"))
    return scores.softmax(-1) @ v


def attention(options):
    limit = Limit(options.limit, "float")
    H, D = 12, 64
    for T in options.contexts:
        q, k, v, dy = (torch.rand(1, T, H, D).transpose(1, 2).requires_grad_() for _ in range(4))  # (B, H, T, D)
        hidden = torch.ones(T, T, dtype=torch.bool).triu(1)
        forms = {"": lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)}
        if T <= 4096:  # the unfused form's memory grows with T^2
            forms[" unfused"] = lambda: unfused_attention(q, k, v, hidden)
        gigaflops = 2e-9 * H * D * T * T
        for suffix, form in forms.items():
            held = [None]

            def forward():
                held[0] = form()

            def backward():
                torch.autograd.grad(held[0], (q, k, v), dy)
            for direction, work, call, prepare in (("forward", gigaflops, forward, lambda: None),
                                                   ("backward", 2.5 * gigaflops, backward, forward)):
                seconds, share = medians(options.samples, limit, work, call, prepare)
                print_row(f"attention float B1 H{H} D{D} T{T} {direction}", "GFLOP/s", work / seconds, share, suffix)


@torch.no_grad()
def gemm(options):
    limit = Limit(options.limit, "bfloat16")
    for form in ("NT", "NN", "TN"):
        for M, N, K in GEMM_SHAPES:
            a = torch.rand((K, M) if form[0] == "T" else (M, K)).bfloat16()
            b = torch.rand((N, K) if form[1] == "T" else (K, N)).bfloat16()
            a, b = a.T if form[0] == "T" else a, b.T if form[1] == "T" else b
            c = torch.empty(M, N, dtype=torch.bfloat16)
            gigaflops = 2e-9 * M * N * K
            seconds, share = medians(options.samples, limit, gigaflops, lambda: torch.mm(a, b, out=c))
            print_row(f"GEMM bfloat16 {form} {M} x {N} x {K}", "GFLOP/s", gigaflops / seconds, share)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", required=True, metavar="PROGRAM", help="Plinth's benchmark limit")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    commands = parser.add_subparsers(required=True, metavar="BENCHMARK")
    command = commands.add_parser("training_step", help="a step of GPT-2 124M")
    command.set_defaults(run=training_step)
    command.add_argument("--type", choices=("float", "bfloat16"), default="float", help="bfloat16: by autocast")
    command.add_argument("--batch", type=int, default=4)
    command.add_argument("--context", type=int, default=256)
    command.add_argument("--steps", type=int, default=5)
    command.add_argument("--checkpoint", type=int, default=0, choices=(0, 1), help="blocks to a gradient checkpoint")
    command.add_argument("--compile", action="store_true", help="by torch.compile")
    command = commands.add_parser("attention", help="scaled_dot_product_attention, causal")
    command.set_defaults(run=attention)
    command.add_argument("--samples", type=int, default=9, help="of which the median counts")
    command.add_argument("--contexts", type=int, nargs="+", default=[1024, 2048, 4096])
    command = commands.add_parser("gemm", help="products of bfloat16")
    command.set_defaults(run=gemm)
    command.add_argument("--samples", type=int, default=9, help="of which the median counts")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.run(options)


if __name__ == "__main__":
    main()
