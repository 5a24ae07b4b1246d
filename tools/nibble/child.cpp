#include "child.h"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#if defined(_WIN32)
#include <cstdio>
#else
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstring>
#endif

namespace nib::tool {
namespace {

// Cuts a stream into lines.
class Lines {
 public:
  explicit Lines(const std::function<void(const std::string&)>& line) : line_(line) {}
  void add(const char* data, size_t size) {
    for (size_t i = 0; i < size; ++i) {
      if (data[i] != '\n') {
        rest_ += data[i];
        continue;
      }
      line_(rest_);
      rest_.clear();
    }
  }

 private:
  const std::function<void(const std::string&)>& line_;
  std::string rest_;
};

}  // namespace

std::string ChildEnd::text() const {
  switch (kind) {
    case Kind::kExited: return "exit " + std::to_string(code);
    case Kind::kSignalled: return "crashed (signal " + std::to_string(code) + ")";
    case Kind::kTimedOut: return "no answer in " + std::to_string(code) + " s";
  }
  return {};
}

std::vector<std::string> ownCommand(const std::string& argv0) {
  // Under a launcher, /proc/self/exe is the system's program loader.
  if (const char* launcher = std::getenv("NIBBLE_LAUNCHER")) return {launcher, argv0};
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  return {error ? argv0 : path.string()};
}

#if defined(_WIN32)
// _popen allows no time limit. A crash shows as an exit code such as 0xC0000005.
ChildEnd runChild(const std::vector<std::string>& arguments, int, const std::function<void(const std::string&)>& line) {
  std::string command = "\"";
  for (const std::string& argument : arguments) command += "\"" + argument + "\" ";
  command += "\"";
  std::FILE* pipe = _popen(command.c_str(), "rb");
  if (!pipe) throw std::runtime_error("cannot start " + arguments.front());
  Lines lines(line);
  char block[512];
  while (std::fgets(block, sizeof block, pipe)) lines.add(block, std::string(block).size());
  const int code = _pclose(pipe);
  const bool crashed = static_cast<unsigned>(code) >= 0xC0000000u;
  return {crashed ? ChildEnd::Kind::kSignalled : ChildEnd::Kind::kExited, code};
}
#else
ChildEnd runChild(const std::vector<std::string>& arguments, int silence_seconds,
                  const std::function<void(const std::string&)>& line) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child < 0) {
    close(ends[0]);
    close(ends[1]);
    throw std::runtime_error(std::string("fork: ") + std::strerror(errno));
  }
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  close(ends[1]);
  Lines lines(line);
  bool timed_out = false;
  for (;;) {
    pollfd wait{ends[0], POLLIN, 0};
    const int ready = poll(&wait, 1, silence_seconds * 1000);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      timed_out = true;
      kill(child, SIGKILL);
      break;
    }
    char block[4096];
    const ssize_t got = read(ends[0], block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    lines.add(block, static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (timed_out) return {ChildEnd::Kind::kTimedOut, silence_seconds};
  if (WIFSIGNALED(status)) return {ChildEnd::Kind::kSignalled, WTERMSIG(status)};
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  if (code == 127) throw std::runtime_error("cannot start " + arguments.front());
  return {ChildEnd::Kind::kExited, code};
}
#endif

}  // namespace nib::tool
