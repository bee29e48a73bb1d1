// SPDX-License-Identifier: MIT
// What a run leaves behind while it trains: a line of JSON for each step, and the curves of the picture.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <numbers>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <plinth/tensor/error.hpp>
#include <plinth/train/read_text.hpp>
#include <plinth/train/trainer.hpp>

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

/// The log file. Free of times, so that the same seed gives the same log, whether or not the run was ever stopped.
class RunLog {
 public:
  /// The log of a run that has done `steps_done` steps: those lines of the file are kept, all others are cut off.
  /// Throws IoError naming the file.
  explicit RunLog(std::string file, std::int64_t steps_done = 0) : name_(std::move(file)) {
    if (steps_done > 0) {
      const std::size_t kept = read(plinth::read_text(name_), steps_done);
      std::error_code error;
      std::filesystem::resize_file(name_, kept, error);
      if (error) fail(error.message());
    }
    file_.reset(std::fopen(name_.c_str(), steps_done > 0 ? "ab" : "wb"));
    if (!file_) fail();
  }

  /// Appends a line, which is in the file when the call returns; losses in nats. Throws IoError, as when the disk is
  /// full.
  void write(const plinth::TrainingStep& report, std::optional<double> held_out_loss) {
    char text[256];
    int size = std::snprintf(text, sizeof text, step_format, static_cast<long long>(report.step + 1), report.loss,
                             report.learning_rate, report.gradient_norm);
    if (held_out_loss)
      size += std::snprintf(text + size, sizeof text - static_cast<std::size_t>(size), held_out_format, *held_out_loss);
    if (std::fprintf(file_.get(), "%.*s}\n", size, text) < 0 || std::fflush(file_.get()) != 0) fail();
    add(report, held_out_loss);
  }

  Curve training, held_out;  // losses, in bits per byte
  Curve learning_rate, gradient_norm;

 private:
  // 9 digits tell every float from every other.
  static constexpr const char* step_format =
      R"({"step": %lld, "loss": %.9g, "learning_rate": %.9g, "gradient_norm": %.9g)";
  static constexpr const char* held_out_format = R"(, "held_out_loss": %.9g)";

  void add(const plinth::TrainingStep& report, std::optional<double> held_out_loss) {
    const std::int64_t step = report.step + 1;
    training.add(step, bits(report.loss));
    learning_rate.add(step, report.learning_rate);
    gradient_norm.add(step, report.gradient_norm);
    if (held_out_loss) held_out.add(step, bits(*held_out_loss));
  }

  /// Takes the lines of the first steps into the curves and returns how many bytes they are.
  std::size_t read(const std::string& text, std::int64_t steps_done) {
    constexpr const char* format =
        R"({"step": %lld, "loss": %lf, "learning_rate": %lf, "gradient_norm": %lf, "held_out_loss": %lf)";
    std::size_t kept = 0;
    for (std::size_t end; (end = text.find('\n', kept)) != std::string::npos; kept = end + 1) {
      long long step = 0;
      plinth::TrainingStep report;
      double held_out_loss = 0;
      const int found = std::sscanf(text.substr(kept, end - kept).c_str(), format, &step, &report.loss,
                                    &report.learning_rate, &report.gradient_norm, &held_out_loss);
      if (found < 4 || step > steps_done) break;
      report.step = step - 1;
      add(report, found == 5 ? std::optional(held_out_loss) : std::nullopt);
    }
    return kept;
  }

  [[noreturn]] void fail(const std::string& why = std::strerror(errno)) const {
    throw plinth::IoError(name_ + ": cannot be written: " + why);
  }

  std::string name_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, std::fclose};
};
