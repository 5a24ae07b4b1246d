// Runs a child process and reads its output line by line: a driver that crashes takes down the child, not the tool.
#ifndef NIB_TOOLS_CHILD_H
#define NIB_TOOLS_CHILD_H

#include <functional>
#include <string>
#include <vector>

namespace nib::tool {

struct ChildEnd {
  enum class Kind { kExited, kSignalled, kTimedOut };
  Kind kind = Kind::kExited;
  int code = 0;  // exit code or signal
  // "exit 1", "crashed (signal 11)", "no answer in 120 s"
  std::string text() const;
};

// Runs `arguments` (the first is the program), calls `line` (which must not throw) for each line of its stdout, and
// kills it if it prints nothing for silence_seconds (no limit on Windows). stderr is inherited. Blocks until the child
// has ended. Throws std::runtime_error if it cannot be started.
ChildEnd runChild(const std::vector<std::string>& arguments, int silence_seconds,
                  const std::function<void(const std::string&)>& line);

// The command that starts this program again: its executable, or argv0 if the system does not provide the path. With
// $NIBBLE_LAUNCHER set: that launcher, followed by argv0.
std::vector<std::string> ownCommand(const std::string& argv0);

}  // namespace nib::tool
#endif
