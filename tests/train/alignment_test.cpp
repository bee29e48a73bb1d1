// SPDX-License-Identifier: MIT
// The bits of ops and of their gradients depend on values alone: not on threads, nor on how far behind a 64-byte
// boundary the inputs lie, at the sizes of a GPT-2 (hidden 768, products over K = 3072).
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <plinth/io/sha256.hpp>
#include <plinth/plinth.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;

namespace {

/// Random tensors over memory `offset` elements behind a 64-byte boundary, the same numbers for every offset.
class Inputs {
 public:
  explicit Inputs(std::size_t offset) : offset_(offset) {}

  /// One of which the gradient is wanted.
  Tensor<float> operator()(const Shape& shape) {
    auto x = placed(uniform(element_count(shape)), shape);
    require_gradient(x);
    leaves_.push_back(x);
    return x;
  }
  Tensor<std::int32_t> indices(const Shape& shape, std::int32_t limit) {
    return placed(numbers::below(limit, element_count(shape), ++site_), shape);
  }

  /// The digest of y and of the gradients of all tensors so far, for a random dy.
  std::string digest(const Tensor<float>& y) {
    backward(y, placed(uniform(y.count()), y.shape()));
    Sha256 hash;
    hash.add(y.to_vector());
    for (const auto& x : leaves_) hash.add(gradient(x).to_vector());
    return hash.digest();
  }

 private:
  /// Numbers in [-1, 1); a tenth of the time that normal ones take.
  std::vector<float> uniform(std::int64_t n) {
    const RandomStream stream{7, RandomPurpose::sample, ++site_};
    std::vector<float> values(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < values.size(); i += 4) {
      const RandomWords words = stream.words(i / 4, 0);
      for (std::size_t k = 0; k < 4 && i + k < values.size(); ++k)
        values[i + k] = static_cast<float>(words.word[k] >> 8) * 0x1p-23f - 1.0f;
    }
    return values;
  }
  template <class T>
  Tensor<T> placed(const std::vector<T>& values, const Shape& shape) const {
    const auto block = std::make_shared<numbers::Placed<T>>(values, offset_);
    return Tensor<T>::view_of(block->data(), shape, contiguous_strides(shape), block);
  }

  std::size_t offset_;
  std::uint32_t site_ = 0;
  std::vector<Tensor<float>> leaves_;
};

struct Case {
  const char* name;
  std::function<Tensor<float>(Inputs&)> run;
};

const std::vector<Case> cases = {
    {"linear to 3072", [](Inputs& in) { return linear(in({10, 768}), in({3072, 768}), in({3072}), GeluTanh()); }},
    {"linear from 3072", [](Inputs& in) { return linear(in({10, 3072}), in({768, 3072}), in({768})); }},
    {"matmul over 3072", [](Inputs& in) { return matmul(in({2, 17, 3072}), in({3072, 33})); }},
    {"matmul of transposes", [](Inputs& in) { return matmul(transpose(in({768, 19})), transpose(in({35, 768}))); }},
    {"layer_norm", [](Inputs& in) { return layer_norm(in({300, 768}), in({768}), in({768})); }},
    {"rms_norm", [](Inputs& in) { return rms_norm(in({300, 768}), in({768})); }},
    {"softmax", [](Inputs& in) { return softmax(in({20, 3072})); }},
    {"gelu", [](Inputs& in) { return gelu(in({20, 3072})); }},
    {"silu", [](Inputs& in) { return silu(in({20, 3072})); }},
    {"arithmetic", [](Inputs& in) { return (in({30, 768}) + in({768})) * in({30, 1}) / (in({30, 768}) * 2.0 + 9.0); }},
    {"sum of all", [](Inputs& in) { return sum(in({30, 768})); }},
    {"sum of rows", [](Inputs& in) { return sum(in({70, 768}), 0); }},
    {"sum of columns", [](Inputs& in) { return sum(in({70, 768}), 1); }},
    {"gather_rows", [](Inputs& in) { return gather_rows(in({11, 768}), in.indices({5, 20}, 11)); }},
    {"cross_entropy", [](Inputs& in) { return cross_entropy(in({2, 9, 3072}), in.indices({2, 9}, 3072)); }},
    {"attention", [](Inputs& in) { return attention(in({1, 12, 70, 64}), in({1, 12, 70, 64}), in({1, 12, 70, 64}), {.causal = true}); }},
    {"grouped attention", [](Inputs& in) { return attention(in({2, 4, 9, 20}), in({2, 2, 130, 20}), in({2, 2, 130, 20})); }},
    {"rope", [](Inputs& in) {
       return rope(in({1, 12, 20, 64}), in.indices({1, 20}, 32), RotaryTable<float, Cpu>(32, 64, 1e4, RotaryLayout::half_split));
     }},
    {"dropout", [](Inputs& in) {
       const TrainingScope<Cpu> training(1, 2);
       return dropout(in({30, 768}), 0.1, 3);
     }},
};

}  // namespace

TEST_CASE("determinism: ops and gradients give the same bits at any offset and number of threads") {
  std::vector<std::string> digests;
  for (const Case& one : cases) {
    INFO(one.name);
    CHECK(numbers::bits_depend_on_values_alone([&](std::size_t offset) {
      Inputs in(offset);
      const auto y = one.run(in);
      digests.push_back(in.digest(y));
      return digests.back();
    }));
  }
  std::sort(digests.begin(), digests.end());
  digests.erase(std::unique(digests.begin(), digests.end()), digests.end());
  CHECK(digests.size() == cases.size());  // each op has a digest of its own
}
