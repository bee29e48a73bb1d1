// SPDX-License-Identifier: MIT
// kill -9 at random moments of a training run that saves after every step: the newest checkpoint always loads, none is
// torn, nothing stays behind, and in the end the run is, bit for bit, one that was never killed.
//
// Usage: kill_test KILLS PROGRAM...; it starts itself as "PROGRAM... train FOLDER UNTIL_STEP SAVE_EVERY".
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <plinth/io/checkpoint.hpp>
#include <plinth/models/decoder.hpp>
#include <plinth/train/read_text.hpp>

namespace {

namespace fs = std::filesystem;
using Model = plinth::Decoder<float>;

struct Run {
  plinth::TrainerOptions options = {.steps = 1'000'000, .batch = 1, .accumulation = 2, .learning_rate = 1e-2};
  Model model{{.vocabulary = 20, .context = 8, .hidden = 16, .layers = 1, .heads = 2, .dropout = 0.1}};
  plinth::Trainer<Model> trainer{model, options};

  void load(const plinth::Checkpoint& checkpoint) {
    trainer.restore(checkpoint.load(model, trainer.optimizer(), plinth::settings_of(options)));
  }
};

void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

/// Goes on from the newest checkpoint until a step, saving now and then.
void train(const fs::path& folder, std::int64_t until, std::int64_t save_every) {
  Run run;
  if (const auto found = plinth::latest_checkpoint(folder); found.checkpoint) run.load(*found.checkpoint);
  std::vector<std::int32_t> tokens;
  for (std::int32_t i = 0; i < 500; ++i) tokens.push_back(i * i % 19);
  run.trainer.fit(plinth::TokenWindows(tokens), [&](const plinth::TrainingStep& report) {
    if ((report.step + 1) % save_every == 0)
      plinth::save_checkpoint(folder, run.model, run.trainer.optimizer(), run.trainer.state(),
                              plinth::settings_of(run.options), 2);
    return report.step + 1 < until;
  });
}

using Program = std::vector<std::string>;

/// This program, as another process that trains.
::pid_t started(Program program, const fs::path& folder, std::int64_t until, std::int64_t save_every) {
  program.insert(program.end(), {"train", folder.string(), std::to_string(until), std::to_string(save_every)});
  std::vector<char*> arguments;
  for (std::string& argument : program) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const ::pid_t child = ::fork();
  require(child >= 0, "no process can be started");
  if (child > 0) return child;
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

int status_of(::pid_t child) {
  int status = 0;
  require(::waitpid(child, &status, 0) == child, "a process is lost");
  return status;
}

/// The step of the newest checkpoint, which loads; 0 where there is none yet. None may be torn.
std::int64_t newest_step(const fs::path& folder) {
  const auto found = plinth::latest_checkpoint(folder);
  for (const std::string& why : found.skipped) throw std::runtime_error("torn: " + why);
  if (!found.checkpoint) return 0;
  Run run;
  run.load(*found.checkpoint);
  return found.checkpoint->state().next_step;
}

std::size_t unfinished_in(const fs::path& folder) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    require(name.starts_with("step-"), "a stray file: " + name);
    if (name.ends_with(".tmp"))
      ++count;
    else
      plinth::Checkpoint whole(entry.path());
  }
  return count;
}

void kill_often(const Program& program, const fs::path& folder, int kills) {
  const fs::path killed = folder / "killed", whole = folder / "whole";
  std::mt19937 random(static_cast<unsigned>(::getpid()));
  constexpr unsigned shortest = 100'000, longest = 10'000'000;
  unsigned patience = shortest;  // microseconds; more, until a slow machine or sanitizer comes to a save
  std::int64_t last = 0;
  int during_a_save = 0;
  for (int i = 0; i < kills; ++i) {
    const ::pid_t child = started(program, killed, 1'000'000, 1);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % patience));
    ::kill(child, SIGKILL);
    const int status = status_of(child);
    require(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the run ended by itself");
    const std::int64_t step = newest_step(killed);
    require(step >= last, "step " + std::to_string(last) + " is lost, the newest is " + std::to_string(step));
    patience = step > last ? shortest : std::min(2 * patience, longest);
    const std::size_t unfinished = fs::exists(killed) ? unfinished_in(killed) : 0;
    require(unfinished <= 1, "more than one unfinished checkpoint");
    during_a_save += unfinished > 0;
    last = step;
  }
  const std::int64_t end = last + 3;
  require(status_of(started(program, killed, end, 1)) == 0, "the run does not go on");
  require(unfinished_in(killed) == 0, "unfinished checkpoints are left after a save");
  require(status_of(started(program, whole, end, end)) == 0, "the run that is not killed fails");
  const std::string name = "step-" + std::to_string(end);
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "manifest.json"})
    require(plinth::read_text((killed / name / file).string()) == plinth::read_text((whole / name / file).string()),
            std::string(file) + " is not what a run that was never killed saves");
  std::printf("%d kills, %d of them during a save; %lld steps, all bits equal\n", kills, during_a_save,
              static_cast<long long>(end));
  require(last > 0 && during_a_save > 0, "no kill hit a save");
}

}  // namespace

int main(int count, char** arguments) {
  std::string folder = (fs::temp_directory_path() / "plinth_kill_XXXXXX").string();
  try {
    if (count == 5 && arguments[1] == std::string("train"))
      return train(arguments[2], std::atoll(arguments[3]), std::atoll(arguments[4])), 0;
    require(count > 2, "usage: kill_test KILLS PROGRAM...");
    require(::mkdtemp(folder.data()) != nullptr, "no temporary folder can be made");
    kill_often(Program(arguments + 2, arguments + count), folder, std::atoi(arguments[1]));
    fs::remove_all(folder);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kill_test: %s (see %s)\n", error.what(), folder.c_str());
    return 1;
  }
}
