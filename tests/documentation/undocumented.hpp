// SPDX-License-Identifier: MIT
// A header as it must not be: one symbol of each kind without a comment, each with "bare" in its name. All others have
// one, or need none.
#pragma once

/// Documented.
namespace plinth {

int bare_function(int x);
template <class T>
T bare_template(T x);
template <class T>
concept bare_concept = requires(T x) { x.size(); };
template <class T>
using bare_alias = T*;
inline constexpr int bare_constant = 1;
enum class bare_enumeration {
  first  ///< Documented, in [0, 1).
};
struct bare_empty_struct {};
struct bare_struct {
  int field;  ///< Documented.
};

/// Documented.
enum class Kind {
  bare_value,
  other  ///< Documented.
};

/// Documented.
struct Documented {
  static constexpr const char* name = "name";
  static void visit(auto& self, auto&& f) { f("field", self.field); }

  explicit Documented(int bare_parameter);
  int bare_member_function() const;
  bool operator==(const Documented& bare_operand) const;
  friend bool operator<(const Documented& bare_friend, const Documented& y);
  int field = 0,  ///< Documented.
      bare_field = 0;
  using bare_member_type = int;

 private:
  struct Private {};
  int private_field_ = 0;
};

/// Both are documented.
/// @{
int first_of_two();
int second_of_two();
/// @}

namespace bare_namespace {
int function_of_it();
}  // namespace bare_namespace

namespace detail {
int internal_function();
}  // namespace detail
}  // namespace plinth
