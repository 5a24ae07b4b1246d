// `nibble devices --verify`: the self-tests of every op and format on a device, in a child process, so that a driver
// that crashes ends only the child.
#ifndef NIB_TOOLS_VERIFY_H
#define NIB_TOOLS_VERIFY_H

#include "child.h"
#include "options.h"

#include <cstddef>
#include <cstdint>
#include <map>

namespace nib::tool {

struct KernelReport {
  uint32_t passed = 0;
  uint32_t failed = 0;
  std::string crash;  // how the child ended, "" = it did not
};

struct VerifyReport {
  std::map<std::string, KernelReport> kernels;
  std::vector<std::string> problems;  // one line each: what failed or crashed, on which path
  uint32_t cases = 0;                 // self-tests that ran or crashed
  uint32_t skipped = 0;               // combinations this build or device does not have
  bool passed() const { return problems.empty() && cases > 0; }
};

// Parses the lines of a child, and tracks where the next child continues if this one crashed. A child that does not
// keep to the protocol (a case again, or an end without a beginning) is stopped, so that none can go on for ever.
class VerifyReader {
 public:
  // least_cases: a child that finishes sooner has left some out. most_cases: one that goes on is stopped.
  explicit VerifyReader(size_t least_cases = 1, size_t most_cases = SIZE_MAX)
      : least_cases_(least_cases), most_cases_(most_cases) {}
  LineReply line(const std::string& text);
  // Records the end of a child. Returns true if another child must continue at nextCase().
  bool ended(const ChildEnd& end);
  size_t nextCase() const { return next_; }
  const VerifyReport& report() const { return report_; }

 private:
  LineReply refuse(const std::string& what);
  LineReply begin(const nlohmann::ordered_json& step);
  LineReply kernels(const nlohmann::ordered_json& step);
  LineReply end(const nlohmann::ordered_json& step);
  void complain(const std::string& what);

  VerifyReport report_;
  size_t least_cases_, most_cases_;
  size_t next_ = 0;
  uint32_t silent_ = 0;  // children that gave no answer
  bool refused_ = false;
  bool finished_ = false;
  bool ended_one_ = false;  // this child has ended a case
  bool lost_ = false;       // this child lost its device, and cannot go on
  bool running_ = false;    // a case has begun and not ended
  std::string name_;
  std::vector<std::string> kernels_;
};

// selector: selects one device. program: the tool's own executable.
VerifyReport verifyDevice(const std::vector<std::string>& program, const std::string& selector,
                          const std::string& profile);

// The child: runs the cases from `first` on and writes one JSON line per step.
int runVerifyChild(const DeviceArguments& arguments, size_t first);

}  // namespace nib::tool
#endif
