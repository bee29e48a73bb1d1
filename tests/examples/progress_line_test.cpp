// SPDX-License-Identifier: MIT
// The progress line of train_gpt on a file and on a terminal.
#include "../../examples/train_gpt/progress_line.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>

#include "catch.hpp"

using Catch::Matchers::Contains;

namespace {

/// Sets or unsets a variable of the environment while it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* const old = std::getenv(name)) old_ = old;
    set(value);
  }
  ~Variable() { set(old_ ? old_->c_str() : nullptr); }

 private:
  void set(const char* value) const { value ? ::setenv(name_, value, 1) : ::unsetenv(name_); }
  const char* name_;
  std::optional<std::string> old_;
};

void show_all(ProgressLine& progress, std::int64_t steps) {
  for (std::int64_t step = 1; step <= steps; ++step)
    progress.show(
        {.step = step, .loss = 2.3456, .learning_rate = 3e-4, .gradient_norm = 0.5, .tokens_per_second = 41234});
}

/// What 200 steps look like on a file.
std::string on_file(std::int64_t steps) {
  std::FILE* const file = std::tmpfile();
  REQUIRE(file);
  {
    ProgressLine progress(steps, file);
    show_all(progress, steps);
  }
  std::rewind(file);
  std::string text;
  for (int c; (c = std::fgetc(file)) != EOF;) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

/// What a few steps look like on a terminal of some width.
std::string on_terminal(unsigned short columns) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  REQUIRE(master >= 0);
  REQUIRE(::grantpt(master) == 0);
  REQUIRE(::unlockpt(master) == 0);
  const int slave = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
  REQUIRE(slave >= 0);
  const ::winsize size{24, columns, 0, 0};
  ::ioctl(slave, TIOCSWINSZ, &size);
  std::FILE* const stream = ::fdopen(slave, "w");
  {
    ProgressLine progress(3, stream);
    show_all(progress, 3);
  }
  std::fclose(stream);
  std::string text;
  char part[1000];
  for (::ssize_t count; (count = ::read(master, part, sizeof part)) > 0;) text.append(part, static_cast<std::size_t>(count));
  ::close(master);
  return text;
}

}  // namespace

TEST_CASE("progress on a file is a plain line every twentieth of the steps") {
  const std::string text = on_file(200);
  CHECK(std::count(text.begin(), text.end(), '\n') == 21);  // the first step and 20 more
  CHECK(text.find('\r') == std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK_THAT(
      text, Contains("step 100/200  50% | loss 2.346 | ETA ") && Contains("| lr 3.0e-04 | gnorm 0.50 | 41.2k tok/s\n"));
  CHECK_THAT(text, Contains("step 200/200 100% | loss 2.346 | ETA 0s"));
  const std::string few = on_file(3);
  CHECK(std::count(few.begin(), few.end(), '\n') == 3);
}

TEST_CASE("progress of a run that goes on begins with its first step") {
  std::FILE* const file = std::tmpfile();
  REQUIRE(file);
  {
    ProgressLine progress(1000, file, 998);
    progress.show({.step = 999, .loss = 1});
  }
  std::rewind(file);
  char line[200] = "";
  CHECK(std::fgets(line, sizeof line, file) == line);
  CHECK_THAT(line, Contains("step 999/1000  99% | loss 1.000 | ETA "));
  std::fclose(file);
}

TEST_CASE("progress on a terminal is one line, in colour unless that is not wanted") {
  const Variable terminal("TERM", "xterm");
  {
    const Variable no_colour("NO_COLOR", nullptr);
    const std::string text = on_terminal(100);
    CHECK(text.starts_with('\r'));
    CHECK_THAT(text, Contains("\x1b[") && Contains("tok/s"));
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);  // when it is over
  }
  {
    const Variable no_colour("NO_COLOR", "");  // set but empty
    CHECK_THAT(on_terminal(100), Contains("\x1b["));
  }
  const Variable no_colour("NO_COLOR", "1");
  const std::string text = on_terminal(100);
  CHECK(text.starts_with('\r'));
  CHECK(text.find('\x1b') == std::string::npos);
  const std::string narrow = on_terminal(40);
  CHECK_THAT(narrow, Contains("step 3/3 100% | loss 2.346") && !Contains("tok/s"));
}

TEST_CASE("progress on a dumb terminal is plain lines") {
  const Variable terminal("TERM", "dumb");
  const std::string text = on_terminal(100);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK_FALSE(text.starts_with('\r'));
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
}
