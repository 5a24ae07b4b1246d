// ggml's blocks by the library alone, for blocks.py.
//
//   nibble_gguf_blocks FORMAT ROWS COLS quantize [IMPORTANCE] < fp32 > blocks     IMPORTANCE: a file of fp32, one per
//   column nibble_gguf_blocks FORMAT ROWS COLS dequantize < blocks > fp32
#include <nibble/nibble.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<char>;

template <class Desc>
Desc describe(uint32_t op, uint32_t rows, uint32_t cols, const NibWeights& weights) {
  Desc d{};
  d.op = op;
  d.desc_bytes = sizeof d;
  d.rows = rows;
  d.cols = cols;
  d.weights = weights;
  return d;
}

// Ranges of an op in host memory.
struct Ranges {
  NibMemory memory{sizeof(NibMemory)};
  Bytes role[NIB_ROLE_COUNT];

  explicit Ranges(const void* desc) {
    if (nibGetMemory(static_cast<const NibOpDesc*>(desc), nullptr, &memory) != NIB_SUCCESS) std::exit(2);
    for (uint32_t r = 0; r < NIB_ROLE_COUNT; ++r) role[r].resize(memory.range[r].size_bytes);
  }
  void put(uint32_t r, const Bytes& bytes) {
    if (bytes.size() > role[r].size()) std::exit(3);
    std::memcpy(role[r].data(), bytes.data(), bytes.size());
  }
  void run(const void* desc, uint32_t rows) {
    NibCpuBinding binding{sizeof(NibCpuBinding)};
    for (uint32_t r = 0; r < NIB_ROLE_COUNT; ++r) binding.range[r] = {role[r].data(), role[r].size()};
    const NibRun run{sizeof(NibRun), rows, 0, 0, UINT32_MAX, {}};
    if (nibCpuRun(static_cast<const NibOpDesc*>(desc), &binding, &run, nullptr, nullptr) != NIB_SUCCESS) std::exit(4);
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 1;
  const NibFormatInfo* info = nibFormatByName(argv[1]);
  if (info == nullptr) return 1;
  const uint32_t rows = uint32_t(std::atoi(argv[2])), cols = uint32_t(std::atoi(argv[3]));
  const NibWeights weights{
      info->format, NIB_GRANULARITY_GROUP, 0, uint32_t(std::countr_zero(info->scale_types)), 0, {}};
  const Bytes input{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  NibRepackDesc repack = describe<NibRepackDesc>(NIB_OP_REPACK, rows, cols, weights);
  repack.layout = NIB_LAYOUT_GGUF;
  Bytes output;
  if (std::string(argv[4]) == "quantize") {
    NibQuantizeDesc quantize = describe<NibQuantizeDesc>(NIB_OP_QUANTIZE, rows, cols, weights);
    if (argc > 5) quantize.flags = NIB_QUANTIZE_IMPORTANCE;
    Ranges found(&quantize);
    found.put(NIB_ROLE_INPUT, input);
    if (argc > 5) {
      std::ifstream file(argv[5], std::ios::binary);
      file.read(found.role[NIB_ROLE_AUX].data() + found.memory.part[NIB_PART_IMPORTANCE].offset_bytes, cols * 4);
      if (!file) return 5;
    }
    found.run(&quantize, rows);
    Ranges packed(&repack);
    packed.put(NIB_ROLE_WEIGHTS, found.role[NIB_ROLE_WEIGHTS]);
    packed.run(&repack, rows);
    output = packed.role[NIB_ROLE_OUTPUT];
  } else {
    repack.flags = NIB_REPACK_UNPACK;
    Ranges unpacked(&repack);
    unpacked.put(NIB_ROLE_INPUT, input);
    unpacked.run(&repack, rows);
    NibDequantizeDesc dequantize = describe<NibDequantizeDesc>(NIB_OP_DEQUANTIZE, rows, cols, weights);
    Ranges values(&dequantize);
    values.put(NIB_ROLE_WEIGHTS, unpacked.role[NIB_ROLE_WEIGHTS]);
    values.run(&dequantize, rows);
    output = values.role[NIB_ROLE_OUTPUT];
  }
  std::cout.write(output.data(), std::streamsize(output.size()));
  return 0;
}
