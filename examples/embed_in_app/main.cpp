// SPDX-License-Identifier: MIT
// A console app with a language model inside. Whatever goes wrong in the model, the app says so and goes on.
#include <cstdlib>
#include <iostream>
#include <string>

#include <plinth/tensor/error.hpp>
#include <plinth/tensor/memory.hpp>

#include "completer.hpp"

namespace {

using Memory = plinth::memory<plinth::Cpu>;

/// Does what a line asks for and returns the answer.
std::string answer(const ProverbCompleter& completer, const std::string& line) {
  if (line == ":memory") {
    const plinth::MemoryUse use = Memory::use();
    return std::to_string(use.current / 1024) + " KiB in use, " + std::to_string(use.peak / 1024) + " KiB at most";
  }
  if (line.starts_with(":budget ")) {
    Memory::set_budget(std::strtoull(line.c_str() + 8, nullptr, 10) * 1024);
    return "the model may use no more than that from now on";
  }
  return completer.complete(line);
}

}  // namespace

int main() {
  try {
    Memory::set_budget(64 << 20);
    std::cout << "reading proverbs ..." << std::endl;
    const ProverbCompleter completer;
    std::cout << "Type the beginning of one, :memory, or :budget and a number of KiB.\n";
    std::string line;
    while (std::cout << "> " << std::flush && std::getline(std::cin, line)) {
      try {
        std::cout << answer(completer, line) << '\n';
      } catch (const plinth::Error& error) {
        std::cout << "that did not work: " << error.what() << '\n';
      }
    }
    std::cout << "bye\n";
  } catch (const plinth::Error& error) {
    std::cerr << "embed_in_app: " << error.what() << '\n';
    return 1;
  }
}
