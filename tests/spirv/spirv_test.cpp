// Every module of the kernel table against its C++ side, its declared needs and the rules of bit-exact kernels; and
// shaders with one planted fault each, which the same check must find.
#include <doctest/doctest.h>
#include <nibble/nibble.h>
#include <spirv/unified1/spirv.hpp>

#include <cstring>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plan/kernel_code.h"
#include "planted.h"
#include "planted.inc"
#include "spirv_check.h"
#include "spirv_reader.h"

using namespace nib;

namespace {

constexpr uint32_t kMaxModules = 400;

const KernelInterface* interfaceOf(std::string_view name) {
  for (const KernelInterface& kernel : kKernelInterfaces) {
    if (name == kernel.name) return &kernel;
  }
  return nullptr;
}

spirv::Promise promiseOf(const KernelInterface& kernel) {
  if (kernel.bounded) return spirv::Promise::kBound;
  return std::string_view(kernel.name) == "int8_gemm_rows" ? spirv::Promise::kBytesWholeFma : spirv::Promise::kBytes;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "\n  " + line;
  return text;
}

// As planted.comp declares nothing that it needs, so a kernel for every device; bit-exact unless said otherwise.
std::vector<std::string> checkPlanted(std::span<const uint32_t> words,
                                      spirv::Promise promise = spirv::Promise::kBytes) {
  static constexpr SpecRow kSpec[] = {PLANTED_SPEC(NIB_INTERFACE_ROW)};
  static constexpr KernelInterface kPlanted{"planted", sizeof(PlantedPush), kSpec, std::size(kSpec), false};
  return spirv::check(words, kPlanted, 0, promise);
}

}  // namespace

TEST_CASE("every module agrees with its C++ interface, its needs and the numbers contract") {
  for (uint32_t i = 0; i < kKernelCount; ++i) {
    const KernelRow& row = kKernelTable[i];
    if (row.spirv_words == 0) {
      MESSAGE(std::string(row.module) << ": not in this build");
      continue;
    }
    CAPTURE(std::string(row.module));
    const KernelInterface* kernel = interfaceOf(row.name);
    REQUIRE(kernel != nullptr);
    CHECK(kernel->push_bytes <= 128);
    KernelCode code{HostMemory()};
    REQUIRE(code.load(row, Log()) == NIB_SUCCESS);
    const std::vector<std::string> faults =
        spirv::check({code.words(), code.count()}, *kernel, row.features, promiseOf(*kernel));
    CHECK_MESSAGE(faults.empty(), std::string(row.module) << joined(faults));
  }
}

TEST_CASE("a module that needs less than the row before it of the same kernel and format follows it") {
  for (uint32_t i = 0; i < kKernelCount; ++i) {
    for (uint32_t j = i + 1; j < kKernelCount; ++j) {
      const KernelRow& first = kKernelTable[i];
      const KernelRow& second = kKernelTable[j];
      if (std::strcmp(first.name, second.name) != 0 || first.format != second.format) continue;
      CAPTURE(std::string(first.module));
      CAPTURE(std::string(second.module));
      CHECK((first.features & ~second.features) != 0);  // else the second is never taken
    }
  }
}

TEST_CASE("every module has a name of its own") {
  std::set<std::string> names;
  for (uint32_t i = 0; i < kKernelCount; ++i) CHECK(names.insert(kKernelTable[i].module).second);
}

TEST_CASE("the modules keep within the budget of 400") { CHECK(kKernelCount <= kMaxModules); }

TEST_CASE("the check finds each planted fault, and nothing in the same shader without one") {
  bool clean_seen = false;
  for (const PlantedShader& shader : kPlantedShaders) {
    CAPTURE(std::string(shader.name));
    const std::vector<std::string> faults = checkPlanted({shader.spirv, shader.words});
    if (std::string_view(shader.finds).empty()) {
      clean_seen = true;
      CHECK_MESSAGE(faults.empty(), joined(faults));
      continue;
    }
    bool found = false;
    for (const std::string& fault : faults) found |= fault.find(shader.finds) != std::string::npos;
    CHECK_MESSAGE(found, "expected '" << shader.finds << "', got:" << joined(faults));
  }
  CHECK(clean_seen);
}

TEST_CASE("devices' own transcendental functions are a fault of bounded kernels too, a division is not") {
  uint32_t functions = 0;
  for (const PlantedShader& shader : kPlantedShaders) {
    const std::string_view finds = shader.finds, name = shader.name;
    const bool function = name == "EXP" || name == "POW" || name == "TANH" || name == "COS";
    if (!function && name != "DIVIDE" && name != "SQRT" && name != "NONE") continue;
    CAPTURE(std::string(name));
    functions += function;
    const std::vector<std::string> faults = checkPlanted({shader.spirv, shader.words}, spirv::Promise::kBound);
    CHECK_MESSAGE(faults.size() == (function ? 1 : 0), joined(faults));
    if (function && !faults.empty()) CHECK(faults[0].find(finds) != std::string::npos);
  }
  CHECK(functions == 4);
}

TEST_CASE("the check finds a capability and a workgroup size that were changed in the module") {
  const PlantedShader& shader = kPlantedShaders[0];
  std::vector<uint32_t> words(shader.spirv, shader.spirv + shader.words);
  const spirv::Module module(words);
  for (const spirv::Instruction& in : module.instructions()) {
    if (in.op == spv::OpCapability) words[in.word + 1] = spv::CapabilityInt64;  // was Shader
    if (in.op == spv::OpDecorate && in.operands[1] == spv::DecorationSpecId) words[in.word + 3] = 1;
  }
  const std::string faults = joined(checkPlanted(words));
  CHECK(faults.find("capability " + std::to_string(spv::CapabilityInt64)) != std::string::npos);
  CHECK(faults.find("workgroup size") != std::string::npos);
}

TEST_CASE("a damaged module is an error, not a crash") {
  const PlantedShader& shader = kPlantedShaders[0];
  const std::vector<uint32_t> whole(shader.spirv, shader.spirv + shader.words);
  for (size_t words = 0; words < whole.size(); ++words) {
    const std::vector<uint32_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(words));
    const bool between_functions = words > 0 && cut.back() == (1u << spv::WordCountShift | spv::OpFunctionEnd);
    CHECK(checkPlanted(cut).empty() <= between_functions);
  }
  for (size_t word = 0; word < whole.size(); ++word) {
    for (uint32_t value : {0u, 0xffffffffu, 0x00ff0047u}) {
      std::vector<uint32_t> changed = whole;
      changed[word] = value;
      (void)checkPlanted(changed);  // any answer; a read outside the words fails under a sanitizer
    }
  }
}
