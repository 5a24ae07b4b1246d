// The parent process: starts children and sums up their results.
#include "verify.h"

#include "child.h"

namespace nib::tool {
namespace {

using Json = nlohmann::ordered_json;

// A slow driver takes long to build pipelines. The driver resets a GPU that hangs within this time.
constexpr int kSilenceSeconds = 180;

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " + ") + name;
  return text.empty() ? "planning" : text;
}

}  // namespace

// Lines: {"begin":K,"name":S}  {"kernels":[S]}  then {"end":K,"attempts":[{"kernels":[S],"passed":B}]} or
// {"skip":K} or {"same":K} or {"error":K,"text":S}; the last line is {"finished":true}.
void VerifyReader::line(const std::string& text) {
  const Json step = Json::parse(text, nullptr, false);
  if (!step.is_object()) return;  // something else wrote to stdout
  if (step.contains("begin")) {
    next_ = step["begin"].get<size_t>() + 1;
    name_ = step.value("name", std::string());
    kernels_.clear();
    running_ = true;
    return;
  }
  if (step.contains("finished")) {
    finished_ = true;
    return;
  }
  if (step.contains("kernels")) {
    kernels_ = step["kernels"].get<std::vector<std::string>>();
    return;
  }
  running_ = false;
  if (step.contains("skip")) {
    ++report_.skipped;
    return;
  }
  if (step.contains("same")) return;
  ++report_.cases;
  if (step.contains("error")) {
    report_.problems.push_back(name_ + ": " + step.value("text", std::string()));
  } else if (step.contains("attempts")) {
    for (const Json& attempt : step["attempts"]) {
      const auto kernels = attempt.value("kernels", std::vector<std::string>());
      const bool passed = attempt.value("passed", false);
      for (const std::string& kernel : kernels) {
        KernelReport& row = report_.kernels[kernel];
        ++(passed ? row.passed : row.failed);
      }
      if (!passed) report_.problems.push_back(name_ + ": " + joined(kernels) + " failed");
    }
  }
}

bool VerifyReader::ended(const std::string& how, bool well) {
  if (finished_ && well) return false;
  if (!running_) {
    // No case was running: the device could not be opened, or the driver crashed while closing it.
    report_.problems.push_back((finished_ ? "after the last case: " : "opening the device: ") + how);
    return false;
  }
  running_ = false;
  ++report_.cases;
  for (const std::string& kernel : kernels_) report_.kernels[kernel].crash = how;
  report_.problems.push_back(name_ + ": " + joined(kernels_) + " " + how);
  return true;
}

VerifyReport verifyDevice(const std::vector<std::string>& program, const std::string& selector,
                          const std::string& profile) {
  VerifyReader reader;
  for (;;) {
    std::vector<std::string> arguments = program;
    arguments.insert(arguments.end(),
                     {"devices", "--verify-child", std::to_string(reader.nextCase()), "--device", selector});
    if (!profile.empty()) arguments.insert(arguments.end(), {"--profile", profile});
    const ChildEnd end = runChild(arguments, kSilenceSeconds, [&](const std::string& text) { reader.line(text); });
    const bool well = end.kind == ChildEnd::Kind::kExited && end.code == 0;
    if (!reader.ended(end.text(), well)) return reader.report();
  }
}

}  // namespace nib::tool
