// SPDX-License-Identifier: MIT
// JSON from strangers: what is refused before a library that trusts its input sees it.
#pragma once

#include <cstddef>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <plinth/tensor/error.hpp>

namespace plinth::detail {

/// Objects and arrays inside each other.
inline constexpr int deepest_json = 64;

/// Prints a name from a file as it may stand in a message: in quotes, escaped, cut where long.
struct Quoted {
  std::string_view name;

  friend std::ostream& operator<<(std::ostream& stream, const Quoted& quoted) {
    constexpr std::size_t longest = 120;
    const nlohmann::json text(quoted.name.substr(0, longest));
    stream << text.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    return quoted.name.size() > longest ? stream << "..." : stream;
  }
};

/// Throws FormatError for a zero byte, which the JSON library takes for the end.
inline void require_no_zero_byte(std::string_view text) {
  require<FormatError>(text.find('\0') == std::string_view::npos, "not valid JSON: contains a zero byte");
}

/// The value of a text of at most `longest` bytes, which bounds the memory it may take. Throws FormatError when it is
/// longer, no JSON, nested too deep or an object has a key twice.
inline nlohmann::json parse_json(std::string_view text, std::size_t longest) {
  require<FormatError>(text.size() <= longest, "the text has ", text.size(), " bytes, more than ", longest);
  require_no_zero_byte(text);
  std::vector<std::set<std::string>> keys;  // of the objects and arrays around
  const auto check = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      require<FormatError>(keys.size() < std::size_t{deepest_json}, "nested deeper than ", deepest_json);
      keys.emplace_back();
    } else if (event == Event::object_end || event == Event::array_end) {
      keys.pop_back();
    } else if (event == Event::key) {
      const auto& name = value.get_ref<const std::string&>();
      require<FormatError>(keys.back().insert(name).second, "the key ", Quoted{name}, " stands twice");
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, check);
  } catch (const nlohmann::json::parse_error& error) {
    throw FormatError(join("not valid JSON at byte ", error.byte));
  } catch (const nlohmann::json::exception&) {
    throw FormatError("not valid JSON: a number is too large");
  }
}

}  // namespace plinth::detail
