// SPDX-License-Identifier: MIT
// Files where a system of POSIX can be made to show it: pipes, links, processes that die, limits, a disk that is full.
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <plinth/io/file.hpp>
#include <plinth/io/safetensors_file.hpp>

#include "catch.hpp"
#include "io/checkpoints.hpp"
#include "io/files.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using detail::FileReplacement;
using detail::InputFile;
using files::bytes;
using files::refuses;
using files::replace;
using Names = std::vector<std::string>;

namespace {

/// While it lives, a limit of this process is lower.
class Limit {
 public:
  Limit(int resource, ::rlim_t value) : resource_(resource), lower_(value) {
    REQUIRE(::getrlimit(resource_, &old_) == 0);
    const ::rlimit lower{value, old_.rlim_max};
    REQUIRE(::setrlimit(resource_, &lower) == 0);
  }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;
  ~Limit() { ::setrlimit(resource_, &old_); }

  /// Whether it is in force; an emulator may know no limit of memory.
  bool holds() const {
    ::rlimit now;
    return ::getrlimit(resource_, &now) == 0 && now.rlim_cur == lower_;
  }

 private:
  int resource_;
  ::rlim_t lower_;
  ::rlimit old_;
};

/// While it lives, no file can grow beyond `bytes`, as on a full disk.
class FullDisk {
 public:
  explicit FullDisk(::rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)), limit_(RLIMIT_FSIZE, bytes) {}
  ~FullDisk() { std::signal(SIGXFSZ, handler_); }

 private:
  void (*handler_)(int);
  Limit limit_;
};

/// The most memory this process ever had, in bytes.
std::int64_t peak_memory() {
  ::rusage usage;
  REQUIRE(::getrusage(RUSAGE_SELF, &usage) == 0);
  return usage.ru_maxrss * 1024;
}

}  // namespace

TEST_CASE("what is no regular file is refused at once") {
  const files::Folder folder;
  refuses([] { InputFile("/dev/null"); }, "/dev/null: is not a regular file");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  refuses([&] { InputFile(folder / "pipe"); }, "is not a regular file");  // without waiting for a writer
  refuses([&] { FileReplacement(folder / "pipe"); }, "pipe: is not a regular file");
  CHECK(std::filesystem::is_fifo(folder / "pipe"));
  CHECK(folder.names() == Names{"pipe"});
}

TEST_CASE("a file that the system refuses is named with the reason") {
  const files::Folder folder;
  files::write(folder / "closed", "secret");
  std::filesystem::permissions(folder / "closed", std::filesystem::perms::none);
  if (::geteuid() != 0) refuses([&] { InputFile(folder / "closed"); }, "cannot open: Permission denied");  // root may
  if (std::filesystem::exists("/proc/self/mem")) {  // opens, but its first page cannot be read
    const InputFile memory("/proc/self/mem");
    std::byte page[8];
    refuses([&] { memory.read(0, page); }, "/proc/self/mem: cannot read: Input/output error");
  }
  refuses([&] { FileReplacement(folder / std::string(252, 'x')); }, "cannot create: File name too long");
}

TEST_CASE("files are closed after use and after errors") {
  const files::Folder folder;
  files::write(folder / "a", "text");
  const Limit limit(RLIMIT_NOFILE, 64);
  for (int i = 0; i < 100; ++i) {
    CHECK(InputFile(folder / "a").size() == 4);
    CHECK_THROWS_WITH(InputFile(folder.path()), Contains("regular"));
    replace(folder / "b", "text");
    FileReplacement abandoned(folder / "c");
  }
}

TEST_CASE("what a killed process left is overwritten") {
  const files::Folder folder;
  files::write(folder / "a", "old");
  const ::pid_t child = ::fork();
  if (child == 0) {
    FileReplacement output(folder / "a");
    output.write(bytes("half of something long"));
    ::_exit(0);  // without destructors
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  CHECK(files::content(folder / "a") == "old");
  CHECK(folder.names() == Names{"a", "a.tmp"});
  replace(folder / "a", "new");
  CHECK(files::content(folder / "a") == "new");
  CHECK(folder.names() == Names{"a"});
}

TEST_CASE("symbolic links are not followed when writing") {
  const files::Folder folder;
  files::write(folder / "victim", "untouched");
  std::filesystem::create_symlink(folder / "victim", folder / "a.tmp");
  refuses([&] { FileReplacement(folder / "a"); }, "a.tmp: cannot create");
  std::filesystem::create_symlink(folder / "victim", folder / "link");
  replace(folder / "link", "new");
  CHECK(files::content(folder / "link") == "new");
  CHECK(files::content(folder / "victim") == "untouched");
}

TEST_CASE("a link to a folder is removed, not what the folder holds") {
  const files::Folder folder, elsewhere;
  files::write(elsewhere / "victim", "untouched");
  std::filesystem::create_directory_symlink(elsewhere.path(), folder / "step-8.tmp");  // as if a dead process left it
  checkpoints::save(folder.path(), 2);
  CHECK(folder.names() == Names{"step-2"});
  CHECK(files::content(elsewhere / "victim") == "untouched");
}

TEST_CASE("a full disk keeps the old file") {
  const files::Folder folder;
  files::write(folder / "a", "old");
  const std::string large(100000, 'x');
  {
    const FullDisk disk(70000);
    refuses([&] { replace(folder / "a", large); }, "a.tmp: cannot write: File too large");
  }
  CHECK(files::content(folder / "a") == "old");
  CHECK(folder.names() == Names{"a"});
  replace(folder / "a", large);
  CHECK(files::content(folder / "a") == large);
}

TEST_CASE("a tensor that memory does not suffice for is an error") {
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  if (pages == 0 || pages > 1 << 26) return;  // no Linux, or a sanitizer that needs the address space limited here
  const files::Folder folder;
  const std::string header = R"({"a":{"dtype":"U8","shape":[17179869184],"data_offsets":[0,17179869184]}})";
  files::write(folder / "file", std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header);
  std::filesystem::resize_file(folder / "file", 8 + header.size() + 17179869184);  // a hole, not on the disk
  const SafetensorsFile file(folder / "file");
  const Limit limit(RLIMIT_AS, 17179869184);
  if (!limit.holds()) return;
  CHECK_THROWS_AS(file.read<std::uint8_t>("a"), MemoryError);
  CHECK_THROWS_WITH(file.read<double>("a"), Contains("file: no memory for tensor \"a\""));
}

TEST_CASE("deep nesting in a header takes no memory") {
  const std::string bomb = R"({"a":{"more":)" + std::string(20'000'000, '[');
  const auto memory = peak_memory();
  CHECK_THROWS_WITH(detail::parse_safetensors_header(bomb, 0), Contains("nested deeper than 64"));
  CHECK(peak_memory() - memory < 5'000'000);
}
