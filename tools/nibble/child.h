// A child process whose lines are read as they come: what a crashing driver may take down instead of the tool.
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

// Runs `arguments` (the first is the program), calls `line` (which must not throw) for each line of its stdout, and ends
// it if none comes for silence_seconds. stderr stays shared. Throws std::runtime_error if it cannot be started.
ChildEnd runChild(const std::vector<std::string>& arguments, int silence_seconds,
                  const std::function<void(const std::string&)>& line);

// The command that starts the running program again: its file, or argv[0] if the system does not tell; behind
// $NIBBLE_LAUNCHER, where a launcher that says so started it.
std::vector<std::string> ownCommand(const std::string& argv0);

}  // namespace nib::tool
#endif
