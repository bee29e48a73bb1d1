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

}  // namespace detail

/// A struct whose parts are named by `static void visit(auto& self, auto&& f) { f("name", self.part); ... }`.
/// A part is a Tensor, a module, or a std::vector or std::optional of parts.
template <class M>
concept Module = requires(M& m) { M::visit(m, detail::AnyVisitor()); };

/// What a model is made of; the functions below also take a part, as in set_trainable(model.stack.blocks, false).
template <class P>
concept ModelPart = Module<P> || detail::is_tensor<std::remove_const_t<P>> || detail::is_vector<std::remove_const_t<P>> ||
                    detail::is_optional<std::remove_const_t<P>>;

namespace detail {

/// Appends a child's name to a dotted one; returns the length before.
[[gnu::noinline]] inline std::size_t descend(std::string& name, std::string_view child) {
  const std::size_t length = name.size();
  if (length > 0) name += '.';
  name += child;
  return length;
}

// Not inlined: a model's walks are many, short and compiled for each of its parts.
template <class Part, class F>
[[gnu::noinline]] void walk_below(std::string& name, Part& part, F& f) {
  using P = std::remove_const_t<Part>;
  const auto enter = [&](std::string_view child, auto& value) {
    const std::size_t length = descend(name, child);
    walk_below(name, value, f);
    name.resize(length);
  };
  if constexpr (is_tensor<P>) {
    if (part.defined()) f(std::as_const(name), part);
  } else if constexpr (is_vector<P>) {
    for (std::size_t i = 0; i < part.size(); ++i) enter(std::to_string(i), part[i]);
  } else if constexpr (is_optional<P>) {
    if (part) walk_below(name, *part, f);
  } else {
    static_assert(Module<P>, "a part is a Tensor, a module with static visit, or a vector or optional of these");
    f(std::as_const(name), part);
    P::visit(part, enter);
  }
}

}  // namespace detail

/// Calls f(dotted name, part) for `part` itself, which is called `name`, and for everything below it, children after
/// parents. An undefined tensor and an empty optional are absent parts.
template <class Part, class F>
void walk(std::string name, Part& part, F&& f) {
  detail::walk_below(name, part, f);
}

/// Calls f(dotted name, tensor) for every parameter, in the order visit names them.
template <ModelPart M, class F>
void for_each_parameter(M& model, F&& f) {
  walk("", model, [&](const std::string& name, auto& part) {
    if constexpr (detail::is_tensor<std::remove_cvref_t<decltype(part)>>) f(name, part);
  });
}

/// for_each_parameter, once for each parameter: one that visit names again, sharing its memory, goes by its first name.
/// Throws ArgumentError when the two share memory without sharing a gradient.  PyTorch: module.named_parameters().
template <ModelPart M, class F>
void for_each_distinct_parameter(M& model, F&& f) {
  struct Seen {
    const void *memory, *node;
    std::string name;
  };
  std::vector<Seen> all;
  for_each_parameter(model, [&](const std::string& name, auto& x) {
    const void* const node = detail::TensorAccess::history(x).get();
    for (const Seen& seen : all) {
      if (seen.memory != x.data() || x.count() == 0) continue;
      detail::require<ArgumentError>(seen.node == node, "parameters ", seen.name, " and ", name, " share memory but not a ",
                                     "gradient: call require_gradient on the one before it is copied to the other");
      return;
    }
    all.push_back({x.data(), node, name});
    f(name, x);
  });
}

/// The number of elements in all parameters; a parameter with two names counts once.
template <ModelPart M>
std::int64_t parameter_count(const M& model) {
  std::int64_t count = 0;
  for_each_distinct_parameter(model, [&](const std::string&, const auto& x) { count += x.count(); });
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
    if (detail::wanted_node(x) && !gradient(x).defined()) names.push_back(name);
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
