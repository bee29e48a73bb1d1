// SPDX-License-Identifier: MIT
// Checkpoints: found and loaded again, never of another run, never torn, whatever the disk does.
#include <plinth/io/checkpoint.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "io/files.hpp"
#include "io/recorded_calls.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using nlohmann::json;
using Names = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

struct Net {
  using element = float;
  using device = Cpu;
  Tensor<float> weight, bias;

  explicit Net(float first = 0, const Shape& shape = {2, 3})
      : weight(shape, std::vector<float>(static_cast<std::size_t>(element_count(shape)), first)),
        bias({2}, {first, 1}) {}
  static void visit(auto& self, auto&& f) {
    f("weight", self.weight);
    f("bias", self.bias);
  }
};

/// An optimiser as far as checkpoints know one.
struct Momentum {
  Tensor<float> velocity;
  std::int64_t taken;

  explicit Momentum(float first = 0, std::int64_t steps = 0) : velocity({3}, {first, 2, 3}), taken(steps) {}
  std::int64_t steps() const { return taken; }
  void set_steps(std::int64_t steps) { taken = steps; }
  static void visit(auto& self, auto&& f) { f("weight.velocity", self.velocity); }
};

const json settings = {{"batch", 8}, {"learning_rate", 0.001}, {"text", "abc"}};

/// Saves what belongs to a step: all values are the step's number.
fs::path save(const fs::path& folder, std::int64_t step, std::size_t keep = 3) {
  const auto value = static_cast<float>(step);
  return save_checkpoint(folder, Net(value), Momentum(value, step + 1), {step, 7}, settings, keep);
}

/// The step of the newest whole checkpoint, all of which is what `save` saved; -1 where there is none.
std::int64_t newest(const fs::path& folder, std::size_t skipped = 0) {
  const auto found = latest_checkpoint(folder);
  CHECK(found.skipped.size() == skipped);
  if (!found.checkpoint) return -1;
  Net net;
  Momentum momentum;
  const TrainerState state = found.checkpoint->load(net, momentum, settings);
  const auto value = static_cast<float>(state.next_step);
  CHECK(state.seed == 7);
  CHECK(net.weight.to_vector() == std::vector<float>(6, value));
  CHECK(net.bias.to_vector() == std::vector<float>{value, 1});
  CHECK(momentum.velocity.to_vector() == std::vector<float>{value, 2, 3});
  CHECK(momentum.steps() == state.next_step + 1);
  return state.next_step;
}

Names names(const fs::path& folder) {
  Names result = detail::names_in(folder);
  std::sort(result.begin(), result.end());
  return result;
}

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
  CHECK(folder.names() == Names{"step-3"});
  return error;
}

/// The calls of a save beside an older checkpoint, which it removes.
std::vector<files::Call> calls_of_a_save(files::RecordedCalls::Fault fault = no_fault) {
  const files::Folder folder;
  save_recorded(folder.path(), 1);
  return save_recorded(folder.path(), 2, std::move(fault));
}

}  // namespace

TEST_CASE("the newest checkpoint is found and loaded") {
  const files::Folder folder;
  const fs::path runs = folder / "checkpoints";
  CHECK(newest(runs) == -1);
  CHECK(save(runs, 9) == runs / "step-9");
  CHECK(newest(runs) == 9);
  save(runs, 10);
  CHECK(newest(runs) == 10);
  CHECK(names(runs) == Names{"step-10", "step-9"});
  CHECK(names(runs / "step-10") == Names{"manifest.json", "model.safetensors", "optimizer.safetensors"});
  CHECK(Checkpoint(runs / "step-9").state().next_step == 9);
  CHECK(Checkpoint(runs / "step-9").settings() == settings);
}

TEST_CASE("the last checkpoints are kept") {
  const files::Folder folder;
  for (const std::int64_t step : {0, 5, 10, 15, 20}) save(folder.path(), step, 2);
  CHECK(folder.names() == Names{"step-15", "step-20"});
  save(folder.path(), 12, 1);  // a run that went on from an older one leaves the later ones alone
  CHECK(folder.names() == Names{"step-12", "step-15", "step-20"});
  CHECK_THROWS_WITH(save(folder.path(), 30, 0), "checkpoint: keep is 0, must be positive");
  CHECK_THROWS_WITH(save(folder.path(), -1), "checkpoint: next_step -1 is negative");
}

TEST_CASE("other files in the folder are no checkpoints and are left alone") {
  const files::Folder folder;
  for (const char* name : {"step-", "step-01", "step-1x", "step--1", "step-9223372036854775808", "Step-1", "notes.tmp"})
    files::write(folder / name, "text");
  CHECK(newest(folder.path()) == -1);
  save(folder.path(), 1, 1);
  CHECK(newest(folder.path()) == 1);
  CHECK(folder.names().size() == 8);
}

TEST_CASE("a whole checkpoint is not overwritten, a damaged one is replaced") {
  const files::Folder folder;
  save(folder.path(), 1);
  CHECK_THROWS_AS(save(folder.path(), 1), ArgumentError);
  CHECK_THROWS_WITH(save(folder.path(), 1), Contains("step-1: is a checkpoint already, not to be overwritten"));
  fs::resize_file(folder / "step-1" / "model.safetensors", 10);
  CHECK(newest(folder.path(), 1) == -1);
  save(folder.path(), 1);
  CHECK(newest(folder.path()) == 1);
  CHECK(folder.names() == Names{"step-1"});
}

TEST_CASE("damaged checkpoints are passed over and named") {
  const files::Folder folder;
  save(folder.path(), 1);
  save(folder.path(), 2);
  const auto damaged = [&](const char* name, const std::string& content, const std::string& what) {
    const fs::path file = folder / "step-2" / name;
    const std::string old = files::content(file);
    files::write(file, content);
    CHECK(newest(folder.path(), 1) == 1);
    CHECK_THAT(latest_checkpoint(folder.path()).skipped[0], Contains(file.string() + ": ") && Contains(what));
    CHECK_THROWS_AS(Checkpoint(folder / "step-2"), FormatError);
    files::write(file, old);
    CHECK(newest(folder.path()) == 2);
  };
  std::mt19937 random(1);
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "manifest.json"}) {
    std::string content = files::content(folder / "step-2" / name);
    const bool manifest = name == std::string("manifest.json");
    const std::string truncated = content.substr(0, content.size() - 2);
    damaged(name, truncated, manifest ? "not valid JSON" : "bytes, must have");
    damaged(name, "", manifest ? "not valid JSON" : "has 0 bytes, must have");
    damaged(name, content + 'x', manifest ? "not valid JSON" : "bytes, must have");
    damaged(name, std::string(content.size(), '\0'),
            manifest ? "zero byte" : "its content is not what its sha256 says");
    for (int i = 0; i < 20 && !manifest; ++i) {  // of the manifest its own tests turn every bit
      std::string flipped = content;
      auto& byte = flipped[random() % flipped.size()];
      byte = static_cast<char>(byte ^ (1 << random() % 8));
      damaged(name, flipped, "its content is not what its sha256 says");
    }
    fs::rename(folder / "step-2" / name, folder / "elsewhere");
    CHECK(newest(folder.path(), 1) == 1);
    CHECK_THROWS_AS(Checkpoint(folder / "step-2"), IoError);
    CHECK_THROWS_WITH(Checkpoint(folder / "step-2"), Contains(std::string(name) + ": cannot open: No such file"));
    fs::rename(folder / "elsewhere", folder / "step-2" / name);
  }
  fs::rename(folder / "step-2", folder / "step-5");
  CHECK_THAT(latest_checkpoint(folder.path()).skipped[0], Contains("step-5: its manifest says step 2"));
  files::write(folder / "file", "");
  CHECK_THROWS_AS(latest_checkpoint(folder / "file"), IoError);
}

TEST_CASE("a checkpoint of another run is refused, naming what differs, and nothing is changed") {
  const files::Folder folder;
  const Checkpoint checkpoint(save(folder.path(), 4));
  const auto refuses = [&]<class E>(E, Net net, Momentum momentum, const json& given, const std::string& what) {
    CHECK_THROWS_AS(checkpoint.load(net, momentum, given), E);
    CHECK_THROWS_WITH(checkpoint.load(net, momentum, given), Contains(what));
    CHECK(net.bias.to_vector() == std::vector<float>{9, 1});
    CHECK(momentum.velocity.to_vector()[0] == 9);
    CHECK(momentum.steps() == 5);
  };
  const ArgumentError argument("");
  const FormatError format("");
  json other = settings;
  other["learning_rate"] = 0.002;
  refuses(argument, Net(9), Momentum(9, 5), other, R"("learning_rate" is 0.001 in the checkpoint but 0.002 here)");
  other = settings;
  other["text"] = "abd";
  refuses(argument, Net(9), Momentum(9, 5), other, R"("text" is "abc" in the checkpoint but "abd" here)");
  other.erase("text");
  refuses(argument, Net(9), Momentum(9, 5), other, R"("text" is "abc" in the checkpoint but not set here)");
  other = settings;
  other["dropout"] = 0.1;
  refuses(argument, Net(9), Momentum(9, 5), other, R"("dropout" is not set in the checkpoint but 0.1 here)");
  refuses(argument, Net(9), Momentum(9, 5), {1}, "the settings are no JSON object");
  refuses(format, Net(9, {3, 2}), Momentum(9, 5), settings, "weight: the file has shape (2, 3), the model (3, 2)");
  Momentum longer(9, 5);
  longer.velocity = Tensor<float>({4}, {9, 2, 3, 4});
  refuses(format, Net(9), longer, settings, "weight.velocity: the file has shape (3), the model (4)");
}

TEST_CASE("what a dead process left is removed by the next save") {
  const files::Folder folder;
  save(folder.path(), 1);
  fs::copy(folder / "step-1", folder / "step-2.tmp");
  fs::remove(folder / "step-2.tmp" / "manifest.json");
  fs::create_directory(folder / "step-3.tmp");
  fs::create_directory(folder / "step-1.tmp");
  files::write(folder / "step-7.tmp", "");
  const files::Folder elsewhere;
  files::write(elsewhere / "victim", "untouched");
  fs::create_directory_symlink(elsewhere.path(), folder / "step-8.tmp");
  CHECK(newest(folder.path()) == 1);
  save(folder.path(), 2);
  CHECK(folder.names() == Names{"step-1", "step-2"});
  CHECK(files::content(elsewhere / "victim") == "untouched");
  // also where the same step is there in a damaged form and as a stray
  fs::copy(folder / "step-2", folder / "step-2.tmp");
  files::write(folder / "step-2" / "manifest.json", "");
  save(folder.path(), 2);
  CHECK(newest(folder.path()) == 2);
  CHECK(folder.names() == Names{"step-1", "step-2"});
}

TEST_CASE("one process at a time saves in a folder") {
  const files::Folder folder;
  {
    const detail::FolderLock lock(folder.path());
    CHECK_THROWS_AS(save(folder.path(), 1), IoError);
    CHECK_THROWS_WITH(save(folder.path(), 1), Contains("cannot lock, somebody else is saving there"));
  }
  save(folder.path(), 1);
  CHECK_THROWS_WITH(save(folder / "no" / "folder", 1), Contains("no/folder: cannot make: No such file or directory"));
  CHECK_THROWS_WITH(save(folder / "step-1" / "manifest.json", 1),
                    Contains("manifest.json: cannot open: Not a directory"));
}

TEST_CASE("whichever call of a save fails, no checkpoint is lost and nothing stays behind") {
  const auto calls = calls_of_a_save();
  REQUIRE(calls.size() > 30);
  std::size_t failures = 0;
  for (const int error : {ENOSPC, EIO}) {
    for (std::size_t k = 0; k < calls.size(); ++k) {
      INFO("call " << k << " fails: " << calls[k].name << ' ' << calls[k].path);
      const std::string what = save_with([&](std::size_t i, const files::Call&) { return i == k ? error : 0; });
      // A disk that knows no locks goes without; when all is done, closing the folder says nothing any more.
      const bool harmless = calls[k].name == "flock" || k + 1 == calls.size();
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
          call.name == "write" || call.name == "mkdir" || call.name == "fsync" || call.name == "open";
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
    const bool may_be_interrupted = calls[k].name != "rename" && calls[k].name != "unlink" &&
                                    calls[k].name != "mkdir" && calls[k].name != "rmdir";  // these never are (POSIX)
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
  for (const files::Call& call : calls) flushes += call.name == "fsync";
  REQUIRE(flushes == 6);  // the folder's parent, three files, the checkpoint's folder, the folder
  for (std::size_t k = 1; k <= flushes; ++k) {
    std::size_t seen = 0;
    const auto broken = calls_of_a_save([&](std::size_t, const files::Call& call) {
      return call.name == "fsync" && ++seen == k ? files::RecordedCalls::forgotten : 0;
    });
    INFO("flush " << k);
    CHECK(files::undone_by_a_loss_of_power(broken) != "");
  }
  // A name taken before the files are on the disk.
  auto early = calls;
  const auto flush = std::find_if(early.begin(), early.end(), [](const files::Call& call) {
    return call.name == "fsync" && call.path.ends_with("model.safetensors");
  });
  const auto rename = std::find_if(flush, early.end(), [](const files::Call& call) { return call.name == "rename"; });
  std::rotate(flush, rename, rename + 1);
  CHECK_THAT(files::undone_by_a_loss_of_power(early), Contains("is not flushed before the checkpoint takes its name"));
}
