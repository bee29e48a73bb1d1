// SPDX-License-Identifier: MIT
// The exceptions of the library: one small family under plinth::Error.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace plinth {

/// Base of everything the library throws; what() says what is wrong, where, and what to do.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Two shapes do not fit; both stand in the text.
struct ShapeError : Error {
  using Error::Error;
};

/// An argument or option is outside its range.
struct ArgumentError : Error {
  using Error::Error;
};

/// A gradient was asked for where there is none, or a saved tensor was changed before backward.
struct GradientError : Error {
  using Error::Error;
};

/// A loss or a gradient is infinite or no number.
struct NonFiniteError : Error {
  using Error::Error;
};

/// A file's content does not follow its format.
struct FormatError : Error {
  using Error::Error;
};

/// The operating system refused to open, read or write.
struct IoError : Error {
  using Error::Error;
};

/// A device is missing or reported a failure.
struct DeviceError : Error {
  using Error::Error;
};

/// More memory was asked for than the budget or the machine has.
struct MemoryError : Error {
  using Error::Error;
};

namespace detail {

/// The arguments' texts, one after the other.
template <class... Parts>
std::string join(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

/// Throws E with the joined parts. Apart from require, so that callers do not hold code for what does not happen.
template <class E, class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void fail(const Parts&... parts) {
  throw E(join(parts...));
}

/// Throws E with the joined parts unless the condition holds.
template <class E, class... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) fail<E>(parts...);
}

}  // namespace detail
}  // namespace plinth
