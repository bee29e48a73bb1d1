// SPDX-License-Identifier: MIT
// Checkpoints: found and loaded again, never of another run, never one that is damaged.
// What the disk can do to them is in checkpoint_fault_test.cpp.
#include <plinth/io/checkpoint.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "catch.hpp"
#include "io/checkpoints.hpp"
#include "io/files.hpp"

using namespace plinth;
using namespace checkpoints;
using Catch::Matchers::Contains;
using nlohmann::json;
using Names = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

Names names(const fs::path& folder) {
  Names result = detail::names_in(folder);
  std::sort(result.begin(), result.end());
  return result;
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
  for (const char* name : {"step-", "step-01", "step-1x", "step--1", "step-9223372036854775808", "Step-2", "notes.tmp"})
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
  CHECK(newest(folder.path()) == 1);
  save(folder.path(), 2);
  CHECK(folder.names() == Names{"step-1", "step-2"});
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
  CHECK_THROWS_WITH(save(folder / "no" / "folder", 1), Contains("folder: cannot make: No such file or directory"));
  CHECK_THROWS_WITH(save(folder / "step-1" / "manifest.json", 1), Contains("manifest.json: cannot "));
}
