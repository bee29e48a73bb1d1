// SPDX-License-Identifier: MIT
// Rows of a table by index, the core of an embedding.
#pragma once

#include <cstdint>
#include <tuple>

#include <plinth/ops/cast.hpp>

namespace plinth {

/// dtable[ids[i]] += dy[i], summed in float or wider; ids have no gradient
template <class T, class D>
struct GatherRowsOp {
  static constexpr const char* name = "gather_rows";
  Saved<std::int32_t, D> ids;  ///< (...)
  Shape table_shape;           ///< (rows, C)

  /// table (rows, C), rows (...) -> (..., C)
  Tensor<T, D> forward(const Tensor<T, D>& table, const Tensor<std::int32_t, D>& rows) {
    const auto values = detail::dense(table);
    const auto wanted = detail::dense(rows);
    table_shape = table.shape();
    Shape shape = rows.shape();
    shape.push_back(table.size(1));
    Tensor<T, D> y(shape);
    kernels<D>::gather_rows(queue<D>::current(), wanted.count(), table.size(0), table.size(1), values.data(),
                            wanted.data(), y.mutable_data());
    ids = wanted;
    return y;
  }
  /// {dtable, nothing}
  std::tuple<Tensor<T, D>, Tensor<std::int32_t, D>> backward(const Tensor<T, D>& dy) const {
    // Sums are kept in A: in 16 bits a row that occurs often would soon stop growing.
    using A = accumulator_t<T>;
    const auto& rows = ids.get(name);
    const auto given = detail::converted<A>(dy);
    auto dtable = zeros<A, D>(table_shape);
    kernels<D>::scatter_add_rows(queue<D>::current(), rows.count(), table_shape[0], table_shape[1], rows.data(),
                                 given.data(), dtable.mutable_data());
    return {detail::converted<T>(dtable), {}};
  }
};

/// y[...] = table[ids[...]]: table (rows, C), ids (...), y (..., C).  PyTorch: embedding(ids, table).
/// Throws ShapeError, and ArgumentError for an index outside the table.
template <Real T, class D>
Tensor<T, D> gather_rows(const Tensor<T, D>& table, const Tensor<std::int32_t, D>& ids) {
  detail::require<ShapeError>(table.rank() == 2, "gather_rows: table ", table.shape(), " has not two axes");
  return apply(GatherRowsOp<T, D>{}, table, ids);
}

}  // namespace plinth
