// The parent process: starts children and sums up their results.
#include "verify.h"

#include "model/archive/json_document.h"
#include "selftest/run_case.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace nib::tool {
namespace {

using Json = nlohmann::ordered_json;

// A slow driver takes long to build pipelines. The driver resets a GPU that hangs within this time.
constexpr int kSilenceSeconds = 180;
// Each costs kSilenceSeconds: after so many the device counts as hanging.
constexpr uint32_t kMaxSilent = 3;

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " + ") + name;
  return text.empty() ? "planning" : text;
}

std::optional<size_t> numberOf(const Json& step, const char* key) {
  const auto found = step.find(key);
  if (found == step.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<size_t>();
}

std::string textOf(const Json& step, const char* key) {
  const auto found = step.find(key);
  return found != step.end() && found->is_string() ? oneLine(found->get<std::string>()) : std::string();
}

std::optional<std::vector<std::string>> namesOf(const Json& step, const char* key) {
  const auto found = step.find(key);
  if (found == step.end() || !found->is_array()) return std::nullopt;
  std::vector<std::string> names;
  for (const Json& name : *found) {
    if (!name.is_string()) return std::nullopt;
    names.push_back(name.get<std::string>());
  }
  return names;
}

}  // namespace

LineReply VerifyReader::refuse(const std::string& what) {
  refused_ = true;
  report_.problems.push_back("the child broke off the protocol after " + std::to_string(report_.cases) +
                             " self-tests: " + what);
  return LineReply::kStop;
}

void VerifyReader::complain(const std::string& what) { report_.problems.push_back(name_ + ": " + what); }

// Lines: {"begin":K,"name":S}  {"kernels":[S]}  then {"end":K,"attempts":[{"kernels":[S],"passed":B}]} or
// {"skip":K} or {"same":K} or {"error":K,"text":S}; the last line is {"finished":true}, or {"lost":true} if the next
// cases need another child. K counts up by one.
LineReply VerifyReader::line(const std::string& text) {
  Json step;
  try {
    step = model::readJsonText(text, "the child", "its line");
  } catch (const std::exception&) {
    return LineReply::kNoise;  // something else wrote to stdout
  }
  if (!step.is_object()) return LineReply::kNoise;
  if (finished_ || lost_) return refuse("a line after the last");
  if (step.contains("begin")) return begin(step);
  if (step.contains("kernels")) return kernels(step);
  if (step.contains("finished")) {
    if (running_) return refuse("the last line within a case");
    finished_ = true;
    return LineReply::kStep;
  }
  if (step.contains("lost")) {
    if (running_ || !ended_one_) return refuse("a device lost by no case");
    lost_ = true;
    return LineReply::kStep;
  }
  for (const char* key : {"end", "skip", "same", "error"}) {
    if (step.contains(key))
      return numberOf(step, key) == next_ - 1 && running_ ? end(step) : refuse("the end of another case");
  }
  return LineReply::kNoise;
}

LineReply VerifyReader::begin(const Json& step) {
  if (running_ || numberOf(step, "begin") != next_) return refuse("it did not begin case " + std::to_string(next_));
  if (next_ >= most_cases_)
    return refuse("more than the " + std::to_string(most_cases_) + " self-tests that there are");
  ++next_;
  name_ = textOf(step, "name");
  kernels_.clear();
  running_ = true;
  return LineReply::kStep;
}

LineReply VerifyReader::kernels(const Json& step) {
  const auto names = namesOf(step, "kernels");
  if (!running_ || !names || names->empty() || !kernels_.empty()) return refuse("kernels of no case");
  kernels_ = *names;
  return LineReply::kStep;
}

LineReply VerifyReader::end(const Json& step) {
  running_ = false;
  ended_one_ = true;
  if (step.contains("skip")) {
    ++report_.skipped;
    return LineReply::kStep;
  }
  if (step.contains("same")) return LineReply::kStep;
  if (step.contains("error")) {
    ++report_.cases;
    complain(textOf(step, "text"));
    return LineReply::kStep;
  }
  const auto attempts = step.find("attempts");
  if (attempts == step.end() || !attempts->is_array() || attempts->empty()) return refuse("a case without attempts");
  for (const Json& attempt : *attempts) {
    const auto names = attempt.is_object() ? namesOf(attempt, "kernels") : std::nullopt;
    if (!names || names->empty() || !attempt.contains("passed") || !attempt["passed"].is_boolean())
      return refuse("a malformed attempt");
    const bool passed = attempt["passed"].get<bool>();
    for (const std::string& kernel : *names) {
      KernelReport& row = report_.kernels[kernel];
      ++(passed ? row.passed : row.failed);
    }
    if (!passed) complain(joined(*names) + " failed");
  }
  ++report_.cases;
  return LineReply::kStep;
}

bool VerifyReader::ended(const ChildEnd& end) {
  const bool well = end.kind == ChildEnd::Kind::kExited && end.code == 0;
  if (finished_ && well) {
    if (report_.cases == 0) {
      report_.problems.push_back("no self-test ran");
    } else if (next_ < least_cases_) {
      report_.problems.push_back("only " + std::to_string(next_) + " of " + std::to_string(least_cases_) +
                                 " self-tests came");
    }
    return false;
  }
  if (refused_) return false;
  ended_one_ = false;
  if (std::exchange(lost_, false)) return true;
  const std::string how = end.kind == ChildEnd::Kind::kStopped ? "endless output" : end.text();
  if (!running_) {
    // No case was running: the device could not be opened, or the driver crashed while closing it.
    report_.problems.push_back((finished_ ? "after the last case: " : "opening the device: ") + how);
    return false;
  }
  running_ = false;
  ++report_.cases;
  for (const std::string& kernel : kernels_) report_.kernels[kernel].crash = how;
  complain(joined(kernels_) + " " + how);
  const bool silent = end.kind == ChildEnd::Kind::kTimedOut || end.kind == ChildEnd::Kind::kStopped;
  if (!silent || ++silent_ < kMaxSilent) return true;
  report_.problems.push_back("the self-tests after that were left out, because " + std::to_string(kMaxSilent) +
                             " gave no answer");
  return false;
}

VerifyReport verifyDevice(const std::vector<std::string>& program, const std::string& selector,
                          const std::string& profile) {
  const size_t cases = selftest::verifyCases().size();
  VerifyReader reader(cases, cases);
  for (;;) {
    std::vector<std::string> arguments = program;
    arguments.insert(arguments.end(),
                     {"devices", "--verify-child", std::to_string(reader.nextCase()), "--device", selector});
    if (!profile.empty()) arguments.insert(arguments.end(), {"--profile", profile});
    const ChildEnd end =
        runChild(arguments, kSilenceSeconds, [&](const std::string& text) { return reader.line(text); });
    if (!reader.ended(end)) return reader.report();
  }
}

}  // namespace nib::tool
