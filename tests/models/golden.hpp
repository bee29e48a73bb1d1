// SPDX-License-Identifier: MIT
// How a model is compared with numbers that PyTorch computed: its weights, logits, loss and every gradient.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include <plinth/io/safetensors.hpp>
#include <plinth/plinth.hpp>

#include "catch.hpp"
#include "ops/device.hpp"

namespace golden {

using namespace plinth;
using op_table::Device;

/// The element types in which models are compared. A GPU's double costs nvcc minutes; the op table has it op by op.
using Types = std::conditional_t<op_table::is_cpu, std::tuple<float, double>, std::tuple<float>>;

inline double norm(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}

template <class T>
double distance(const std::vector<T>& x, const std::vector<double>& reference) {
  REQUIRE(x.size() == reference.size());
  std::vector<double> difference;
  for (std::size_t i = 0; i < x.size(); ++i) difference.push_back(static_cast<double>(x[i]) - reference[i]);
  return norm(difference);
}

/// In float: at most half as far again from the reference as PyTorch's own float strays in the worst order of its sums.
/// In double: within 1e-9, plus 1e-12 of the scale for gradients that are 0 in exact arithmetic.
template <class T>
void check(const std::string& name, const std::vector<T>& x, const SafetensorsFile& file, double scale) {
  const auto reference = file.read<double>(name);
  const double error = distance(x, reference);
  INFO(name << ": error " << error << ", norm " << norm(reference) << ", scale " << scale);
  if constexpr (std::same_as<T, double>) {
    CHECK(error <= 1e-9 * norm(reference) + 1e-12 * scale);
  } else {
    CHECK(error <= 1.5 * file.read<double>("float_error." + name)[0]);
  }
}

/// Sets every parameter of the model to the file's weight of its name.
template <class M>
void set_weights(M& model, const SafetensorsFile& file) {
  using T = typename M::element;
  for_each_parameter(model, [&](const std::string& name, Tensor<T, Device>& x) {
    const auto values = file.read<T>("weights." + name);
    REQUIRE(static_cast<std::int64_t>(values.size()) == x.count());
    memory<Device>::copy_from_host(x.mutable_data(), values.data(), values.size() * sizeof(T));
  });
}

inline Tensor<std::int32_t, Device> ids(const SafetensorsFile& file, const std::string& name) {
  return Tensor<std::int32_t, Device>(file.shape(name), file.read<std::int32_t>(name));
}

/// Logits, the loss of the file's targets, and every gradient.
template <class M>
void check_model(const M& model, const Tensor<typename M::element, Device>& logits, const SafetensorsFile& file) {
  using T = typename M::element;
  double largest = 0;
  for (const double value : file.read<double>("logits")) largest = std::max(largest, std::abs(value));
  check("logits", logits.to_vector(), file, largest);
  const auto loss = cross_entropy(logits, ids(file, "targets"));
  CHECK(std::abs(static_cast<double>(loss.item()) / file.read<double>("loss")[0] - 1) <=
        (std::same_as<T, double> ? 1e-9 : 1e-5));
  backward(loss);
  CHECK(unreached(model).empty());
  const double global = file.read<double>("gradient_norm")[0];
  for_each_parameter(model, [&](const std::string& name, const Tensor<T, Device>& x) {
    check("gradients." + name, gradient(x).to_vector(), file, global);
  });
}

}  // namespace golden
