// SPDX-License-Identifier: MIT
// Every entry of the op table, checked on this program's device; every struct with a `backward` in include/plinth is in
// it; and what passes is what the README says.
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "catch.hpp"
#include "ops/coverage.hpp"
#include "ops/runner.hpp"
#include "ops/support.hpp"

namespace {

using CheckOfSpec = op_table::Failures (*)(const op_table::OpSpec&);

/// Whether all of these entries pass.
bool passes(const op_table::Specs& specs, CheckOfSpec check) {
  bool good = true;
  for (const auto& spec : specs) {
    const auto failures = check(spec);
    for (const auto& failure : failures) FAIL_CHECK(failure);
    CHECK(failures.empty());
    good = good && failures.empty();
  }
  return good;
}

void check_table(CheckOfSpec check) {
  REQUIRE(!op_table::tables().empty());
  for (const auto& table : op_table::tables()) passes(table.specs(), check);
}

/// Checks every op in T on this device, and that README.md says what passed.
template <class T>
void check_support() {
  std::map<std::string, bool> passed;
  for (const auto& table : op_table::tables()) {
    const auto specs = table.specs();
    passed[op_table::row_label(table.group, specs)] = passes(specs, op_table::check_in<T>);
  }
  std::ostringstream readme;
  readme << std::ifstream("README.md").rdbuf();
  const op_table::SupportMatrix matrix(readme.str());
  const auto wanted = matrix.with(op_table::device_label, plinth::element_name<T>(), passed);
  INFO("with PLINTH_WRITE_SUPPORT=1 in its environment, this test writes what passed on: " << op_table::device_label);
  if (std::getenv("PLINTH_WRITE_SUPPORT"))
    std::ofstream("README.md") << wanted;
  else if (!op_table::is_gpu || !matrix.empty(op_table::device_label))  // the first run on a GPU is news, no fault
    CHECK(readme.str() == wanted);
}

}  // namespace

TEST_CASE("op table: enough samples") { check_table(op_table::check_variety); }
TEST_CASE("op table: errors") { check_table(op_table::check_refusals); }
#ifndef PLINTH_TESTS_ON_CUDA  // whose threads are not OpenMP's
TEST_CASE("op table: bits do not depend on threads") { check_table(op_table::check_threads); }
#endif
TEST_CASE("op table: values and gradients in float64") { check_support<double>(); }
TEST_CASE("op table: values and gradients in float32") { check_support<float>(); }
TEST_CASE("op table: values and gradients in float16") { check_support<plinth::half>(); }
TEST_CASE("op table: values and gradients in bfloat16") { check_support<plinth::bfloat16>(); }
TEST_CASE("op table: every struct with a backward") {
  std::set<std::string> covered;
  for (const auto& table : op_table::tables())
    for (const auto& spec : table.specs()) covered.insert(spec.covers.begin(), spec.covers.end());
  const auto structs = op_table::structs_with_backward_below("include/plinth");
  CHECK(structs.contains("SoftmaxOp"));  // the scan sees something
  for (const auto& failure : op_table::uncovered(structs, covered)) FAIL_CHECK(failure);
}
