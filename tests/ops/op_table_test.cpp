// SPDX-License-Identifier: MIT
// Every entry of the op table, checked; and every struct with a `backward` in include/plinth is in it.
#include <set>
#include <string>

#include "catch.hpp"
#include "ops/coverage.hpp"
#include "ops/runner.hpp"

namespace {

void check_table(op_table::Failures (*check)(const op_table::OpSpec&)) {
  REQUIRE(!op_table::tables().empty());
  for (const auto specs : op_table::tables())
    for (const auto& spec : specs()) {
      const auto failures = check(spec);
      for (const auto& failure : failures) FAIL_CHECK(failure);
      CHECK(failures.empty());
    }
}

}  // namespace

TEST_CASE("op table: enough samples") { check_table(op_table::check_variety); }
TEST_CASE("op table: values") { check_table(op_table::check_values); }
TEST_CASE("op table: gradients") { check_table(op_table::check_gradients); }
TEST_CASE("op table: element types") { check_table(op_table::check_element_types); }
TEST_CASE("op table: errors") { check_table(op_table::check_refusals); }
TEST_CASE("op table: bits do not depend on threads") { check_table(op_table::check_threads); }
TEST_CASE("op table: every struct with a backward") {
  std::set<std::string> covered;
  for (const auto specs : op_table::tables())
    for (const auto& spec : specs()) covered.insert(spec.covers.begin(), spec.covers.end());
  const auto structs = op_table::structs_with_backward_below("include/plinth");
  CHECK(structs.contains("SoftmaxOp"));  // the scan sees something
  for (const auto& failure : op_table::uncovered(structs, covered)) FAIL_CHECK(failure);
}
