# SPDX-License-Identifier: MIT
"""Writes activations.safetensors: activations and their gradients in PyTorch, float64.

y.<name> and dx.<name> answer to x and dy; of gated units dgate.<name> and dvalue.<name> to gate and value.
"""
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

SWISH_BETA = 1.7
POINTWISE = {"relu": F.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "silu": F.silu,
             "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
             "softplus": lambda x: F.softplus(x, threshold=1e9),  # by default it is x itself above 20
             "swish": lambda x: x * torch.sigmoid(SWISH_BETA * x)}
GATES = {"glu": torch.sigmoid, "reglu": F.relu, "geglu": F.gelu, "swiglu": F.silu}


def gradients(y, dy, inputs):
    return torch.autograd.grad(y, inputs, dy)


def golden():
    generator = torch.Generator().manual_seed(7)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).float().double()

    ends = torch.tensor([0.0, -0.0, 1e-8, -1e-8, 1e-3, -1e-3, 20.5, -20.5, 60, -60, 90, -90, 150, -150],
                        dtype=torch.float64)
    x = torch.cat((torch.arange(-80, 81, dtype=torch.float64) / 8, ends.float().double())).requires_grad_()
    dy = draw(x.numel()).abs() + 0.5
    tensors = {"x": x.detach(), "dy": dy}
    for name, f in POINTWISE.items():
        y = f(x)
        tensors[f"y.{name}"] = y.detach()
        tensors[f"dx.{name}"], = gradients(y, dy, [x])

    beta = torch.tensor(SWISH_BETA, dtype=torch.float64).float().double().requires_grad_()
    y = x * torch.sigmoid(beta * x)
    tensors["beta"], tensors["dbeta"] = beta.detach().view(1), gradients(y, dy, [beta])[0].view(1)

    gate, value, dgated = (3 * draw(4, 5)).requires_grad_(), draw(4, 5).requires_grad_(), draw(4, 5)
    tensors.update({"gate": gate.detach(), "value": value.detach(), "dgated": dgated})
    for name, f in GATES.items():
        y = f(gate) * value
        tensors[f"y.{name}"] = y.detach()
        tensors[f"dgate.{name}"], tensors[f"dvalue.{name}"] = gradients(y, dgated, [gate, value])
    tensors["y.torch_glu"] = F.glu(torch.cat((value, gate), -1)).detach()

    save_file(tensors, Path(__file__).with_name("activations.safetensors"), {
        "torch": torch.__version__, "script": Path(__file__).name})


if __name__ == "__main__":
    golden()
