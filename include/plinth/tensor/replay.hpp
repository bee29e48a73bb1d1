// SPDX-License-Identifier: MIT
// A step that is queued again and again: where the device has graphs it is recorded, and then replayed with one launch.
#pragma once

#include <optional>

#include <plinth/tensor/error.hpp>
#include <plinth/tensor/queue.hpp>

namespace plinth::detail {

/// Whether what is queued on D can be recorded. Asked where a backend that has graphs is known.
template <class D>
concept Recordable = requires(const graph<D>& recorded) { recorded.replay(); };

/// Calls a callable each time, where D has no graphs.
template <class D>
class Replay {
 public:
  /// As below.
  explicit Replay(bool = true) {}

  /// Queues what body() queues. True: body was called; false: what it had queued was replayed, and what else it does is
  /// the caller's to do. undo() takes back what a call that was not completed may have done.
  template <class Body, class Undo>
  bool run(const Body& body, const Undo&) {
    body();
    return true;
  }
  /// Whether the next run will call nothing.
  bool recorded() const { return false; }
  /// Whether that may come to be.
  bool recordable() const { return false; }
  /// The next run calls its callable, which may do another thing than before.
  void reset() {}
};

/// Calls a callable once, for a device loads kernels when they first run, records it in the second call, and replays it
/// from then on. One that cannot be recorded is called each time.
template <Recordable D>
class Replay<D> {
 public:
  /// Records nothing where that is not wanted.
  explicit Replay(bool wanted = true) : recordable_(wanted) {}

  template <class Body, class Undo>
  bool run(const Body& body, const Undo& undo) {
    if (graph_) {
      graph_->replay();
      return false;
    }
    if (called_ && recordable_ && record(body, undo))
      graph_->replay();
    else
      body();
    called_ = true;
    return true;
  }
  bool recorded() const { return graph_.has_value(); }
  bool recordable() const { return recordable_; }
  void reset() {
    graph_.reset();
    called_ = false;
  }

 private:
  template <class Body, class Undo>
  bool record(const Body& body, const Undo& undo) {
    try {
      graph_.emplace(body);
      return true;
    } catch (const GraphError&) {
      undo();
      return recordable_ = false;
    } catch (const MemoryError&) {  // a graph keeps what it takes, and so needs more than a call does
      undo();
      return recordable_ = false;
    } catch (...) {
      undo();
      throw;
    }
  }

  std::optional<graph<D>> graph_;
  bool called_ = false, recordable_;
};

}  // namespace plinth::detail
