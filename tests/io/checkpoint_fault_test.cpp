// SPDX-License-Identifier: MIT
// Checkpoints are never torn nor lost, whatever the disk does.
#include <plinth/io/checkpoint.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "io/checkpoints.hpp"
#include "io/files.hpp"
#include "io/recorded_calls.hpp"

using namespace plinth;
using namespace checkpoints;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

int no_fault(std::size_t, const files::Call&) { return 0; }

/// The calls of `save`, which keeps this checkpoint alone.
std::vector<files::Call> save_recorded(const fs::path& folder, std::int64_t step,
                                       files::RecordedCalls::Fault fault = no_fault) {
  const files::RecordedCalls recorded(std::move(fault));
  save(folder, step, 1);
  return recorded.calls();
}

/// Saves step 2 beside step 1 while calls fail. An error must be typed, the newest checkpoint whole, and the next save
/// leave nothing but its checkpoint. Returns what failed, empty when the save went well.
std::string save_with(const files::RecordedCalls::Fault& fault) {
  const files::Folder folder;
  save_recorded(folder.path(), 1);
  std::string error;
  try {
    save_recorded(folder.path(), 2, fault);
  } catch (const IoError& caught) {
    error = caught.what();
  }
  const std::int64_t found = newest(folder.path());
  CHECK((found == 2 || (found == 1 && !error.empty())));
  save_recorded(folder.path(), 3);
  CHECK(newest(folder.path()) == 3);
  CHECK(folder.names() == std::vector<std::string>{"step-3"});
  return error;
}

/// The calls of a save beside an older checkpoint, which it removes.
std::vector<files::Call> calls_of_a_save(files::RecordedCalls::Fault fault = no_fault) {
  const files::Folder folder;
  save_recorded(folder.path(), 1);
  return save_recorded(folder.path(), 2, std::move(fault));
}

}  // namespace

TEST_CASE("whichever call of a save fails, no checkpoint is lost and nothing stays behind") {
  const auto calls = calls_of_a_save();
  REQUIRE(calls.size() > 25);
  std::size_t failures = 0;
  for (const int error : {ENOSPC, EIO}) {
    for (std::size_t k = 0; k < calls.size(); ++k) {
      INFO("call " << k << " fails: " << calls[k].name << ' ' << calls[k].path);
      const std::string what = save_with([&](std::size_t i, const files::Call&) { return i == k ? error : 0; });
      const bool harmless = k + 1 == calls.size();  // when all is done, giving the lock back says nothing any more
      CHECK(what.empty() == harmless);
      if (!harmless) CHECK_THAT(what, Contains(": cannot ") && Contains(std::strerror(error)));
      ++failures;
    }
  }
  CHECK(failures == 2 * calls.size());
}

TEST_CASE("a disk that stays full from any call on loses no checkpoint") {
  const auto calls = calls_of_a_save();
  for (std::size_t k = 0; k < calls.size(); ++k) {
    INFO("full from call " << k << " on");
    save_with([&](std::size_t i, const files::Call& call) {
      const bool needs_space =
          call.name == "write" || call.name == "make" || call.name == "flush" || call.name == "create";
      return i >= k && needs_space ? ENOSPC : 0;
    });
  }
}

TEST_CASE("a disk that is gone from any call on loses no checkpoint") {
  const auto calls = calls_of_a_save();
  for (std::size_t k = 0; k < calls.size(); ++k) {
    INFO("gone from call " << k << " on");
    save_with([&](std::size_t i, const files::Call&) { return i >= k ? EIO : 0; });
  }
}

TEST_CASE("short writes and signals do not disturb a save") {
  const auto calls = calls_of_a_save();
  for (std::size_t k = 0; k < calls.size(); ++k) {
    INFO("call " << k << ": " << calls[k].name << ' ' << calls[k].path);
    const auto at_k = [&](int fault) {
      return save_with([&](std::size_t i, const files::Call&) { return i == k ? fault : 0; });
    };
    CHECK(at_k(files::RecordedCalls::cut).empty());
    const bool may_be_interrupted = calls[k].name != "rename" && !calls[k].name.starts_with("remove") &&
                                    calls[k].name != "make";  // these never are (POSIX)
    if (may_be_interrupted) CHECK(at_k(EINTR).empty());
  }
  CHECK(save_with([](std::size_t, const files::Call& call) {
          return call.name == "write" ? files::RecordedCalls::cut : 0;
        }).empty());
}

TEST_CASE("a save flushes everything in the right order, and a forgotten flush is found") {
  const auto calls = calls_of_a_save();
  CHECK(files::undone_by_a_loss_of_power(calls) == "");
  std::size_t flushes = 0;
  for (const files::Call& call : calls) flushes += call.name == "flush";
  REQUIRE(flushes == 6);  // the folder's parent, three files, the checkpoint's folder, the folder
  for (std::size_t k = 1; k <= flushes; ++k) {
    std::size_t seen = 0;
    const auto broken = calls_of_a_save([&](std::size_t, const files::Call& call) {
      return call.name == "flush" && ++seen == k ? files::RecordedCalls::forgotten : 0;
    });
    INFO("flush " << k);
    CHECK(files::undone_by_a_loss_of_power(broken) != "");
  }
  // A name taken before the files are on the disk.
  auto early = calls;
  const auto flush = std::find_if(early.begin(), early.end(), [](const files::Call& call) {
    return call.name == "flush" && call.path.ends_with("model.safetensors");
  });
  const auto rename = std::find_if(flush, early.end(), [](const files::Call& call) { return call.name == "rename"; });
  std::rotate(flush, rename, rename + 1);
  CHECK_THAT(files::undone_by_a_loss_of_power(early), Contains("is not flushed before the checkpoint takes its name"));
}
