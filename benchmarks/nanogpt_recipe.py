# SPDX-License-Identifier: MIT
"""The peer: nanoGPT's training of a model of characters (config/train_shakespeare_char.py) in PyTorch, by its recipe
for a CPU, eager in float, or for a GPU, compiled in bfloat16.

    python3 nanogpt_recipe.py --data tinyshakespeare.txt --seed 1
    python3 nanogpt_recipe.py --data tinyshakespeare.txt --seed 1 2 3 --against build/benchmarks/benchmarks/nanogpt_recipe
    python3 nanogpt_recipe.py --data tinyshakespeare.txt --device cuda --against build/gpu_check/nanogpt_recipe

Prints one JSON line a run: the seconds of all steps, without evaluations and compilation, and the lowest evaluation,
the mean loss (nats per character) of the whole last tenth. With --against, Plinth's program runs after each of
PyTorch's own runs, and a last line compares both: mean losses and the median of the ratios of their times. Exit status
77 where PyTorch finds no GPU for --device cuda.  B batch, T sequence.
"""
import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

import torch
import torch.nn as nn

from gpt import LanguageModel, parameter_groups


class Recipe(NamedTuple):
    layers: int
    heads: int
    channels: int
    context: int
    batch: int
    steps: int
    evaluate_every: int  # steps; 0: only after the last, as is always done
    dropout: float


RECIPES = {"cpu": Recipe(4, 4, 128, 64, 12, 2000, 0, 0.0), "cuda": Recipe(6, 6, 384, 256, 64, 5000, 250, 0.2)}
PEAK_RATE, LAST_RATE, WARM_UP = 1e-3, 1e-4, 100
BETAS, WEIGHT_DECAY, CLIP_NORM = (0.9, 0.99), 0.1, 1.0


def learning_rate(step, steps):
    """Linear warm-up, then a cosine from the peak to the last rate."""
    if step < WARM_UP:
        return PEAK_RATE * (step + 1) / (WARM_UP + 1)
    progress = (step - WARM_UP) / (steps - WARM_UP)
    return LAST_RATE + 0.5 * (1 + math.cos(math.pi * progress)) * (PEAK_RATE - LAST_RATE)


def precision(device):
    return torch.autocast(device, torch.bfloat16, enabled=device == "cuda")


def now(device):
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def compiled(model, recipe, device):
    """The model as it trains: on a GPU compiled, ready to be timed, where that works."""
    if device == "cpu":
        return model
    fast = torch.compile(model)
    tokens = torch.zeros(recipe.batch, recipe.context, dtype=torch.int64, device=device)
    try:
        with precision(device):
            loss = fast(tokens, tokens)
        loss.backward()
        return fast
    except Exception as error:  # of many kinds: no Triton, no C compiler
        print(f"nanogpt_recipe: PyTorch is not compiled: {error}", file=sys.stderr)
        return model


def train(model, call, text, held_out, recipe, device):
    """Seconds of all steps, and the lowest loss of the held-out text; call is the model, perhaps compiled."""
    optimizer = torch.optim.AdamW(parameter_groups(model, WEIGHT_DECAY), lr=PEAK_RATE, betas=BETAS,
                                  fused=True if device == "cuda" else None)
    offsets = torch.arange(recipe.context, device=device)
    seconds, best = 0.0, math.inf
    start = now(device)
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe.steps)
        places = torch.randint(len(text) - recipe.context, (recipe.batch, 1), device=device)
        windows = places + offsets                                                      # (B, T)
        with precision(device):
            loss = call(text[windows], text[windows + 1])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        if step + 1 == recipe.steps or recipe.evaluate_every and (step + 1) % recipe.evaluate_every == 0:
            seconds += now(device) - start
            best = min(best, whole_loss(model, held_out, recipe.context, device))
            start = now(device)
    return seconds, best


@torch.no_grad()
def whole_loss(model, text, context, device):
    """Mean loss of all characters but the first, over windows of so many without overlap; the last may be shorter."""
    inputs, targets = text[:-1], text[1:]
    whole = len(inputs) // context * context
    batches = list(zip(inputs[:whole].view(-1, context).split(64), targets[:whole].view(-1, context).split(64)))
    if whole < len(inputs):
        batches.append((inputs[None, whole:], targets[None, whole:]))
    model.eval()
    with precision(device):
        total = sum(model(x, y, reduction="sum").item() for x, y in batches)
    model.train()
    return total / len(targets)


def run(text, characters, seed, recipe, device):
    """One run of PyTorch, as the dictionary that is printed."""
    torch.manual_seed(seed)
    split = len(text) * 9 // 10
    model = LanguageModel(characters, recipe.context, recipe.channels, recipe.layers, recipe.heads, bias=False,
                          approximate="none", dropout=recipe.dropout).to(device)
    call = compiled(model, recipe, device)
    seconds, loss = train(model, call, text[:split], text[split:], recipe, device)
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    version = torch.__version__ + ("" if call is model else ", compiled")
    return dict(seed=seed, steps=recipe.steps, device=where, seconds=round(seconds, 2), validation_loss=round(loss, 4),
                torch=version)


def run_plinth(program, data, seed, steps):
    """One run of Plinth in a process of its own; PyTorch's threads sleep meanwhile."""
    command = [program, "--data", data, "--seed", str(seed), "--steps", str(steps)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def comparison(ours, theirs):
    def mean_loss(runs):
        return round(statistics.mean(run["validation_loss"] for run in runs), 4)
    ratios = [mine["seconds"] / peer["seconds"] for mine, peer in zip(ours, theirs)]
    return dict(plinth_loss=mean_loss(ours), torch_loss=mean_loss(theirs), time_ratio=round(statistics.median(ratios), 3),
                ratios=[round(ratio, 3) for ratio in ratios])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a text file")
    parser.add_argument("--device", choices=RECIPES, default="cpu", help="and its recipe (default: cpu)")
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch; 0: its own choice")
    parser.add_argument("--steps", type=int, help="more than 100 (default: the recipe's)")
    parser.add_argument("--against", metavar="PROGRAM", help="Plinth's benchmark nanogpt_recipe, run in turn")
    options = parser.parse_args()
    if options.threads > 0:
        torch.set_num_threads(options.threads)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("nanogpt_recipe: PyTorch finds no GPU", file=sys.stderr)
        sys.exit(77)
    recipe = RECIPES[options.device]
    if options.steps:
        recipe = recipe._replace(steps=options.steps)

    with open(options.data, encoding="utf-8", newline="") as file:
        characters = file.read()
    ids = {character: i for i, character in enumerate(sorted(set(characters)))}
    text = torch.tensor([ids[character] for character in characters], device=options.device)

    ours, theirs = [], []
    for seed in options.seed:
        theirs.append(run(text, len(ids), seed, recipe, options.device))
        print(json.dumps(theirs[-1]), flush=True)
        if options.against:
            ours.append(run_plinth(options.against, options.data, seed, recipe.steps))
            print(json.dumps(ours[-1]), flush=True)
    if options.against:
        print(json.dumps(comparison(ours, theirs)))


if __name__ == "__main__":
    main()
