// The rules of timing, on made-up subjects.
#include <doctest/doctest.h>

#include "bench/bench.h"
#include "bench/cache.h"
#include "bench/fake_subject.h"
#include "bench/parse.h"

using namespace nib;
using namespace nib::bench;

TEST_CASE("percentiles are linear between neighbours") {
  const std::vector<double> five = {1, 2, 3, 4, 5};
  CHECK(percentile(five, 0.5) == doctest::Approx(3));
  CHECK(percentile(five, 0.05) == doctest::Approx(1.2));
  CHECK(percentile(five, 0.95) == doctest::Approx(4.8));
  CHECK(percentile(five, 0.99) == doctest::Approx(4.96));
  CHECK(percentile(five, 0) == 1);
  CHECK(percentile(five, 1) == 5);
  const std::vector<double> two = {10, 20};
  CHECK(percentile(two, 0.5) == doctest::Approx(15));
}

TEST_CASE("a spread sorts, and of one value is that value") {
  const Spread spread = spreadOf({30, 10, 20});
  CHECK(spread.median == 20);
  CHECK(spread.p5 == doctest::Approx(11));
  CHECK(spread.p95 == doctest::Approx(29));
  CHECK(spreadOf({7}).p99 == 7);
  CHECK(spreadOf({}).median == 0);
}

TEST_CASE("budgets are times with a unit") {
  CHECK(parseSeconds("60s") == 60.0);
  CHECK(parseSeconds("2m") == 120.0);
  CHECK(parseSeconds("1.5h") == 5400.0);
  CHECK(parseSeconds("500ms") == 0.5);
  CHECK(parseSeconds("90") == 90.0);
  for (const char* wrong : {"", "s", "0s", "-1s", "1e3", "2 m", "5x", "inf", "1.2.3s", "."}) {
    CHECK_MESSAGE(!parseSeconds(wrong), wrong);
  }
}

TEST_CASE("shapes are MxNxK or MxK") {
  const auto shape = parseShape("4096x8x1024");
  REQUIRE(shape);
  CHECK(shape->m == 4096);
  CHECK(shape->n == 8);
  CHECK(shape->k == 1024);
  REQUIRE(parseShape("3X5"));
  CHECK(parseShape("3X5")->n == 1);
  CHECK(parseShape("3X5")->k == 5);
  for (const char* wrong : {"", "4096", "0x1", "1x2x3x4", "1x", "x1", "1x2x", "-1x2", "1 x2", "65536x1x65536", "99999999999x1"}) {
    CHECK_MESSAGE(!parseShape(wrong), wrong);
  }
}

TEST_CASE("what is not right gets no time") {
  test::FakeSubject subject;
  subject.first_answer = "word 3 differs";
  const Measurement measured = measure(subject, test::shortly());
  CHECK(!measured.verified);
  CHECK(measured.problem == "word 3 differs");
  CHECK(subject.verified == 1);
  CHECK(subject.runs == 0);
  CHECK(measured.us.median == 0);
}

TEST_CASE("what is wrong after timing loses its time") {
  test::FakeSubject subject;
  subject.second_answer = "after timing: word 3 differs";
  const Measurement measured = measure(subject, test::shortly());
  CHECK(!measured.verified);
  CHECK(measured.problem == "after timing: word 3 differs");
  CHECK(subject.runs > 0);
  CHECK(measured.us.median == 0);
}

TEST_CASE("the device's clock counts where it fits the host's") {
  test::FakeSubject subject;
  const Measurement measured = measure(subject, test::shortly());
  CHECK(measured.verified);
  CHECK(measured.device_clock);
  CHECK(measured.us.median == doctest::Approx(20000));
  CHECK(measured.repetitions >= 3);
  CHECK(measured.submit_to_wait_us == doctest::Approx(21000));
}

TEST_CASE("a clock that contradicts the host's is not believed") {
  test::FakeSubject subject;
  SUBCASE("it runs too fast") { subject.device_seconds = 0.050; }
  SUBCASE("it hardly advances") { subject.device_seconds = 1e-6; }
  const Measurement measured = measure(subject, test::shortly());
  CHECK(measured.verified);
  CHECK(!measured.device_clock);
  CHECK(!measured.clock_note.empty());
  CHECK(measured.us.median == doctest::Approx(21000));
}

TEST_CASE("without a device clock the host's is used") {
  test::FakeSubject subject;
  subject.device_seconds = 0;
  const Measurement measured = measure(subject, test::shortly());
  CHECK(!measured.device_clock);
  CHECK(measured.clock_note.empty());
  CHECK(measured.us.median == doctest::Approx(21000));
}

namespace {

// A row as if it had been measured: 8 MB in 1 ms is 8 GB/s.
RowReport madeUpRow(double ceiling) {
  RowReport row;
  row.row = suiteRows({.suite = "quick", .type = "", .shape = Shape{64, 1, 64}}).front();
  row.names = namesOf(row.row);
  row.bytes = 8000000;
  row.measured.verified = true;
  row.measured.us = {1000, 990, 1010, 1020};
  row.measured.repetitions = 10;
  row.ceiling = {"copy", ceiling};
  judge(row);
  return row;
}

}  // namespace

TEST_CASE("a result above its ceiling is a failure") {
  const RowReport row = madeUpRow(7.0);
  CHECK(row.gbps == doctest::Approx(8.0));
  REQUIRE(row.fraction);
  CHECK(*row.fraction == doctest::Approx(8.0 / 7.0));
  CHECK(row.problem.find("above the measured ceiling") != std::string::npos);
}

TEST_CASE("a result within the noise of its ceiling is none") {
  CHECK(madeUpRow(7.7).problem.empty());
  CHECK(madeUpRow(100).problem.empty());
}

TEST_CASE("a row that failed has no numbers in the report") {
  RowReport row = madeUpRow(100);
  row.measured = {};
  row.measured.problem = "word 3 differs";
  judge(row);
  const Json json = rowJson(row, "device");
  CHECK(json["verified"] == false);
  CHECK(json["problem"] == "word 3 differs");
  for (const char* key : {"median_us", "p5_us", "p95_us", "p99_us", "gbps", "elements_per_s", "submit_to_wait_us", "clock"}) {
    CHECK_MESSAGE(json[key].is_null(), key);
  }
  CHECK(json["reps"] == 0);
}

TEST_CASE("copies of the data go round beyond four times the cache") {
  kit::DeviceInfo device;
  device.type = kit::DeviceType::kSoftware;
  const uint64_t mebi = 1 << 20;
  const Rotation rotation = rotationFor(device, 32 * mebi, 0);
  CHECK(rotation.bytes > 4 * 32 * mebi);
  CHECK(uint64_t{setCount(40 * mebi, rotation.bytes)} * 40 * mebi >= rotation.bytes);
  CHECK(setCount(1000 * mebi, rotation.bytes) == 1);
  CHECK(setCount(1, rotation.bytes) == kMaxSets);
}

TEST_CASE("a GPU, whose cache nobody tells, gets half a gigabyte or more where it has room") {
  kit::DeviceInfo device;
  device.type = kit::DeviceType::kDiscrete;
  device.memory_bytes = uint64_t{8} << 30;
  CHECK(rotationFor(device, 32 << 20, 0).bytes >= uint64_t{512} << 20);
  device.memory_bytes = uint64_t{1} << 30;
  CHECK(rotationFor(device, 32 << 20, 0).bytes == uint64_t{256} << 20);
}
