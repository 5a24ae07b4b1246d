// Deliberate mistakes in the arguments of the functions that need a device. Each is refused with one line that names
// the argument.
#include <functional>
#include <string>
#include <vector>

#include "gpu/gpu_test.h"

using namespace nib;
using namespace nib::tests;

namespace {

struct Lines {
  std::vector<std::string> lines;
  NibLog log() {
    return {[](void* user, NibSeverity, const char* line) { static_cast<Lines*>(user)->lines.emplace_back(line); },
            this};
  }
  // The only line so far, which is forgotten.
  std::string take() {
    REQUIRE(lines.size() == 1);
    const std::string line = lines[0];
    lines.clear();
    return line;
  }
};

// A context and a plan with an input, a result and scratch.
struct Planned {
  Lines lines;
  NibContext* context = nullptr;
  NibPlan* plan = nullptr;
  NibMemory memory{sizeof(NibMemory)};

  Planned() {
    const NibLog log = lines.log();
    NibContextDesc desc = contextDesc();
    desc.log = &log;
    REQUIRE(nibCreateContext(&desc, &context) == NIB_SUCCESS);
    NibMinMaxDesc op = selftest::describe<NibMinMaxDesc>(NIB_OP_MINMAX);
    op.rows = 40;
    op.cols = 100;
    op.granularity = NIB_GRANULARITY_ROW;
    REQUIRE(nibCreatePlan(context, reinterpret_cast<const NibOpDesc*>(&op), &plan) == NIB_SUCCESS);
    REQUIRE(nibPlanGetMemory(plan, &memory) == NIB_SUCCESS);
  }
  ~Planned() {
    nibDestroyPlan(plan);
    nibDestroyContext(context);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Gpu, "a context with a wrong field is refused by its name") {
  struct Mistake {
    const char* names;
    std::function<void(NibContextDesc&)> make;
  };
  for (const Mistake& mistake : std::vector<Mistake>{
           {"abi_version", [](NibContextDesc& d) { d.abi_version = 0; }},
           {"struct_bytes", [](NibContextDesc& d) { d.struct_bytes = 0; }},
           {"flags 0x8", [](NibContextDesc& d) { d.flags = 8; }},
           {"flags 0x80000001", [](NibContextDesc& d) { d.flags = 0x80000001u; }},
           {"pipeline_cache", [](NibContextDesc& d) { d.flags = NIB_CONTEXT_CACHE_EXTERNALLY_SYNCHRONIZED; }},
           {"device", [](NibContextDesc& d) { d.device = VK_NULL_HANDLE; }},
           {"get_instance_proc_addr", [](NibContextDesc& d) { d.get_instance_proc_addr = nullptr; }},
           {"features 0x80000000", [](NibContextDesc& d) { d.features = 0x80000000u; }},
           {"tuning", [](NibContextDesc& d) { d.tuning_count = 3, d.tuning = nullptr; }}}) {
    CAPTURE(mistake.names);
    Lines lines;
    const NibLog log = lines.log();
    NibContextDesc desc = contextDesc();
    desc.log = &log;
    mistake.make(desc);
    NibContext* context = nullptr;
    CHECK(nibCreateContext(&desc, &context) != NIB_SUCCESS);
    CHECK(context == nullptr);
    // Without its version or size, a description's log cannot be trusted.
    if (desc.abi_version == 0 || desc.struct_bytes == 0) continue;
    CHECK(lines.take().find(mistake.names) != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Gpu, "a binding with a wrong range is refused by its name") {
  Planned made;
  kit::Buffer buffers[NIB_ROLE_COUNT];
  NibBindingDesc right{sizeof(NibBindingDesc)};
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    if (made.memory.range[role].size_bytes == 0) continue;
    buffers[role] = kit::Buffer(device(), made.memory.range[role].size_bytes);
    right.range[role] = buffers[role].range();
  }
  struct Mistake {
    std::vector<std::string> names;
    std::function<void(NibBindingDesc&)> make;
  };
  const VkDeviceSize far = UINT64_MAX - 255;
  const std::vector<Mistake> mistakes{
      {{"struct_bytes"}, [](NibBindingDesc& d) { d.struct_bytes = 4; }},
      {{"input", "no buffer"}, [](NibBindingDesc& d) { d.range[NIB_ROLE_INPUT].buffer = VK_NULL_HANDLE; }},
      {{"output", "VK_WHOLE_SIZE", "number of bytes"},
       [](NibBindingDesc& d) { d.range[NIB_ROLE_OUTPUT].size = VK_WHOLE_SIZE; }},
      {{"output", "bytes, needs"}, [](NibBindingDesc& d) { d.range[NIB_ROLE_OUTPUT].size = 4; }},
      {{"input", "multiple of"}, [](NibBindingDesc& d) { d.range[NIB_ROLE_INPUT].offset = 4; }},
      {{"input", "no part of a buffer"}, [far](NibBindingDesc& d) { d.range[NIB_ROLE_INPUT].offset = far; }},
      {{"input", "no part of a buffer"}, [far](NibBindingDesc& d) { d.range[NIB_ROLE_INPUT].size = far; }},
      {{"part_offset_bytes[16]", "no such part"}, [](NibBindingDesc& d) { d.part_offset_bytes[NIB_PART_ORDER] = 256; }},
      {{"input", "output", "overlap"},
       [](NibBindingDesc& d) { d.range[NIB_ROLE_INPUT].buffer = d.range[NIB_ROLE_OUTPUT].buffer; }}};
  for (const Mistake& mistake : mistakes) {
    CAPTURE(mistake.names[0]);
    NibBindingDesc desc = right;
    mistake.make(desc);
    NibBinding* binding = nullptr;
    CHECK(nibCreateBinding(made.plan, &desc, &binding) == NIB_ERROR_INVALID_ARGUMENT);
    CHECK(binding == nullptr);
    const std::string line = made.lines.take();
    CAPTURE(line);
    for (const std::string& name : mistake.names) CHECK(line.find(name) != std::string::npos);
    CHECK(line.find("-1") == std::string::npos);
  }
}

TEST_CASE_FIXTURE(Gpu, "a moved part beyond every buffer is refused by its number") {
  Lines lines;
  const NibLog log = lines.log();
  NibContextDesc context_desc = contextDesc();
  context_desc.log = &log;
  NibContext* context = nullptr;
  REQUIRE(nibCreateContext(&context_desc, &context) == NIB_SUCCESS);
  NibQuantizeDesc op = selftest::describe<NibQuantizeDesc>(NIB_OP_QUANTIZE);
  op.rows = 4;
  op.cols = 64;
  op.weights = selftest::weightsOf(nibFormatAt(0)->format, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F32);
  NibPlan* plan = nullptr;
  REQUIRE(nibCreatePlan(context, reinterpret_cast<const NibOpDesc*>(&op), &plan) == NIB_SUCCESS);
  for (const VkDeviceSize offset : {UINT64_MAX - 255, (VkDeviceSize(1) << 63), UINT64_MAX / 256 * 256}) {
    NibBindingDesc desc{sizeof(NibBindingDesc)};
    desc.part_offset_bytes[NIB_PART_SCALES] = offset;
    NibBinding* binding = nullptr;
    CHECK(nibCreateBinding(plan, &desc, &binding) == NIB_ERROR_INVALID_ARGUMENT);
    CHECK(lines.take().find("part_offset_bytes[1]") != std::string::npos);
  }
  nibDestroyPlan(plan);
  nibDestroyContext(context);
}

TEST_CASE_FIXTURE(Gpu, "a self-test's memory that is wrong is refused by its field") {
  Planned made;
  NibMemoryRange need{};
  REQUIRE(nibVerifyGetMemory(made.plan, &need) == NIB_SUCCESS);
  const kit::Buffer buffer(device(), need.size_bytes + 256, kit::Memory::kHost);
  const NibBufferRange right{buffer.range().buffer, 0, need.size_bytes};
  struct Mistake {
    const char* names;
    std::function<void(NibBufferRange&)> make;
  };
  for (const Mistake& mistake :
       std::vector<Mistake>{{"memory->buffer", [](NibBufferRange& r) { r.buffer = VK_NULL_HANDLE; }},
                            {"memory->offset", [](NibBufferRange& r) { r.offset = 4; }},
                            {"memory->size", [](NibBufferRange& r) { r.size -= 1; }},
                            {"memory->size is VK_WHOLE_SIZE", [](NibBufferRange& r) { r.size = VK_WHOLE_SIZE; }},
                            {"memory->size", [](NibBufferRange& r) { r.offset = UINT64_MAX - 255; }}}) {
    CAPTURE(mistake.names);
    NibBufferRange range = right;
    mistake.make(range);
    NibVerify* verify = nullptr;
    NibResult result = NIB_SUCCESS;
    device().submit([&](VkCommandBuffer commands) { result = nibVerifyPlan(made.plan, commands, &range, &verify); });
    CHECK(result == NIB_ERROR_INVALID_ARGUMENT);
    CHECK(verify == nullptr);
    CHECK(made.lines.take().find(mistake.names) != std::string::npos);
  }
}
