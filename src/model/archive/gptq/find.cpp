#include "model/archive/gptq/find.h"

#include "model/archive/checkpoint.h"
#include "model/archive/error.h"

#include <nibble/formats.h>

#include <algorithm>
#include <cstring>

namespace nib::model {
namespace {

constexpr std::string_view kCodes = ".qweight";
constexpr uint64_t kSides = 32;  // sides of a matrix are multiples of this

struct Parts {
  std::string module;
  size_t codes = 0, zeros = 0, scales = 0;
  std::optional<size_t> groups;
};

Error refused(const std::string& module, const std::string& what) { return Error(quoteText(module) + ": " + what); }

Parts partsOf(const Checkpoint& checkpoint, size_t codes) {
  Parts parts;
  const std::string_view name = checkpoint.info(codes).name;
  parts.module = name.substr(0, name.size() - kCodes.size());
  parts.codes = codes;
  const auto find = [&](const char* part) {
    const std::optional<size_t> index = checkpoint.find(parts.module + part);
    if (!index) throw refused(parts.module, std::string("there is no ") + (part + 1) + " beside its qweight");
    return *index;
  };
  parts.zeros = find(".qzeros");
  parts.scales = find(".scales");
  parts.groups = checkpoint.find(parts.module + ".g_idx");
  return parts;
}

void checkMatrix(const Checkpoint& checkpoint, size_t index, const std::string& module) {
  const TensorInfo info = checkpoint.info(index);
  if (info.shape.size() == 2 && info.shape[0] != 0 && info.shape[1] != 0 && info.shape[0] <= UINT32_MAX / 32 &&
      info.shape[1] <= UINT32_MAX / 32) {
    return;
  }
  throw refused(module, quoteText(info.name) + " is not a matrix");
}

// The group of every column. Throws if one is beyond the groups that there are.
std::vector<uint32_t> groupsOf(const Checkpoint& checkpoint, const Parts& parts, uint64_t cols, uint64_t groups) {
  const TensorInfo info = checkpoint.info(*parts.groups);
  if (info.dtype != Dtype::kI32 || info.shape != std::vector<uint64_t>{cols}) {
    throw refused(parts.module, "g_idx is not I32 [" + std::to_string(cols) + "], a group for every column");
  }
  std::vector<uint32_t> of(static_cast<size_t>(cols));
  checkpoint.read(*parts.groups, 0, std::as_writable_bytes(std::span(of)));
  for (const uint32_t group : of) {
    if (group >= groups) {
      throw refused(parts.module, "g_idx holds " + std::to_string(int32_t(group)) + ", and scales has " +
                                      std::to_string(groups) + " groups");
    }
  }
  return of;
}

uint32_t formatOf(uint64_t bits) {
  switch (bits) {
    case 2: return NIB_FORMAT_INT2;
    case 3: return NIB_FORMAT_INT3;
    case 4: return NIB_FORMAT_INT4;
    case 8: return NIB_FORMAT_INT8;
    default: return 0;
  }
}

// The number of columns of each group but the last, if groups are runs of columns in order; else 0.
uint64_t orderlyGroup(const std::vector<uint32_t>& of) {
  const uint64_t size = uint64_t(std::find(of.begin(), of.end(), 1u) - of.begin());
  for (size_t i = 0; i < of.size(); ++i) {
    if (size == 0 || of[i] != i / size) return 0;
  }
  return size;
}

void checkSupported(const std::string& module, const WeightSpec& w) {
  NibMemory memory{sizeof(NibMemory)};
  NibDequantizeDesc desc{};
  desc.op = NIB_OP_DEQUANTIZE;
  desc.desc_bytes = sizeof desc;
  desc.rows = w.rows;
  desc.cols = w.cols;
  desc.weights = w.weights;
  if (nibGetMemory(reinterpret_cast<const NibOpDesc*>(&desc), nullptr, &memory) == NIB_SUCCESS) return;
  throw refused(module, "has groups of " + std::to_string(w.weights.group_size) +
                            " columns, or scales of a type, that nibble does not support");
}

FoundWeight describe(const Checkpoint& checkpoint, const Parts& parts, const PackedSettings& stated, bool awq) {
  for (const size_t index : {parts.codes, parts.zeros, parts.scales}) checkMatrix(checkpoint, index, parts.module);
  const TensorInfo codes = checkpoint.info(parts.codes), zeros = checkpoint.info(parts.zeros),
                   scales = checkpoint.info(parts.scales);
  const uint64_t rows = scales.shape[1], groups = scales.shape[0];
  if (codes.dtype != Dtype::kI32 || zeros.dtype != Dtype::kI32) throw refused(parts.module, "its codes are not I32");
  if (zeros.shape[1] * 32 % rows != 0 || zeros.shape[0] != groups) {
    throw refused(parts.module, "qzeros and scales differ in groups or outputs");
  }
  const uint64_t bits = zeros.shape[1] * 32 / rows;
  const uint32_t format = formatOf(bits);
  if (format == 0 || (awq && bits != 4)) {
    throw refused(parts.module, "has zero points of " + std::to_string(bits) + " bits, which nibble does not read");
  }
  if (stated.bits && *stated.bits != int64_t(bits)) {
    throw refused(parts.module, "has codes of " + std::to_string(bits) + " bits, and the configuration says " +
                                    std::to_string(*stated.bits));
  }
  const uint64_t cols = awq ? codes.shape[0] : codes.shape[0] * 32 / bits;
  const bool codes_fit = awq ? codes.shape[1] * 8 == rows : codes.shape[1] == rows && codes.shape[0] * 32 % bits == 0;
  if (!codes_fit) throw refused(parts.module, "qweight and scales differ in outputs");
  if (rows % kSides != 0 || cols % kSides != 0) {
    throw refused(parts.module, "is " + std::to_string(rows) + " x " + std::to_string(cols) +
                                    ", and nibble reads multiples of 32 only");
  }
  FoundWeight found;
  WeightSpec& w = found.spec;
  w.name = parts.module + ".weight";
  w.rows = uint32_t(rows);
  w.cols = uint32_t(cols);
  w.weights.format = format;
  if (!stated.symmetric) w.weights.flags = NIB_WEIGHTS_ASYMMETRIC;
  if (scales.dtype != Dtype::kF16 && scales.dtype != Dtype::kBF16 && scales.dtype != Dtype::kF32) {
    throw refused(parts.module, "scales are of type " + std::string(dtypeName(scales.dtype)));
  }
  w.weights.scale_type = scales.dtype == Dtype::kF16    ? NIB_TYPE_F16
                         : scales.dtype == Dtype::kBF16 ? NIB_TYPE_BF16
                                                        : NIB_TYPE_F32;
  w.source = statedDtype(checkpoint).value_or(scales.dtype);
  uint64_t size = stated.group_size && *stated.group_size > 0 ? uint64_t(*stated.group_size)
                  : groups == 1                               ? cols
                                                              : (cols + groups - 1) / groups;
  if (parts.groups && !awq) {
    std::vector<uint32_t> of = groupsOf(checkpoint, parts, cols, groups);
    const uint64_t orderly = orderlyGroup(of);
    if (orderly != 0) {
      size = orderly;
    } else {
      found.groups_of = std::move(of);
    }
  } else if (stated.reorders && groups > 1 && !awq) {
    throw refused(parts.module, "there is no g_idx, which desc_act of the configuration needs");
  }
  const uint64_t wanted = stated.group_size && *stated.group_size > 0 ? uint64_t(*stated.group_size) : size;
  const bool one = stated.group_size && *stated.group_size == -1;
  if ((cols + size - 1) / size != groups || (cols + wanted - 1) / wanted != groups || (one && groups != 1)) {
    throw refused(parts.module, "has " + std::to_string(groups) + " groups for " + std::to_string(cols) +
                                    " columns, which groups of " +
                                    (one ? "-1" : std::to_string(stated.group_size ? wanted : size)) + " are not");
  }
  if (groups == 1) {
    w.weights.granularity = NIB_GRANULARITY_ROW;
    found.groups_of.clear();
  } else {
    w.weights.granularity = NIB_GRANULARITY_GROUP;
    w.weights.group_size = uint32_t(size);
  }
  checkSupported(parts.module, w);
  return found;
}

}  // namespace

bool hasPacked(const Checkpoint& checkpoint) {
  for (size_t i = 0; i < checkpoint.size(); ++i) {
    if (checkpoint.info(i).name.ends_with(kCodes)) return true;
  }
  return false;
}

std::vector<std::byte> fieldPattern(uint32_t bits, uint32_t field) {
  std::vector<std::byte> pattern(12);
  for (uint32_t at = 0; at < 96; at += bits) {
    for (uint32_t b = 0; b < bits; ++b) pattern[(at + b) / 8] |= std::byte((field >> b & 1u) << (at + b) % 8);
  }
  return pattern;
}

bool isPattern(const Checkpoint& checkpoint, size_t tensor, const std::vector<std::byte>& pattern) {
  const uint64_t size = checkpoint.info(tensor).bytes, chunk = pattern.size() << 12;
  std::vector<std::byte> bytes;
  for (uint64_t at = 0; at < size; at += chunk) {
    bytes.resize(size_t(std::min(chunk, size - at)));
    checkpoint.read(tensor, at, bytes);
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (bytes[i] != pattern[i % pattern.size()]) return false;
    }
  }
  return true;
}

std::vector<FoundWeight> findPacked(const Checkpoint& checkpoint, const Container& container,
                                    const PackedConfig& config, bool awq) {
  std::vector<FoundWeight> found;
  for (size_t i = 0; i < checkpoint.size(); ++i) {
    const TensorInfo info = checkpoint.info(i);
    if (!info.name.ends_with(kCodes)) continue;
    const Parts parts = partsOf(checkpoint, i);
    const TensorInfo scales = checkpoint.info(parts.scales);
    if (scales.shape.size() != 2 || info.shape.size() != 2)
      throw refused(parts.module, "qweight or scales is no matrix");
    // GPTQ has a column of words for every output, AWQ for eight.
    if (awq != (info.shape[1] != scales.shape[1])) continue;
    FoundWeight weight = describe(checkpoint, parts, config.of(parts.module), awq);
    // All outputs at zero point 8 are symmetric codes.
    if (awq && isPattern(checkpoint, parts.zeros, fieldPattern(4, 8))) {
      weight.spec.weights.flags &= ~uint32_t(NIB_WEIGHTS_ASYMMETRIC);
    }
    for (const WeightPart& part : container.parts(weight.spec, Activations::kNone)) {
      const std::optional<size_t> index = checkpoint.find(part.tensor.name);
      if (!index && part.from == PartFrom::kGroups) continue;
      const TensorInfo there = checkpoint.info(index.value());
      if (there.dtype != part.tensor.dtype || there.shape != part.tensor.shape) {
        throw refused(parts.module, quoteText(there.name) + " has another type or shape than its weight requires");
      }
      weight.tensors.push_back(*index);
    }
    found.push_back(std::move(weight));
  }
  return found;
}

}  // namespace nib::model
