// SPDX-License-Identifier: MIT
// One family of exceptions, with texts made of parts.
#include <plinth/tensor/error.hpp>

#include "catch.hpp"

using namespace plinth;

namespace {

template <class E>
void is_one_of_the_family() {
  try {
    throw E("what is wrong");
  } catch (const Error& error) {
    CHECK(std::string(error.what()) == "what is wrong");
  }
}

}  // namespace

TEST_CASE("every exception of the library is a plinth::Error") {
  is_one_of_the_family<ShapeError>();
  is_one_of_the_family<ArgumentError>();
  is_one_of_the_family<GradientError>();
  is_one_of_the_family<FormatError>();
  is_one_of_the_family<IoError>();
  is_one_of_the_family<DeviceError>();
  is_one_of_the_family<MemoryError>();
  CHECK_THROWS_AS(throw ShapeError(""), std::runtime_error);
}

TEST_CASE("require joins the parts of its text") {
  CHECK_NOTHROW(detail::require<ShapeError>(true, "never seen"));
  CHECK_THROWS_AS(detail::require<MemoryError>(false, "x"), MemoryError);
  CHECK_THROWS_WITH(detail::require<ArgumentError>(false, "rate ", 0.5, " of ", 3, std::string(" steps")),
                    "rate 0.5 of 3 steps");
}
