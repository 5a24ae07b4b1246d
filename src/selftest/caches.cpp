#include "selftest/caches.h"

#include <nibble/formats.h>

#include "selftest/lists.h"

namespace nib::selftest {
namespace {

NibMemory memoryOf(const NibOpDesc* desc, const char* what) {
  NibMemory memory{sizeof(NibMemory)};
  if (nibGetMemory(desc, nullptr, &memory) != NIB_SUCCESS) throw std::runtime_error(what);
  return memory;
}

uint64_t wholeWords(uint64_t bytes) { return (bytes + 3) / 4 * 4; }

}  // namespace

std::vector<NibWeights> cacheWays() {
  const auto way = [](uint32_t format, uint32_t group, uint32_t flags) {
    return weightsOf(format, NIB_GRANULARITY_GROUP, group, flags, NIB_TYPE_F16);
  };
  std::vector<NibWeights> ways = {way(NIB_FORMAT_INT8, 32, 0), way(NIB_FORMAT_INT8, 16, NIB_WEIGHTS_ASYMMETRIC),
                                  way(NIB_FORMAT_INT4, 32, 0), way(NIB_FORMAT_INT4, 32, NIB_WEIGHTS_ASYMMETRIC),
                                  way(NIB_FORMAT_FP8, 32, 0),  way(NIB_FORMAT_Q8_0, 0, 0),
                                  way(NIB_FORMAT_Q4_0, 32, 0), way(NIB_FORMAT_INT8, 64, NIB_WEIGHTS_NARROW),
                                  way(NIB_FORMAT_INT4, 48, 0), way(NIB_FORMAT_INT4, 16, NIB_WEIGHTS_ASYMMETRIC),
                                  way(NIB_FORMAT_FP8, 16, 0)};
  std::erase_if(ways, [](const NibWeights& cache) { return nibFormatById(cache.format) == nullptr; });
  return ways;
}

std::string cacheName(const NibWeights& cache) {
  return cache.format == NIB_FORMAT_DENSE ? typeName(cache.scale_type) : weightsName(cache);
}

uint64_t cacheRowBytes(const NibWeights& cache, uint32_t cols) {
  const NibFormatInfo* info = nibFormatById(cache.format);
  if (info == nullptr) throw std::runtime_error("a cache of a format that this build lacks");
  const uint32_t group = cache.group_size != 0 ? cache.group_size : info->default_group_size, scales = cols / group;
  const bool zeros = (cache.flags & NIB_WEIGHTS_ASYMMETRIC) != 0;
  return uint64_t(cols) * info->bits / 8 + wholeWords(uint64_t(scales) * 2) + (zeros ? wholeWords(scales) : 0);
}

Words codedCache(Recipe recipe, const NibWeights& cache, uint32_t rows, uint32_t cols, uint64_t seed) {
  NibAppendDesc d = describe<NibAppendDesc>(NIB_OP_APPEND);
  d.tokens = d.cache_rows = rows;
  d.cols = cols;
  d.cache = cache;
  const NibOpDesc* desc = reinterpret_cast<const NibOpDesc*>(&d);
  const NibMemory memory = memoryOf(desc, "a cache cannot be made");
  Words input(wordsOf(memory.range[NIB_ROLE_INPUT].size_bytes)), output(wordsOf(rows * cacheRowBytes(cache, cols)));
  const NibMemoryPart& source = memory.part[NIB_PART_SOURCE];
  fillPart(input, source, makeNumbers(recipe, NIB_TYPE_F32, source.size_bytes, seed));
  Words numbers(rows);
  for (uint32_t i = 0; i < rows; ++i) numbers[i] = i;
  fillPart(input, memory.part[NIB_PART_INDICES], numbers);
  NibCpuBinding binding{sizeof(NibCpuBinding)};
  binding.range[NIB_ROLE_INPUT] = {input.data(), input.size() * 4};
  binding.range[NIB_ROLE_OUTPUT] = {output.data(), output.size() * 4};
  runOnHost(desc, binding, rows, "a cache is not written");
  return output;
}

std::vector<float> decodedCache(const NibWeights& cache, uint32_t rows, uint32_t cols, const void* data) {
  NibDequantizeDesc d = describe<NibDequantizeDesc>(NIB_OP_DEQUANTIZE);
  d.rows = 1;
  d.cols = cols;
  d.weights = cache;
  const NibOpDesc* desc = reinterpret_cast<const NibOpDesc*>(&d);
  const NibMemory memory = memoryOf(desc, "a cache cannot be decoded");
  std::vector<float> values(size_t(rows) * cols);
  const uint64_t row_bytes = cacheRowBytes(cache, cols), codes = memory.part[NIB_PART_CODES].size_bytes;
  NibCpuBinding binding{sizeof(NibCpuBinding)};
  binding.part_offset_bytes[NIB_PART_SCALES] = codes;
  if (memory.part[NIB_PART_ZEROS].size_bytes != 0) {
    binding.part_offset_bytes[NIB_PART_ZEROS] = codes + memory.part[NIB_PART_SCALES].size_bytes;
  }
  for (uint32_t row = 0; row < rows; ++row) {
    // The row is read only.
    void* at = const_cast<char*>(static_cast<const char*>(data) + row * row_bytes);
    binding.range[NIB_ROLE_WEIGHTS] = {at, row_bytes};
    binding.range[NIB_ROLE_OUTPUT] = {&values[size_t(row) * cols], uint64_t(cols) * 4};
    runOnHost(desc, binding, 1, "a cache is not decoded");
  }
  return values;
}

}  // namespace nib::selftest
