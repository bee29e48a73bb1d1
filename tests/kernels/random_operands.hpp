// SPDX-License-Identifier: MIT
// Operands of random problems for the CPU's kernels, on which they and plain loops in double compute the same.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <plinth/kernels/cpu.hpp>

#include "catch.hpp"
#include "kernels/plain_backend.hpp"
#include "kernels/random_problem.hpp"

namespace random_operands {

/// What float may be off, relative to the size of the terms: 33 roundings. Kernels sum at most 256 terms one after the
/// other, which makes up about sqrt(256) / 2 roundings of the root of the sum of their squares; few others follow.
inline constexpr double of_float = 2e-6;
/// What a result may be off, relative to itself: beside float's errors a 16-bit type has but the one rounding to T.
template <class T>
inline constexpr double of_result = std::is_same_v<T, plinth::bfloat16> ? 0x1p-8 + of_float : of_float;

/// What a kernel works on: for the CPU in T, at an address of any alignment and, where it writes, amid guards; for
/// plain loops in double.
template <class T>
class Operand {
 public:
  Operand(Random& random, const std::vector<T>& values, std::size_t guards)
      : front_(guards + static_cast<std::size_t>(random.below(4))),
        size_(values.size()),
        memory_(front_ + size_ + guards, poison()),
        exact_(values.begin(), values.end()) {
    std::copy(values.begin(), values.end(), memory_.begin() + static_cast<Count>(front_));
    before_ = memory_;
  }

  T* at(plinth::Cpu) { return memory_.data() + front_; }
  double* at(Plain) { return exact_.data(); }

  /// What plain loops found, or will start with.
  const std::vector<double>& wanted() const { return exact_; }
  double exact(Count i) const { return exact_[static_cast<std::size_t>(i)]; }
  void set(Count i, double value) {
    exact_[static_cast<std::size_t>(i)] = value;
    memory_[front_ + static_cast<std::size_t>(i)] = static_cast<T>(static_cast<float>(value));
  }
  /// Lets both go on with what the CPU found.
  void adopt() {
    for (std::size_t i = 0; i < size_; ++i) exact_[i] = static_cast<double>(memory_[front_ + i]);
  }
  /// Replaces what plain loops found; NaN where nothing is to be written.
  void expect(std::vector<double> wanted) { exact_ = std::move(wanted); }

  /// Says what is wrong, "" if nothing is: elements that are further from those of plain loops than the rounding of
  /// terms of size(i) allows, and guards, or elements that plain loops did not write, that changed.
  template <class Size>
  std::string wrong(const char* name, const Size& size) const {
    return complaint(name, [&](std::size_t i, double found, double wanted) {
      double terms;
      if constexpr (std::is_invocable_v<Size, Count>)
        terms = size(static_cast<Count>(i));
      else
        terms = size;
      return std::abs(found - wanted) <= of_result<T> * std::abs(wanted) + of_float * terms;
    });
  }
  /// The same where no element may be off at all.
  std::string wrong(const char* name) const {
    return complaint(name, [](std::size_t, double, double) { return false; });
  }

  static T poison() { return static_cast<T>(std::numeric_limits<float>::quiet_NaN()); }

 private:
  template <class Near>
  std::string complaint(const char* name, const Near& near) const {
    std::ostringstream text;
    int count = 0;
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      const double found = static_cast<double>(memory_[i]);
      const bool written = i >= front_ && i - front_ < size_ && !std::isnan(exact_[i - front_]);
      const double wanted = written ? exact_[i - front_] : static_cast<double>(before_[i]);
      const bool good = written ? found == wanted || near(i - front_, found, wanted)
                                : std::memcmp(&memory_[i], &before_[i], sizeof(T)) == 0;
      if (!good && ++count == 1)
        text << name << '[' << static_cast<Count>(i) - static_cast<Count>(front_) << "] of " << size_ << " is " << found
             << " for " << wanted << "; ";
    }
    if (count > 1) text << count << " are wrong; ";
    return text.str();
  }

  std::size_t front_, size_;
  std::vector<T> memory_, before_;
  std::vector<double> exact_;
};

/// More than the elements of a vector, before and behind what is written.
inline constexpr std::size_t guards = 70;

/// Values to read, at the end of their memory, where a sanitizer sees who reads on.
template <class T>
Operand<T> read(Random& random, Count n) {
  return Operand<T>(random, random.values<T>(n), 0);
}
/// Values to change.
template <class T>
Operand<T> changed(Random& random, Count n) {
  return Operand<T>(random, random.values<T>(n), guards);
}
/// Memory for results.
template <class T>
Operand<T> written(Random& random, Count n) {
  return Operand<T>(random, std::vector<T>(static_cast<std::size_t>(n), Operand<T>::poison()), guards);
}
/// Memory for results, or, in place of them, the operand that they overwrite.
template <class T>
Operand<T> written_over(Random& random, Count n, bool operand) {
  return operand ? changed<T>(random, n) : written<T>(random, n);
}

/// f(device) computes the same on the CPU and in plain loops.
template <class F>
void on_both(const F& f) {
  f(plinth::Cpu());
  f(Plain());
}

}  // namespace random_operands
