// SPDX-License-Identifier: MIT
// What a run leaves behind while it trains: a line of JSON for each step, and the curves of the picture.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include <plinth/tensor/error.hpp>

/// Losses are computed in nats; people read bits.
inline double bits(double nats) { return nats / std::numbers::ln2; }

/// Values over steps.
struct Curve {
  std::vector<double> steps, values;

  void add(std::int64_t step, double value) {
    steps.push_back(static_cast<double>(step));
    values.push_back(value);
  }
};

/// The log file. Free of times, so that the same seed gives the same log.
class RunLog {
 public:
  /// Throws IoError naming the file.
  explicit RunLog(std::string file) : name_(std::move(file)), file_(std::fopen(name_.c_str(), "w"), std::fclose) {
    if (!file_) fail();
  }

  /// Appends a line, which is in the file when the call returns. Throws IoError, as when the disk is full.
  void write(std::int64_t step, double loss, double rate, double norm) {
    const int written = std::fprintf(
        file_.get(), "{\"step\": %lld, \"loss\": %.7g, \"learning_rate\": %.6g, \"gradient_norm\": %.6g}\n",
        static_cast<long long>(step), loss, rate, norm);
    if (written < 0 || std::fflush(file_.get()) != 0) fail();
    training.add(step, bits(loss));
    learning_rate.add(step, rate);
    gradient_norm.add(step, norm);
  }

  Curve training, held_out;  // losses, in bits per byte
  Curve learning_rate, gradient_norm;

 private:
  [[noreturn]] void fail() const { throw plinth::IoError(name_ + ": cannot be written: " + std::strerror(errno)); }

  std::string name_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};
