// Tuning files: reading gives the values that were written, and a malformed line is refused with its number.
#include <doctest/doctest.h>
#include <nibble/formats.h>
#include <nibble/kit.h>

#include <cstdio>
#include <cstring>
#include <fstream>

using namespace nib;

namespace {

const char* const kPath = "nibble_tuning_test.tuning";

std::string refusalOf(const std::string& text) {
  std::ofstream(kPath) << text;
  std::string message;
  try {
    kit::loadTuning(kPath);
  } catch (const kit::Error& error) {
    message = error.what();
  }
  std::remove(kPath);
  return message;
}

}  // namespace

TEST_CASE("a tuning file survives writing and reading") {
  const std::vector<NibTuning> tuning = {{NIB_TUNABLE_MATVEC, NIB_FORMAT_INT4, 1, {32, 4, 1, 2}},
                                         {NIB_TUNABLE_MATMUL, 0, 64, {2, 0, 0, 0}},
                                         {NIB_TUNABLE_INT8, NIB_FORMAT_INT8, 8, {1, 8, 4294967295u, 0}}};
  kit::saveTuning(tuning, "made up", kPath);
  const std::vector<NibTuning> read = kit::loadTuning(kPath);
  std::ifstream file(kPath);
  std::string first, second;
  std::getline(file, first);
  std::getline(file, second);
  std::remove(kPath);
  CHECK(first == "# made up");
  CHECK(second == "matvec int4 from 1 tokens: 32 4 1 2");
  REQUIRE(read.size() == tuning.size());
  CHECK(std::memcmp(read.data(), tuning.data(), tuning.size() * sizeof(NibTuning)) == 0);
}

TEST_CASE("a malformed line is refused with its number") {
  CHECK(refusalOf("# ok\nmatvec int4 from 1 tokens: 32 4 1\n").find("test.tuning:2: expected") != std::string::npos);
  CHECK(refusalOf("matvec int4 from 1 tokens: 32 4 1 2 3\n").find("test.tuning:1: expected") != std::string::npos);
  for (const std::string& line :
       {std::string("matvec int4 from -1 tokens: 32 4 1 2"), std::string("matvec int4 from 1 tokens: 32 4 1 -2"),
        std::string("matvec int4 from 1 tokens: 32 4 1 0x10"),
        std::string("matvec int4 from 1 tokens: 32 4 1 4294967296"),
        std::string("matvec int4 from 1 tokens: 32 4 1 2\0", 37),
        std::string("matvec\0 int4 from 1 tokens: 32 4 1 2", 37), std::string("matvec int4 from 1 tokens: 32 4 1 +2"),
        std::string("matvec int4 from 1 tokens: 32 4 1 2.0")}) {
    INFO(line);
    CHECK(refusalOf(line + "\n").find("test.tuning:1: expected") != std::string::npos);
  }
  CHECK(refusalOf("dance int4 from 1 tokens: 32 4 1 2\n").find("dance cannot be tuned") != std::string::npos);
  CHECK(refusalOf("matvec int5 from 1 tokens: 32 4 1 2\n").find("no format is called int5") != std::string::npos);
  CHECK(refusalOf("matvec int4 from 0 tokens: 32 4 1 2\n").find("test.tuning:1: a choice is from 1") !=
        std::string::npos);
  CHECK(refusalOf("").find("no such file") != std::string::npos);
}
