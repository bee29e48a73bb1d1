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
#include <plinth/kernels/cpu/gemm_plan.hpp>
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
  const void* packed_b = nullptr;  // panels of all of B, the same for every product; or null
};

/// Runs a GemmProblem on tiles of P, which is the type that is summed in, or bfloat16_pair where there is a tile of it.
/// A step stands for terms<P> elements of k.
template <class T, class P = accumulator_t<T>>
class BlockedGemm {
  using A = accumulator_t<T>;
  static_assert(sizeof(P) == sizeof(A));
  static constexpr bool in_place = std::same_as<T, A>;  // otherwise the tiles of C are summed in scratch first

  static constexpr std::int64_t least_shared_pack = 16 * 1024;   // elements, a few microseconds
  static constexpr std::int64_t least_shared_work = 512 * 1024;  // multiply-adds, likewise

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
    plan_ = GemmPlan(s, {tile_, terms<P>, sizeof(P), queue_.threads(), in_place, problem_.packed_b != nullptr});
    const std::int64_t b_total = plan_.own_b ? 0 : plan_.b_elements, slice = slice_elements();
    auto* scratch = static_cast<P*>(
        queue_.scratch(static_cast<std::size_t>(b_total + plan_.sum_elements + slice * queue_.threads()) * sizeof(P)));
    sums_ = reinterpret_cast<A*>(scratch + b_total);
    P* slices = scratch + b_total + plan_.sum_elements;
    Step step;
    for (step.n = 0; step.n < s.batch; step.n += plan_.matrices)
      for (step.i = 0; step.i < s.M; step.i += plan_.rows)
        for (step.j = 0; step.j < s.N; step.j += plan_.columns) {
          step.matrices = std::min(plan_.matrices, s.batch - step.n);
          step.rows = std::min(plan_.rows, s.M - step.i);
          step.columns = std::min(plan_.columns, s.N - step.j);
          step.k = 0;
          do {
            step.steps = std::min(plan_.k, plan_.all_k - step.k);
            run_step(step, scratch, slices, slice);
            step.k += plan_.k;
          } while (step.k < plan_.all_k);
        }
  }

 private:
  /// A range of matrices, rows of C, columns of it, and steps of k.
  struct Step {
    std::int64_t n = 0, matrices = 1, i = 0, rows = 0, j = 0, columns = 0, k = 0, steps = 0;
  };

  /// Rows of A as the tiles read them; the strides are those of PanelProduct.
  struct TileRows {
    const P* a = nullptr;
    std::int64_t row = 0, step = 0, lead = 0;
  };

  /// A block of rows: those before packed_from are read where they stand.
  struct Rows {
    RowTiling tiling;
    std::int64_t packed_from = 0;
    TileRows direct, packed;
  };

  /// Where panels of B are, and from one to the next.
  struct Panels {
    const P* first = nullptr;
    std::int64_t stride = 0;
  };

  bool shared_b() const { return problem_.shape.b.batch == 0; }
  std::int64_t panels(const Step& step) const { return divide_up(step.columns, tile_.columns); }
  /// Elements of k in a step.
  std::int64_t depth(const Step& step) const {
    return std::min(step.steps * terms<P>, problem_.shape.K - step.k * terms<P>);
  }

  /// Elements of scratch that a thread has for itself: for A, for C where its sums are rounded afterwards, for B.
  std::int64_t slice_elements() const {
    return plan_.a_elements + plan_.c_elements + (plan_.own_b ? plan_.b_elements : 0);
  }

  void run_step(const Step& step, P* packed_b, P* slices, std::int64_t slice) {
    const bool worth_it = step.matrices * step.rows * step.columns * step.steps >= least_shared_work;
    const std::int64_t panel = tile_.columns * step.steps;
    if (plan_.own_b)
      return share(worth_it, step.matrices * panels(step), [&](int thread, std::int64_t begin, std::int64_t end) {
        multiply(step, {nullptr, panel}, slices + thread * slice, begin * step.rows, end * step.rows);
      });
    Panels b{packed_b, panel};
    if (problem_.packed_b) {
      b.stride = tile_.columns * plan_.all_k;
      b.first = static_cast<const P*>(problem_.packed_b) + step.j * plan_.all_k + step.k * tile_.columns;
    } else {
      const std::int64_t packs = (shared_b() ? 1 : step.matrices) * panels(step);
      share(packs * panel >= least_shared_pack, packs,
            [&](int, std::int64_t begin, std::int64_t end) { pack_b(step, packed_b + begin * panel, begin, end); });
    }
    share(worth_it, step.matrices * step.rows * panels(step), [&](int thread, std::int64_t begin, std::int64_t end) {
      multiply(step, b, slices + thread * slice, begin, end);
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

  /// Where B(k, j) of a step begins.
  const T* b_from(const Step& step, std::int64_t matrix, std::int64_t j) const {
    const MatrixLayout& b = problem_.shape.b;
    return problem_.b + (step.n + matrix) * b.batch + step.k * terms<P> * b.row + (step.j + j) * b.column;
  }

  /// A panel of B that is to be packed soon, none past the last one. Where a row of B is contiguous a panel has too few
  /// bytes of each: in a matrix with a large power of two between them they would push each other out of the cache.
  Ahead panel_ahead(const Step& step, std::int64_t matrix, std::int64_t panel) const {
    const MatrixLayout& b = problem_.shape.b;
    const std::int64_t j = panel * tile_.columns, size = sizeof(T);
    if (b.row != 1 || j >= step.columns) return {};
    return {reinterpret_cast<const char*>(b_from(step, matrix, j)), std::min(tile_.columns, step.columns - j),
            b.column * size, depth(step) * size};
  }

  /// A packed panel that is to be multiplied soon.
  Ahead packed_ahead(const Step& step, const P* panel) const {
    const std::int64_t bytes = tile_.columns * std::int64_t{sizeof(P)};
    return {reinterpret_cast<const char*>(panel), step.steps, bytes, bytes};
  }

  /// The panels [begin, end) of all matrices.
  void pack_b(const Step& step, P* packed_b, std::int64_t begin, std::int64_t end) const {
    const MatrixLayout& b = problem_.shape.b;
    while (begin < end) {
      const std::int64_t matrix = begin / panels(step), panel = begin % panels(step), j = panel * tile_.columns;
      const std::int64_t taken = std::min(panels(step) - panel, end - begin);
      pack_columns(set_, b_from(step, matrix, j), b.row, b.column, std::min(taken * tile_.columns, step.columns - j),
                   depth(step), tile_.columns, packed_b);
      packed_b += taken * tile_.columns * step.steps;
      begin += taken;
    }
  }

  /// Some of the work of a step. It is counted in rows of panels of blocks of rows of matrices; a tile belongs to the
  /// part that has its first row.
  void multiply(const Step& step, Panels b, P* slice, std::int64_t begin, std::int64_t end) const {
    const std::int64_t M = step.rows, block_rows = plan_.block_rows, all_panels = panels(step);
    P* own_b = slice + plan_.a_elements + plan_.c_elements;
    std::int64_t ready = -1, first_panel = 0, past_panel = 0;  // the rows of A and the panels of B that are packed
    Rows rows;
    while (begin < end) {
      const std::int64_t matrix = begin / (M * all_panels), in_matrix = begin % (M * all_panels);
      const std::int64_t block = in_matrix / (block_rows * all_panels), i = block * block_rows,
                         count = std::min(block_rows, M - i);
      const std::int64_t in_block = in_matrix - i * all_panels, panel = in_block / count, row = in_block % count;
      const std::int64_t taken = std::min({count - row, end - begin, plan_.finished_rows});
      if (begin - in_block != ready) rows = prepare_rows(step, matrix, i, count, slice);
      ready = begin - in_block;
      const std::int64_t b_panel = (shared_b() ? 0 : matrix * all_panels) + panel;
      if (plan_.own_b && (b_panel < first_panel || b_panel >= past_panel)) {
        first_panel = b_panel;
        past_panel =
            std::min({b_panel + plan_.own_panels, (matrix + 1) * all_panels, b_panel + divide_up(end - begin, M)});
        pack_b(step, own_b, first_panel, past_panel);
        b.first = own_b;
      }
      Ahead ahead;
      if (plan_.own_b)
        ahead = panel_ahead(step, matrix, panel + plan_.own_panels);
      else if (panel + 1 < all_panels && plan_.far_b)
        ahead = packed_ahead(step, b.first + (b_panel + 1) * b.stride);
      ahead = ahead.part(row, row + taken, count);
      multiply_panel(step, matrix, i, panel * tile_.columns, rows, rows.tiling.start(row),
                     rows.tiling.start(row + taken),
                     b.first + (b_panel - first_panel) * b.stride, ahead,
                     reinterpret_cast<A*>(slice + plan_.a_elements));
      begin += taken;
    }
  }

  /// The `count` rows of A from row i: where they stand if the tiles can read them there, except for a last tile that
  /// reaches over the border, else packed.
  Rows prepare_rows(const Step& step, std::int64_t matrix, std::int64_t i, std::int64_t count, P* packed) const {
    const MatrixLayout& a = problem_.shape.a;
    const T* from = problem_.a + (step.n + matrix) * a.batch + (step.i + i) * a.row + step.k * terms<P> * a.column;
    Rows rows;
    rows.tiling = RowTiling(count, tile_);
    if constexpr (in_place)
      if (plan_.direct_a) {
        rows.packed_from = rows.tiling.inside();
        rows.direct = {from, a.row, a.column, a.row};
      }
    count -= rows.packed_from;
    const std::int64_t row = odd_lines(step.steps, sizeof(P));
    rows.packed = a.column == 1 ? TileRows{packed, row, 1, row} : TileRows{packed, 1, 0, step.steps};
    pack_rows(set_, from + rows.packed_from * a.row, a.row, a.column, RowTiling(count, tile_), depth(step), row,
              packed);
    return rows;
  }

  /// C (+)= A B for the rows [begin, end) of a block and one panel of columns; after the last k, what follows.
  void multiply_panel(const Step& step, std::int64_t matrix, std::int64_t i, std::int64_t j, const Rows& rows,
                      std::int64_t begin, std::int64_t end, const P* b, const Ahead& ahead, A* result) const {
    const GemmShape& s = problem_.shape;
    const std::int64_t offset = (step.n + matrix) * s.c.batch + (step.i + i + begin) * s.c.row + step.j + j;
    const std::int64_t columns = std::min(tile_.columns, step.columns - j);
    std::int64_t row = tile_.columns;
    bool add = step.k > 0;
    const bool last_step = step.k + step.steps >= plan_.all_k;
    if constexpr (in_place) {
      result = problem_.c + offset;
      row = s.c.row;
      add = add || problem_.accumulate;
    } else if (plan_.sum_elements > 0) {
      row = odd_lines(plan_.columns, sizeof(A));
      result = sums_ + (i + begin) * row + j;
    }
    const auto product = [&](const TileRows& a, std::int64_t origin, std::int64_t first, std::int64_t last) {
      if (first >= last) return;
      constexpr std::int64_t size = sizeof(P);
      TileOperands<P> tile{a.a + (first - origin) * a.lead, size * a.row, size * a.step, b, step.steps,
                           result + (first - begin) * row,  row,          add,           ahead};
      if (last_step)
        tile.set_goal(problem_.c + offset + (first - begin) * s.c.row, s.c.row, columns);
      else
        tile.set_goal(tile.c, row, columns);
      run_job(set_, PanelProduct<P>{tile, a.lead, rows.tiling.full - first, last - first, columns, 0});
    };
    product(rows.direct, 0, begin, std::min(end, rows.packed_from));
    product(rows.packed, rows.packed_from, std::max(begin, rows.packed_from), end);
    if (!problem_.finish || begin >= end || !last_step) return;
    problem_.finish(
        set_, problem_.formula,
        {result, row, s.c.row, end - begin, columns, problem_.c + offset,
         problem_.bias ? problem_.bias + step.j + j : nullptr,
         problem_.pre_activation ? problem_.pre_activation + offset : nullptr, !in_place && problem_.accumulate});
  }

  queue<Cpu>& queue_;
  InstructionSet set_;
  GemmProblem<T> problem_;
  TileSize tile_;
  A* sums_ = nullptr;
  GemmPlan plan_;
};

}  // namespace plinth::cpu
