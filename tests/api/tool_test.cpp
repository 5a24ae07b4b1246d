// Parts of the command line that need no device: arguments, tables, children that crash.
#include <doctest/doctest.h>

#include <filesystem>

#include "child.h"
#include "options.h"
#include "verify.h"

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
  const auto keep = [&](const std::string& line) { lines.push_back(line); };
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
#endif

TEST_CASE("a crash is attributed to the kernels that ran, and the next child continues after it") {
  VerifyReader reader;
  reader.line(R"({"begin":0,"name":"quantize int4"})");
  reader.line(R"({"kernels":["quantize_group_int4"]})");
  reader.line(R"({"end":0,"attempts":[{"kernels":["quantize_group_int4"],"passed":true}]})");
  reader.line(R"({"begin":1,"name":"minmax"})");
  reader.line(R"({"kernels":["reduce_subgroup","combine"]})");
  CHECK(reader.ended("crashed (signal 11)", false));
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
  CHECK_FALSE(reader.ended("exit 0", true));
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
  CHECK_FALSE(reader.ended("exit 1", false));
  CHECK(reader.report().problems == std::vector<std::string>{"opening the device: exit 1"});
}
