// SPDX-License-Identifier: MIT
// Accuracy, confusion matrix and scores against scikit-learn 1.9.1: tests/golden/evaluation_golden.py prints them.
#include <plinth/evaluate/classification.hpp>

#include <limits>
#include <vector>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

using Classes = std::vector<std::int32_t>;

const Classes targets = {0, 0, 0, 1, 1, 2, 2, 2, 2, 4, 4, 1, 0, 2};
const Classes predictions = {0, 1, 0, 1, 2, 2, 2, 0, 3, 0, 2, 1, 0, 2};

void agrees(const ClassificationScores& found, double precision, double recall, double f1) {
  CHECK(found.precision == Approx(precision).epsilon(1e-14));
  CHECK(found.recall == Approx(recall).epsilon(1e-14));
  CHECK(found.f1 == Approx(f1).epsilon(1e-14));
}

}  // namespace

TEST_CASE("the confusion matrix and its scores as in scikit-learn") {
  ConfusionMatrix matrix(6);
  matrix.add(std::span(targets).first(5), std::span(predictions).first(5));
  matrix.add(std::span(targets).subspan(5), std::span(predictions).subspan(5));
  const std::vector<std::vector<std::int64_t>> expected = {{3, 1, 0, 0, 0, 0}, {0, 2, 1, 0, 0, 0}, {1, 0, 3, 1, 0, 0},
                                                           {0, 0, 0, 0, 0, 0}, {1, 0, 1, 0, 0, 0}, {0, 0, 0, 0, 0, 0}};
  for (std::size_t t = 0; t < 6; ++t)
    for (std::size_t p = 0; p < 6; ++p)
      CHECK(matrix.count(static_cast<std::int64_t>(t), static_cast<std::int64_t>(p)) == expected[t][p]);
  CHECK(matrix.accuracy() == Approx(0.5714285714285714).epsilon(1e-14));
  agrees(matrix.scores(0), 0.6, 0.75, 2.0 / 3);
  agrees(matrix.scores(1), 2.0 / 3, 2.0 / 3, 2.0 / 3);
  agrees(matrix.scores(2), 0.6, 0.6, 0.6);
  for (const int empty : {3, 4, 5}) agrees(matrix.scores(empty), 0, 0, 0);
  agrees(matrix.macro_scores(), 0.37333333333333335, 0.40333333333333332, 0.3866666666666666);
}

TEST_CASE("binary scores are those of class 1") {
  ConfusionMatrix matrix(2);
  matrix.add(Classes{0, 1, 1, 0, 1, 1, 0, 0, 0, 1}, Classes{0, 1, 0, 1, 1, 1, 0, 0, 0, 0});
  agrees(matrix.scores(1), 0.75, 0.6, 2.0 / 3);
}

TEST_CASE("targets below zero are left out, and nothing has scores of zero") {
  ConfusionMatrix matrix(3);
  CHECK(matrix.accuracy() == 0);
  agrees(matrix.macro_scores(), 0, 0, 0);
  matrix.add(Classes{-1, 2, -100, 0}, Classes{0, 2, 99, 0});
  CHECK(matrix.accuracy() == 1);
  CHECK(matrix.count(0, 0) == 1);
  agrees(matrix.macro_scores(), 1, 1, 1);
}

TEST_CASE("the confusion matrix refuses what does not fit, whole") {
  CHECK_THROWS_WITH(ConfusionMatrix(0), "confusion matrix: 0 classes");
  CHECK_THROWS_AS(ConfusionMatrix(std::int64_t{1} << 40), ArgumentError);
  ConfusionMatrix matrix(3);
  CHECK_THROWS_WITH(matrix.add(Classes{1}, Classes{1, 2}), "confusion matrix: 1 targets and 2 predictions");
  CHECK_THROWS_WITH(matrix.add(Classes{1, 3}, Classes{1, 2}), Contains("target 3 and prediction 2 of 3 classes"));
  CHECK_THROWS_AS(matrix.add(Classes{1, 2}, Classes{1, -1}), ArgumentError);
  CHECK(matrix.count(1, 1) == 0);
  CHECK_THROWS_AS(matrix.count(3, 0), ArgumentError);
  CHECK_THROWS_AS(matrix.scores(-1), ArgumentError);
}

TEST_CASE("the predicted class is the first with the largest logit") {
  const float lowest = -std::numeric_limits<float>::infinity();
  const Tensor<float> logits({2, 2, 3}, {1, 3, 3, -1, -2, -3, lowest, lowest, 0, 5, 5, 5});
  CHECK(predicted_classes(logits) == Classes{1, 0, 2, 0});
  CHECK(accuracy(logits, Tensor<std::int32_t>({2, 2}, {1, 0, 0, 0})) == 0.75);
  CHECK(accuracy(logits, Tensor<std::int32_t>({2, 2}, {-1, 0, 0, -1})) == 0.5);
  CHECK(predicted_classes(Tensor<float>({0, 3})).empty());
  CHECK_THROWS_AS(accuracy(logits, Tensor<std::int32_t>({2, 2}, {-1, -1, -1, -1})), ArgumentError);
  CHECK_THROWS_WITH(accuracy(logits, Tensor<std::int32_t>({3}, {1, 0, 0})),
                    "accuracy: logits (2, 2, 3) and targets (3) do not fit");
  CHECK_THROWS_AS(accuracy(Tensor<float>(Shape{2, 3, 4}), Tensor<std::int32_t>(Shape{3, 2})), ShapeError);
  CHECK_THROWS_AS(predicted_classes(Tensor<float>({2, 0})), ShapeError);
  CHECK_THROWS_AS(predicted_classes(Tensor<float>(Shape())), ShapeError);
}
