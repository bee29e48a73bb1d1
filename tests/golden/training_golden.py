# SPDX-License-Identifier: MIT
"""Writes training.safetensors: what optimisers and schedules of PyTorch and transformers do, in float64.

optimizer.*: (steps, 6), the weights of optimizer_golden_test.cpp's two parameters after each step.
schedule.*: the rate of each step. transformers' schedules begin at a rate of 0; one step later, with one step of warm-up
more, they are the library's.
"""
from pathlib import Path

import torch
import transformers
from safetensors.numpy import save_file

STEPS, PEAK, FINAL, WARMUP, TOTAL, DECAY = 6, 3e-3, 2e-4, 7, 40, 12


def trajectory(make, factors=(1.0, 1.0)):
    """Weights after each step; `make(matrix, bias)` returns the optimiser with one group for each of the two."""
    matrix = torch.tensor([[1, -2], [0.5, 3]], dtype=torch.float64, requires_grad=True)
    bias = torch.tensor([1.0, -1], dtype=torch.float64, requires_grad=True)
    optimizer = make(matrix, bias)
    rows = []
    for step in range(1, STEPS + 1):
        c = torch.tensor([[1, 0.1 * step], [-2, 1e-3]], dtype=torch.float64)
        d = torch.tensor([step, -0.01], dtype=torch.float64)
        ((matrix * matrix * c).sum() * 0.5 + (bias * d).sum()).backward()
        for group, factor in zip(optimizer.param_groups, factors):
            group["lr"] = 0.02 * step * factor
        optimizer.step()
        optimizer.zero_grad()
        rows.append(torch.cat([matrix.flatten(), bias]).detach())
    return torch.stack(rows)


def groups(matrix, bias, decay=0.1, bias_decay=0.0):
    return [dict(params=[matrix], weight_decay=decay), dict(params=[bias], weight_decay=bias_decay)]


def sgd(**settings):
    return lambda m, b: torch.optim.SGD(groups(m, b), lr=1.0, **settings)


def adam(kind, **decays):
    return lambda m, b: kind(groups(m, b, **decays), betas=(0.9, 0.95), eps=1e-8)


OPTIMIZERS = {
    "sgd": trajectory(sgd()),
    "sgd_momentum": trajectory(sgd(momentum=0.9)),
    "sgd_nesterov": trajectory(sgd(momentum=0.9, nesterov=True)),
    "adam": trajectory(adam(torch.optim.Adam)),
    "adamw": trajectory(adam(torch.optim.AdamW)),
    "adam_groups": trajectory(adam(torch.optim.Adam, bias_decay=0.3), (1.0, 0.5)),
    "adamw_groups": trajectory(adam(torch.optim.AdamW, bias_decay=0.3), (1.0, 0.5)),
}


def rates(make, first, count=TOTAL + 5):
    """The rates of steps first, first + 1, ... of the scheduler that make(optimizer) returns."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=PEAK)
    scheduler, result = make(optimizer), []
    for _ in range(first + count):
        result.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return torch.tensor(result[first:], dtype=torch.float64)


def after_warmup(then):
    lr = torch.optim.lr_scheduler
    return lambda o: lr.SequentialLR(o, [lr.LinearLR(o, 1 / (WARMUP + 1), 1.0, WARMUP), then(lr, o)], [WARMUP])


SCHEDULES = {
    "constant": rates(lambda o: transformers.get_constant_schedule_with_warmup(o, WARMUP + 1), 1),
    "linear_to_0": rates(lambda o: transformers.get_linear_schedule_with_warmup(o, WARMUP + 1, TOTAL + 1), 1),
    "cosine_to_0": rates(lambda o: transformers.get_cosine_schedule_with_warmup(o, WARMUP + 1, TOTAL + 1), 1, TOTAL),
    "inverse_square_root": rates(lambda o: transformers.get_inverse_sqrt_schedule(o, WARMUP + 1), 1),
    "stable_to_0": rates(lambda o: transformers.get_wsd_schedule(
        o, num_warmup_steps=WARMUP + 1, num_decay_steps=DECAY, num_stable_steps=TOTAL - WARMUP - DECAY,
        decay_type="linear"), 1),
    "linear": rates(after_warmup(lambda lr, o: lr.LinearLR(o, 1.0, FINAL / PEAK, TOTAL - WARMUP)), 0),
    "cosine": rates(after_warmup(lambda lr, o: lr.CosineAnnealingLR(o, TOTAL - WARMUP, FINAL)), 0, TOTAL),
}

if __name__ == "__main__":
    tensors = {f"optimizer.{name}": x.numpy() for name, x in OPTIMIZERS.items()}
    tensors |= {f"schedule.{name}": x.numpy() for name, x in SCHEDULES.items()}
    save_file(tensors, Path(__file__).with_name("training.safetensors"),
              {"torch": torch.__version__, "transformers": transformers.__version__, "script": Path(__file__).name})
