// The validation layer reports a planted fault of every kind that it checks for; otherwise a silent layer would prove
// nothing. Runs only under the validation layer.
#include <vector>

#include "gpu/gpu_test.h"
#include "gpu/hooks.h"

using namespace nib;
using namespace nib::tests;

namespace {

kit::Device hooked() {
  kit::AdoptDesc desc = adoption();
  desc.get_instance_proc_addr = hooks::wrap(device().getInstanceProcAddr());
  return kit::Device::adopt(desc);
}

VKAPI_ATTR void VKAPI_CALL updateShort(VkDevice device, uint32_t count, const VkWriteDescriptorSet* writes, uint32_t,
                                       const VkCopyDescriptorSet*) {
  for (uint32_t i = 0; i < count; ++i) {
    VkDescriptorBufferInfo info = *writes[i].pBufferInfo;
    VkWriteDescriptorSet write = writes[i];
    if (write.dstBinding == 1) info.range = 64;
    write.pBufferInfo = &info;
    reinterpret_cast<PFN_vkUpdateDescriptorSets>(hooks::real(hooks::fn::vkUpdateDescriptorSets))(device, 1, &write, 0,
                                                                                                 nullptr);
  }
}

// Whether a message since number `from` contains one of these texts.
bool reported(size_t from, std::initializer_list<const char*> texts) {
  const std::vector<std::string> messages = messagesOfValidation();
  for (size_t i = from; i < messages.size(); ++i) {
    for (const char* text : texts) {
      if (messages[i].find(text) != std::string::npos) return true;
    }
  }
  return false;
}

NibMinMaxDesc minmax() {
  NibMinMaxDesc d = selftest::describe<NibMinMaxDesc>(NIB_OP_MINMAX);
  d.rows = 64;
  d.cols = 256;
  d.granularity = NIB_GRANULARITY_ROW;
  return d;
}

struct Buffers {
  kit::Buffer buffers[NIB_ROLE_COUNT];
  kit::Ranges ranges;
  Buffers(const kit::Device& on, const kit::Plan& plan) {
    kit::Range list[NIB_ROLE_COUNT];
    for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
      const uint64_t size = plan.sizeBytes(NibRole(role));
      if (size == 0) continue;
      buffers[role] = kit::Buffer(on, size);
      list[role] = kit::Range(buffers[role], 0, size);
    }
    ranges = {list[0], list[1], list[2], list[3]};
  }
};

}  // namespace

TEST_SUITE_BEGIN("validation");

TEST_CASE("wrong arguments are reported") {
  if (!validating()) return;
  const size_t from = messagesOfValidation().size();
  device().submit([](VkCommandBuffer commands) {
    api().vkCmdPipelineBarrier(commands, 0, 0, 0, 0, nullptr, 0, nullptr, 0, nullptr);  // empty stage masks are invalid
  });
  CHECK(reported(from, {"StageMask"}));
}

TEST_CASE("a missing barrier is reported") {
  if (!validating()) return;
  const size_t from = messagesOfValidation().size();
  const kit::Plan plan(device(), minmax());
  const Buffers memory(device(), plan);
  const kit::Binding binding(plan, memory.ranges);
  device().submit([&](VkCommandBuffer commands) {
    NibRun run{sizeof(NibRun)};
    run.n = 64;
    run.slice_count = UINT32_MAX;
    nibCmdRun(commands, plan.handle(), binding.handle(), &run);
    nibCmdRun(commands, plan.handle(), binding.handle(), &run);
  });
  CHECK(reported(from, {"hazard", "HAZARD"}));
}

// The layer sees descriptors, not the words that a shader accesses: see SHADER_ACCESSES_HEURISTIC in CMakeLists.txt.
TEST_CASE("a run that is split into several dispatches has no hazard") {
  if (!validating()) return;
  NibRestrict restriction{sizeof(NibRestrict)};
  restriction.features_mask = NIB_FEATURE_ALL;
  restriction.max_storage_range_bytes = 256u << 10;
  restriction.max_workgroup_count = 7;
  const kit::Device on = device().restricted(restriction);
  const size_t from = messagesOfValidation().size();
  for (const uint32_t op : {uint32_t(NIB_OP_INT8_GEMM), uint32_t(NIB_OP_QUANTIZE), uint32_t(NIB_OP_MINMAX)}) {
    uint32_t count = 0;
    for (const OpFormat& what : opFormats()) {
      if (what.op != op) continue;
      for (const selftest::Case& c : tests::casesOf(what, 40)) {
        try {
          selftest::planOf(on, c);
        } catch (const kit::Error&) {
          continue;  // a tile of it does not fit such a range
        }
        checkCase(on, c);
        ++count;
      }
    }
    CHECK(count > 0);
  }
  CHECK_FALSE(reported(from, {"hazard", "HAZARD"}));
}

TEST_CASE("a shader's access beyond a descriptor is reported") {
  if (!validating()) return;
  const size_t from = messagesOfValidation().size();
  const hooks::Replaced replaced(hooks::fn::vkUpdateDescriptorSets, &updateShort);
  const kit::Device on = hooked();
  const kit::Plan plan(on, minmax());
  const Buffers memory(on, plan);
  const kit::Binding binding(plan, memory.ranges);
  on.run(binding, 64);
  CHECK(reported(from, {"out of bounds", "Out of bounds", "OOB"}));
}

TEST_SUITE_END();
