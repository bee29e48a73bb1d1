// SPDX-License-Identifier: MIT
// Early stopping: when it says stop, and with the Trainer, whose best weights are kept.
#include <plinth/train/early_stopping.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include <plinth/ops/reduction.hpp>
#include <plinth/train/sgd.hpp>
#include <plinth/train/trainer.hpp>

#include "catch.hpp"

using namespace plinth;

namespace {

struct Point {
  using element = double;
  using device = Cpu;
  Tensor<double> place{{1}, {0}};

  Point() { require_gradient(place); }
  static void visit(auto& self, auto&& f) { f("place", self.place); }
};

}  // namespace

TEST_CASE("training stops when a measure has not fallen for so many times in a row") {
  EarlyStopping stopping{.patience = 3};
  std::vector<bool> improved, exhausted;
  for (const double measure : {5.0, 4.0, 4.0, 4.5, 3.0, 3.0, std::nan(""), 3.5}) {
    improved.push_back(stopping.improved(measure));
    exhausted.push_back(stopping.exhausted());
  }
  CHECK(improved == std::vector<bool>{true, true, false, false, true, false, false, false});
  CHECK(exhausted == std::vector<bool>{false, false, false, false, false, false, false, true});
  CHECK(stopping.best == 3);
  EarlyStopping never;
  CHECK_FALSE(never.improved(std::numeric_limits<double>::infinity()));
  CHECK(never.exhausted());
}

TEST_CASE("the Trainer stops early, and the best weights are kept") {
  // The loss pulls the point to the right by 1 in each step; the measure is best at 4.
  Point model, best;
  EarlyStopping stopping{.patience = 2};
  Trainer trainer(model, {.steps = 100, .clip_norm = 1e9}, Sgd(model), ConstantSchedule{1});
  trainer.fit([&](const MicroStep&) { return sum(model.place) * -1.0; },
              [&](const TrainingStep&) {
                if (stopping.improved(std::abs(model.place.item() - 4))) copy_state(model, best);
                return !stopping.exhausted();
              });
  CHECK(trainer.state().next_step == 6);
  CHECK(model.place.item() == 6);
  CHECK(best.place.item() == 4);
}
