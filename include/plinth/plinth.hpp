// SPDX-License-Identifier: MIT
// The core of Plinth in one include: tensors, gradients, layers, models, training, generation, evaluation.
// Components with needs of their own (plinth/io, plinth/report) are included by name.
#pragma once

/// @namespace plinth
/// Tensors with gradients, transformers made of them, and what trains, runs and measures these.

#include <plinth/activation/gelu.hpp>
#include <plinth/activation/glu.hpp>
#include <plinth/activation/relu.hpp>
#include <plinth/activation/sigmoid.hpp>
#include <plinth/activation/silu.hpp>
#include <plinth/activation/softplus.hpp>
#include <plinth/activation/swish.hpp>
#include <plinth/activation/tanh.hpp>
#include <plinth/attention/attention.hpp>
#include <plinth/attention/cache.hpp>
#include <plinth/attention/mask.hpp>
#include <plinth/attention/multi_head.hpp>
#include <plinth/attention/probe.hpp>
#include <plinth/autograd/apply.hpp>
#include <plinth/autograd/checkpoint.hpp>
#include <plinth/autograd/gradcheck.hpp>
#include <plinth/autograd/mode.hpp>
#include <plinth/autograd/module.hpp>
#include <plinth/autograd/tape.hpp>
#include <plinth/evaluate/classification.hpp>
#include <plinth/evaluate/loss.hpp>
#include <plinth/evaluate/spans.hpp>
#include <plinth/generate/generate.hpp>
#include <plinth/generate/sample.hpp>
#include <plinth/kernels/cpu.hpp>
#include <plinth/kernels/meta.hpp>
#include <plinth/layers/dropout.hpp>
#include <plinth/layers/embedding.hpp>
#include <plinth/layers/linear.hpp>
#include <plinth/layers/norm.hpp>
#include <plinth/layers/packed_weight.hpp>
#include <plinth/models/decoder.hpp>
#include <plinth/models/encoder.hpp>
#include <plinth/models/encoder_decoder.hpp>
#include <plinth/ops/arithmetic.hpp>
#include <plinth/ops/cast.hpp>
#include <plinth/ops/create.hpp>
#include <plinth/ops/cross_entropy.hpp>
#include <plinth/ops/dropout.hpp>
#include <plinth/ops/gather.hpp>
#include <plinth/ops/heads.hpp>
#include <plinth/ops/linear_cross_entropy.hpp>
#include <plinth/ops/matmul.hpp>
#include <plinth/ops/pointwise.hpp>
#include <plinth/ops/reduction.hpp>
#include <plinth/ops/shape.hpp>
#include <plinth/ops/softmax.hpp>
#include <plinth/position/alibi.hpp>
#include <plinth/position/relative_bias.hpp>
#include <plinth/position/rope.hpp>
#include <plinth/position/sinusoidal.hpp>
#include <plinth/tensor/print.hpp>
#include <plinth/tensor/tensor.hpp>
#include <plinth/train/adam.hpp>
#include <plinth/train/clip.hpp>
#include <plinth/train/cost.hpp>
#include <plinth/train/early_stopping.hpp>
#include <plinth/train/loss_scale.hpp>
#include <plinth/train/non_finite.hpp>
#include <plinth/train/optimizer.hpp>
#include <plinth/train/read_text.hpp>
#include <plinth/train/schedule.hpp>
#include <plinth/train/sgd.hpp>
#include <plinth/train/token_windows.hpp>
#include <plinth/train/trainer.hpp>
#include <plinth/train/vocabulary.hpp>
#include <plinth/train/write_text.hpp>
#include <plinth/version.hpp>
