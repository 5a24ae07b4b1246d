// Runs a child process and reads its output line by line: a driver that crashes takes down the child, not the tool.
#ifndef NIB_TOOLS_CHILD_H
#define NIB_TOOLS_CHILD_H

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace nib::tool {

struct ChildEnd {
  enum class Kind { kExited, kSignalled, kTimedOut, kStopped };
  Kind kind = Kind::kExited;
  int code = 0;  // exit code, signal, or seconds of silence
  // "exit 1", "crashed (signal 11)", "no answer in 120 s", "stopped"
  std::string text() const;
};

// How the reader of a child's lines takes one.
enum class LineReply {
  kNoise,  // something else wrote to stdout: it does not count as an answer
  kStep,   // the child's work goes on
  kStop    // the child is killed
};

// Runs `arguments` (the first is the program), calls `line` (which must not throw) for each line of its stdout, and
// kills it if there is no kStep for silence_seconds (no limit on Windows) or a line is longer than kMaxLineBytes.
// Processes that the child leaves behind, which may have inherited its stdout, are not waited for. stderr is inherited;
// the standard descriptors that this process lacks are /dev/null in the child. Blocks until the child has ended. Throws
// std::runtime_error if it cannot be started.
inline constexpr size_t kMaxLineBytes = size_t{1} << 20;
ChildEnd runChild(const std::vector<std::string>& arguments, int silence_seconds,
                  const std::function<LineReply(const std::string&)>& line);

// The command that starts this program again: its executable, or argv0 if the system does not provide the path. With
// $NIBBLE_LAUNCHER set: that launcher, followed by argv0.
std::vector<std::string> ownCommand(const std::string& argv0);

}  // namespace nib::tool
#endif
