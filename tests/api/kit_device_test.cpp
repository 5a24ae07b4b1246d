// The kit on a Vulkan device: opening, transfers, runs, timers, profiles, validation.
#include <doctest/doctest.h>
#include <nibble/kit.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "kit/vulkan_backend.h"

using namespace nib::kit;

namespace {

const Device& device() {
  static const Device kDevice = Device::best();
  return kDevice;
}

std::vector<uint32_t> pattern(size_t count, uint32_t seed) {
  std::vector<uint32_t> words(count);
  for (size_t i = 0; i < count; ++i) words[i] = (static_cast<uint32_t>(i) + seed) * 2654435761u;
  return words;
}

std::vector<float> waves(size_t count) {
  std::vector<float> data(count);
  for (size_t i = 0; i < count; ++i) data[i] = std::sin(static_cast<float>(i) * 0.37f);
  return data;
}

// A buffer that the kit cannot map, as on a discrete GPU, on any device.
std::shared_ptr<detail::VulkanBuffer> unmappedBuffer(detail::VulkanBackend& backend, uint64_t size) {
  auto buffer = std::make_shared<detail::VulkanBuffer>(backend.device);
  buffer->raw = backend.device->createBuffer(size, Memory::kDevice);
  buffer->raw.mapped = nullptr;
  buffer->size_bytes = size;
  return buffer;
}

detail::VulkanBackend& backendOf(const Device& opened) { return *detail::Access::backend(opened)->vulkan(); }

}  // namespace

TEST_CASE("every listed device can be opened by its index and by its name") {
  for (const DeviceInfo& info : listDevices()) {
    CAPTURE(info.name);
    if (info.tier < 0) continue;
    CHECK(Device::byName(std::to_string(info.index)).info().name == info.name);
    CHECK(Device::byName(info.name).info().name == info.name);
    CHECK(info.tier == Device::byName(std::to_string(info.index)).info().tier);
    CHECK_FALSE(info.api.empty());
    CHECK_FALSE(info.driver.empty());
    CHECK((info.tier == 3 || !info.tier_reason.empty()));
  }
}

TEST_CASE("the best device is a Vulkan device with handles") {
  CHECK_FALSE(device().isCpu());
  CHECK(device().context() != nullptr);
  CHECK(device().handle() != VK_NULL_HANDLE);
  CHECK(device().queue() != VK_NULL_HANDLE);
  CHECK(Device::cpu().context() == nullptr);
  CHECK_THROWS_AS(Device::cpu().submit([](VkCommandBuffer) {}), Error);
}

TEST_CASE("data survives upload and download, at any size and offset") {
  const Buffer buffer(device(), 3 * detail::VulkanDevice::kStagingBytes);
  for (const size_t words : {size_t{1}, size_t{1000}, size_t{(8u << 20) / 4}, size_t{(20u << 20) / 4 + 3}}) {
    const std::vector<uint32_t> data = pattern(words, 7);
    device().upload(buffer, data, 12);
    CHECK(device().download<uint32_t>(buffer, words, 12) == data);
  }
}

TEST_CASE("data survives staging blocks") {
  detail::VulkanBackend& backend = backendOf(device());
  constexpr uint64_t kBlock = detail::VulkanDevice::kStagingBytes;
  // One block, exactly the ring, and more rounds than the ring has blocks, with a tail.
  for (const uint64_t size : {uint64_t{4}, kBlock, kBlock * detail::VulkanDevice::kStagingDepth, kBlock * 5 + 20}) {
    const auto buffer = unmappedBuffer(backend, size + 8);
    const std::vector<uint32_t> data = pattern(size / 4, 3);
    std::vector<uint32_t> back(size / 4);
    backend.fill(*buffer, 0, size + 8, 0xa5a5a5a5u);
    backend.upload(*buffer, 4, data.data(), size);
    backend.download(*buffer, 4, back.data(), size);
    CHECK(back == data);
    uint32_t guard = 0;
    backend.download(*buffer, 0, &guard, 4);
    CHECK(guard == 0xa5a5a5a5u);
    backend.download(*buffer, size + 4, &guard, 4);
    CHECK(guard == 0xa5a5a5a5u);
  }
}

TEST_CASE("threads may share a device") {
  detail::VulkanBackend& backend = backendOf(device());
  std::vector<std::thread> threads;
  std::vector<char> good(4, 0);
  for (uint32_t t = 0; t < good.size(); ++t) {
    threads.emplace_back([&, t] {
      const auto buffer = unmappedBuffer(backend, 20u << 20);
      const std::vector<uint32_t> data = pattern((20u << 20) / 4, t);
      std::vector<uint32_t> back(data.size());
      backend.upload(*buffer, 0, data.data(), data.size() * 4);
      backend.download(*buffer, 0, back.data(), back.size() * 4);
      good[t] = back == data;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(std::count(good.begin(), good.end(), 1) == 4);
}

// 5 GiB of device memory: only on request.
TEST_CASE("a buffer may be larger than 4 GiB" * doctest::skip(std::getenv("NIBBLE_TEST_LARGE") == nullptr)) {
  const uint64_t size = uint64_t{5} << 30;
  if (device().info().memory_bytes < size) {
    MESSAGE("not tested: the device has less memory");
    return;
  }
  const Buffer buffer(device(), size);
  const std::vector<uint32_t> data = pattern(1u << 20, 1);
  for (const uint64_t offset : {uint64_t{0}, (uint64_t{4} << 30) - 8, size - data.size() * 4}) {
    device().upload(buffer, data, offset);
    CHECK(device().download<uint32_t>(buffer, data.size(), offset) == data);
  }
}

TEST_CASE("a buffer larger than any memory is refused in one line") {
  try {
    const Buffer buffer(device(), uint64_t{1} << 60);
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("a buffer of 1152921504606846976 bytes on ") == 0);
  }
}

TEST_CASE("a tensor has the CPU's bytes") {
  const std::vector<float> data = waves(70 * 515);
  for (const NibQuantizeDesc& desc : {int4(70, 515), int8(70, 515), nf4(70, 515)}) {
    const Tensor here = quantize(device(), data, desc);
    const Tensor there = quantize(Device::cpu(), data, desc);
    CHECK(here.blob == there.blob);
    CHECK(dequantize(device(), there) == dequantize(Device::cpu(), here));
  }
}

TEST_CASE("errors of a tensor are the CPU's to the last bit") {
  const std::vector<float> x = waves(100'003);
  const Tensor tensor = quantize(Device::cpu(), x, int4(1, 100'003));
  const std::vector<float> y = dequantize(Device::cpu(), tensor);
  const NibErrors here = errors(device(), x, y), there = errors(Device::cpu(), x, y);
  CHECK(here.elements == x.size());
  CHECK(here.max_error_index == there.max_error_index);
  CHECK(here.max_error == there.max_error);
  CHECK(here.mse == there.mse);
  CHECK(here.mae == there.mae);
  CHECK(here.relative_error == there.relative_error);
  CHECK(here.sqnr_db == there.sqnr_db);
  CHECK(here.cosine == there.cosine);
  CHECK(here.sqnr_db > 15);
}

TEST_CASE("a run in many submissions gives the same bytes as one") {
  const std::vector<float> data = waves(512 * 1024);
  const NibQuantizeDesc desc = int4(512, 1024);
  const Plan plan(device(), desc);
  const Buffer input(device(), plan.sizeBytes(NIB_ROLE_INPUT));
  const Buffer blob(device(), plan.sizeBytes(NIB_ROLE_WEIGHTS));
  const Buffer aux(device(), plan.sizeBytes(NIB_ROLE_AUX));
  const Binding binding(plan, Ranges{.weights = blob, .input = input, .output = {}, .aux = aux});
  device().upload(input, data);
  device().fill(blob, 0, 0, blob.sizeBytes());
  for (uint32_t slice = 0; slice < plan.memory().slice_count; ++slice) {
    device().submit([&](VkCommandBuffer commands) {
      const NibRun run{sizeof(NibRun), 512, 0, slice, 1, {}};
      nibCmdRun(commands, plan.handle(), binding.handle(), &run);
    });
  }
  CHECK(device().download<uint32_t>(blob, blob.sizeBytes() / 4) == quantize(Device::cpu(), data, desc).blob);
}

TEST_CASE("a watchdog splits a run, with the same bytes and no more rows than requested") {
  const Device watched = Device::best();
  detail::Access::backend(watched)->info.type = DeviceType::kDiscrete;
  const std::vector<float> data = waves(2048 * 1024);
  const NibQuantizeDesc desc = int4(2048, 1024);
  const Plan plan(watched, desc);
  const Buffer input(watched, plan.sizeBytes(NIB_ROLE_INPUT));
  const Buffer blob(watched, plan.sizeBytes(NIB_ROLE_WEIGHTS));
  const Buffer aux(watched, plan.sizeBytes(NIB_ROLE_AUX));
  const Binding binding(plan, Ranges{.weights = blob, .input = input, .output = {}, .aux = aux});
  watched.upload(input, data);
  const std::vector<uint32_t> expected = quantize(Device::cpu(), data, desc).blob;
  for (uint32_t repeat = 0; repeat < 3; ++repeat) {
    watched.fill(blob, 0, 0, blob.sizeBytes());
    const RunStats stats = watched.run(binding, 2048);
    if (plan.memory().slice_count > 1 && repeat == 0) CHECK(stats.submissions > 1);
    CHECK(stats.submissions <= plan.memory().slice_count);
    CHECK(watched.download<uint32_t>(blob, blob.sizeBytes() / 4) == expected);
  }
  // Half the rows: the codes of the other half stay as they were.
  watched.fill(blob, 0xa5a5a5a5u, 0, blob.sizeBytes());
  watched.run(binding, 1024);
  const std::vector<uint32_t> half = watched.download<uint32_t>(blob, blob.sizeBytes() / 4);
  const size_t row_words = 1024 / 8;
  CHECK(std::equal(half.begin(), half.begin() + 1024 * row_words, expected.begin()));
  CHECK(std::all_of(half.begin() + 1024 * row_words, half.begin() + 2048 * row_words,
                    [](uint32_t word) { return word == 0xa5a5a5a5u; }));
}

TEST_CASE("submissions grow step by step to about 20 ms, and software devices get one") {
  using detail::nextSliceCount;
  CHECK(nextSliceCount(1000, 0, 0, true) == 1000);
  CHECK(nextSliceCount(1000, 0, 0, false) == 1);    // no rate is known
  CHECK(nextSliceCount(999, 1, 1e-6, false) == 8);  // far below 20 ms, but one slice proves little
  CHECK(nextSliceCount(991, 8, 1e-3, false) == 20);
  CHECK(nextSliceCount(1000, 0, 1e-3, false) == 20);  // the rate of an earlier run
  CHECK(nextSliceCount(1000, 0, 0.5, false) == 1);    // never less than a slice
  CHECK(nextSliceCount(5, 0, 1e-3, false) == 5);
  CHECK(nextSliceCount(UINT32_MAX, 0, 1e-30, false) == UINT32_MAX);
}

TEST_CASE("a timer measures a copy, and refuses slots that were not recorded") {
  const Buffer from(device(), 16u << 20), to(device(), 16u << 20);
  Timer timer(device(), 3);
  const auto& api = backendOf(device()).device->api;
  const double whole = device().submit([&](VkCommandBuffer commands) {
    const VkBufferCopy region{0, 0, 16u << 20};
    timer.begin(commands, 1);
    api.CmdCopyBuffer(commands, from.handle(), to.handle(), 1, &region);
    timer.end(commands, 1);
  });
  CHECK(timer.seconds(1) > 0);
  CHECK(timer.seconds(1) <= whole * 1.01);
  CHECK_THROWS_AS(timer.seconds(0), Error);
  CHECK_THROWS_AS(timer.seconds(3), Error);
}

TEST_CASE("without timestamps slots share the submission's time") {
  const Device other = Device::best();
  backendOf(other).device->timestamp_mask = 0;
  Timer timer(other, 2);
  CHECK_FALSE(timer.onDevice());
  const double whole = other.submit([&](VkCommandBuffer commands) {
    for (uint32_t slot = 0; slot < 2; ++slot) {
      timer.begin(commands, slot);
      timer.end(commands, slot);
    }
  });
  CHECK(timer.seconds(0) == whole / 2);
  CHECK(timer.seconds(1) == whole / 2);
}

TEST_CASE("an exception while recording reaches the caller and leaves the device usable") {
  CHECK_THROWS_AS(device().submit([](VkCommandBuffer) { throw std::runtime_error("no"); }), std::runtime_error);
  CHECK(device().submit([](VkCommandBuffer) {}) >= 0);
}

TEST_CASE("under the floor profile a device uses no feature and gives the same bytes") {
  DeviceOptions options;
  options.profile = "floor";
  const Device floor = Device::open(options);
  CHECK(floor.info().features == 0);
  CHECK(floor.info().tier == 0);
  CHECK(backendOf(floor).device->features == 0);  // and none was enabled
  CHECK(floor.info().max_storage_range_bytes <= 134217728);
  const std::vector<float> data = waves(9 * 1000);
  const Tensor tensor = quantize(floor, data, int8(9, 1000));
  CHECK(tensor.blob == quantize(Device::cpu(), data, int8(9, 1000)).blob);
}

TEST_CASE("every profile opens on this device") {
  for (const std::string& id : profileIds()) {
    CAPTURE(id);
    DeviceOptions options;
    options.profile = id;
    const Device opened = Device::open(options);
    CHECK((opened.info().features & ~profileRestrict(id).features_mask) == 0);
  }
}

TEST_CASE("a run is clean under the validation layer") {
  DeviceOptions options;
  options.validation = Validation::kOn;
  try {
    const Device watched = Device::open(options);
    const std::vector<float> data = waves(33 * 300);
    const Tensor tensor = quantize(watched, data, int4(33, 300));
    CHECK(dequantize(watched, tensor).size() == data.size());
    for (const std::string& message : watched.validationMessages()) MESSAGE(message);
    CHECK(watched.validationErrors() == 0);
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("VK_LAYER_KHRONOS_validation is not installed") != std::string::npos);
  }
}

TEST_CASE("the validation layer's errors are counted and kept") {
  DeviceOptions options;
  options.validation = Validation::kOn;
  uint32_t lines = 0;
  options.log = [&](NibSeverity severity, std::string_view) { lines += severity == NIB_SEVERITY_ERROR; };
  try {
    const Device watched = Device::open(options);
    const Buffer buffer(watched, 256);
    const auto& api = backendOf(watched).device->api;
    // Offset and size of a fill must be multiples of 4; drivers do not check, the layer does.
    watched.submit([&](VkCommandBuffer commands) { api.CmdFillBuffer(commands, buffer.handle(), 2, 4, 0); });
    CHECK(watched.validationErrors() == 1);
    CHECK(watched.validationMessages().size() == 1);
    CHECK(lines == 1);
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("VK_LAYER_KHRONOS_validation is not installed") != std::string::npos);
  }
}

TEST_CASE("self-tests pass, and their verdicts can be kept") {
  const std::vector<Attempt> attempts = verify(device(), int4(33, 300));
  REQUIRE(!attempts.empty());
  CHECK(attempts.back().passed);
  CHECK_FALSE(attempts.back().kernels.empty());
  const std::string path = "nibble_kit_verdicts.tmp";
  saveVerdicts(device(), path);
  DeviceOptions options;
  options.verdicts = loadVerdicts(path);
  CHECK_FALSE(options.verdicts.empty());
  CHECK(Device::open(options).info().tier == device().info().tier);
  options.verdicts = Bytes(100, std::byte{0x5a});  // foreign data is ignored
  CHECK(Device::open(options).info().tier == device().info().tier);
  std::remove(path.c_str());
}
