#include <nibble/formats.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "bounded.h"
#include "cases.h"
#include "plan/probe_exact.h"

namespace nib::cases {
namespace {

constexpr uint32_t kUntouched = 0xa5a5a5a5u;
const char* const kRoleNames[] = {"weights", "input", "output", "aux"};

uint64_t alignUp(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

void fillPart(std::vector<uint32_t>& image, const NibMemoryPart& part, const std::vector<uint32_t>& words) {
  if (part.size_bytes == 0) return;
  std::memcpy(reinterpret_cast<uint8_t*>(image.data()) + part.offset_bytes, words.data(), size_t(part.size_bytes));
}

// Scales that exist: positive ones of many sizes, and ones that are none.
std::vector<uint32_t> makeScales(uint32_t type, uint64_t size_bytes, uint64_t seed) {
  const uint64_t count = size_bytes / (type == NIB_TYPE_F32 ? 4 : type == NIB_TYPE_E8M0 ? 1 : 2);
  Random random(seed ^ 0x5ca1e);
  std::vector<uint32_t> words(size_t(alignUp(size_bytes, 4) / 4), 0);
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t bits = 0x3a000000u + (random.bits() & 0x07ffffffu);
    const uint32_t kind = random.below(24);
    if (kind == 0) bits = 0;
    if (kind == 1) bits = 0x03000000u + (random.bits() & 0x00ffffffu);
    if (kind == 2) bits = random.bits() & 0x7fffffffu;
    if (kind == 3) bits = random.bits();
    if (type == NIB_TYPE_F32) {
      words[i] = bits;
    } else if (type == NIB_TYPE_E8M0) {
      words[i / 4] |= (kind < 4 ? bits >> 16 & 0xffu : 110 + random.below(30)) << (i % 4 * 8);
    } else {
      // The same spread over the type's own patterns.
      const uint32_t half_word = kind < 4 ? bits >> 16 : type == NIB_TYPE_F16 ? 0x1000u + (bits & 0x2fffu) : bits >> 16;
      words[i / 2] |= half_word << (i % 2 * 16);
    }
  }
  return words;
}

std::vector<uint32_t> makeBits(uint64_t size_bytes, uint64_t seed) { return makeValues(Recipe::kBits, size_t(alignUp(size_bytes, 4) / 4), seed); }

NibCpuBinding bindingOf(const NibMemory& memory, Images& images) {
  NibCpuBinding binding{};
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    binding.range[role] = {images.role[role].empty() ? nullptr : images.role[role].data(), memory.range[role].size_bytes};
  }
  return binding;
}

// A blob as quantizing ordinary numbers gives it.
std::vector<uint32_t> quantized(uint32_t rows, uint32_t cols, const NibWeights& weights, uint64_t seed) {
  Case quantize;
  quantize.desc.quantize = {NIB_OP_QUANTIZE, 0, rows, cols, NIB_TYPE_F32, 0, weights};
  quantize.recipe = Recipe::kNormal;
  quantize.seed = seed;
  quantize.n = rows;
  NibMemory blob;
  if (nibGetMemory(&quantize.desc.op, nullptr, &blob) != NIB_SUCCESS) {
    throw kit::Error("no weights for " + quantize.name());
  }
  Images source = makeImages(quantize, blob);
  runReference(quantize, blob, source);
  return source.role[NIB_ROLE_WEIGHTS];
}

// Activations of a product as codes.
std::vector<uint32_t> makeCodedInput(const Case& c, const NibMemory& memory) {
  const NibMatmulDesc& d = c.desc.matmul;
  if (c.recipe != Recipe::kExact) return quantized(d.tokens * std::max(d.batch, 1u), d.cols, d.input, c.seed + 6);
  std::vector<uint32_t> words(size_t(alignUp(memory.range[NIB_ROLE_INPUT].size_bytes, 4) / 4));
  probe::fillExactInput(d.input, words.data(), words.size() * 4, memory.part[NIB_PART_INPUT_SCALES]);
  return words;
}

// Any order, now and then with columns twice and ones that are not there, the nearest among them.
std::vector<uint32_t> makeOrder(uint32_t cols, uint64_t seed) {
  Random random(seed ^ 0x09de9);
  std::vector<uint32_t> order(cols);
  for (uint32_t k = 0; k < cols; ++k) {
    const uint32_t other = random.below(k + 1);
    order[k] = order[other];
    order[other] = k;
  }
  if (seed % 2 != 0 && cols > 3) {
    order[1] = order[0];
    order[cols / 2] = cols;
    order[cols - 1] = UINT32_MAX;
  }
  return order;
}

// Codes of a product of codes: any, or of the recipe kAlike.
std::vector<uint32_t> makeCodes(const Case& c, const NibWeights& of, uint64_t bytes, uint64_t seed) {
  if (c.recipe != Recipe::kAlike) return makeBits(bytes, seed);
  const uint32_t word = of.format == NIB_FORMAT_INT8 ? 0x81818181u : of.format == NIB_FORMAT_UINT8 ? 0x01010101u : 0x11111111u;
  return std::vector<uint32_t>(size_t((bytes + 3) / 4), word);
}

// Weights, bias, order and residual of a product: with exact sums, or quantized from ordinary numbers.
void makeProduct(const Case& c, const NibMemory& memory, Images& images) {
  const NibMatmulDesc& d = c.desc.matmul;
  const uint32_t rows = d.rows * std::max(d.batch, 1u);
  const Recipe recipe = c.recipe == Recipe::kExact ? Recipe::kExact : Recipe::kNormal;
  std::vector<uint32_t>& weights = images.role[NIB_ROLE_WEIGHTS];
  const NibMemoryPart& codes = memory.part[NIB_PART_CODES];
  if (recipe == Recipe::kExact) {
    probe::fillExactWeights(d.weights, memory, bindingOf(memory, images));
  } else if (d.weights.format == NIB_FORMAT_DENSE) {
    const NibType type = NibType(d.weights.scale_type);
    fillPart(weights, codes, makeDense(recipe, type, codes.size_bytes / (type == NIB_TYPE_F32 ? 4 : 2), c.seed + 2));
  } else {
    const std::vector<uint32_t> blob = quantized(rows, d.cols, d.weights, c.seed + 2);
    std::copy(blob.begin(), blob.end(), weights.begin());
  }
  const NibMemoryPart& bias = memory.part[NIB_PART_BIAS];
  fillPart(weights, bias, makeDense(recipe, NIB_TYPE_F32, bias.size_bytes / 4, c.seed + 3));
  if (d.flags & NIB_PRODUCT_ORDER) fillPart(weights, memory.part[NIB_PART_ORDER], makeOrder(d.cols, c.seed));
  if (d.flags & NIB_PRODUCT_RESIDUAL) {
    std::vector<uint32_t>& output = images.role[NIB_ROLE_OUTPUT];
    output = makeDense(recipe, NibType(d.result_type), output.size() * (d.result_type == NIB_TYPE_F32 ? 1 : 2), c.seed + 4);
  }
}

std::string compare(const char* what, const uint32_t* got, const uint32_t* expected, uint64_t words) {
  uint64_t bad = 0, first = 0;
  for (uint64_t i = words; i > 0; --i) {
    if (got[i - 1] != expected[i - 1]) {
      ++bad;
      first = i - 1;
    }
  }
  if (bad == 0) return {};
  char text[160];
  std::snprintf(text, sizeof text, "%s: %llu of %llu words differ, first word %llu: device 0x%08x, reference 0x%08x", what,
                (unsigned long long)bad, (unsigned long long)words, (unsigned long long)first, got[first], expected[first]);
  return text;
}

}  // namespace

std::vector<uint32_t> makeInput(const Case& c, const NibMemory& memory) {
  const auto dense = [&](uint32_t type, uint64_t bytes) {
    return makeDense(c.recipe, NibType(type), bytes / (type == NIB_TYPE_F32 ? 4 : 2), c.seed);
  };
  const uint64_t bytes = memory.range[NIB_ROLE_INPUT].size_bytes;
  switch (c.op()) {
    case NIB_OP_QUANTIZE: return dense(c.desc.quantize.source_type, bytes);
    case NIB_OP_MINMAX: return dense(c.desc.minmax.source_type, bytes);
    case NIB_OP_CONVERT: return dense(c.desc.convert.source_type, bytes);
    case NIB_OP_MATMUL:
      return c.desc.matmul.input.format != 0 ? makeCodedInput(c, memory) : dense(c.desc.matmul.input_type, bytes);
    case NIB_OP_HISTOGRAM: return dense(c.desc.histogram.source_type, bytes);
    case NIB_OP_MOMENTS: return dense(c.desc.moments.source_type, bytes);
    case NIB_OP_GATHER: {
      // Any rows, some of them several times; some that are not there, the nearest among them.
      const uint32_t rows = c.desc.gather.rows;
      Random random(c.seed ^ 0x6a7e);
      std::vector<uint32_t> numbers(size_t(bytes / 4));
      for (uint32_t& number : numbers) {
        const uint32_t kind = random.below(16);
        number = kind == 0 ? rows : kind == 1 ? random.bits() | 0x80000000u : kind == 2 ? rows - 1 : random.below(rows);
      }
      return numbers;
    }
    case NIB_OP_ERRORS: {
      const NibErrorsDesc& d = c.desc.errors;
      const Dense of{NibType(d.reference_type), d.reference_stride != 0 ? d.reference_stride : d.cols};
      const Dense to{NibType(d.candidate_type), d.candidate_stride != 0 ? d.candidate_stride : d.cols};
      std::vector<uint32_t> words = dense(d.reference_type, memory.part[NIB_PART_REFERENCE].size_bytes);
      const std::vector<uint32_t> candidate = makeCandidate(words, of, to, d.rows, d.cols, c.seed);
      words.resize(size_t(memory.part[NIB_PART_CANDIDATE].offset_bytes / 4), kUntouched);
      words.insert(words.end(), candidate.begin(), candidate.end());
      return words;
    }
    case NIB_OP_DYNAMIC_GEMM: return dense(c.desc.dynamic_gemm.source_type, bytes);
    case NIB_OP_INT8_GEMM: {
      std::vector<uint32_t> words = makeCodes(c, c.desc.int8_gemm.input, bytes, c.seed + 7);
      fillPart(words, memory.part[NIB_PART_INPUT_SCALES],
               makeScales(c.desc.int8_gemm.input.scale_type, memory.part[NIB_PART_INPUT_SCALES].size_bytes, c.seed + 8));
      return words;
    }
    default: return {};
  }
}

std::vector<uint32_t> makeOutput(const Case& c, const NibMemory& memory) {
  if (c.op() != NIB_OP_HISTOGRAM || (c.desc.histogram.flags & NIB_HISTOGRAM_ACCUMULATE) == 0) return {};
  // Histograms of any exponents, some of nothing; counts at the ends of their words.
  const NibMemoryPart& heads = memory.part[NIB_PART_HEADS];
  const NibMemoryPart& counts = memory.part[NIB_PART_COUNTS];
  std::vector<uint32_t> words(size_t(memory.range[NIB_ROLE_OUTPUT].size_bytes / 4), kUntouched);
  const size_t histograms = size_t(heads.size_bytes / sizeof(NibHistogramHead));
  Random random(c.seed ^ 0x4157);
  for (size_t h = 0; h < histograms; ++h) {
    const uint32_t kind = random.below(8);
    const bool empty = kind == 0;
    const uint32_t exponent = empty ? 0 : kind == 1 ? 254 : kind == 2 ? 1 + random.below(254) : 110 + random.below(24);
    NibHistogramHead head{exponent, 0, 0, 0, 0, 0};
    if (!empty) head = {exponent, 0, -float(random.unit()), float(random.unit()), random.next() >> 8, random.next() >> 31};
    std::memcpy(&words[size_t(heads.offset_bytes / 4) + 8 * h], &head, sizeof head);
    const size_t per_histogram = size_t(counts.size_bytes / 4) / histograms;
    for (size_t i = 0; i < per_histogram; ++i) {
      const uint32_t low = random.below(3) == 0 ? 0u - random.below(3) : random.bits();
      words[size_t(counts.offset_bytes / 4) + h * per_histogram + i] = empty ? 0 : i % 2 == 0 ? low : random.below(1000);
    }
  }
  return words;
}

Images makeImages(const Case& c, const NibMemory& memory) {
  Images images;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    // Scratch and results begin as marks; a kernel that counts on zeros is caught.
    images.role[role].assign(size_t(alignUp(memory.range[role].size_bytes, 4) / 4), kUntouched);
  }
  const NibMemoryPart& status = memory.part[NIB_PART_STATUS];
  if (status.size_bytes != 0) fillPart(images.role[NIB_ROLE_AUX], status, std::vector<uint32_t>(4, 0));
  const std::vector<uint32_t> input = makeInput(c, memory);
  std::copy(input.begin(), input.end(), images.role[NIB_ROLE_INPUT].begin());
  const std::vector<uint32_t> output = makeOutput(c, memory);
  std::copy(output.begin(), output.end(), images.role[NIB_ROLE_OUTPUT].begin());
  auto parameters = [&](uint32_t scale_type) {
    const NibMemoryPart& scales = memory.part[NIB_PART_SCALES];
    const NibMemoryPart& zeros = memory.part[NIB_PART_ZEROS];
    const NibMemoryPart& nested = memory.part[NIB_PART_NESTED];
    fillPart(images.role[NIB_ROLE_WEIGHTS], scales, nested.size_bytes != 0 ? makeBits(scales.size_bytes, c.seed + 3)
                                                                           : makeScales(scale_type, scales.size_bytes, c.seed));
    fillPart(images.role[NIB_ROLE_WEIGHTS], nested, makeScales(scale_type, nested.size_bytes, c.seed));
    fillPart(images.role[NIB_ROLE_WEIGHTS], zeros, makeBits(zeros.size_bytes, c.seed + 1));
  };
  if (c.op() == NIB_OP_QUANTIZE) {
    if (c.desc.quantize.flags & NIB_QUANTIZE_GIVEN_SCALES) parameters(c.desc.quantize.weights.scale_type);
  } else if (c.op() == NIB_OP_DEQUANTIZE || c.op() == NIB_OP_GATHER) {
    const NibMemoryPart& codes = memory.part[NIB_PART_CODES];
    fillPart(images.role[NIB_ROLE_WEIGHTS], codes, makeBits(codes.size_bytes, c.seed + 2));
    parameters((c.op() == NIB_OP_GATHER ? c.desc.gather.weights : c.desc.dequantize.weights).scale_type);
  } else if (c.op() == NIB_OP_MATMUL) {
    makeProduct(c, memory, images);
  } else if (c.op() == NIB_OP_INT8_GEMM || c.op() == NIB_OP_DYNAMIC_GEMM) {
    const bool codes_in = c.op() == NIB_OP_INT8_GEMM;
    const NibWeights& of = codes_in ? c.desc.int8_gemm.weights : c.desc.dynamic_gemm.weights;
    const uint32_t result_type = codes_in ? c.desc.int8_gemm.result_type : c.desc.dynamic_gemm.result_type;
    const uint32_t flags = codes_in ? c.desc.int8_gemm.flags : c.desc.dynamic_gemm.flags;
    std::vector<uint32_t>& weights = images.role[NIB_ROLE_WEIGHTS];
    const NibMemoryPart& codes = memory.part[NIB_PART_CODES];
    const NibMemoryPart& bias = memory.part[NIB_PART_BIAS];
    fillPart(weights, codes, makeCodes(c, of, codes.size_bytes, c.seed + 2));
    parameters(of.scale_type);
    fillPart(weights, bias, makeValues(Recipe::kMixed, bias.size_bytes / 4, c.seed + 4));
    float table[256];
    if (codes_in && nibFillActivationTable(&c.desc.int8_gemm, table) == NIB_SUCCESS) {
      std::memcpy(reinterpret_cast<uint8_t*>(weights.data()) + memory.part[NIB_PART_TABLE].offset_bytes, table, sizeof table);
    }
    if (flags & NIB_PRODUCT_RESIDUAL) {
      const uint64_t bytes = memory.range[NIB_ROLE_OUTPUT].size_bytes;
      const bool dense = result_type <= NIB_TYPE_BF16;
      images.role[NIB_ROLE_OUTPUT] =
          dense ? makeDense(Recipe::kMixed, NibType(result_type), bytes / (result_type == NIB_TYPE_F32 ? 4 : 2), c.seed + 5)
                : makeBits(bytes, c.seed + 5);
    }
  } else if (c.op() == NIB_OP_REPACK) {
    const bool unpack = (c.desc.repack.flags & NIB_REPACK_UNPACK) != 0;
    std::vector<uint32_t>& from = images.role[unpack ? NIB_ROLE_INPUT : NIB_ROLE_WEIGHTS];
    from = makeBits(from.size() * 4, c.seed);
  }
  return images;
}

void runReference(const Case& c, const NibMemory& memory, Images& images) {
  const NibCpuBinding binding = bindingOf(memory, images);
  if (nibCpuRun(&c.desc.op, &binding, c.n, nullptr, nullptr) != NIB_SUCCESS) {
    throw kit::Error("the reference refuses what the device took: " + c.name());
  }
}

std::string difference(const NibMemory& memory, uint32_t role, const uint32_t* got, const Images& expected) {
  const std::vector<uint32_t>& words = expected.role[role];
  if (role != NIB_ROLE_AUX) return compare(kRoleNames[role], got, words.data(), words.size());
  const NibMemoryPart& status = memory.part[NIB_PART_STATUS];
  return compare("status", got + status.offset_bytes / 4, words.data() + status.offset_bytes / 4, status.size_bytes / 4);
}

Outcome runCase(const kit::Device& device, const Case& c, const Way& way) {
  Outcome outcome;
  const kit::Plan plan(device, &c.desc.op, c.descBytes());
  const NibMemory& memory = plan.memory();
  outcome.kernels = plan.kernels();
  Images images = makeImages(c, memory);

  // Ranges lie between guard bytes.
  kit::Buffer buffers[NIB_ROLE_COUNT];
  kit::Range ranges[NIB_ROLE_COUNT];
  const uint64_t before = way.range_offset_bytes;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const uint64_t size = memory.range[role].size_bytes;
    if (size == 0) continue;
    buffers[role] = kit::Buffer(device, before + alignUp(size, 4) + way.guard_bytes);
    device.fill(buffers[role], kUntouched, 0, buffers[role].sizeBytes());
    device.upload(buffers[role], images.role[role], before);
    ranges[role] = kit::Range(buffers[role], before, size);
  }
  const kit::Binding binding(plan, kit::Ranges{ranges[0], ranges[1], ranges[2], ranges[3]});
  if (way.run) {
    way.run(device, plan, binding, c.n);
  } else {
    device.run(binding, c.n);
  }

  const Images initial = isBounded(c) ? images : Images{};
  runReference(c, memory, images);
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    if (memory.range[role].size_bytes == 0) continue;
    const std::vector<uint32_t> got =
        device.download<uint32_t>(buffers[role], size_t(buffers[role].sizeBytes() / 4));
    const uint64_t first = before / 4;
    const uint64_t words = images.role[role].size();
    const std::vector<uint32_t> marks(size_t(std::max(before, way.guard_bytes) / 4), kUntouched);
    if (isBounded(c) && role == NIB_ROLE_OUTPUT) {
      outcome.bound_ratio = boundRatio(c, memory, initial, got.data() + first);
      if (!(outcome.bound_ratio <= 1)) outcome.message = "largest error / bound " + std::to_string(outcome.bound_ratio);
    } else {
      outcome.message = difference(memory, role, got.data() + first, images);
    }
    if (outcome.message.empty()) outcome.message = compare("guard before", got.data(), marks.data(), first);
    if (outcome.message.empty()) {
      outcome.message = compare("guard after", got.data() + first + words, marks.data(), way.guard_bytes / 4);
    }
    if (!outcome.message.empty()) return outcome;
  }
  outcome.passed = true;
  return outcome;
}

}  // namespace nib::cases
