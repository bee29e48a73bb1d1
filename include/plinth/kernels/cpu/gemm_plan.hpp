// SPDX-License-Identifier: MIT
// How a matrix product is cut into blocks that fit the caches.
#pragma once

#include <algorithm>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cpu/gemm_tile.hpp>

namespace plinth::cpu {

/// From row to row in scratch, for elements of 4 or more bytes: an odd number of cache lines, so that a tile's rows lie
/// in different sets of a cache.
inline std::int64_t odd_lines(std::int64_t elements, std::int64_t size) {
  const std::int64_t line = 64 / size;
  return (divide_up(elements, line) | 1) * line;
}

/// What a plan depends on besides the shape: `terms` elements of k make a step of the tile, whose sums are of `size`
/// bytes, as is what it multiplies.
struct PlanInput {
  TileSize tile;
  std::int64_t terms, size, threads;
  bool in_place;  // whether the tile's sums go straight to C; otherwise they stay in scratch until the last k
  bool packed_b;  // whether B was packed before
};

/// The blocks: first of what all threads do together, a step, then of what one of them does at a time.
struct GemmPlan {
  std::int64_t all_k = 0, k = 0;                     // steps of the tile: in all, and in a step
  std::int64_t matrices = 0, rows = 0, columns = 0;  // of C in a step
  std::int64_t block_rows = 0;                       // of A, packed by a thread for itself
  std::int64_t finished_rows = 0;                    // at most so many before the product is rounded to C's type
  bool own_b = false;                                // each thread packs B itself: every panel is needed just once ...
  std::int64_t own_panels = 1;                       // ... so many panels at a time
  bool direct_a = false;                             // A is read where it stands
  bool far_b = false;                                // packed panels do not stay in an L2 cache until they are used
  std::int64_t a_elements = 0, b_elements = 0, c_elements = 0;  // of scratch: a thread's A and C; B
  std::int64_t sum_elements = 0;  // of C in scratch from step to step, when there are several of k

  GemmPlan() = default;
  GemmPlan(const GemmShape& s, const PlanInput& in) {
    const bool shared_b = s.b.batch == 0;
    const std::int64_t panels = divide_up(s.N, in.tile.columns), row_panels = divide_up(s.M, in.tile.rows);
    cut_k(s, in);
    const std::int64_t a_bytes = row_panels * row_panel_bytes(in), units = s.batch * panels;
    own_b = !in.packed_b && a_bytes <= l2_bytes && (!shared_b || s.batch == 1) &&
            (units >= 4 * in.threads || in.threads == 1);
    const bool rows_dense = s.a.column == 1 && s.a.row * in.size % page != 0;
    const bool columns_dense = s.a.row == 1 && s.a.column * in.size % half_page != 0 && s.M * s.K * in.size <= l2_bytes;
    direct_a = in.in_place && panels <= most_direct_panels && (rows_dense || columns_dense);

    const std::int64_t panel = in.tile.columns * std::min(k, all_k);
    const std::int64_t panel_bytes = std::max<std::int64_t>(1, panel * in.size);
    const std::int64_t fitting = std::max<std::int64_t>(1, packed_b_bytes / panel_bytes);
    if (own_b) own_panels = std::clamp(own_b_bytes / panel_bytes, std::int64_t{1}, panels);
    if (own_b && s.b.row != 1) own_panels = std::min(panels, std::max(own_panels, side_by_side));
    columns = (own_b ? panels : divide_up(panels, divide_up(panels, fitting))) * in.tile.columns;
    far_b = !own_b && panels * panel_bytes > l2_bytes / 2;
    matrices = shared_b || own_b ? s.batch : std::clamp<std::int64_t>(fitting / panels, 1, s.batch);
    rows = s.M;
    if (!in.in_place && k < all_k) keep_sums(in);

    std::int64_t blocks = own_b ? 1 : divide_up(rows * row_panel_bytes(in), in.tile.rows * l2_bytes / 2);
    if (!own_b && in.threads > 1)
      blocks = std::max(blocks, divide_up(in.threads, matrices));  // or two pack the same rows
    const std::int64_t tiles = divide_up(rows, in.tile.rows);
    block_rows = divide_up(tiles, std::min(blocks, tiles)) * in.tile.rows;
    finished_rows = in.in_place ? block_rows : std::min(block_rows, tiles_in_cache * in.tile.rows);

    a_elements = round_up((direct_a ? in.tile.rows : block_rows) * odd_lines(k, in.size), 64);
    if (!in.packed_b)
      b_elements =
          round_up(own_b ? own_panels * panel : (shared_b ? 1 : matrices) * columns / in.tile.columns * panel, 64);
    // A part of a panel ends with a whole tile: where low tiles follow full ones, that may be a low one more.
    const std::int64_t most_rows = finished_rows + in.tile.low_rows;
    c_elements = in.in_place || sum_elements > 0 ? 0 : round_up(most_rows * in.tile.columns, 64);
  }

 private:
  static constexpr std::int64_t l2_bytes = 1024 * 1024;   // an L2 cache, or half a larger one
  static constexpr std::int64_t k_bytes = 3072;           // of a step: a panel of B stays in the L2 cache
  static constexpr std::int64_t own_b_bytes = 32 * 1024;  // most of an L1 cache
  static constexpr std::int64_t side_by_side = 8;         // panels, where a row of B is contiguous: read at once
  static constexpr std::int64_t packed_b_bytes = 4 * 1024 * 1024;  // a share of the L3 cache
  static constexpr std::int64_t sum_bytes = 8 * 1024 * 1024;       // another one
  static constexpr std::int64_t tiles_in_cache = 8;                // of C with where they go, in the L1 cache
  static constexpr std::int64_t most_direct_panels = 16;           // up to here packing A costs more than it saves
  static constexpr std::int64_t page = 4096;           // rows this far apart meet in one set of the L1 cache ...
  static constexpr std::int64_t half_page = page / 2;  // ... and columns in two: more are read together

  void cut_k(const GemmShape& s, const PlanInput& in) {
    all_k = divide_up(s.K, in.terms);
    const std::int64_t cuts = std::max<std::int64_t>(1, divide_up(all_k, k_bytes / in.size));
    k = round_up(divide_up(all_k, cuts), 16);
  }
  std::int64_t row_panel_bytes(const PlanInput& in) const {
    return std::max<std::int64_t>(1, in.tile.rows * k * in.size);
  }

  /// Cuts C so that its sums fit their share of the cache.
  void keep_sums(const PlanInput& in) {
    const std::int64_t fitting = sum_bytes / in.size;
    matrices = 1;
    if (own_b)
      columns = std::min(columns, round_up(fitting / rows, in.tile.columns));
    else
      rows = round_up(divide_up(rows, divide_up(rows * columns, fitting)), in.tile.rows);
    sum_elements = round_up(rows * odd_lines(columns, in.size), 64);
  }
};

}  // namespace plinth::cpu
