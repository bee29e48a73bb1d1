# SPDX-License-Identifier: MIT
"""The peer: nanoGPT's CPU recipe (train_shakespeare_char with 4 layers, 128 channels, context 64) in PyTorch.

    python3 nanogpt_recipe.py --data tinyshakespeare.txt --seed 1
    python3 nanogpt_recipe.py --data tinyshakespeare.txt --seed 1 2 3 --against build/benchmarks/benchmarks/nanogpt_recipe

Prints one JSON line a run; the validation loss (nats per character) is over the whole validation split with the final
weights. With --against, Plinth's program runs after each of PyTorch's own runs, and a last line compares both: mean
losses and the median of the ratios of their times.  B batch, T sequence.
"""
import argparse
import json
import math
import statistics
import subprocess
import time

import torch
import torch.nn as nn

from gpt import LanguageModel, parameter_groups

LAYERS, HEADS, CHANNELS, CONTEXT, BATCH = 4, 4, 128, 64, 12
PEAK_RATE, LAST_RATE, WARM_UP = 1e-3, 1e-4, 100
BETAS, WEIGHT_DECAY, CLIP_NORM = (0.9, 0.99), 0.1, 1.0


def learning_rate(step, steps):
    """Linear warm-up, then a cosine from the peak to the last rate."""
    if step < WARM_UP:
        return PEAK_RATE * (step + 1) / (WARM_UP + 1)
    progress = (step - WARM_UP) / (steps - WARM_UP)
    return LAST_RATE + 0.5 * (1 + math.cos(math.pi * progress)) * (PEAK_RATE - LAST_RATE)


def train(model, text, steps):
    optimizer = torch.optim.AdamW(parameter_groups(model, WEIGHT_DECAY), lr=PEAK_RATE, betas=BETAS)
    offsets = torch.arange(CONTEXT)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        windows = torch.randint(len(text) - CONTEXT, (BATCH, 1)) + offsets              # (B, T)
        loss = model(text[windows], text[windows + 1])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()


@torch.no_grad()
def whole_loss(model, text):
    """Mean loss over all windows of CONTEXT characters, without overlap."""
    count = (len(text) - 1) // CONTEXT
    inputs = text[:count * CONTEXT].view(count, CONTEXT)
    targets = text[1:count * CONTEXT + 1].view(count, CONTEXT)
    total = sum(model(x, y, reduction="sum").item() for x, y in zip(inputs.split(128), targets.split(128)))
    return total / targets.numel()


def run(text, characters, seed, steps):
    """One run of PyTorch, as the dictionary that is printed."""
    torch.manual_seed(seed)
    split = int(0.9 * len(text))
    model = LanguageModel(characters, CONTEXT, CHANNELS, LAYERS, HEADS, bias=False, approximate="none")
    start = time.perf_counter()
    train(model, text[:split], steps)
    seconds = time.perf_counter() - start
    return dict(seed=seed, steps=steps, threads=torch.get_num_threads(), seconds=round(seconds, 2),
                validation_loss=round(whole_loss(model, text[split:]), 4), torch=torch.__version__)


def run_plinth(program, data, seed, steps):
    """One run of Plinth in a process of its own; PyTorch's threads sleep meanwhile."""
    command = [program, "--data", data, "--seed", str(seed), "--steps", str(steps)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def comparison(ours, theirs):
    def mean_loss(runs):
        return round(statistics.mean(run["validation_loss"] for run in runs), 4)
    ratios = [mine["seconds"] / peer["seconds"] for mine, peer in zip(ours, theirs)]
    return dict(plinth_loss=mean_loss(ours), torch_loss=mean_loss(theirs), time_ratio=round(statistics.median(ratios), 3),
                ratios=[round(ratio, 3) for ratio in ratios])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a text file")
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch; 0: its own choice")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--against", metavar="PROGRAM", help="Plinth's benchmark nanogpt_recipe, run in turn")
    options = parser.parse_args()
    if options.threads > 0:
        torch.set_num_threads(options.threads)

    with open(options.data, encoding="utf-8", newline="") as file:
        characters = file.read()
    ids = {character: i for i, character in enumerate(sorted(set(characters)))}
    text = torch.tensor([ids[character] for character in characters])

    ours, theirs = [], []
    for seed in options.seed:
        theirs.append(run(text, len(ids), seed, options.steps))
        print(json.dumps(theirs[-1]), flush=True)
        if options.against:
            ours.append(run_plinth(options.against, options.data, seed, options.steps))
            print(json.dumps(ours[-1]), flush=True)
    if options.against:
        print(json.dumps(comparison(ours, theirs)))


if __name__ == "__main__":
    main()
