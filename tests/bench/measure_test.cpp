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

TEST_CASE("a spread sorts its values, and one value is its own spread") {
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
  for (const char* wrong :
       {"", "4096", "0x1", "1x2x3x4", "1x", "x1", "1x2x", "-1x2", "1 x2", "65536x1x65536", "99999999999x1"}) {
    CHECK_MESSAGE(!parseShape(wrong), wrong);
  }
}

TEST_CASE("a wrong result is not timed") {
  test::FakeSubject subject;
  subject.first_answer = "word 3 differs";
  const Measurement measured = measure(subject, test::shortly());
  CHECK(!measured.verified);
  CHECK(measured.problem == "word 3 differs");
  CHECK(subject.verified == 1);
  CHECK(subject.runs == 0);
  CHECK(measured.us.median == 0);
}

TEST_CASE("a result that is wrong after timing has no time") {
  test::FakeSubject subject;
  subject.second_answer = "after timing: word 3 differs";
  const Measurement measured = measure(subject, test::shortly());
  CHECK(!measured.verified);
  CHECK(measured.problem == "after timing: word 3 differs");
  CHECK(subject.runs > 0);
  CHECK(measured.us.median == 0);
}

TEST_CASE("the device's clock is used if it agrees with the host's") {
  test::FakeSubject subject;
  const Measurement measured = measure(subject, test::shortly());
  CHECK(measured.verified);
  CHECK(measured.device_clock);
  CHECK(measured.us.median == doctest::Approx(20000));
  CHECK(measured.repetitions >= 3);
  CHECK(measured.submit_to_wait_us == doctest::Approx(21000));
}

TEST_CASE("a device clock that contradicts the host's is not used") {
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

TEST_CASE("repetitions of the yardstick alternate with the subject's") {
  std::string log;
  test::FakeSubject subject, yardstick;
  subject.log = yardstick.log = &log;
  yardstick.name = 'b';
  yardstick.device_seconds = 0.040;
  yardstick.wall_seconds = 0.041;
  MeasureOptions options = test::shortly();
  options.yardstick = &yardstick;
  options.yardstick_seconds = 0.041;
  const Measurement measured = measure(subject, options);
  CHECK(measured.verified);
  CHECK(measured.us.median == doctest::Approx(20000));
  CHECK(measured.yardstick_us.median == doctest::Approx(40000));
  CHECK(measured.yardstick_repetitions == measured.repetitions);
  CHECK(measured.yardstick_ratio == doctest::Approx(0.5));
  // The subject warms up once, then the repetitions of the two alternate.
  std::string rounds = "a";
  for (uint32_t i = 0; i < measured.repetitions; ++i) rounds += "ab";
  CHECK(log.substr(0, rounds.size()) == rounds);
}

TEST_CASE("a subject and its yardstick are timed by the same clock") {
  test::FakeSubject subject, yardstick;
  yardstick.device_seconds = 1e-6;
  MeasureOptions options = test::shortly();
  options.yardstick = &yardstick;
  options.yardstick_seconds = 0.021;
  const Measurement measured = measure(subject, options);
  CHECK(!measured.device_clock);
  CHECK(!measured.clock_note.empty());
  CHECK(measured.us.median == doctest::Approx(21000));
  CHECK(measured.yardstick_us.median == doctest::Approx(21000));
}

TEST_CASE("load that slows both does not change the ratio per round") {
  // The machine is half as fast in every other round, and one repetition was disturbed.
  test::FakeSubject subject, yardstick;
  subject.device_pattern = {0.020, 0.020, 0.040, 0.020, 0.080, 0.020};  // the first is the warm-up
  yardstick.device_pattern = {0.040, 0.080, 0.040, 0.080, 0.040};
  subject.wall_seconds = yardstick.wall_seconds = 0.060;
  MeasureOptions options = test::shortly();
  options.least_repetitions = 5;
  options.yardstick = &yardstick;
  options.yardstick_seconds = 0.040;
  CHECK(measure(subject, options).yardstick_ratio == doctest::Approx(0.5));
}

TEST_CASE("without a yardstick the result has no yardstick repetitions") {
  test::FakeSubject subject;
  CHECK(measure(subject, test::shortly()).yardstick_repetitions == 0);
}

namespace {

// A row as if it had been measured: 8 MB in 1 ms is 8 GB/s.
RowReport madeUpRow(double ceiling) {
  RowReport row;
  row.row = suiteRows({.suite = "quick", .shape = Shape{64, 1, 64}}).front();
  row.names = namesOf(row.row);
  row.bytes = 8000000;
  row.measured.verified = true;
  row.measured.us = {1000, 990, 1010, 1020};
  row.measured.repetitions = 10;
  row.ceiling = row.limit = {"copy", ceiling};
  judge(row);
  return row;
}

// The same row interleaved with a copy of 16 MB, which took four times as long per round.
RowReport rowBesideYardstick(double median_us, double limit) {
  RowReport row = madeUpRow(limit);
  row.problem.clear();
  row.ceiling = {"copy_kernel", {}};
  row.yardstick_bytes = 16000000;
  row.measured.yardstick_repetitions = 10;
  row.measured.yardstick_us = {median_us, median_us / 2, 2 * median_us, 3 * median_us};
  row.measured.yardstick_ratio = 0.25;
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

TEST_CASE("a result within the noise of its ceiling is not a failure") {
  CHECK(madeUpRow(7.7).problem.empty());
  CHECK(madeUpRow(100).problem.empty());
}

TEST_CASE("with a yardstick the fraction is the ratio per round, and the yardstick's rate is not a limit") {
  // 16 MB in 2.5 ms are 6.4 GB/s; half the bytes in a quarter of the time.
  const RowReport row = rowBesideYardstick(2500, 100);
  REQUIRE(row.ceiling.value);
  CHECK(*row.ceiling.value == doctest::Approx(6.4));
  REQUIRE(row.fraction);
  CHECK(*row.fraction == doctest::Approx(2.0));
  CHECK(*row.fraction > kCeilingTolerance);
  CHECK(row.problem.empty());
  const Json json = rowJson(row, "device");
  CHECK(json["ceiling"] == "copy_kernel");
  CHECK(json["ceiling_gbps"] == 6.4);
  CHECK(json["yardstick"]["median_us"] == 2500);
  CHECK(json["yardstick"]["time_ratio"] == 0.25);
  CHECK(json["yardstick"]["bytes"] == 16000000);
}

TEST_CASE("with a yardstick a result above the copy ceiling is a failure") {
  const RowReport row = rowBesideYardstick(2500, 7.0);
  CHECK(row.problem.find("above the measured ceiling \"copy\" of 7 GB/s") != std::string::npos);
}

TEST_CASE("a row without a yardstick reports null") {
  const Json json = rowJson(madeUpRow(100), "device");
  CHECK(json["yardstick"].is_null());
  CHECK(json["cpu_us"].is_null());
  CHECK(json["ceiling"] == "copy");
  CHECK(json["ceiling_gbps"] == 100);
}

TEST_CASE("the better of two ceilings lists the methods of both") {
  CeilingReport kernel, command;
  kernel.value = 2.0;
  kernel.method = "kernel";
  kernel.ways = {{"kernel", 2.0}};
  command.value = 18.0;
  command.method = "command";
  command.ways = {{"command", 18.0}};
  for (const CeilingReport& best : {betterOf("copy", kernel, command), betterOf("copy", command, kernel)}) {
    CHECK(best.name == "copy");
    CHECK(best.value == 18.0);
    CHECK(best.method == "command");
    CHECK(best.ways.size() == 2);
  }
  kernel.value.reset();
  CHECK(betterOf("copy", kernel, command).value == 18.0);
}

TEST_CASE("a row that failed has no numbers in the report") {
  RowReport row = madeUpRow(100);
  row.measured = {};
  row.measured.problem = "word 3 differs";
  judge(row);
  const Json json = rowJson(row, "device");
  CHECK(json["verified"] == false);
  CHECK(json["problem"] == "word 3 differs");
  for (const char* key :
       {"median_us", "p5_us", "p95_us", "p99_us", "gbps", "elements_per_s", "submit_to_wait_us", "clock"}) {
    CHECK_MESSAGE(json[key].is_null(), key);
  }
  CHECK(json["reps"] == 0);
}

TEST_CASE("the rotated copies of the data exceed four times the cache") {
  kit::DeviceInfo device;
  device.type = kit::DeviceType::kSoftware;
  const uint64_t mebi = 1 << 20;
  const Rotation rotation = rotationFor(device, 32 * mebi, 0);
  CHECK(rotation.bytes > 4 * 32 * mebi);
  CHECK(uint64_t{setCount(40 * mebi, rotation.bytes)} * 40 * mebi >= rotation.bytes);
  CHECK(setCount(1000 * mebi, rotation.bytes) == 1);
  CHECK(setCount(1, rotation.bytes) == kMaxSets);
  // 4096x4096 of one bit each, and a cache of more than 256 MiB.
  CHECK(uint64_t{setCount(2 * mebi + 16384, 1025 * mebi)} * (2 * mebi + 16384) >= 1025 * mebi);
}

TEST_CASE("a GPU, whose cache size is unknown, gets half a gigabyte or more if its memory allows") {
  kit::DeviceInfo device;
  device.type = kit::DeviceType::kDiscrete;
  device.memory_bytes = uint64_t{8} << 30;
  CHECK(rotationFor(device, 32 << 20, 0).bytes >= uint64_t{512} << 20);
  device.memory_bytes = uint64_t{1} << 30;
  CHECK(rotationFor(device, 32 << 20, 0).bytes == uint64_t{256} << 20);
}
