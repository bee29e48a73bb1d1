// SPDX-License-Identifier: MIT
// Enough of an XML reader to tell whether a drawing is well-formed and to look at its elements.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace xml {

struct Element {
  std::string name;
  std::map<std::string, std::string> attributes;
  std::string text;  // between its tags, without that of elements inside
};

/// The elements of a document in order. Throws std::runtime_error when it is not well-formed.
class Reader {
 public:
  explicit Reader(std::string_view document) : left_(document) {
    while (!left_.empty()) {
      if (left_.starts_with("</")) {
        take("</");
        if (open_.empty() || name() != elements[open_.back()].name) fail("a tag that was not opened");
        open_.pop_back();
        take(">");
      } else if (left_.starts_with("<")) {
        if (open_.empty() && !elements.empty()) fail("a second root");
        tag();
      } else {
        const std::string text = content('<');
        if (!open_.empty())
          elements[open_.back()].text += text;
        else if (text != "\n")
          fail("text outside the root");
      }
    }
    if (!open_.empty() || elements.empty()) fail("a tag left open");
  }

  std::vector<Element> elements;

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error("not well-formed: " + what + " before: " + std::string(left_.substr(0, 40)));
  }
  void take(std::string_view expected) {
    if (!left_.starts_with(expected)) fail("no " + std::string(expected));
    left_.remove_prefix(expected.size());
  }
  std::string name() {
    const auto end = left_.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:");
    if (end == 0 || end == std::string_view::npos) fail("no name");
    const std::string result(left_.substr(0, end));
    left_.remove_prefix(end);
    return result;
  }
  /// Text up to the terminator, entities resolved.
  std::string content(char terminator) {
    const std::map<std::string, char> entities = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}};
    std::string result;
    while (!left_.empty() && left_[0] != terminator) {
      if (left_[0] == '<') fail("a bare <");
      const auto byte = static_cast<unsigned char>(left_[0]);
      if (byte < 0x20 && byte != '\n' && byte != '\t' && byte != '\r') fail("a control character");
      if (left_[0] != '&') {
        result += left_[0];
        left_.remove_prefix(1);
        continue;
      }
      const auto found = entities.find(std::string(left_.substr(1, left_.find(';') - 1)));
      if (found == entities.end()) fail("an unknown entity");
      result += found->second;
      left_.remove_prefix(found->first.size() + 2);
    }
    return result;
  }
  void tag() {
    take("<");
    Element element{name(), {}, {}};
    while (left_.starts_with(" ")) {
      take(" ");
      const std::string attribute = name();
      take("=\"");
      if (!element.attributes.emplace(attribute, content('"')).second) fail("an attribute given twice");
      take("\"");
    }
    elements.push_back(element);
    if (left_.starts_with("/>"))
      take("/>");
    else
      take(">"), open_.push_back(elements.size() - 1);
  }

  std::string_view left_;
  std::vector<std::size_t> open_;
};

/// The elements of one name.
inline std::vector<Element> elements(std::string_view document, std::string_view name) {
  std::vector<Element> result;
  for (const Element& element : Reader(document).elements)
    if (element.name == name) result.push_back(element);
  return result;
}

/// The texts of the elements of one name.
inline std::vector<std::string> texts(std::string_view document, std::string_view name) {
  std::vector<std::string> result;
  for (const Element& element : elements(document, name)) result.push_back(element.text);
  return result;
}

}  // namespace xml
