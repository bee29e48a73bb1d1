// SPDX-License-Identifier: MIT
// Memory that runs out anywhere in building or training a model is a MemoryError that leaks nothing, changes no weight
// and leaves model and trainer usable.
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <plinth/models/decoder.hpp>
#include <plinth/train/trainer.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "kernels/plain_backend.hpp"
#include "threads.hpp"

using namespace plinth;

namespace {

const TransformerConfig gpt = {.vocabulary = 5, .context = 4, .hidden = 4, .layers = 1, .heads = 2, .dropout = 0.1};
const TransformerConfig llama = llama_shape({.vocabulary = 5, .context = 4, .hidden = 8, .layers = 1, .heads = 2, .key_heads = 1});
const TrainerOptions one_step = {.steps = 1, .batch = 2, .accumulation = 2, .learning_rate = 1e-2};

TokenWindows data() { return TokenWindows(numbers::below(5, 60, 1)); }

template <class D>
std::vector<float> weights(const Decoder<float, D>& model) {
  std::vector<float> all;
  for_each_parameter(model, [&](const std::string&, const auto& x) {
    const auto values = x.to_vector();
    all.insert(all.end(), values.begin(), values.end());
  });
  return all;
}

/// Weights after a step that nothing disturbs.
template <class D>
std::vector<float> after_one_step(const TransformerConfig& config) {
  Decoder<float, D> model(config);
  Trainer(model, one_step).fit(data());
  return weights(model);
}

/// Lets the first, the second, ... allocation of f fail until none is left, checking after each that nothing leaked.
/// Returns how many there were.
template <class F, class Check>
std::int64_t fail_each_allocation(const F& f, const Check& check) {
  const std::size_t before = memory<Plain>::use().current;
  for (std::int64_t k = 0;; ++k) {
    Plain::allocations_before_failure = k;
    bool failed = false;
    try {
      f();
    } catch (const MemoryError&) {
      failed = true;
    }
    const bool unused = Plain::allocations_before_failure >= 0;
    Plain::allocations_before_failure = -1;
    INFO("allocation " << k);
    CHECK(failed != unused);  // none is swallowed
    if (unused) return k;
    check();
    CHECK(memory<Plain>::use().current == before);
  }
}

/// Whether a training step in a thread, and so with scratch memory, of its own meets a MemoryError.
template <class M>
bool runs_out(Trainer<M>& trainer) {
  bool out = false;
  const int threads = queue<Cpu>::current().threads();
  std::thread([&] {
    const Threads same(threads);
    try {
      trainer.fit(data());
    } catch (const MemoryError&) {
      out = true;
    }
  }).join();
  return out;
}

struct Budget {
  explicit Budget(std::size_t bytes) { memory<Cpu>::set_budget(bytes); }
  ~Budget() { memory<Cpu>::set_budget(std::numeric_limits<std::size_t>::max()); }
};

}  // namespace

TEST_CASE("any allocation of a model's construction may fail") {
  CHECK(fail_each_allocation([] { Decoder<float, Plain>{gpt}; }, [] {}) > 20);
  CHECK(fail_each_allocation([] { Decoder<float, Plain>{llama}; }, [] {}) > 15);
}

TEST_CASE("any allocation of a training step may fail") {
  for (const TransformerConfig& config : {gpt, llama}) {
    Decoder<float, Plain> model(config);
    Trainer trainer(model, one_step);
    const auto initial = weights(model);
    const auto count = fail_each_allocation([&] { trainer.fit(data()); }, [&] {
      clear_gradients(model);
      CHECK(weights(model) == initial);
    });
    CHECK(count > 100);
    CHECK(weights(model) == after_one_step<Plain>(config));  // the last attempt succeeded
  }
}

TEST_CASE("any allocation of a training step of two threads may fail") {
  const Threads two(2);
  auto accumulating = one_step;
  accumulating.batch = 6;
  for (auto config : {gpt, llama}) {
    config.vocabulary = 70;  // more than one block of rows for the two to share
    config.hidden = 24;
    Decoder<float> model(config), undisturbed(config);
    model.stack.blocks_per_checkpoint = config.gated ? 0 : 1;
    Trainer trainer(model, accumulating), other(undisturbed, accumulating);
    const auto initial = weights(model);
    REQUIRE_FALSE(runs_out(other));
    const std::size_t before = memory<Cpu>::use().current;
    std::int64_t k = 0;
    for (;; ++k) {
      memory<Cpu>::fail_after(k);
      const bool failed = runs_out(trainer);
      memory<Cpu>::fail_after(-1);
      if (!failed) break;
      INFO("allocation " << k);
      clear_gradients(model);
      CHECK(memory<Cpu>::use().current == before);
      CHECK(trainer.state().next_step == 0);
      CHECK(weights(model) == initial);
    }
    CHECK(k > 100);
    CHECK(weights(model) == weights(undisturbed));
  }
}

TEST_CASE("a training step on the CPU keeps to any budget or says that it cannot") {
  for (const TransformerConfig& config : {gpt, llama}) {
    Decoder<float> model(config), measured(config);
    Trainer trainer(model, one_step), measuring(measured, one_step);
    const auto initial = weights(model);
    const std::size_t before = memory<Cpu>::use().current;
    memory<Cpu>::reset_peak();
    REQUIRE_FALSE(runs_out(measuring));
    const std::size_t needed = memory<Cpu>::use().peak - before;
    for (std::size_t i = 0; i < 100; ++i) {
      const Budget budget(before + needed * i / 100);
      INFO(i << " % of " << needed << " bytes");
      CHECK(runs_out(trainer));
      clear_gradients(model);
      CHECK(memory<Cpu>::use().current == before);
      CHECK(weights(model) == initial);
    }
    const Budget enough(before + needed);
    CHECK_FALSE(runs_out(trainer));
    CHECK(weights(model) == weights(measured));
  }
}
