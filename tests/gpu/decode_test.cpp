// An application's own shader, which includes the installed headers of a format, decodes weights to the bytes of
// NIB_OP_DEQUANTIZE.
#include <cstring>
#include <string>

#include "app_fp8.spv.h"
#include "app_int3.spv.h"
#include "app_int4.spv.h"
#include "app_nf4.spv.h"
#include "cpu/exact_inputs.h"
#include "gpu/bound_set.h"

using namespace nib;
using namespace nib::tests;

namespace {

constexpr uint32_t kRows = 37, kCols = 160;  // not a multiple of a workgroup's columns

// The context keeps pipelines by the addresses of their rows.
const KernelRow kRowsOfFormats[] = {{"app_int3", "int3", 0, "", 0, kSpirv_app_int3, kSpirvWords_app_int3},
                                    {"app_int4", "int4", 0, "", 0, kSpirv_app_int4, kSpirvWords_app_int4},
                                    {"app_nf4", "nf4", 0, "", 0, kSpirv_app_nf4, kSpirvWords_app_nf4},
                                    {"app_fp8", "fp8", 0, "", 0, kSpirv_app_fp8, kSpirvWords_app_fp8}};

struct AppPush {
  uint32_t rows, cols, row_words, scales_word;
};

// Rows of many magnitudes: a zero row, one near the smallest scale, and one near the largest number.
std::vector<float> weightsOfManySizes() {
  exact_inputs::Random random(7);
  std::vector<float> weights(size_t(kRows) * kCols);
  for (uint32_t row = 0; row < kRows; ++row) {
    const float size = row == 0 ? 0.0f : row == 1 ? 0x1p-117f : row == 2 ? 0x1.8p127f : 0x1p-9f * float(row);
    for (uint32_t col = 0; col < kCols; ++col) {
      weights[size_t(row) * kCols + col] = size * (float(random.next() >> 8) * 0x1p-23f - 1.0f);
    }
  }
  return weights;
}

void expectDecoded(const KernelRow& row) {
  const char* format = row.name;
  if (nibFormatByName(format) == nullptr) return;  // a build without it
  INFO(std::string(format));
  NibQuantizeDesc desc = kit::quantizeDesc(format, kRows, kCols);
  desc.weights.granularity = NIB_GRANULARITY_ROW;
  desc.weights.group_size = 0;
  const kit::Device cpu = kit::Device::cpu();
  const kit::Tensor tensor = kit::quantize(cpu, weightsOfManySizes(), desc);
  const std::vector<float> expected = kit::dequantize(cpu, tensor);

  NibContext& context = *device().context();
  const kit::Buffer blob(device(), tensor.blob.size() * 4), values(device(), expected.size() * 4);
  device().upload(blob, tensor.blob);
  device().fill(values, 0xa5a5a5a5u, 0, expected.size() * 4);
  const BoundSet set(context, {&blob, &values, &blob, &blob});
  const uint32_t unused = 0;
  VkPipeline pipeline = VK_NULL_HANDLE;
  REQUIRE(context.pipelines.get(row, &unused, 1, PipelineStore::Compile::kIfNeeded, &pipeline) == NIB_SUCCESS);
  const AppPush push{kRows, kCols, uint32_t(tensor.memory.part[NIB_PART_CODES].size_bytes / kRows / 4),
                     uint32_t(tensor.memory.part[NIB_PART_SCALES].offset_bytes / 4)};
  device().submit(
      [&](VkCommandBuffer commands) { set.dispatch(commands, pipeline, push, (kRows * kCols / 4 + 63) / 64); });
  const std::vector<uint32_t> got = device().download<uint32_t>(values, expected.size());
  uint32_t wrong = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    uint32_t bits;
    std::memcpy(&bits, &expected[i], sizeof bits);
    wrong += got[i] != bits ? 1 : 0;
  }
  CHECK_MESSAGE(wrong == 0, wrong << " of " << expected.size() << " values differ");
}

}  // namespace

TEST_SUITE_BEGIN("decode");

TEST_CASE_FIXTURE(Gpu, "an application's shader decodes weights with the installed headers") {
  for (const KernelRow& row : kRowsOfFormats) expectDecoded(row);
}

TEST_SUITE_END();
