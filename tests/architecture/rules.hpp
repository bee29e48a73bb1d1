// SPDX-License-Identifier: MIT
// The rules of the house, checked over the text of include/plinth: who may include whom, and what a header looks like.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace architecture {

/// A file below include/plinth: "tensor/shape.hpp".
struct File {
  std::string path;
  std::vector<std::string> lines;
};

struct Violation {
  std::string path;
  std::size_t line;  // counted from 1
  std::string what;
};

inline constexpr std::size_t longest_header = 300;
inline constexpr std::size_t longest_readme = 15;

/// The rooms of the core, each with its place. A room may include itself and rooms of a lower place.
inline const std::map<std::string_view, int> places = {
    {"version.hpp", 0}, {"tensor", 1},   {"kernels", 2},  {"autograd", 3},   {"ops", 4},
    {"activation", 5},  {"position", 5}, {"layers", 6},   {"attention", 7},  {"models", 8},
    {"train", 9},       {"generate", 9}, {"evaluate", 9}, {"plinth.hpp", 10}};

/// Opt-in components: they may include themselves and the core; the core never includes them.
inline const std::set<std::string_view> components = {"io",    "text",  "vision", "distributed",
                                                      "serve", "graph", "report"};

/// Standard headers that cost every user's compile 0.2 s or more; rooms in `patient` and the components may have them.
inline const std::set<std::string_view> slow_headers = {"regex",  "iostream", "filesystem", "thread",
                                                        "random", "chrono",   "ranges"};
inline const std::set<std::string_view> patient = {"train", "plinth.hpp"};

/// Where __CUDACC__ may decide whether an entity exists; elsewhere code must not differ between compilers.
inline bool may_ask_for_cuda(std::string_view path) {
  return path == "tensor/host_device.hpp" || path == "plinth.hpp" || path.starts_with("kernels/");
}

/// "tensor" of "tensor/shape.hpp"; "plinth.hpp" of "plinth.hpp".
inline std::string_view room_of(std::string_view path) { return path.substr(0, path.find('/')); }

inline bool is_header(std::string_view path) { return path.ends_with(".hpp") || path.ends_with(".cuh"); }

/// What a line includes, with its brackets or quotes: "<vector>"; nothing for any other line.
inline std::optional<std::string_view> included(std::string_view line) {
  const auto skip_blanks = [&] { line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size())); };
  skip_blanks();
  if (!line.starts_with('#')) return std::nullopt;
  line.remove_prefix(1);
  skip_blanks();
  if (!line.starts_with("include")) return std::nullopt;
  line.remove_prefix(std::string_view("include").size());
  skip_blanks();
  const auto end = line.find_first_of(">\"", 1);
  return end == std::string_view::npos ? line : line.substr(0, end + 1);
}

/// Why a file of one room may not include `target`, a path below include/plinth; empty when it may.
inline std::string include_forbidden(std::string_view room, std::string_view target) {
  const std::string from(room), to(room_of(target));
  if ((target.starts_with("kernels/cpu/") || target.starts_with("kernels/cuda/")) && room != "kernels")
    return "a backend is reached through kernels/" + std::string(target.substr(8, target.find('/', 8) - 8)) +
           ".hpp or .cuh, not by " + std::string(target);
  if (from == to) return "";
  if (components.contains(room)) {
    return components.contains(to) ? "the component " + from + " must not include the component " + to : "";
  }
  if (components.contains(to)) return "the core must not include the component " + to;
  if (!places.contains(to)) return to + " is no room of the house";
  return places.contains(room) && places.at(to) >= places.at(room) ? from + " must not include " + to : "";
}

/// What is wrong with one #include in a file of `room`; empty when nothing is.
inline std::string include_fault(std::string_view room, std::string_view include) {
  constexpr std::string_view prefix = "<plinth/";
  if (include.starts_with('"')) return "includes are root-relative: #include <plinth/...>";
  const auto name = include.substr(1, include.size() - 2);
  if (include.starts_with(prefix)) return include_forbidden(room, name.substr(prefix.size() - 1));
  const bool hurried = !components.contains(room) && !patient.contains(room);
  if (hurried && slow_headers.contains(name))
    return std::string(include) + " is slow to compile: not in " + std::string(room);
  return "";
}

/// What is wrong with one header.
inline void check_header(const File& file, std::vector<Violation>& violations) {
  const auto report = [&](std::size_t line, std::string what) {
    violations.push_back({file.path, line, std::move(what)});
  };
  const auto room = room_of(file.path);
  if (!places.contains(room) && !components.contains(room)) report(1, std::string(room) + " is no room of the house");
  if (file.lines.empty() || file.lines[0] != "// SPDX-License-Identifier: MIT")
    report(1, "the first line is not // SPDX-License-Identifier: MIT");
  if (std::ranges::find(file.lines, "#pragma once") == file.lines.end()) report(1, "#pragma once is missing");
  if (file.lines.size() > longest_header)
    report(longest_header + 1, "longer than " + std::to_string(longest_header) + " lines");
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    if (const auto include = included(file.lines[i])) {
      if (auto fault = include_fault(room, *include); !fault.empty()) report(i + 1, std::move(fault));
    }
    if (file.lines[i].find("__CUDACC__") != std::string::npos && !may_ask_for_cuda(file.path))
      report(i + 1, "__CUDACC__ is asked for outside tensor/host_device.hpp, kernels/ and plinth.hpp");
  }
}

/// Headers of the core that plinth.hpp reaches neither directly nor through others.
inline void check_umbrella(const std::vector<File>& files, std::vector<Violation>& violations) {
  std::map<std::string_view, const File*> unreached;
  for (const File& file : files)
    if (file.path.ends_with(".hpp") && !components.contains(room_of(file.path))) unreached[file.path] = &file;
  std::vector<std::string_view> next = {"plinth.hpp"};
  if (!unreached.contains("plinth.hpp")) return;
  while (!next.empty()) {
    const auto found = unreached.extract(next.back());
    next.pop_back();
    if (found.empty()) continue;
    for (const auto& line : found.mapped()->lines)
      if (const auto include = included(line); include && include->starts_with("<plinth/"))
        next.push_back(include->substr(8, include->size() - 9));
  }
  for (const auto& [path, file] : unreached) violations.push_back({file->path, 1, "plinth.hpp does not include it"});
}

/// Everything that is wrong with the files of include/plinth.
inline std::vector<Violation> check(const std::vector<File>& files) {
  std::vector<Violation> violations;
  check_umbrella(files, violations);
  std::set<std::string_view> rooms, described;
  for (const File& file : files) {
    const auto room = room_of(file.path);
    if (room.size() < file.path.size()) rooms.insert(room);
    if (is_header(file.path)) check_header(file, violations);
    if (file.path != std::string(room) + "/README.md") continue;
    described.insert(room);
    if (file.lines.size() > longest_readme)
      violations.push_back({file.path, longest_readme + 1, "longer than " + std::to_string(longest_readme) + " lines"});
  }
  for (const auto room : rooms)
    if (!described.contains(room))
      violations.push_back({std::string(room) + "/README.md", 1, "the room has no README.md"});
  return violations;
}

}  // namespace architecture
