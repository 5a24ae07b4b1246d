// Parts of the command line that need no device: arguments, tables, children that crash.
#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>

#if !defined(_WIN32)
#include <unistd.h>
#endif

#include "cells_json.h"
#include "child.h"
#include "options.h"
#include "verify.h"

#include "selftest/cells.h"

using namespace nib::tool;

namespace {

std::vector<std::string> normalize(std::vector<const char*> words) {
  words.insert(words.begin(), "nibble");
  return normalizeArguments(static_cast<int>(words.size()), words.data());
}

std::string printed(const Table& table) {
  std::FILE* file = std::tmpfile();
  table.print(file);
  std::rewind(file);
  char text[512] = {};
  const size_t size = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  return std::string(text, size);
}

}  // namespace

TEST_CASE("--json takes a value only after an equals sign") {
  using Words = std::vector<std::string>;
  CHECK(normalize({"devices", "--json"}) == Words{"devices", "--json=-"});
  CHECK(normalize({"x", "--json", "model"}) == Words{"x", "--json=-", "model"});
  CHECK(normalize({"x", "--json=a.json"}) == Words{"x", "--json=a.json"});
  CHECK(normalize({"x", "--", "--json"}) == Words{"x", "--", "--json"});
}

TEST_CASE("a JSON file is not replaced without --force, and the refusal comes before the work") {
  const std::string path = (std::filesystem::temp_directory_path() / "nibble_tool_test.json").string();
  std::filesystem::remove(path);
  JsonArguments arguments;
  arguments.target = path;
  const Output first(arguments);
  CHECK(first.text() == stdout);
  first.json({{"a", 1}});
  CHECK(std::filesystem::file_size(path) > 0);
  CHECK_THROWS_AS(Output{arguments}, UsageError);
  arguments.force = true;
  CHECK_NOTHROW(Output{arguments}.json({{"a", 2}}));
  std::filesystem::remove(path);
  arguments.target = "-";
  CHECK(Output(arguments).text() == stderr);
}

TEST_CASE("table columns are as wide as their widest cell") {
  Table table({"n", "name"}, {true});
  table.add({"10", "a"});
  table.add({"9", "long name"});
  CHECK(printed(table) == " n  name\n10  a\n 9  long name\n");
}

TEST_CASE("errors are one line") {
  CHECK(oneLine("a\nb\n") == "a b");
  CHECK(oneLine("") == "");
}

#if !defined(_WIN32)
TEST_CASE("a child's lines are read, and how it ended is reported") {
  std::vector<std::string> lines;
  const auto keep = [&](const std::string& line) {
    lines.push_back(line);
    return LineReply::kStep;
  };
  ChildEnd end = runChild({"sh", "-c", "echo one; echo two; exit 3"}, 60, keep);
  CHECK(lines == std::vector<std::string>{"one", "two"});
  CHECK(end.text() == "exit 3");
  end = runChild({"sh", "-c", "echo three; kill -SEGV $$"}, 60, keep);
  CHECK(lines.size() == 3);
  CHECK(end.text() == "crashed (signal 11)");
  end = runChild({"sleep", "60"}, 1, keep);
  CHECK(end.text() == "no answer in 1 s");
  CHECK_THROWS(runChild({"/no/such/program"}, 1, keep));
}

namespace {

double secondsOf(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

LineReply isNoise(const std::string&) { return LineReply::kNoise; }

}  // namespace

TEST_CASE("a process that a child leaves behind with its stdout is not waited for") {
  std::vector<std::string> lines;
  const double seconds = secondsOf([&] {
    const ChildEnd end =
        runChild({"sh", "-c", "(sleep 30; echo late) 2>/dev/null & echo one; exit 3"}, 60, [&](const auto& line) {
          lines.push_back(line);
          return LineReply::kStep;
        });
    CHECK(end.text() == "exit 3");
  });
  CHECK(lines == std::vector<std::string>{"one"});
  CHECK(seconds < 10);
  // Not even if it goes on writing.
  CHECK(secondsOf([&] {
          CHECK(runChild({"sh", "-c", "(timeout 20 yes) 2>/dev/null & sleep 0.2"}, 60, isNoise).text() == "exit 0");
        }) < 10);
}

TEST_CASE("a child that writes without end is stopped") {
  // No line ends, lines say nothing, or the reader refuses them.
  CHECK(runChild({"sh", "-c", "while :; do printf %01000d 0; done"}, 60, isNoise).text() == "stopped");
  CHECK(runChild({"yes"}, 1, isNoise).text() == "no answer in 1 s");
  CHECK(runChild({"yes"}, 60, [](const std::string&) { return LineReply::kStop; }).text() == "stopped");
  // With its stdout closed it is still waited for, and killed in time.
  CHECK(runChild({"sh", "-c", "exec >&-; sleep 0.3; exit 4"}, 60, isNoise).text() == "exit 4");
  CHECK(runChild({"sh", "-c", "exec >&-; exec sleep 60"}, 1, isNoise).text() == "no answer in 1 s");
}

TEST_CASE("a child has all standard descriptors even if this process has none") {
  std::vector<std::string> lines;
  std::string text = "no child";
  const int saved[] = {dup(0), dup(1), dup(2)};
  for (int standard = 0; standard < 3; ++standard) close(standard);
  try {
    text = runChild({"sh", "-c", "echo one && echo two >&2 && cat && echo three"}, 60, [&](const auto& line) {
             lines.push_back(line);
             return LineReply::kStep;
           }).text();
  } catch (const std::exception& error) {
    text = error.what();
  }
  for (int standard = 0; standard < 3; ++standard) {
    dup2(saved[standard], standard);
    close(saved[standard]);
  }
  CHECK(text == "exit 0");
  CHECK(lines == std::vector<std::string>{"one", "three"});
}

TEST_CASE("a child's own exit code 127 is not a failure to start it") {
  CHECK(runChild({"sh", "-c", "exit 127"}, 60, isNoise).text() == "exit 127");
  CHECK_THROWS_WITH(runChild({"/no/such/program"}, 1, isNoise),
                    "cannot start /no/such/program: No such file or directory");
}
#endif

TEST_CASE("a crash is attributed to the kernels that ran, and the next child continues after it") {
  VerifyReader reader;
  reader.line(R"({"begin":0,"name":"quantize int4"})");
  reader.line(R"({"kernels":["quantize_group_int4"]})");
  reader.line(R"({"end":0,"attempts":[{"kernels":["quantize_group_int4"],"passed":true}]})");
  reader.line(R"({"begin":1,"name":"minmax"})");
  reader.line(R"({"kernels":["reduce_subgroup","combine"]})");
  CHECK(reader.ended({ChildEnd::Kind::kSignalled, 11}));
  CHECK(reader.nextCase() == 2);
  reader.line(R"({"begin":2,"name":"minmax tensor"})");
  reader.line("driver chatter");
  reader.line(
      R"({"end":2,"attempts":[{"kernels":["reduce_subgroup"],"passed":false},{"kernels":["reduce"],"passed":true}]})");
  reader.line(R"({"begin":3,"name":"x"})");
  reader.line(R"({"skip":3})");
  reader.line(R"({"begin":4,"name":"y"})");
  reader.line(R"({"same":4})");
  reader.line(R"({"finished":true})");
  CHECK_FALSE(reader.ended({}));
  const VerifyReport& report = reader.report();
  CHECK(report.cases == 3);
  CHECK(report.skipped == 1);
  CHECK_FALSE(report.passed());
  CHECK(report.problems == std::vector<std::string>{"minmax: reduce_subgroup + combine crashed (signal 11)",
                                                    "minmax tensor: reduce_subgroup failed"});
  CHECK(report.kernels.at("quantize_group_int4").passed == 1);
  CHECK(report.kernels.at("combine").crash == "crashed (signal 11)");
  CHECK(report.kernels.at("reduce_subgroup").failed == 1);
  CHECK(report.kernels.at("reduce").passed == 1);
}

TEST_CASE("a child that cannot open its device is a problem, and no further child is started") {
  VerifyReader reader;
  CHECK_FALSE(reader.ended({ChildEnd::Kind::kExited, 1}));
  CHECK(reader.report().problems == std::vector<std::string>{"opening the device: exit 1"});
}

TEST_CASE("a child with more cases than there are is stopped, and an attempt without kernels is none") {
  VerifyReader two(1, 2);
  for (const char* line : {R"({"begin":0,"name":"a"})", R"({"skip":0})", R"({"begin":1,"name":"b"})", R"({"skip":1})"})
    CHECK(two.line(line) == LineReply::kStep);
  CHECK(two.line(R"({"begin":2,"name":"c"})") == LineReply::kStop);
  VerifyReader reader;
  CHECK(reader.line(R"({"begin":0,"name":"a"})") == LineReply::kStep);
  CHECK(reader.line(R"({"end":0,"attempts":[{"kernels":[],"passed":true}]})") == LineReply::kStop);
}

TEST_CASE("merged cells keep counts beyond 2^32") {
  nib::selftest::Cell cell;
  cell.op = "minmax";
  cell.ran = cell.failed = 1ull << 31;
  std::vector<nib::selftest::Cell> cells{cell};
  nib::selftest::mergeCells(cells, {cell});
  CHECK(cells[0].ran == 1ull << 32);
  CHECK(cells[0].failed == 1ull << 32);
  CHECK_THROWS(parseCells(
      R"({"cells":[{"op":"a","type":"b","path":"c","profile":"d","subgroup":"-","ran":1,"failed":2}]})", "a file"));
}

TEST_CASE("a self-test passes only if cases ran and the child kept to the protocol") {
  const auto problemsOf = [](const std::vector<const char*>& lines) {
    VerifyReader reader;
    LineReply reply = LineReply::kStep;
    for (const char* line : lines) {
      if (reply == LineReply::kStop) break;
      reply = reader.line(line);
    }
    const ChildEnd stopped{ChildEnd::Kind::kStopped, 0};
    CHECK_FALSE(reader.ended(reply == LineReply::kStop ? stopped : ChildEnd{}));
    CHECK_FALSE(reader.report().passed());
    return reader.report().problems;
  };
  const char* const kBegin = R"({"begin":0,"name":"a"})";
  const char* const kEnd = R"({"end":0,"attempts":[{"kernels":["k"],"passed":true}]})";
  const char* const kFinished = R"({"finished":true})";
  using Problems = std::vector<std::string>;
  CHECK(problemsOf({kFinished}) == Problems{"no self-test ran"});
  CHECK(problemsOf({kBegin, R"({"skip":0})", kFinished}) == Problems{"no self-test ran"});
  CHECK(problemsOf({}) == Problems{"opening the device: exit 0"});
  const auto broken = [&](const char* what, const std::vector<const char*>& lines) {
    CAPTURE(what);
    const Problems problems = problemsOf(lines);
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].find("the child broke off the protocol") == 0);
    CHECK(problems[0].find(what) != std::string::npos);
  };
  broken("did not begin case 1", {kBegin, kEnd, kBegin});
  broken("did not begin case 1", {kBegin, kBegin});
  broken("did not begin case 0", {R"({"begin":5,"name":"a"})"});
  broken("did not begin case 0", {R"({"begin":-1})"});
  broken("did not begin case 0", {R"({"begin":"0"})"});
  broken("the end of another case", {kEnd});
  broken("the end of another case", {kBegin, kEnd, kEnd});
  broken("the end of another case", {kBegin, R"({"skip":1})"});
  broken("kernels of no case", {R"({"kernels":["k"]})"});
  broken("kernels of no case", {kBegin, R"({"kernels":["k"]})", R"({"kernels":["k"]})"});
  broken("kernels of no case", {kBegin, R"({"kernels":[1]})"});
  broken("without attempts", {kBegin, R"({"end":0,"attempts":[]})"});
  broken("malformed attempt", {kBegin, R"({"end":0,"attempts":[1]})"});
  broken("malformed attempt", {kBegin, R"({"end":0,"attempts":[{"kernels":["k"],"passed":1}]})"});
  broken("the last line within a case", {kBegin, kFinished});
  broken("a device lost by no case", {R"({"lost":true})"});
  broken("a device lost by no case", {kBegin, R"({"lost":true})"});
  broken("a line after the last", {kBegin, kEnd, kFinished, R"({"begin":1})"});
  VerifyReader reader;
  for (const char* line : {"chatter", kBegin, R"({"chatter":1})", kEnd, kFinished}) reader.line(line);
  CHECK_FALSE(reader.ended({}));
  CHECK(reader.report().passed());
  VerifyReader wants_two(2);
  for (const char* line : {kBegin, kEnd, kFinished}) wants_two.line(line);
  CHECK_FALSE(wants_two.ended({}));
  CHECK(wants_two.report().problems == Problems{"only 1 of 2 self-tests came"});
}

TEST_CASE("a child that loses its device is followed by another, at the next case") {
  VerifyReader reader;
  reader.line(R"({"begin":0,"name":"a"})");
  reader.line(R"({"error":0,"text":"waiting for the device: VK_ERROR_DEVICE_LOST"})");
  reader.line(R"({"lost":true})");
  CHECK(reader.ended({ChildEnd::Kind::kExited, 1}));
  CHECK(reader.nextCase() == 1);
  // The next child has to end a case before it may lose the device again.
  CHECK(reader.line(R"({"lost":true})") == LineReply::kStop);
  CHECK(reader.report().problems[0] == "a: waiting for the device: VK_ERROR_DEVICE_LOST");
}

TEST_CASE("a device that hangs in every self-test is given up") {
  VerifyReader reader;
  uint32_t children = 0;
  bool go_on = true;
  while (go_on && children < 100) {
    reader.line("{\"begin\":" + std::to_string(reader.nextCase()) + "}");
    go_on = reader.ended({ChildEnd::Kind::kTimedOut, 180});
    ++children;
  }
  CHECK(children == 3);
  CHECK(reader.report().problems.back().find("left out") != std::string::npos);
}
