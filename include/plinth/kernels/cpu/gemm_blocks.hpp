// SPDX-License-Identifier: MIT
// The matrix product cut into blocks that fit the caches and spread over the threads.
//
// K is cut by its length alone and never split over threads, so that the bits of C depend on neither the number of
// threads nor the blocks of rows and columns.  Goto & van de Geijn 2008, "Anatomy of High-Performance Matrix
// Multiplication", describes the loops.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cpu/gemm_pack.hpp>
#include <plinth/kernels/cpu/gemm_tile.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/queue.hpp>

namespace plinth::cpu {

/// A finished block of A B, and where it goes. product is c itself where T is the type that is summed in.
template <class T>
struct FinishedBlock {
  const accumulator_t<T>* product;
  std::int64_t product_row, c_row, rows, columns;  // at most two vectors of columns
  T* c;
  const T* bias;      // of these columns, or null
  T* pre_activation;  // of this block, or null
  bool accumulate;
};

/// The operands of one product and what follows it.
template <class T>
struct GemmProblem {
  GemmShape shape;
  const T *a, *b;
  T* c;
  const T* bias;
  T* pre_activation;
  bool accumulate;
  void (*finish)(InstructionSet, const void* formula, const FinishedBlock<T>&);  // null: C is A B as it is
  const void* formula;
};

/// Runs a GemmProblem.
template <class T>
class BlockedGemm {
  using A = accumulator_t<T>;
  static constexpr bool in_place = std::same_as<T, A>;  // otherwise the tiles of C are summed in scratch first

  static constexpr std::int64_t step_bytes = 3072;               // of k per block: a panel of B stays in the L2 cache
  static constexpr std::int64_t a_block_bytes = 512 * 1024;      // half an L2 cache
  static constexpr std::int64_t packed_b_bytes = 4 * 1024 * 1024;  // a share of the L3 cache
  static constexpr std::int64_t own_b_bytes = 256 * 1024;        // up to here a thread packs a matrix of a batch itself
  static constexpr std::int64_t least_shared_pack = 16 * 1024;   // elements, a few microseconds
  static constexpr std::int64_t least_shared_work = 512 * 1024;  // multiply-adds, likewise
  static constexpr std::int64_t most_direct_panels = 16;         // up to here packing A costs more than it saves
  static constexpr std::int64_t page = 4096;                     // rows this far apart meet in one set of the L1 cache

 public:
  BlockedGemm(queue<Cpu>& queue, InstructionSet set, const GemmProblem<T>& problem)
      : queue_(queue), set_(set), problem_(problem), tile_(tile_size<A>(set)) {
    GemmShape& s = problem_.shape;
    if (s.b.batch == 0 && s.a.batch == s.M * s.a.row && s.c.batch == s.M * s.c.row) {
      s.M *= s.batch;  // one tall matrix
      s.batch = 1;
    }
  }

  void run() {
    const GemmShape& s = problem_.shape;
    if (s.batch <= 0 || s.M <= 0 || s.N <= 0) return;
    plan();
    const std::int64_t b_total = own_b_ ? 0 : b_elements_, slice = slice_elements();
    auto* scratch = static_cast<A*>(queue_.scratch(
        static_cast<std::size_t>(b_total + slice * queue_.threads()) * sizeof(A)));
    A* slices = scratch + b_total;
    if (own_b_) {
      share(s.batch * s.M * s.N * s.K >= least_shared_work, s.batch, [&](int thread, std::int64_t begin, std::int64_t end) {
        A *mine = slices + thread * slice, *own = mine + a_elements_ + c_elements_;
        for (std::int64_t n = begin; n < end; ++n) {
          const Step step{n, 1, 0, s.N, 0, s.K};
          pack_b(step, own, 0, panels(step));
          multiply(step, own, mine, 0, work(step));
        }
      });
      return;
    }
    for (std::int64_t n = 0; n < s.batch; n += matrices_)
      for (std::int64_t j = 0; j < s.N; j += columns_) {
        std::int64_t k = 0;
        do {
          run_step({n, std::min(matrices_, s.batch - n), j, std::min(columns_, s.N - j), k, std::min(steps_, s.K - k)},
                   scratch, slices, slice);
          k += steps_;
        } while (k < s.K);
      }
  }

 private:
  /// A range of matrices, columns of B and C, and k.
  struct Step {
    std::int64_t n, matrices, j, columns, k, steps;
  };

  /// Rows of A as the tiles read them; the strides are those of PanelProduct.
  struct TileRows {
    const A* a = nullptr;
    std::int64_t row = 0, step = 0, lead = 0;
  };

  /// A block of rows: those before packed_from are read where they stand.
  struct Rows {
    RowTiling tiling;
    std::int64_t packed_from = 0;
    TileRows direct, packed;
  };

  bool shared_b() const { return problem_.shape.b.batch == 0; }
  std::int64_t panels(const Step& step) const { return divide_up(step.columns, tile_.columns); }
  std::int64_t work(const Step& step) const { return step.matrices * problem_.shape.M * panels(step); }

  /// From row to row of packed A: an odd number of cache lines, so that a tile's rows lie in different sets.
  static std::int64_t packed_row(std::int64_t steps) {
    constexpr std::int64_t line = 64 / sizeof(A);
    return (divide_up(steps, line) | 1) * line;
  }

  void plan() {
    const GemmShape& s = problem_.shape;
    const std::int64_t size = sizeof(A), all_panels = divide_up(s.N, tile_.columns);
    steps_ = s.K;
    if (in_place && s.K > 0) steps_ = round_up(divide_up(s.K, divide_up(s.K, step_bytes / size)), 16);
    const std::int64_t panel_bytes = std::max<std::int64_t>(1, std::min(steps_, s.K) * tile_.columns * size);
    const std::int64_t fitting = std::max<std::int64_t>(1, packed_b_bytes / panel_bytes);
    columns_ = divide_up(all_panels, divide_up(all_panels, fitting)) * tile_.columns;
    matrices_ = shared_b() ? s.batch : std::clamp<std::int64_t>(fitting / all_panels, 1, s.batch);
    own_b_ = !shared_b() && s.batch >= 2 * queue_.threads() && all_panels * panel_bytes <= own_b_bytes && steps_ >= s.K;

    direct_ = in_place && all_panels <= most_direct_panels &&
              ((s.a.column == 1 && s.a.row * size % page != 0) || (s.a.row == 1 && s.a.column * size % page != 0));
    const std::int64_t row_panels = divide_up(s.M, tile_.rows);
    const std::int64_t row_panel_bytes = std::max<std::int64_t>(1, tile_.rows * steps_ * size);
    std::int64_t blocks = divide_up(row_panels, std::max<std::int64_t>(1, a_block_bytes / row_panel_bytes));
    if (!own_b_ && queue_.threads() > 1)
      blocks = std::max(blocks, divide_up(queue_.threads(), matrices_));  // or two threads pack the same rows
    rows_ = divide_up(row_panels, std::min(blocks, row_panels)) * tile_.rows;

    a_elements_ = round_up((direct_ ? tile_.rows : rows_) * packed_row(steps_), 64);
    b_elements_ = round_up((shared_b() || own_b_ ? 1 : matrices_) * columns_ * std::min(steps_, s.K), 64);
    c_elements_ = round_up(in_place ? 0 : rows_ * tile_.columns, 64);
  }

  std::int64_t slice_elements() const { return a_elements_ + c_elements_ + (own_b_ ? b_elements_ : 0); }

  void run_step(const Step& step, A* packed_b, A* slices, std::int64_t slice) {
    const std::int64_t packs = (shared_b() ? 1 : step.matrices) * panels(step);
    share(packs * tile_.columns * step.steps >= least_shared_pack, packs,
          [&](int, std::int64_t begin, std::int64_t end) { pack_b(step, packed_b, begin, end); });
    share(step.matrices * problem_.shape.M * step.columns * step.steps >= least_shared_work, work(step),
          [&](int thread, std::int64_t begin, std::int64_t end) {
            multiply(step, packed_b, slices + thread * slice, begin, end);
          });
  }

  /// body over all threads, or on this one alone where waking the others takes longer than the work.
  template <class F>
  void share(bool worth_it, std::int64_t units, const F& body) {
    if (worth_it)
      queue_.each_thread(units, body);
    else
      body(0, 0, units);
  }

  void pack_b(const Step& step, A* packed_b, std::int64_t begin, std::int64_t end) const {
    const MatrixLayout& b = problem_.shape.b;
    for (std::int64_t unit = begin; unit < end; ++unit) {
      const std::int64_t matrix = unit / panels(step), j = unit % panels(step) * tile_.columns;
      pack_columns(problem_.b + (step.n + matrix) * b.batch + step.k * b.row + (step.j + j) * b.column, b.row, b.column,
                   std::min(tile_.columns, step.columns - j), step.steps, tile_.columns,
                   packed_b + unit * step.steps * tile_.columns);
    }
  }

  /// Some of the work of a step. It is counted in rows of panels of blocks of rows of matrices; a tile belongs to the
  /// part that has its first row.
  void multiply(const Step& step, const A* packed_b, A* slice, std::int64_t begin, std::int64_t end) const {
    const std::int64_t M = problem_.shape.M, all_panels = panels(step);
    std::int64_t ready = -1;
    Rows rows;
    while (begin < end) {
      const std::int64_t matrix = begin / (M * all_panels), in_matrix = begin % (M * all_panels);
      const std::int64_t block = in_matrix / (rows_ * all_panels), i = block * rows_, count = std::min(rows_, M - i);
      const std::int64_t in_block = in_matrix - i * all_panels, panel = in_block / count, row = in_block % count;
      const std::int64_t taken = std::min(count - row, end - begin);
      if (begin - in_block != ready) rows = prepare_rows(step, matrix, i, count, slice);
      ready = begin - in_block;
      const std::int64_t b_panel = (shared_b() ? 0 : matrix * all_panels) + panel;
      multiply_panel(step, matrix, i, panel * tile_.columns, rows, rows.tiling.start(row), rows.tiling.start(row + taken),
                     packed_b + b_panel * step.steps * tile_.columns, slice + a_elements_);
      begin += taken;
    }
  }

  /// The `count` rows of A from row i: where they stand if the tiles can read them there, except for a last tile that
  /// reaches over the border, else packed.
  Rows prepare_rows(const Step& step, std::int64_t matrix, std::int64_t i, std::int64_t count, A* packed) const {
    const MatrixLayout& a = problem_.shape.a;
    const T* from = problem_.a + (step.n + matrix) * a.batch + i * a.row + step.k * a.column;
    Rows rows;
    rows.tiling = RowTiling(count, tile_);
    if constexpr (in_place)
      if (direct_) {
        rows.packed_from = rows.tiling.inside();
        rows.direct = {from, a.row, a.column, a.row};
      }
    count -= rows.packed_from;
    const std::int64_t row = packed_row(step.steps);
    rows.packed = a.column == 1 ? TileRows{packed, row, 1, row} : TileRows{packed, 1, 0, step.steps};
    pack_rows(from + rows.packed_from * a.row, a.row, a.column, RowTiling(count, tile_), step.steps, row, packed);
    return rows;
  }

  /// C (+)= A B for the rows [begin, end) of a block and one panel of columns; after the last k, what follows.
  void multiply_panel(const Step& step, std::int64_t matrix, std::int64_t i, std::int64_t j, const Rows& rows,
                      std::int64_t begin, std::int64_t end, const A* b, A* result) const {
    const GemmShape& s = problem_.shape;
    const std::int64_t offset = (step.n + matrix) * s.c.batch + (i + begin) * s.c.row + step.j + j;
    const std::int64_t columns = std::min(tile_.columns, step.columns - j);
    const std::int64_t row = in_place ? s.c.row : tile_.columns;
    bool add = false;
    if constexpr (in_place) {
      result = problem_.c + offset;
      add = problem_.accumulate || step.k > 0;
    }
    const auto product = [&](const TileRows& a, std::int64_t origin, std::int64_t first, std::int64_t last) {
      if (first >= last) return;
      const TileOperands<A> tile{a.a + (first - origin) * a.lead, a.row, a.step, b, tile_.columns, step.steps,
                                 result + (first - begin) * row, row, add};
      run_job(set_, PanelProduct<A>{tile, a.lead, rows.tiling.full - first, last - first, columns});
    };
    product(rows.direct, 0, begin, std::min(end, rows.packed_from));
    product(rows.packed, rows.packed_from, std::max(begin, rows.packed_from), end);
    if (!problem_.finish || begin >= end || step.k + step.steps < s.K) return;
    problem_.finish(set_, problem_.formula,
                    {result, row, s.c.row, end - begin, columns, problem_.c + offset,
                     problem_.bias ? problem_.bias + step.j + j : nullptr,
                     problem_.pre_activation ? problem_.pre_activation + offset : nullptr,
                     !in_place && problem_.accumulate});
  }

  queue<Cpu>& queue_;
  InstructionSet set_;
  GemmProblem<T> problem_;
  TileSize tile_;
  std::int64_t steps_ = 0, columns_ = 0, matrices_ = 0, rows_ = 0;  // of a step, and the rows of a block
  bool own_b_ = false, direct_ = false;
  std::int64_t a_elements_ = 0, b_elements_ = 0, c_elements_ = 0;  // of scratch
};

}  // namespace plinth::cpu
