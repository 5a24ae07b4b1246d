// The kit without Vulkan: the CPU reference as a device.
#include <doctest/doctest.h>
#include <nibble/formats.h>
#include <nibble/kit.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

using namespace nib::kit;

namespace {

std::vector<float> waves(size_t count) {
  std::vector<float> data(count);
  for (size_t i = 0; i < count; ++i) data[i] = std::sin(static_cast<float>(i) * 0.37f);
  return data;
}

}  // namespace

TEST_CASE("the CPU opens like any other device") {
  const Device cpu = Device::cpu();
  CHECK(cpu.isCpu());
  CHECK(cpu.info().name == "cpu");
  CHECK(std::string(deviceTypeName(cpu.info().type)) == "cpu");
  CHECK(cpu.info().tier == -1);
  CHECK(Device::byName("CPU").isCpu());
}

TEST_CASE("a CPU buffer is mapped memory that upload, download and fill reach") {
  const Device cpu = Device::cpu();
  const Buffer buffer(cpu, 4096);
  REQUIRE(buffer.mapped() != nullptr);
  CHECK(buffer.sizeBytes() == 4096);
  const std::vector<uint32_t> data = {1, 2, 3, 4};
  cpu.fill(buffer, 0xa5a5a5a5u, 0, 4096);
  cpu.upload(buffer, data, 8);
  CHECK(cpu.download<uint32_t>(buffer, 6) == std::vector<uint32_t>{0xa5a5a5a5u, 0xa5a5a5a5u, 1, 2, 3, 4});
  CHECK(Buffer(cpu, 0).mapped() == nullptr);
  CHECK(Buffer().sizeBytes() == 0);
}

// Columns beyond a block are updated by code of the CPU device, in tiles.
TEST_CASE("gptq on the CPU device gives the bytes of the reference, block after block") {
  if (nibFormatById(NIB_FORMAT_INT4) == nullptr) {
    MESSAGE("skipped: format int4 is not in this build");
    return;
  }
  const Device cpu = Device::cpu();
  for (const uint32_t rows : {1u, 7u, 132u}) {
    for (const uint32_t cols : {129u, 331u}) {
      NibGptqDesc d{};
      d.op = NIB_OP_GPTQ;
      d.desc_bytes = sizeof d;
      d.stage = NIB_GPTQ_COLUMNS;
      d.rows = rows;
      d.cols = cols;
      d.weights.format = NIB_FORMAT_INT4;
      d.weights.granularity = NIB_GRANULARITY_GROUP;
      d.weights.group_size = 32;
      const NibOpDesc* desc = reinterpret_cast<const NibOpDesc*>(&d);
      const Plan plan(cpu, desc, sizeof d);
      const NibMemory& memory = plan.memory();
      std::vector<float> data[NIB_ROLE_COUNT];
      Buffer buffers[NIB_ROLE_COUNT];
      NibCpuBinding reference{sizeof(NibCpuBinding)};
      for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
        data[role] = waves(size_t(memory.range[role].size_bytes / 4));
        if (role == NIB_ROLE_AUX) std::fill(data[role].begin(), data[role].end(), 0.0f);
        buffers[role] = Buffer(cpu, memory.range[role].size_bytes);
        cpu.upload(buffers[role], data[role]);
        reference.range[role] = {data[role].data(), memory.range[role].size_bytes};
      }
      const Binding binding(plan, Ranges{Range(buffers[0]), Range(buffers[1]), Range(buffers[2]), Range(buffers[3])});
      for (uint32_t first = 0; first < cols; first += 128) {
        const NibRun run{sizeof(NibRun), std::min(128u, cols - first), first, 0, UINT32_MAX, {}};
        REQUIRE(nibCpuRun(desc, &reference, &run, nullptr, nullptr) == NIB_SUCCESS);
        RunOptions options;
        options.n = run.n;
        options.first_row = first;
        cpu.run(binding, options);
      }
      INFO(rows, " x ", cols);
      for (const uint32_t role : {uint32_t(NIB_ROLE_WEIGHTS), uint32_t(NIB_ROLE_OUTPUT)}) {
        const std::vector<uint32_t> got = cpu.download<uint32_t>(buffers[role], data[role].size());
        CHECK(std::memcmp(got.data(), data[role].data(), got.size() * 4) == 0);
      }
    }
  }
}

TEST_CASE("a tensor quantized on the CPU dequantizes to close values") {
  const Device cpu = Device::cpu();
  const std::vector<float> data = waves(40 * 200);
  for (const NibQuantizeDesc& desc : {int4(40, 200, 64), int8(40, 200), nf4(40, 200)}) {
    const Tensor tensor = quantize(cpu, data, desc);
    CHECK(tensor.rows == 40);
    CHECK(tensor.codes().size() > 0);
    CHECK(tensor.scales().size() > 0);
    CHECK(tensor.zeros().empty());
    CHECK(tensor.status.nonfinite_count == 0);
    const std::vector<float> back = dequantize(cpu, tensor);
    REQUIRE(back.size() == data.size());
    const float worst = desc.weights.format == NIB_FORMAT_INT8 ? 0.005f : 0.16f;
    for (size_t i = 0; i < data.size(); ++i) REQUIRE(std::abs(back[i] - data[i]) < worst);
  }
}

TEST_CASE("quantizeDesc() describes every format so that it can be quantized and decoded") {
  std::vector<float> data(32 * 256);
  for (size_t i = 0; i < data.size(); ++i) data[i] = float(int(i * 37 % 101) - 50) / 64.0f;
  for (uint32_t f = 0; f < nibFormatCount(); ++f) {
    const NibFormatInfo& info = *nibFormatAt(f);
    CAPTURE(info.name);
    const NibQuantizeDesc desc = quantizeDesc(info.name, 32, 256);
    CHECK(desc.weights.format == info.format);
    CHECK((info.scale_types >> desc.weights.scale_type & 1u) == 1u);
    // fp32 wherever the format has it; formats with one type of scales have that.
    if (info.scale_types & 1u << NIB_TYPE_F32) CHECK(desc.weights.scale_type == NIB_TYPE_F32);
    const Tensor tensor = quantize(Device::cpu(), data, desc);
    CHECK(tensor.status.saturated_count == 0);
    const NibErrors errors = nib::kit::errors(Device::cpu(), data, dequantize(Device::cpu(), tensor));
    CHECK(errors.elements == data.size());
    // Half a step of the coarsest type, one bit and the mean of magnitudes, loses less than the weights' own size.
    CHECK(errors.sqnr_db > 3.0);
  }
}

TEST_CASE("asymmetric tensors have zero points") {
  const Device cpu = Device::cpu();
  NibQuantizeDesc desc = int4(8, 128, 128);
  desc.weights.flags = NIB_WEIGHTS_ASYMMETRIC;
  const Tensor tensor = quantize(cpu, waves(8 * 128), desc);
  CHECK(tensor.zeros().size() >= 8);
  CHECK(dequantize(cpu, tensor).size() == 8 * 128);
}

TEST_CASE("values that are not finite are counted") {
  std::vector<float> data = waves(4 * 128);
  data[3] = INFINITY;
  data[300] = NAN;
  const Tensor tensor = quantize(Device::cpu(), data, int4(4, 128));
  CHECK(tensor.status.nonfinite_count == 2);
  CHECK(~tensor.status.first_nonfinite_not == 3);
}

TEST_CASE("equal tensors have equal bytes, also from several threads on one device") {
  const Device cpu = Device::cpu();
  const std::vector<float> data = waves(64 * 333);
  const Tensor expected = quantize(cpu, data, int4(64, 333));
  std::vector<Tensor> tensors(4);
  std::vector<std::thread> threads;
  for (Tensor& tensor : tensors) {
    threads.emplace_back([&] { tensor = quantize(cpu, data, int4(64, 333)); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Tensor& tensor : tensors) CHECK(tensor.blob == expected.blob);
}

TEST_CASE("plan, binding and run work on the CPU as they do on a device") {
  const Device cpu = Device::cpu();
  NibMinMaxDesc desc{};
  desc.op = NIB_OP_MINMAX;
  desc.desc_bytes = sizeof desc;
  desc.rows = 3;
  desc.cols = 5;
  desc.granularity = NIB_GRANULARITY_ROW;
  const Plan plan(cpu, desc);
  CHECK(plan.kernels() == std::vector<std::string>{"cpu"});
  const Buffer input(cpu, plan.sizeBytes(NIB_ROLE_INPUT));
  const Buffer output(cpu, plan.sizeBytes(NIB_ROLE_OUTPUT));
  const Buffer aux(cpu, plan.sizeBytes(NIB_ROLE_AUX));
  cpu.upload(input, std::vector<float>{1, 2, 3, 4, -5, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7});
  const RunStats stats = cpu.runOnce(desc, Ranges{.weights = {}, .input = input, .output = output, .aux = aux}, 3);
  CHECK(stats.submissions == 1);
  const std::vector<NibExtent> extents = cpu.download<NibExtent>(output, 3);
  CHECK(extents[0].min == -5);
  CHECK(extents[0].max == 4);
  CHECK(extents[2].absmax == 7);
}

TEST_CASE("errors of one tensor against another, also with more values than one batch") {
  const Device cpu = Device::cpu();
  const std::vector<float> x = waves((size_t{1} << 24) + 100);
  std::vector<float> y = x;
  y[(size_t{1} << 24) + 50] += 0.25f;
  const NibErrors errors = nib::kit::errors(cpu, x, y);
  CHECK(errors.elements == x.size());
  CHECK(errors.max_error == doctest::Approx(0.25));
  CHECK(errors.max_error_index == (size_t{1} << 24) + 50);
  CHECK(errors.mae == doctest::Approx(0.25 / double(x.size())));
  CHECK(nib::kit::errors(cpu, {}, {}).elements == 0);
  CHECK_THROWS_WITH_AS(nib::kit::errors(cpu, x, std::span(y).first(3)),
                       "errors: the reference has 16777316 values, the candidate 3", Error);
}

TEST_CASE("a timer on the CPU uses the host's clock") {
  Timer timer(Device::cpu(), 2);
  CHECK_FALSE(timer.onDevice());
  timer.begin(1);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  timer.end(1);
  CHECK(timer.seconds(1) >= 0.005);
  CHECK_THROWS_AS(timer.begin(2), Error);
}

TEST_CASE("the CPU passes its self-test and has no verdicts") {
  const std::vector<Attempt> attempts = verify(Device::cpu(), int4(4, 128));
  REQUIRE(attempts.size() == 1);
  CHECK(attempts[0].passed);
}
