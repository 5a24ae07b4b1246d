#include "child.h"

#include "base/system_error.h"

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

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#endif

namespace nib::tool {
namespace {

// Splits a stream into lines.
class Lines {
 public:
  explicit Lines(const std::function<LineReply(const std::string&)>& line) : line_(line) {}
  // The reply with the most weight of the lines that end here. Nothing is read after a kStop.
  LineReply add(const char* data, size_t size) {
    LineReply reply = LineReply::kNoise;
    for (size_t i = 0; i < size; ++i) {
      if (data[i] != '\n') {
        if (rest_.size() == kMaxLineBytes) return LineReply::kStop;
        rest_ += data[i];
        continue;
      }
      const LineReply one = line_(rest_);
      rest_.clear();
      if (one == LineReply::kStop) return one;
      if (one == LineReply::kStep) reply = one;
    }
    return reply;
  }

 private:
  const std::function<LineReply(const std::string&)>& line_;
  std::string rest_;
};

}  // namespace

std::string ChildEnd::text() const {
  switch (kind) {
    case Kind::kExited: return "exit " + std::to_string(code);
    case Kind::kSignalled: return "crashed (signal " + std::to_string(code) + ")";
    case Kind::kTimedOut: return "no answer in " + std::to_string(code) + " s";
    case Kind::kStopped: return "stopped";
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
ChildEnd runChild(const std::vector<std::string>& arguments, int,
                  const std::function<LineReply(const std::string&)>& line) {
  std::string command = "\"";
  for (const std::string& argument : arguments) command += "\"" + argument + "\" ";
  command += "\"";
  std::FILE* pipe = _popen(command.c_str(), "rb");
  if (!pipe) throw std::runtime_error("cannot start " + arguments.front());
  Lines lines(line);
  bool stopped = false;
  char block[512];
  // Closing the pipe ends a child that goes on writing.
  while (!stopped && std::fgets(block, sizeof block, pipe)) {
    stopped = lines.add(block, std::string(block).size()) == LineReply::kStop;
  }
  const int code = _pclose(pipe);
  if (stopped) return {ChildEnd::Kind::kStopped, 0};
  const bool crashed = static_cast<unsigned>(code) >= 0xC0000000u;
  return {crashed ? ChildEnd::Kind::kSignalled : ChildEnd::Kind::kExited, code};
}
#else
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPollTime{50};
constexpr size_t kMaxPipeBytes = size_t{1} << 20;  // the capacity of a pipe

[[noreturn]] void refuse(const std::string& what, int code) {
  throw std::runtime_error(what + ": " + std::strerror(code) + limitHint(code));
}

// A pipe whose ends are not standard descriptors, even if this process was started without those, and which the child's
// program does not inherit.
struct Pipe {
  int read_end = -1;
  int write_end = -1;

  Pipe() {
    int ends[2];
    if (pipe(ends) != 0) refuse("a pipe to a child", errno);
    read_end = fcntl(ends[0], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    write_end = fcntl(ends[1], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int code = errno;
    close(ends[0]);
    close(ends[1]);
    if (read_end >= 0 && write_end >= 0) return;
    closeEnd(read_end);
    closeEnd(write_end);
    refuse("a pipe to a child", code);
  }
  ~Pipe() {
    closeEnd(read_end);
    closeEnd(write_end);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  static void closeEnd(int& end) {
    if (end >= 0) close(end);
    end = -1;
  }
};

// In the child, which may only call async-signal-safe functions: starts the program, or writes errno to `failure`.
[[noreturn]] void become(char* const* argv, int output, int failure) {
  for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; ++standard) {
    // The lowest free descriptor: this one, as the lower ones are open by now.
    if (fcntl(standard, F_GETFD) < 0) (void)!open("/dev/null", O_RDWR);
  }
  if (dup2(output, STDOUT_FILENO) >= 0) execvp(argv[0], argv);
  const int code = errno;
  (void)!write(failure, &code, sizeof code);
  _exit(127);
}

// Kills the child unless it has been waited for.
class Process {
 public:
  explicit Process(pid_t id) : id_(id) {}
  ~Process() {
    if (!ended_) stop();
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Whether the child has ended; waits for that if `block`.
  bool ended(bool block) {
    while (!ended_) {
      const pid_t got = waitpid(id_, &status_, block ? 0 : WNOHANG);
      if (got == 0) return false;
      ended_ = got == id_ || errno != EINTR;
    }
    return true;
  }
  void stop() {
    kill(id_, SIGKILL);
    ended(true);
  }
  int status() const { return status_; }

 private:
  pid_t id_;
  int status_ = 0;
  bool ended_ = false;
};

// Reads the available bytes. Returns their number, 0 at the end of the stream.
size_t readInto(int descriptor, Lines& lines, LineReply& reply) {
  char block[4096];
  ssize_t got;
  while ((got = read(descriptor, block, sizeof block)) < 0 && errno == EINTR) {
  }
  const size_t size = got > 0 ? static_cast<size_t>(got) : 0;
  reply = lines.add(block, size);
  return size;
}

bool isReadable(int descriptor, std::chrono::milliseconds timeout) {
  pollfd wait{descriptor, POLLIN, 0};
  return poll(&wait, 1, static_cast<int>(timeout.count())) > 0;
}

}  // namespace

ChildEnd runChild(const std::vector<std::string>& arguments, int silence_seconds,
                  const std::function<LineReply(const std::string&)>& line) {
  Pipe output, failure;
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t id = fork();
  if (id < 0) refuse("cannot start a child", errno);
  if (id == 0) become(argv.data(), output.write_end, failure.write_end);
  Process child(id);
  Pipe::closeEnd(output.write_end);
  Pipe::closeEnd(failure.write_end);
  int code = 0;
  ssize_t got;
  while ((got = read(failure.read_end, &code, sizeof code)) < 0 && errno == EINTR) {
  }
  if (got == sizeof code) throw std::runtime_error("cannot start " + arguments.front() + ": " + std::strerror(code));

  Lines lines(line);
  const std::chrono::seconds silence(silence_seconds);
  Clock::time_point answered = Clock::now();
  // The stream may outlive the child, in a process that inherited it: after the child's end, only what it wrote is
  // read.
  size_t left = kMaxPipeBytes;
  for (bool ended = false; left > 0;) {
    ended = ended || child.ended(false);
    if (isReadable(output.read_end, ended ? std::chrono::milliseconds(0) : kPollTime)) {
      LineReply reply;
      const size_t size = readInto(output.read_end, lines, reply);
      if (reply == LineReply::kStop) {
        child.stop();
        return {ChildEnd::Kind::kStopped, 0};
      }
      if (reply == LineReply::kStep) answered = Clock::now();
      if (size == 0) break;
      if (ended) left -= std::min(left, size);
    } else if (ended) {
      break;
    }
    if (!ended && Clock::now() - answered >= silence) {
      child.stop();
      return {ChildEnd::Kind::kTimedOut, silence_seconds};
    }
  }
  // The child may have closed its stdout and go on.
  while (!child.ended(false)) {
    if (Clock::now() - answered >= silence) {
      child.stop();
      return {ChildEnd::Kind::kTimedOut, silence_seconds};
    }
    poll(nullptr, 0, static_cast<int>(kPollTime.count()));
  }
  if (WIFSIGNALED(child.status())) return {ChildEnd::Kind::kSignalled, WTERMSIG(child.status())};
  return {ChildEnd::Kind::kExited, WIFEXITED(child.status()) ? WEXITSTATUS(child.status()) : 1};
}
#endif

}  // namespace nib::tool
