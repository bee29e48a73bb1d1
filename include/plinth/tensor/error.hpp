// SPDX-License-Identifier: MIT
// The exceptions of the library: one small family under plinth::Error.
#pragma once

#include <initializer_list>
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

/// A graph was to record what a replay does not do again: copies between the program and the device, waiting, a change
/// of device, another graph.
struct GraphError : DeviceError {
  using DeviceError::DeviceError;
};

/// More memory was asked for than the budget or the machine has.
struct MemoryError : Error {
  using Error::Error;
};

namespace detail {

/// A piece of a text: where its value stands and how it is printed. Its type is erased, so that one function writes all
/// texts; one for each combination of types was a tenth of a program's code.
class TextPart {
 public:
  TextPart(const char* text)
      : value_(text),
        print_([](std::ostream& stream, const void* value) { stream << static_cast<const char*>(value); }) {}
  template <class T>
  TextPart(const T& value)
      : value_(&value),
        print_([](std::ostream& stream, const void* pointer) { stream << *static_cast<const T*>(pointer); }) {}

  friend std::ostream& operator<<(std::ostream& stream, const TextPart& part) {
    part.print_(stream, part.value_);
    return stream;
  }

 private:
  const void* value_;
  void (*print_)(std::ostream&, const void*);
};

/// The parts' texts, one after the other.
[[gnu::noinline]] inline std::string join_parts(std::initializer_list<TextPart> parts) {
  std::ostringstream text;
  for (const TextPart& part : parts) text << part;
  return text.str();
}
template <class... Parts>
std::string join(const Parts&... parts) {
  return join_parts({parts...});
}

/// Throws E with the joined parts. Apart from its callers, who then hold no code for what does not happen.
template <class E>
[[noreturn, gnu::cold, gnu::noinline]] void fail_with(std::initializer_list<TextPart> parts) {
  throw E(join_parts(parts));
}
template <class E, class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  fail_with<E>({parts...});
}

/// Throws E with the joined parts unless the condition holds.
template <class E, class... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]]
    fail_with<E>({parts...});
}

}  // namespace detail
}  // namespace plinth
