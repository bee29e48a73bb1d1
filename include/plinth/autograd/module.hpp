// SPDX-License-Identifier: MIT
// What walks over a module. A module is a plain struct with one static visit(self, f) that names its parameters and
// children; everything else (parameters, state, freezing, gradients) is a function here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <plinth/autograd/tape.hpp>

namespace plinth {

namespace detail {

struct AnyVisitor {
  void operator()(std::string_view, auto&) const {}
};

template <class>
inline constexpr bool is_tensor = false;
template <class T, class D>
inline constexpr bool is_tensor<Tensor<T, D>> = true;
template <class>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// The dotted name of a part's child.
[[gnu::noinline]] inline std::string below(const std::string& name, std::string_view child) {
  return name.empty() ? std::string(child) : name + "." + std::string(child);
}

}  // namespace detail

/// A struct whose parts are named by `static void visit(auto& self, auto&& f) { f("name", self.part); ... }`.
/// A part is a Tensor, a module, or a std::vector or std::optional of parts.
template <class M>
concept Module = requires(M& m) { M::visit(m, detail::AnyVisitor()); };

/// What a model is made of; the functions below also take a part, as in set_trainable(model.blocks, false).
template <class P>
concept ModelPart = Module<P> || detail::is_tensor<std::remove_const_t<P>> || detail::is_vector<std::remove_const_t<P>> ||
                    detail::is_optional<std::remove_const_t<P>>;

/// Calls f(dotted name, part) for `part` itself and for everything below it, children after parents. An undefined
/// tensor and an empty optional are absent parts.
template <class Part, class F>
[[gnu::noinline]] void walk(const std::string& name, Part& part, F&& f) {  // inlined, a model's walk takes long to compile
  using P = std::remove_const_t<Part>;
  if constexpr (detail::is_tensor<P>) {
    if (part.defined()) f(name, part);
  } else if constexpr (detail::is_vector<P>) {
    for (std::size_t i = 0; i < part.size(); ++i) walk(detail::below(name, std::to_string(i)), part[i], f);
  } else if constexpr (detail::is_optional<P>) {
    if (part) walk(name, *part, f);
  } else {
    static_assert(Module<P>, "a part is a Tensor, a module with static visit, or a vector or optional of these");
    f(name, part);
    P::visit(part, [&](std::string_view child, auto& value) { walk(detail::below(name, child), value, f); });
  }
}

/// Calls f(dotted name, tensor) for every parameter, in the order visit names them.
template <ModelPart M, class F>
void for_each_parameter(M& model, F&& f) {
  walk("", model, [&](const std::string& name, auto& part) {
    if constexpr (detail::is_tensor<std::remove_cvref_t<decltype(part)>>) f(name, part);
  });
}

/// The number of elements in all parameters.
template <ModelPart M>
std::int64_t parameter_count(const M& model) {
  std::int64_t count = 0;
  for_each_parameter(model, [&](const std::string&, const auto& x) { count += x.count(); });
  return count;
}

/// Whether training changes the parameters.  PyTorch: module.requires_grad_().
template <ModelPart M>
void set_trainable(M& model, bool trainable) {
  for_each_parameter(model, [&](const std::string&, auto& x) { require_gradient(x, trainable); });
}

/// Forgets all gradients.  PyTorch: zero_grad(set_to_none=True).
template <ModelPart M>
void clear_gradients(const M& model) {
  for_each_parameter(model, [](const std::string&, const auto& x) { clear_gradient(x); });
}

/// Names of trainable parameters that the last backward gave no gradient: each is a break in the chain.
template <ModelPart M>
std::vector<std::string> unreached(const M& model) {
  std::vector<std::string> names;
  for_each_parameter(model, [&](const std::string& name, const auto& x) {
    if (detail::TensorAccess::link(x) && !gradient(x).defined()) names.push_back(name);
  });
  return names;
}

/// Copies every parameter of `from` into the one of the same name in `to`, through the program's memory, so that
/// element types and devices may differ. Throws ArgumentError naming a parameter that only one of them has, and
/// ShapeError where shapes differ or a target is not dense in memory; then nothing was copied.
template <ModelPart From, ModelPart To>
void copy_state(const From& from, To& to) {
  std::vector<std::pair<std::string, Shape>> have, want;
  for_each_parameter(from, [&](const std::string& name, const auto& x) { have.emplace_back(name, x.shape()); });
  for_each_parameter(to, [&](const std::string& name, const auto& x) { want.emplace_back(name, x.shape()); });
  const auto require_all = [](const auto& all, const auto& others, const char* which) {
    for (const auto& [name, shape] : all) {
      const Shape* found = nullptr;
      for (const auto& [other, other_shape] : others)
        if (other == name) found = &other_shape;
      detail::require<ArgumentError>(found, "copy_state: the ", which, " model has no parameter ", name);
      detail::require<ShapeError>(*found == shape, "copy_state: ", name, " has shapes ", shape, " and ",
                                  *found);
    }
  };
  require_all(have, want, "target");
  require_all(want, have, "source");
  for_each_parameter(to, [](const std::string& name, const auto& x) {
    detail::require<ShapeError>(x.contiguous(), "copy_state: ", name, " has strides ", x.strides());
  });
  for_each_parameter(from, [&](const std::string& name, const auto& x) {
    const auto values = x.to_vector();
    for_each_parameter(to, [&](const std::string& other, auto& y) {
      if (other != name) return;
      using T = typename std::remove_cvref_t<decltype(y)>::element;
      using D = typename std::remove_cvref_t<decltype(y)>::device;
      std::vector<T> converted(values.size());
      for (std::size_t i = 0; i < values.size(); ++i) converted[i] = static_cast<T>(static_cast<accumulator_t<T>>(values[i]));
      memory<D>::copy_from_host(y.mutable_data(), converted.data(), converted.size() * sizeof(T));
    });
  });
}

}  // namespace plinth
