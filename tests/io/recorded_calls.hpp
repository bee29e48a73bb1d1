// SPDX-License-Identifier: MIT
// The system calls of a thread that writes files: recorded, made to fail one by one, and judged by their order.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <plinth/io/file_calls.hpp>

namespace files {

namespace system = plinth::detail::system;

/// One system call: "write" of a path, "rename" of a path to another.
struct Call {
  std::string name, path, to;
};

/// While it lives, this thread's file calls are recorded, and done unless `fault` decides otherwise. Flushes are
/// recorded only: they take long, and no power is lost in a test.
class RecordedCalls {
 public:
  /// What becomes of the index-th call: 0 lets it be; an errno makes it fail with that; `cut` writes a single byte;
  /// `forgotten` claims success without doing or recording it.
  using Fault = std::function<int(std::size_t index, const Call&)>;
  static constexpr int cut = -1, forgotten = -2;

  explicit RecordedCalls(Fault fault) : fault_(std::move(fault)) {
    current = this;
    plinth::detail::file_calls = {
        .create =
            [](const Path& path, bool only_new) {
              const Handle file = call("create", path, "", [&] { return system::create(path, only_new); });
              if (file != plinth::detail::no_file) current->opened_[file] = text(path);
              return file;
            },
        .lock = [](Handle file) { return result(call("lock", file, [&] { return system::lock(file); })); },
        .empty = [](Handle file) { return result(call("empty", file, [&] { return system::empty(file); })); },
        .write = [](Handle file, const void* data, std::size_t size) -> std::int64_t {
          const auto write = [&](std::size_t count) { return system::write(file, data, count); };
          return call(
              "write", current->opened_[file], "", [&] { return write(size); }, [&] { return write(1); });
        },
        .flush = [](Handle file) { return result(call("flush", file, [] { return 0; })); },
        .close =
            [](Handle file) {
              const int closed = result(call("close", file, [] { return 0; }));
              system::close(file);  // also where it reports an error, as the system does
              return closed;
            },
        .rename =
            [](const Path& from, const Path& to) {
              return result(call("rename", from, text(to), [&] { return system::rename(from, to); }));
            },
        .remove_file =
            [](const Path& path) {
              return result(call("remove", path, "", [&] { return system::remove_file(path); }));
            },
        .make_folder =
            [](const Path& path) { return result(call("make", path, "", [&] { return system::make_folder(path); })); },
        .remove_empty_folder =
            [](const Path& path) {
              return result(call("remove folder", path, "", [&] { return system::remove_empty_folder(path); }));
            },
        .flush_folder = [](const Path& path) { return result(call("flush", path, "", [] { return 0; })); },
        .lock_folder =
            [](const Path& path) {
              const Handle file = call("lock", path, "", [&] { return system::lock_folder(path); });
              if (file != plinth::detail::no_file) current->opened_[file] = text(path);
              return file;
            }};
  }
  RecordedCalls(const RecordedCalls&) = delete;
  RecordedCalls& operator=(const RecordedCalls&) = delete;
  ~RecordedCalls() {
    plinth::detail::file_calls = {};
    current = nullptr;
  }

  const std::vector<Call>& calls() const { return calls_; }

 private:
  using Path = std::filesystem::path;
  using Handle = plinth::detail::FileHandle;

  template <class Do, class DoLess>
  static std::int64_t call(const char* name, const Path& path, std::string to, const Do& act, const DoLess& act_less) {
    const Call made{name, text(path), std::move(to)};
    const int fault = current->fault_(current->index_++, made);
    if (fault == forgotten) return 0;
    current->calls_.push_back(made);
    if (fault == cut) return act_less();
    if (fault == 0) return act();
    errno = fault;
    return -1;
  }
  template <class Do>
  static std::int64_t call(const char* name, const Path& path, std::string to, const Do& act) {
    return call(name, path, std::move(to), act, act);
  }
  template <class Do>
  static std::int64_t call(const char* name, Handle file, const Do& act) {
    return call(name, current->opened_[file], "", act);
  }
  static int result(std::int64_t of_a_call) { return static_cast<int>(of_a_call); }
  /// With slashes on every system.
  static std::string text(const Path& path) { return path.generic_string(); }

  static inline thread_local RecordedCalls* current = nullptr;
  Fault fault_;
  std::size_t index_ = 0;
  std::vector<Call> calls_;
  std::map<Handle, std::string> opened_;
};

/// What a loss of power could undo after the calls of one successful save, the first thing found; empty when nothing:
/// every file's last write is followed by a flush of the file and every change of a folder by one of the folder, those
/// inside a folder before it takes its name, and all before an older checkpoint is touched; the manifest comes last.
inline std::string undone_by_a_loss_of_power(const std::vector<Call>& calls) {
  const auto parent = [](const std::string& path) {
    return std::filesystem::path(path).parent_path().generic_string();
  };
  std::set<std::string> unflushed;  // files and folders
  const auto first = [&](const std::string& what) { return *unflushed.begin() + " is not flushed before " + what; };
  bool named = false;
  for (const auto& [name, path, to] : calls) {
    if (name == "make") unflushed.insert(parent(path));
    if (name == "create" && path.find(".tmp/") != std::string::npos) {
      unflushed.insert({path, parent(path)});
      for (const std::string& x : unflushed)
        if (path.ends_with("manifest.json") && x.ends_with(".safetensors"))
          return x + " is not flushed before the manifest is written";
    }
    if (name == "write") unflushed.insert(path);
    if (name == "flush") unflushed.erase(path);
    if (name == "rename" && path.ends_with(".tmp")) {
      for (const std::string& x : unflushed)
        if (x.starts_with(path)) return x + " is not flushed before the checkpoint takes its name";
      unflushed.insert(parent(to));
      named = true;
    }
    if (name == "rename" && to.ends_with(".tmp") && !unflushed.empty()) return first("an older checkpoint is removed");
    if (name == "rename" && to.ends_with(".tmp") && !named)
      return path + " is removed before the new checkpoint is there";
  }
  return unflushed.empty() ? "" : first("the save returns");
}

}  // namespace files
