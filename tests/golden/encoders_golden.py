# SPDX-License-Identifier: MIT
"""Writes bert.safetensors and t5.safetensors: what a tiny BERT (masked language model) and a tiny T5 of Hugging Face's
transformers compute, under Plinth's names of the weights.

Everything is computed in float64; float_error.* is how far PyTorch's own float32 strays from that at most
(see decoder_golden.py).
B batch, S source or sequence, T target, V vocabulary.
"""
import json
import re
from pathlib import Path

import torch
import transformers
from decoder_golden import float_errors, mean_loss, save_safetensors

B, S, T, V = 3, 11, 9, 29
LENGTHS = torch.tensor([11, 7, 4], dtype=torch.int32)  # of the sequences, padded on the right
BERT = dict(vocab_size=V, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
            max_position_embeddings=16, type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=None, attn_implementation="eager")
T5 = dict(vocab_size=V, d_model=24, d_kv=6, num_heads=3, d_ff=40, num_layers=2, num_decoder_layers=2,
          relative_attention_num_buckets=8, relative_attention_max_distance=9, layer_norm_epsilon=1e-6,
          feed_forward_proj="relu", dropout_rate=0.0, tie_word_embeddings=True, attn_implementation="eager")

BERT_NAMES = [
    (r"bert\.embeddings\.word_embeddings\.", "encoder.token_embedding."),
    (r"bert\.embeddings\.position_embeddings\.", "encoder.position_embedding."),
    (r"bert\.embeddings\.token_type_embeddings\.", "encoder.segment_embedding."),
    (r"bert\.embeddings\.LayerNorm\.weight", "encoder.embedding_norm.gain"),
    (r"bert\.embeddings\.LayerNorm\.bias", "encoder.embedding_norm.bias"),
    (r"bert\.encoder\.layer\.", "encoder.blocks."),
    (r"attention\.self\.", "attention."),
    (r"attention\.output\.dense\.", "attention.output."),
    (r"attention\.output\.LayerNorm\.weight", "attention_norm.gain"),
    (r"attention\.output\.LayerNorm\.bias", "attention_norm.bias"),
    (r"intermediate\.dense\.", "feed_forward.up."),
    (r"(\d)\.output\.dense\.", r"\1.feed_forward.down."),
    (r"(\d)\.output\.LayerNorm\.weight", r"\1.feed_forward_norm.gain"),
    (r"(\d)\.output\.LayerNorm\.bias", r"\1.feed_forward_norm.bias"),
    (r"cls\.predictions\.transform\.dense\.", "transform."),
    (r"cls\.predictions\.transform\.LayerNorm\.weight", "transform_norm.gain"),
    (r"cls\.predictions\.transform\.LayerNorm\.bias", "transform_norm.bias"),
    (r"cls\.predictions\.bias", "output_bias"),
]
T5_NAMES = [
    (r"shared\.", "token_embedding."),
    (r"\.block\.0\.layer\.0\.SelfAttention\.relative_attention_bias\.", ".relative_bias."),
    (r"\.block\.", ".blocks."),
    (r"layer\.0\.SelfAttention\.", "attention."),
    (r"layer\.0\.layer_norm\.weight", "attention_norm.gain"),
    (r"layer\.1\.EncDecAttention\.", "cross.attention."),
    (r"(decoder.*)layer\.1\.layer_norm\.weight", r"\1cross.norm.gain"),
    (r"layer\.[12]\.DenseReluDense\.wi\.", "feed_forward.up."),
    (r"layer\.[12]\.DenseReluDense\.wo\.", "feed_forward.down."),
    (r"layer\.[12]\.layer_norm\.weight", "feed_forward_norm.gain"),
    (r"final_layer_norm\.weight", "final_norm.gain"),
    (r"attention\.q\.", "attention.query."),
    (r"attention\.k\.", "attention.key."),
    (r"attention\.v\.", "attention.value."),
    (r"attention\.o\.", "attention.output."),
]


def rms_norm(self, x):
    """T5LayerNorm.forward, which takes the mean of squares in float32 whatever the precision, in that of x."""
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def ours(name, rules):
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def set_random_weights(model, seed):
    """Numbers that float32 holds exactly, of a size at which every part matters. T5 does not scale its scores: as in its
    own initialisation, that is left to the queries."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        gain = p.dim() == 1 and name.endswith("weight")
        deviation = 0.1 if p.dim() == 1 else 0.25
        if name.endswith("Attention.q.weight"):
            deviation /= T5["d_kv"] ** 0.5
        values = (1.0 if gain else 0.0) + deviation * torch.randn(p.shape, generator=generator)
        p.data.copy_(values.to(p.dtype))


def golden(name, model, forward, inputs, tokens, targets, sizes, rules, config, seed):
    """forward(tokens) are the model's logits; `tokens` are names of inputs, `sizes` as in float_errors."""
    model.eval()
    set_random_weights(model, seed)

    def run(weights, tokens, targets, dtype, fused=False):
        model.set_attn_implementation("sdpa" if fused else "eager")
        model.to(dtype).zero_grad()
        for n, p in model.named_parameters():
            p.data.copy_(weights[ours(n, rules)])
        logits = forward(*(x.long() for x in tokens))
        loss = mean_loss(logits, targets)
        loss.backward()
        return logits.detach(), loss.detach(), {ours(n, rules): p.grad.clone() for n, p in model.named_parameters()}

    def run32(weights, tokens, targets, fused):
        logits, _, gradients = run(weights, tokens, targets, torch.float32, fused)
        return logits, gradients

    weights = {ours(n, rules): p.detach().float().clone() for n, p in model.named_parameters()}
    tokens = [inputs[x] for x in tokens]
    logits, loss, gradients = run(weights, tokens, targets, torch.float64)
    tensors = dict(inputs, targets=targets, lengths=LENGTHS, logits=logits, loss=loss.double().view(1),
                   **float_errors(weights, tokens, targets, logits, gradients, sizes, run32))
    tensors["gradient_norm"] = torch.stack([g.norm() for g in gradients.values()]).norm().view(1)
    for key, w in weights.items():
        tensors[f"weights.{key}"] = w
        tensors[f"gradients.{key}"] = gradients[key]
    metadata = {"torch": torch.__version__, "transformers": transformers.__version__, "script": Path(__file__).name,
                "config": json.dumps(config)}
    save_safetensors(Path(__file__).with_name(f"{name}.safetensors"), tensors, metadata)


def padded(values, fill):
    return torch.where(torch.arange(S) < LENGTHS[:, None], values, fill)


def bert():
    generator = torch.Generator().manual_seed(11)
    tokens = padded(torch.randint(1, V, (B, S), generator=generator, dtype=torch.int32), 0).int()
    segments = (torch.arange(S)[None] >= torch.tensor([[5], [3], [4]])).int()
    targets = padded(torch.randint(V, (B, S), generator=generator, dtype=torch.int32), -1).int()
    targets[torch.rand((B, S), generator=generator) < 0.5] = -1
    mask = (torch.arange(S) < LENGTHS[:, None]).long()

    def forward(tokens):
        return model(input_ids=tokens, token_type_ids=segments.long(), attention_mask=mask).logits

    model = transformers.BertForMaskedLM(transformers.BertConfig(**BERT))
    golden("bert", model, forward, dict(tokens=tokens, segments=segments), ["tokens"], targets, {V: V, 40: 40, 24: 8},
           BERT_NAMES, BERT, 1)


def t5():
    generator = torch.Generator().manual_seed(12)
    source = padded(torch.randint(1, V, (B, S), generator=generator, dtype=torch.int32), 0).int()
    target = torch.randint(V, (B, T), generator=generator, dtype=torch.int32)
    targets = torch.randint(V, (B, T), generator=generator, dtype=torch.int32)
    targets[1, 6:] = -1
    mask = (torch.arange(S) < LENGTHS[:, None]).long()

    def forward(source, target):
        return model(input_ids=source, attention_mask=mask, decoder_input_ids=target).logits

    model = transformers.T5ForConditionalGeneration(transformers.T5Config(**T5))
    golden("t5", model, forward, dict(tokens=source, target=target), ["tokens", "target"], targets,
           {V: V, 40: 40, 24: 24, 18: 6}, T5_NAMES, T5, 2)


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.models.t5.modeling_t5.T5LayerNorm.forward = rms_norm
    bert()
    t5()
