// SPDX-License-Identifier: MIT
// Which structs in the text of our headers have a gradient, and which of them the op table leaves out.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace op_table {

/// Identifiers and single punctuation marks of C++ text, without comments, literals and preprocessor lines.
inline std::vector<std::string> tokens_of(std::string_view text) {
  std::vector<std::string> tokens;
  const auto skip_to = [&](std::string_view end, std::size_t from) {
    const auto found = text.find(end, from);
    return found == std::string_view::npos ? text.size() : found + end.size();
  };
  const auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (std::size_t i = 0; i < text.size();) {
    const auto rest = text.substr(i);
    if (rest.starts_with("//") || rest[0] == '#') {
      i = skip_to("\n", i);
    } else if (rest.starts_with("/*")) {
      i = skip_to("*/", i + 2);
    } else if (rest[0] == '"' || rest[0] == '\'') {
      const char quote = rest[0];
      for (++i; i < text.size() && text[i] != quote; ++i) i += text[i] == '\\';
      ++i;
    } else if (word(rest[0])) {
      const auto end = static_cast<std::size_t>(std::find_if_not(rest.begin(), rest.end(), word) - rest.begin());
      tokens.emplace_back(rest.substr(0, end));
      i += end;
      if (i < text.size() && text[i] == '\'') ++i;  // 1'000
    } else {
      if (!std::isspace(static_cast<unsigned char>(rest[0]))) tokens.emplace_back(1, rest[0]);
      ++i;
    }
  }
  return tokens;
}

/// A pair of braces that is open: a namespace, a struct, or something else without a name.
struct Scope {
  enum Kind { other, name_space, type } kind = other;
  std::string name;
};

/// What the brace at tokens[brace] opens, told from the tokens since the last ; { or }.
inline Scope opened(const std::vector<std::string>& tokens, std::size_t brace) {
  std::size_t begin = brace;
  while (begin > 0 && tokens[begin - 1] != ";" && tokens[begin - 1] != "{" && tokens[begin - 1] != "}") --begin;
  if (begin < brace && tokens[begin] == "inline") ++begin;
  if (begin < brace && tokens[begin] == "namespace") {
    Scope scope{Scope::name_space, ""};
    for (std::size_t i = begin + 1; i < brace; ++i) scope.name += tokens[i];
    return scope;
  }
  int depth = 0;  // struct and class within < > and ( ) belong to parameters
  for (std::size_t i = begin; i + 1 < brace && tokens[i] != "enum"; ++i) {
    if (tokens[i] == "<" || tokens[i] == "(") ++depth;
    if (tokens[i] == ">" || tokens[i] == ")") --depth;
    if (depth == 0 && (tokens[i] == "struct" || tokens[i] == "class")) return {Scope::type, tokens[i + 1]};
  }
  return {};
}

/// The structs directly in namespace plinth that have a member function `backward`.
inline std::set<std::string> structs_with_backward(std::string_view text) {
  const auto tokens = tokens_of(text);
  std::vector<Scope> scopes;
  std::set<std::string> found;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] == "{") scopes.push_back(opened(tokens, i));
    if (tokens[i] == "}" && !scopes.empty()) scopes.pop_back();
    if (tokens[i] == "backward" && i + 1 < tokens.size() && tokens[i + 1] == "(" && scopes.size() == 2 &&
        scopes[0].kind == Scope::name_space && scopes[0].name == "plinth" && scopes[1].kind == Scope::type)
      found.insert(scopes[1].name);
  }
  return found;
}

/// The same of all headers below a folder.
inline std::set<std::string> structs_with_backward_below(const std::string& folder) {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".hpp" && entry.path().extension() != ".cuh") continue;
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    found.merge(structs_with_backward(text.str()));
  }
  return found;
}

/// What is in one set only, with a sentence each.
inline std::vector<std::string> uncovered(const std::set<std::string>& structs, const std::set<std::string>& covered) {
  std::vector<std::string> failures;
  for (const auto& name : structs)
    if (!covered.contains(name)) failures.push_back(name + " has a backward and no entry in the op table");
  for (const auto& name : covered)
    if (!structs.contains(name))
      failures.push_back(name + " is in the op table; no header has such a struct with a backward");
  return failures;
}

}  // namespace op_table
