// SPDX-License-Identifier: MIT
// What the rest of the app sees of its language model: nothing that takes long to compile.
#pragma once

#include <memory>
#include <string>

/// Completes proverbs with a small model of characters, which it trains when it is made: that takes seconds.
/// Everything throws plinth::Error when it cannot do what it is asked, and can be asked again.
class ProverbCompleter {
 public:
  ProverbCompleter();
  ~ProverbCompleter();

  /// The beginning of a line with what follows it.
  std::string complete(const std::string& beginning) const;

 private:
  struct Model;
  std::unique_ptr<const Model> model_;
};
