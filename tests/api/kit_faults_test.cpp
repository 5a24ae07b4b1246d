// Failed submissions, waits and resets: the kit must not reuse or free objects that they may still use. tests/faults
// makes every call of the tool fail; these tests check a program that continues after a failure.
#include <doctest/doctest.h>
#include <nibble/kit.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

using namespace nib::kit;

namespace {

enum Call { kQueueSubmit, kQueueWaitIdle, kWaitForFences, kResetFences, kGetQueryPoolResults, kCallCount };

// The next functions, how many of the next uses fail, and with what.
PFN_vkGetInstanceProcAddr next_instance;
PFN_vkGetDeviceProcAddr next_device;
PFN_vkVoidFunction next[kCallCount];
int failures[kCallCount];
VkResult failure[kCallCount];
std::atomic<int> fences, buffers;  // created and not destroyed
PFN_vkVoidFunction next_create_fence, next_destroy_fence, next_create_buffer, next_destroy_buffer;

void failNext(Call call, VkResult result, int times = 1) {
  failures[call] = times;
  failure[call] = result;
}

template <Call kCall, class F>
struct Failing;
template <Call kCall, class... Arguments>
struct Failing<kCall, VkResult(VKAPI_PTR*)(Arguments...)> {
  static VKAPI_ATTR VkResult VKAPI_CALL call(Arguments... arguments) {
    if (failures[kCall] > 0) {
      --failures[kCall];
      return failure[kCall];
    }
    return reinterpret_cast<VkResult(VKAPI_PTR*)(Arguments...)>(next[kCall])(arguments...);
  }
};

VKAPI_ATTR VkResult VKAPI_CALL createFence(VkDevice device, const VkFenceCreateInfo* info,
                                           const VkAllocationCallbacks* callbacks, VkFence* fence) {
  ++fences;
  return reinterpret_cast<PFN_vkCreateFence>(next_create_fence)(device, info, callbacks, fence);
}
VKAPI_ATTR void VKAPI_CALL destroyFence(VkDevice device, VkFence fence, const VkAllocationCallbacks* callbacks) {
  --fences;
  reinterpret_cast<PFN_vkDestroyFence>(next_destroy_fence)(device, fence, callbacks);
}
VKAPI_ATTR VkResult VKAPI_CALL createBuffer(VkDevice device, const VkBufferCreateInfo* info,
                                            const VkAllocationCallbacks* callbacks, VkBuffer* buffer) {
  ++buffers;
  return reinterpret_cast<PFN_vkCreateBuffer>(next_create_buffer)(device, info, callbacks, buffer);
}
VKAPI_ATTR void VKAPI_CALL destroyBuffer(VkDevice device, VkBuffer buffer, const VkAllocationCallbacks* callbacks) {
  --buffers;
  reinterpret_cast<PFN_vkDestroyBuffer>(next_destroy_buffer)(device, buffer, callbacks);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL deviceProcAddr(VkDevice device, const char* name) {
  const PFN_vkVoidFunction found = next_device(device, name);
  const auto replaced = [&](const char* own, PFN_vkVoidFunction& real, auto function) {
    if (std::strcmp(name, own) != 0) return PFN_vkVoidFunction(nullptr);
    real = found;
    return reinterpret_cast<PFN_vkVoidFunction>(function);
  };
  PFN_vkVoidFunction own =
      replaced("vkQueueSubmit", next[kQueueSubmit], &Failing<kQueueSubmit, PFN_vkQueueSubmit>::call);
  if (!own)
    own = replaced("vkQueueWaitIdle", next[kQueueWaitIdle], &Failing<kQueueWaitIdle, PFN_vkQueueWaitIdle>::call);
  if (!own)
    own = replaced("vkWaitForFences", next[kWaitForFences], &Failing<kWaitForFences, PFN_vkWaitForFences>::call);
  if (!own) own = replaced("vkResetFences", next[kResetFences], &Failing<kResetFences, PFN_vkResetFences>::call);
  if (!own) {
    own = replaced("vkGetQueryPoolResults", next[kGetQueryPoolResults],
                   &Failing<kGetQueryPoolResults, PFN_vkGetQueryPoolResults>::call);
  }
  if (!own) own = replaced("vkCreateFence", next_create_fence, &createFence);
  if (!own) own = replaced("vkDestroyFence", next_destroy_fence, &destroyFence);
  if (!own) own = replaced("vkCreateBuffer", next_create_buffer, &createBuffer);
  if (!own) own = replaced("vkDestroyBuffer", next_destroy_buffer, &destroyBuffer);
  return own ? own : found;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instanceProcAddr(VkInstance instance, const char* name) {
  const PFN_vkVoidFunction found = next_instance(instance, name);
  if (std::strcmp(name, "vkGetDeviceProcAddr") != 0) return found;
  next_device = reinterpret_cast<PFN_vkGetDeviceProcAddr>(found);
  return reinterpret_cast<PFN_vkVoidFunction>(&deviceProcAddr);
}

// A device whose calls can fail. The mutex serves the kit alone here.
Device faulty(std::mutex* mutex = nullptr) {
  static const Device kApplication = Device::best();
  std::fill(std::begin(failures), std::end(failures), 0);
  fences = buffers = 0;
  next_instance = kApplication.getInstanceProcAddr();
  AdoptDesc desc;
  desc.get_instance_proc_addr = &instanceProcAddr;
  desc.instance = kApplication.instance();
  desc.physical_device = kApplication.physicalDevice();
  desc.device = kApplication.handle();
  desc.api_version = VK_API_VERSION_1_3;
  desc.queue = kApplication.queue();
  desc.queue_family = kApplication.queueFamily();
  desc.queue_mutex = mutex;
  return Device::adopt(desc);
}

std::vector<float> ramp(size_t count) {
  std::vector<float> data(count);
  for (size_t i = 0; i < count; ++i) data[i] = static_cast<float>(i % 977) - 400.0f;
  return data;
}

// Quantizing on the device gives the CPU's bytes.
void checkWorks(const Device& device) {
  const std::vector<float> data = ramp(256 * 1024);
  CHECK(quantize(device, data, int4(256, 1024)).blob == quantize(Device::cpu(), data, int4(256, 1024)).blob);
}

const std::function<void(VkCommandBuffer)> kNothing = [](VkCommandBuffer) {};

}  // namespace

TEST_SUITE_BEGIN("faults");

TEST_CASE("after a failed submission, wait or reset its commands and fence serve nobody else") {
  std::mutex mutex;
  const Device device = faulty(&mutex);
  device.submit(kNothing);
  REQUIRE(fences == 1);
  for (const Call call : {kQueueSubmit, kWaitForFences, kResetFences}) {
    CAPTURE(int(call));
    failNext(call, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    CHECK_THROWS_WITH_AS(device.submit(kNothing), doctest::Contains("VK_ERROR_OUT_OF_DEVICE_MEMORY ("), Error);
    CHECK(fences == 0);
    CHECK(mutex.try_lock());
    mutex.unlock();
    checkWorks(device);
    CHECK(fences == 1);
  }
}

TEST_CASE("commands whose recording throws serve nobody else") {
  const Device device = faulty();
  CHECK_THROWS_AS(device.submit([](VkCommandBuffer) { throw Error("recording"); }), Error);
  CHECK(fences == 0);
  checkWorks(device);
}

TEST_CASE("a lost device stays lost: nothing on it succeeds or can be read") {
  const Device device = faulty();
  const Buffer buffer(device, 64);
  failNext(kWaitForFences, VK_ERROR_DEVICE_LOST);
  CHECK_THROWS_WITH(device.submit(kNothing), doctest::Contains("VK_ERROR_DEVICE_LOST"));
  CHECK_THROWS_WITH(device.submit(kNothing), doctest::Contains("VK_ERROR_DEVICE_LOST"));
  CHECK_THROWS_WITH(device.download<uint32_t>(buffer, 16), doctest::Contains("VK_ERROR_DEVICE_LOST"));
  CHECK_THROWS_WITH(device.fill(buffer, 0, 0, 64), doctest::Contains("VK_ERROR_DEVICE_LOST"));
  CHECK_THROWS_WITH(device.upload(buffer, std::vector<uint32_t>(16)), doctest::Contains("VK_ERROR_DEVICE_LOST"));
}

TEST_CASE("a wait that ends because another thread saw the device lost fails too") {
  const Device device = faulty();
  CHECK_THROWS_WITH(device.submit([&](VkCommandBuffer) {
    std::thread([&] {
      failNext(kQueueSubmit, VK_ERROR_DEVICE_LOST);
      CHECK_THROWS_AS(device.submit(kNothing), Error);
    }).join();
  }),
                    doctest::Contains("VK_ERROR_DEVICE_LOST"));
}

TEST_CASE("memory of work that may still run is kept until the queue is known to be idle") {
  const Device device = faulty();
  {
    const Buffer buffer(device, 1 << 20);
    failNext(kWaitForFences, VK_ERROR_OUT_OF_HOST_MEMORY);
    failNext(kQueueWaitIdle, VK_ERROR_OUT_OF_HOST_MEMORY, 4);
    CHECK_THROWS_AS(device.submit(kNothing), Error);
    CHECK_THROWS_WITH(device.submit(kNothing), doctest::Contains("may still be running"));
    CHECK(buffers == 1);
  }
  // The queue still cannot be asked.
  CHECK(buffers == 1);
  CHECK(fences >= 1);
  failures[kQueueWaitIdle] = 0;
  checkWorks(device);
  CHECK(buffers == 0);
}

TEST_CASE("objects of the application are kept as long as the kit's own") {
  std::vector<int> destroyed;
  const auto destroy = [&](int i) { return [&destroyed, i] { destroyed.push_back(i); }; };
  const Device device = faulty();
  device.whenIdle(destroy(1));
  CHECK(destroyed == std::vector<int>{1});
  failNext(kWaitForFences, VK_ERROR_OUT_OF_HOST_MEMORY);
  failNext(kQueueWaitIdle, VK_ERROR_OUT_OF_HOST_MEMORY, 1000);
  CHECK_THROWS_AS(device.submit(kNothing), Error);
  device.whenIdle(destroy(2));
  device.whenIdle(destroy(3));
  CHECK(destroyed == std::vector<int>{1});
  failures[kQueueWaitIdle] = 0;
  device.whenIdle(destroy(4));
  CHECK(destroyed == std::vector<int>{1, 2, 3, 4});
  Device::cpu().whenIdle(destroy(5));
  CHECK(destroyed.back() == 5);
}

TEST_CASE("a device of which nothing is known any more is left alone") {
  {
    const Device device = faulty();
    const Buffer buffer(device, 1 << 20);
    const Plan plan(device, int4(4, 128));
    const Timer timer(device);
    failNext(kWaitForFences, VK_ERROR_OUT_OF_HOST_MEMORY);
    failNext(kQueueWaitIdle, VK_ERROR_OUT_OF_HOST_MEMORY, 1000);
    CHECK_THROWS_AS(device.submit(kNothing), Error);
  }
  CHECK(buffers == 1);
  CHECK(fences >= 1);
  failures[kQueueWaitIdle] = 0;
  checkWorks(faulty());
}

TEST_CASE("a timer's slot in a failed submission counts as not recorded") {
  const Device device = faulty();
  Timer timer(device, 2);
  const auto record = [&](VkCommandBuffer commands) {
    timer.begin(commands, 1);
    timer.end(commands, 1);
  };
  device.submit(record);
  CHECK(timer.seconds(1) >= 0);
  failNext(kQueueSubmit, VK_ERROR_OUT_OF_HOST_MEMORY);
  CHECK_THROWS_AS(device.submit(record), Error);
  CHECK_THROWS_WITH(timer.seconds(1), "timer: slot 1 was not recorded");
}

TEST_CASE("a self-test whose submission fails is not judged") {
  const Device device = faulty();
  failNext(kWaitForFences, VK_ERROR_OUT_OF_DEVICE_MEMORY);
  CHECK_THROWS_WITH(verify(device, int4(4, 128)), doctest::Contains("waiting for the device"));
  CHECK(buffers == 0);
  CHECK(verify(device, int4(4, 128)).back().passed);
}

TEST_SUITE_END();
