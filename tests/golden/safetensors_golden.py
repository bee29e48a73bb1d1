# SPDX-License-Identifier: MIT
"""Writes safetensors_written.safetensors and safetensors_types.safetensors with the reference implementation.

The first holds what a C++ program can write too, and must come out byte for byte the same. The second holds every
element type that the reference writes, each tensor named after its type.
"""
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors import TensorSpec, serialize_file
from safetensors.torch import save_file

FOLDER = Path(__file__).parent
VERSIONS = f"safetensors {safetensors.__version__}, torch {torch.__version__.split('+')[0]}"


def written():
    reals = [0.0, -0.0, 1.5, -2.25, float("inf"), float("-inf"), 2.0 ** -14, -3.0]
    tensors = {
        "f64": torch.tensor(reals, dtype=torch.float64).view(2, 4),
        "f32": torch.tensor(reals, dtype=torch.float32).view(4, 2),
        "bf16": torch.tensor(reals, dtype=torch.bfloat16),
        "f16": torch.tensor(reals, dtype=torch.float16).view(1, 2, 1, 2, 2, 1),
        "transposed": torch.arange(6, dtype=torch.float32).view(2, 3).T.contiguous(),
        "scalar": torch.tensor(7, dtype=torch.int32),
        "empty": torch.zeros(3, 0, 2),
        "": torch.tensor([1.0]),
        "a \"name\" with \\, /, \b\f\n\r\t\x01\x1f\x7f, \u00e9, \u20ac and \U0001f600": torch.tensor([2.0]),
    }
    for bits in (8, 16, 32, 64):
        for kind in ("int", "uint"):
            dtype = getattr(torch, f"{kind}{bits}")
            limits = torch.iinfo(dtype)
            tensors[f"{kind[0]}{bits}"] = torch.tensor([limits.min, 0, 1, limits.max], dtype=dtype)
    save_file(tensors, FOLDER / "safetensors_written.safetensors", metadata={"made by\n": VERSIONS})


def all_types():
    # For each: the type as Python names it, the shape, the bytes.
    content = {
        "BOOL": ("bool", [3], np.array([1, 0, 1], np.uint8)),
        "U8": ("uint8", [2], np.array([0, 255], np.uint8)),
        "I8": ("int8", [2], np.array([-128, 127], np.int8)),
        "U16": ("uint16", [2], np.array([1, 65535], np.uint16)),
        "I16": ("int16", [2], np.array([-32768, 2], np.int16)),
        "U32": ("uint32", [2], np.array([3, 2 ** 32 - 1], np.uint32)),
        "I32": ("int32", [2], np.array([-2 ** 31, 4], np.int32)),
        "U64": ("uint64", [2], np.array([5, 2 ** 64 - 1], np.uint64)),
        "I64": ("int64", [2], np.array([-2 ** 63, 6], np.int64)),
        "F16": ("float16", [3], np.array([1 / 3, 65504, 6e-8], np.float16)),
        "BF16": ("bfloat16", [2], torch.tensor([1 / 3, -3e38], dtype=torch.bfloat16).view(torch.int16).numpy()),
        "F32": ("float32", [2], np.array([1 / 3, -3e38], np.float32)),
        "F64": ("float64", [2], np.array([1 / 3, -1e300], np.float64)),
        "C64": ("complex64", [1], np.array([1 + 2j], np.complex64)),
        "F8_E4M3": ("float8_e4m3fn", [2], np.array([1, 2], np.uint8)),
        "F8_E5M2": ("float8_e5m2", [2], np.array([3, 4], np.uint8)),
        "F8_E8M0": ("float8_e8m0fnu", [2], np.array([5, 6], np.uint8)),
        "F8_E4M3FNUZ": ("float8_e4m3fnuz", [2], np.array([7, 8], np.uint8)),
        "F8_E5M2FNUZ": ("float8_e5m2fnuz", [2], np.array([9, 10], np.uint8)),
        "F4": ("float4_e2m1fn_x2", [2], np.array([0x12, 0x34], np.uint8)),  # four numbers, two in a byte
    }
    specs = {name: TensorSpec(dtype=dtype, shape=shape, data_ptr=x.ctypes.data, data_len=x.nbytes)
             for name, (dtype, shape, x) in content.items()}
    serialize_file(specs, FOLDER / "safetensors_types.safetensors", {"made by": VERSIONS})


if __name__ == "__main__":
    written()
    all_types()
