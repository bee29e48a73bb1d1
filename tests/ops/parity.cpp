// SPDX-License-Identifier: MIT
// The random problems of the CPU's table, several at once.
#include "ops/parity.hpp"

#include <exception>
#include <map>
#include <stdexcept>
#include <tuple>

#include "ops/runner.hpp"

namespace op_table {

namespace {

const OpSpec& entry_of(const std::string& group, std::size_t entry) {
  static std::map<std::string, Specs> made;
  const auto found = made.find(group);
  if (found != made.end()) return found->second.at(entry);
  for (const auto& table : tables())
    if (table.group == group) return (made[group] = table.specs()).at(entry);
  throw std::out_of_range("the CPU has no table of " + group);
}

template <class T>
std::vector<Computed> computed_in(const OpSpec& spec, std::int64_t count, std::int64_t most) {
  std::vector<Computed> all(static_cast<std::size_t>(count));
  std::exception_ptr wrong;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic)
#endif
  for (std::int64_t number = 0; number < count; ++number) {
    try {
      all[static_cast<std::size_t>(number)] = computed_random<T>(spec, static_cast<unsigned>(number), most);
    } catch (...) {
#ifdef _OPENMP
#pragma omp critical
#endif
      wrong = std::current_exception();
    }
  }
  if (wrong) std::rethrow_exception(wrong);
  return all;
}

}  // namespace

std::vector<Computed> computed_on_cpu(const std::string& group, std::size_t entry, std::string_view type,
                                      std::int64_t count, std::int64_t most) {
  const OpSpec& spec = entry_of(group, entry);
  std::vector<Computed> all;
  const auto in = [&]<class T>(T) {
    if (type == plinth::element_name<T>()) all = computed_in<T>(spec, count, most);
  };
  std::apply([&](auto... zero) { (in(zero), ...); }, Types());
  return all;
}

}  // namespace op_table
