# SPDX-License-Identifier: MIT
"""Writes decoder_positions.safetensors: logits of tiny decoders of transformers whose positions are ALiBi or scaled RoPE.

MPT and Llama in float64 (transformers computes angles in float32), with weights under the names of our decoder.
"""
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, MptConfig, MptForCausalLM

VOCABULARY, HIDDEN, LAYERS, INNER, CONTEXT = 17, 24, 2, 96, 24
TRAINED = 8  # positions of the model before scaling
ROPE = {
    "linear": dict(rope_type="linear", factor=3.0),
    "dynamic_ntk": dict(rope_type="dynamic", factor=3.0),
    "yarn": dict(rope_type="yarn", factor=3.0, original_max_position_embeddings=TRAINED),
    "llama3": dict(rope_type="llama3", factor=3.0, original_max_position_embeddings=TRAINED, low_freq_factor=1.0,
                   high_freq_factor=4.0),
}


def randomise(model, generator):
    with torch.no_grad():
        for name, weight in model.named_parameters():
            centre = 1.0 if "norm" in name else 0.0
            weight.copy_(centre + 0.3 * torch.randn(weight.shape, generator=generator))
    return model.double().eval()


def mpt_weights(state):
    weights = {"token_embedding.weight": state["transformer.wte.weight"],
               "final_norm.gain": state["transformer.norm_f.weight"]}
    for i in range(LAYERS):
        ours, theirs = f"blocks.{i}.", f"transformer.blocks.{i}."
        query_key_value = state[theirs + "attn.Wqkv.weight"].chunk(3)
        for part, weight in zip(("query", "key", "value"), query_key_value):
            weights[f"{ours}attention.{part}.weight"] = weight
        for part, name in (("attention_norm.gain", "norm_1"), ("attention.output.weight", "attn.out_proj"),
                           ("feed_forward_norm.gain", "norm_2"), ("feed_forward.up.weight", "ffn.up_proj"),
                           ("feed_forward.down.weight", "ffn.down_proj")):
            weights[ours + part] = state[f"{theirs}{name}.weight"]
    return weights


def llama_weights(state):
    weights = {"token_embedding.weight": state["model.embed_tokens.weight"], "head.weight": state["lm_head.weight"],
               "final_norm.gain": state["model.norm.weight"]}
    for i in range(LAYERS):
        for part, name in (("attention_norm.gain", "input_layernorm"), ("attention.query.weight", "self_attn.q_proj"),
                           ("attention.key.weight", "self_attn.k_proj"), ("attention.value.weight", "self_attn.v_proj"),
                           ("attention.output.weight", "self_attn.o_proj"),
                           ("feed_forward_norm.gain", "post_attention_layernorm"),
                           ("feed_forward.gate.weight", "mlp.gate_proj"), ("feed_forward.up.weight", "mlp.up_proj"),
                           ("feed_forward.down.weight", "mlp.down_proj")):
            weights[f"blocks.{i}.{part}"] = state[f"model.layers.{i}.{name}.weight"]
    return weights


@torch.no_grad()
def golden():
    generator = torch.Generator().manual_seed(5)
    tokens = torch.randint(VOCABULARY, (2, CONTEXT), generator=generator)
    tensors = {"tokens": tokens.int()}

    mpt = randomise(MptForCausalLM(MptConfig(
        d_model=HIDDEN, n_heads=3, n_layers=LAYERS, expansion_ratio=4, max_seq_len=CONTEXT, vocab_size=VOCABULARY)), generator)
    tensors |= {f"alibi.weights.{name}": x for name, x in mpt_weights(mpt.state_dict()).items()}
    tensors["alibi.logits"] = mpt(tokens).logits

    state = None
    for name, parameters in ROPE.items():
        config = LlamaConfig(
            hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=LAYERS, num_attention_heads=3,
            num_key_value_heads=1, vocab_size=VOCABULARY, rms_norm_eps=1e-5, tie_word_embeddings=False,
            max_position_embeddings=TRAINED if name == "dynamic_ntk" else CONTEXT,
            rope_parameters=dict(rope_theta=100.0, **parameters))
        llama = randomise(LlamaForCausalLM(config), generator)
        state = state or llama.state_dict()
        llama.load_state_dict(state)
        tensors[f"{name}.logits"] = llama(tokens).logits
    tensors |= {f"rope.weights.{name}": x for name, x in llama_weights(state).items()}

    for name, x in tensors.items():
        if ".weights." in name:
            tensors[name] = x.float()  # what they were drawn as
    save_file({name: x.contiguous() for name, x in tensors.items()},
              Path(__file__).with_name("decoder_positions.safetensors"), {
        "torch": torch.__version__, "transformers": transformers.__version__, "script": Path(__file__).name})


if __name__ == "__main__":
    golden()
