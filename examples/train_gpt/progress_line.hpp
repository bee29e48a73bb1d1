// SPDX-License-Identifier: MIT
// How far a training run is, on one line that is drawn again and again, or on a line now and then where it cannot be.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "terminal.hpp"

/// Shows the state of a run on a stream. On a terminal it redraws one line, in colour unless NO_COLOR is set and not
/// empty (no-color.org); elsewhere, and where TERM is dumb, it writes a plain line every twentieth of the steps.
class ProgressLine {
 public:
  struct Status {
    std::int64_t step = 0;  // steps done, from 1
    double loss = 0, learning_rate = 0, gradient_norm = 0, tokens_per_second = 0;
  };

  /// Of `total_steps` in all, of which an earlier run did `steps_before`.
  explicit ProgressLine(std::int64_t total_steps, std::FILE* stream = stderr, std::int64_t steps_before = 0)
      : total_(total_steps), before_(steps_before), stream_(stream) {
    const char *terminal = std::getenv("TERM"), *no_colour = std::getenv("NO_COLOR");
    redraws_ = is_terminal(stream) && !(terminal && std::strcmp(terminal, "dumb") == 0);
    coloured_ = redraws_ && !(no_colour && *no_colour);
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { finish(); }

  /// Cheap enough to be called after every step.
  void show(const Status& status) {
    const auto now = clock::now();
    const bool last = status.step >= total_;
    if (redraws_) {
      if (!last && now - drawn_ < std::chrono::milliseconds(100)) return;
      drawn_ = now;
      redraw(fields(status, seconds(now - start_)));
    } else if (last || status.step == before_ + 1 || 20 * status.step / total_ != 20 * (status.step - 1) / total_) {
      std::string line;
      for (const std::string& field : fields(status, seconds(now - start_)))
        line += (line.empty() ? "" : " | ") + field;
      std::fprintf(stream_, "%s\n", line.c_str());
    }
  }

  /// Leaves the line, so that what comes next starts on its own.
  void finish() {
    if (width_ > 0) std::fputc('\n', stream_);
    width_ = 0;
  }

 private:
  using clock = std::chrono::steady_clock;
  static double seconds(clock::duration time) { return std::chrono::duration<double>(time).count(); }

  template <class... Values>
  static std::string formatted(const char* format, Values... values) {
    char text[96];
    std::snprintf(text, sizeof text, format, values...);
    return text;
  }

  /// 950, 41.2k, 3.5M
  static std::string count_text(double count) {
    return count < 1e3   ? formatted("%.0f", count)
           : count < 1e6 ? formatted("%.1fk", count / 1e3)
                         : formatted("%.1fM", count / 1e6);
  }

  /// 12s, 3m07s, 2h05m, 3d04h
  static std::string time_text(double seconds) {
    const auto s = static_cast<long long>(std::ceil(std::fmin(seconds, 1e9)));
    return s < 60      ? formatted("%llds", s)
           : s < 3600  ? formatted("%lldm%02llds", s / 60, s % 60)
           : s < 86400 ? formatted("%lldh%02lldm", s / 3600, s / 60 % 60)
                       : formatted("%lldd%02lldh", s / 86400, s / 3600 % 24);
  }

  std::vector<std::string> fields(const Status& status, double elapsed) const {
    const auto step = static_cast<long long>(status.step), total = static_cast<long long>(total_);
    const double left =
        elapsed / static_cast<double>(status.step - before_) * static_cast<double>(total_ - status.step);
    return {formatted("step %lld/%lld %3lld%%", step, total, 100 * step / total),
            formatted("loss %.3f", status.loss),
            "ETA " + time_text(left),
            formatted("lr %.1e", status.learning_rate),
            formatted("gnorm %.2f", status.gradient_norm),
            count_text(status.tokens_per_second) + " tok/s"};
  }

  /// Draws over the line as many fields as the terminal is wide, and blanks over the rest of what stood there.
  void redraw(const std::vector<std::string>& fields) {
    const std::size_t columns = terminal_columns(stream_);
    std::string line;
    std::size_t width = 0;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const std::string separator = i == 0 ? "" : " | ";
      if (i > 0 && width + separator.size() + fields[i].size() >= columns) break;
      line += painted(separator, "2") + painted(fields[i], i == 0 ? "1" : i == 1 ? "32" : "");  // dim, bold, green
      width += separator.size() + fields[i].size();
    }
    if (width < width_) line += std::string(width_ - width, ' ');
    width_ = width;
    std::fprintf(stream_, "\r%s", line.c_str());
    std::fflush(stream_);
  }

  /// The text in a style of ECMA-48 (SGR).
  std::string painted(const std::string& text, const std::string& style) const {
    return !coloured_ || style.empty() || text.empty() ? text : "\x1b[" + style + "m" + text + "\x1b[0m";
  }

  std::int64_t total_, before_;
  std::FILE* stream_;
  bool redraws_ = false, coloured_ = false;
  clock::time_point start_ = clock::now(), drawn_{};
  std::size_t width_ = 0;  // of what stands on the line
};
