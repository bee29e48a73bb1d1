# SPDX-License-Identifier: MIT
"""Writes positions.safetensors: position encodings as transformers and PyTorch compute them.

transformers computes frequencies, tables and slopes in float32; here they are stored as they come out.
"""
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import LlamaConfig, T5Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb as rotate_interleaved
from transformers.models.gptj.modeling_gptj import create_sinusoidal_positions
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb as rotate_half_split
from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding
from transformers.models.t5.modeling_t5 import T5Attention

# name: head size, theta, rope_parameters, positions in the table
ROPE = {
    "none": (16, 10000.0, dict(rope_type="default"), 12),
    "none_wide": (128, 500000.0, dict(rope_type="default"), 12),
    "linear": (16, 10000.0, dict(rope_type="linear", factor=4.0), 12),
    "dynamic_short": (16, 10000.0, dict(rope_type="dynamic", factor=2.0, context=64), 50),
    "dynamic_long": (16, 10000.0, dict(rope_type="dynamic", factor=2.0, context=64), 200),
    "yarn": (128, 10000.0, dict(rope_type="yarn", factor=4.0, context=2048), 12),
    "yarn_small": (8, 10000.0, dict(rope_type="yarn", factor=40.0, context=64, beta_fast=16, beta_slow=2), 12),
    "yarn_given": (64, 1000000.0, dict(rope_type="yarn", factor=2.5, context=4096, attention_factor=0.75), 12),
    "llama3": (128, 500000.0, dict(rope_type="llama3", factor=8.0, context=8192, low_freq_factor=1.0,
                                   high_freq_factor=4.0), 12),
    "llama3_32": (64, 500000.0, dict(rope_type="llama3", factor=32.0, context=8192, low_freq_factor=1.0,
                                     high_freq_factor=4.0), 12),
}


def rope_tables(tensors):
    for name, (size, theta, parameters, positions) in ROPE.items():
        parameters = dict(parameters)
        context = parameters.pop("context", 2048)
        if parameters["rope_type"] in ("yarn", "llama3"):
            parameters["original_max_position_embeddings"] = context
            context = int(context * parameters["factor"])
        config = LlamaConfig(hidden_size=2 * size, num_attention_heads=2, max_position_embeddings=context,
                             rope_parameters=dict(rope_theta=theta, **parameters))
        rotary = LlamaRotaryEmbedding(config)
        cos, sin = rotary(torch.zeros(1, 1, dtype=torch.float32), torch.arange(positions)[None])  # (1, T, D)
        tensors[f"rope.frequencies.{name}"] = rotary.inv_freq.clone()
        tensors[f"rope.attention_factor.{name}"] = torch.tensor([rotary.attention_scaling], dtype=torch.float64)
        tensors[f"rope.cos.{name}"] = cos[0, :, : size // 2]
        tensors[f"rope.sin.{name}"] = sin[0, :, : size // 2]
        if parameters["rope_type"] != "default":
            frequencies, factor = ROPE_INIT_FUNCTIONS[parameters["rope_type"]](config, "cpu", seq_len=positions)
            assert torch.equal(frequencies, rotary.inv_freq) and factor == rotary.attention_scaling, name


def rope_layouts(tensors, generator):
    B, H, T, D = 2, 3, 5, 8
    x = torch.randn(B, H, T, D, generator=generator)
    positions = torch.tensor([[0, 1, 2, 3, 4], [7, 7, 20, 33, 63]])
    config = LlamaConfig(hidden_size=H * D, num_attention_heads=H)
    cos, sin = LlamaRotaryEmbedding(config)(x, positions)
    tensors["rope.x"], tensors["rope.positions"] = x, positions.int()
    tensors["rope.half_split"] = rotate_half_split(x, x, cos, sin)[0]
    sin, cos = create_sinusoidal_positions(64, D)[positions].chunk(2, -1)                         # (B, T, D/2)
    tensors["rope.interleaved"] = rotate_interleaved(x.transpose(1, 2), sin, cos).transpose(1, 2)


def sinusoidal(tensors):
    """Marian puts the sines first; the paper has sine and cosine of a pair side by side."""
    for channels in (1, 2, 5, 8, 63):
        embedding = MarianSinusoidalPositionalEmbedding(30, channels)
        weight = embedding.weight if not hasattr(embedding, "create_weight") else embedding.create_weight()
        table = torch.empty(30, channels)
        sines = (channels + 1) // 2
        table[:, 0::2], table[:, 1::2] = weight[:, :sines], weight[:, sines:]
        tensors[f"sinusoidal.{channels}"] = table


def alibi(tensors):
    for heads in (1, 2, 3, 5, 8, 12, 16, 20, 40):
        bias = build_alibi_tensor(torch.ones(1, 2), heads, torch.float32)                         # (H, 1, 2)
        tensors[f"alibi.slopes.{heads}"] = bias[:, 0, 1]


def t5(tensors, generator):
    relative = torch.arange(-300, 301)
    for name, both, count, reach in (("bidirectional", True, 32, 128), ("causal", False, 32, 128), ("few", True, 8, 20),
                                     ("odd_causal", False, 7, 30)):
        buckets = T5Attention._relative_position_bucket(relative, both, count, reach)
        tensors[f"t5.buckets.{name}"] = buckets.int()
    for name, decoder, queries, keys in (("encoder", False, 24, 24), ("decoder", True, 3, 60)):
        config = T5Config(num_heads=3, is_decoder=decoder)
        attention = T5Attention(config, has_relative_attention_bias=True).double()
        weight = attention.relative_attention_bias.weight
        with torch.no_grad():
            weight.copy_(torch.randn(weight.shape, generator=generator))
        bias = attention.compute_bias(queries, keys, past_seen_tokens=keys - queries)
        dbias = torch.randn(bias.shape, generator=generator).double()
        tensors[f"t5.{name}.weight"], tensors[f"t5.{name}.bias"] = weight.detach(), bias.detach()
        tensors[f"t5.{name}.dbias"], tensors[f"t5.{name}.dweight"] = dbias, torch.autograd.grad(bias, weight, dbias)[0]


def golden():
    generator = torch.Generator().manual_seed(11)
    tensors = {}
    rope_tables(tensors)
    rope_layouts(tensors, generator)
    sinusoidal(tensors)
    alibi(tensors)
    t5(tensors, generator)
    tensors = {name: x.detach().contiguous() for name, x in tensors.items()}
    save_file(tensors, Path(__file__).with_name("positions.safetensors"), {
        "torch": torch.__version__, "transformers": transformers.__version__, "script": Path(__file__).name})


if __name__ == "__main__":
    golden()
