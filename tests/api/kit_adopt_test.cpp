// The kit and the core on an application's device.
#include <doctest/doctest.h>
#include <nibble/kit.h>

#include <cmath>

using namespace nib::kit;

namespace {

// Another Device plays the application: all features are enabled on it.
const Device& application() {
  static const Device kApplication = Device::best();
  return kApplication;
}

AdoptDesc handles() {
  AdoptDesc desc;
  desc.get_instance_proc_addr = application().getInstanceProcAddr();
  desc.instance = application().instance();
  desc.physical_device = application().physicalDevice();
  desc.device = application().handle();
  desc.api_version = VK_API_VERSION_1_3;
  desc.queue = application().queue();
  desc.queue_family = application().queueFamily();
  return desc;
}

bool usesFeatures(const Plan& plan) {
  for (const std::string& kernel : plan.kernels()) {
    if (kernel.find("subgroup") != std::string::npos) return true;
  }
  return false;
}

std::vector<float> ramp(size_t count) {
  std::vector<float> data(count);
  for (size_t i = 0; i < count; ++i) data[i] = std::cos(static_cast<float>(i));
  return data;
}

}  // namespace

TEST_CASE("features that the application did not declare are not used") {
  const Device bare = Device::adopt(handles());
  CHECK((bare.info().features & ~uint32_t{NIB_FEATURE_SUBGROUP}) == 0);
  AdoptDesc none = handles();
  none.features = 0;
  const Device plain = Device::adopt(none);
  CHECK(plain.info().features == 0);
  CHECK(plain.info().tier == 0);
  const NibQuantizeDesc desc = int8(64, 2048);
  CHECK_FALSE(usesFeatures(Plan(plain, desc)));
  const std::vector<float> data = ramp(64 * 2048);
  CHECK(quantize(plain, data, desc).blob == quantize(Device::cpu(), data, desc).blob);
}

TEST_CASE("declared features are used") {
  AdoptDesc desc = handles();
  desc.features = application().info().features;
  const Device adopted = Device::adopt(desc);
  CHECK(adopted.info().features == application().info().features);
  CHECK(adopted.info().tier == application().info().tier);
  CHECK(adopted.handle() == application().handle());
  if ((adopted.info().features & NIB_FEATURE_SUBGROUP) != 0) CHECK(usesFeatures(Plan(adopted, int8(64, 2048))));
}

TEST_CASE("an application's device outlives the kit's wrapper") {
  { const Device adopted = Device::adopt(handles()); }
  CHECK(application().submit([](VkCommandBuffer) {}) >= 0);
}

TEST_CASE("buffers of the application's device work in every context on it, others do not") {
  const Device adopted = Device::adopt(handles());
  const Device restricted = application().restricted(profileRestrict("floor"));
  CHECK(restricted.handle() == application().handle());
  CHECK(restricted.info().features == 0);
  const Plan plan(restricted, int4(4, 128));
  const Buffer input(application(), plan.sizeBytes(NIB_ROLE_INPUT));
  const Buffer blob(application(), plan.sizeBytes(NIB_ROLE_WEIGHTS));
  const Buffer aux(application(), plan.sizeBytes(NIB_ROLE_AUX));
  const Binding binding(plan, Ranges{.weights = blob, .input = input, .output = {}, .aux = aux});
  CHECK(restricted.run(binding, 4).submissions >= 1);
  CHECK_THROWS_AS(application().run(binding, 4), Error);
  const Device stranger = Device::best();
  const Buffer foreign(stranger, input.sizeBytes());
  CHECK_THROWS_WITH(Binding(plan, Ranges{.weights = blob, .input = foreign, .output = {}, .aux = aux}),
                    "binding: a buffer belongs to another device");
}

TEST_CASE("the application's queue mutex is held while submitting") {
  std::mutex mutex;
  AdoptDesc desc = handles();
  desc.queue_mutex = &mutex;
  const Device adopted = Device::adopt(desc);
  adopted.submit([&](VkCommandBuffer) {
    CHECK(mutex.try_lock());  // not while recording
    mutex.unlock();
  });
  CHECK(mutex.try_lock());
  mutex.unlock();
}

TEST_CASE("adopting an incomplete description names the missing members") {
  AdoptDesc desc = handles();
  desc.queue = VK_NULL_HANDLE;
  CHECK_THROWS_WITH(Device::adopt(desc),
                    "adopt: get_instance_proc_addr, instance, physical_device, device and queue must be set");
  desc = handles();
  desc.api_version = 0;  // Vulkan 1.0
  CHECK_THROWS_AS(Device::adopt(desc), Error);
  desc = handles();
  desc.features = 1u << 31;
  CHECK_THROWS_WITH(Device::adopt(desc), doctest::Contains("features"));
  CHECK_THROWS_AS(Device::cpu().restricted(NibRestrict{}), Error);
}
