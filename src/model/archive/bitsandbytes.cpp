// The bitsandbytes container, which transformers and vLLM load: NF4 and FP4 in blocks of consecutive elements, with or
// without double quantization, and LLM.int8, whose rows have an absolute maximum instead of a scale.
#include "model/archive/checkpoint.h"

#include <nibble/formats.h>

#include "model/archive/container.h"
#include "model/archive/error.h"
#include "model/archive/ignore_list.h"
#include "model/archive/json_document.h"

#include "shaders/numerics/dynamic_map.h"

#include <nlohmann/json.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint32_t kDynamicMap[256] = {NIB_DYNAMIC_MAP};

bool nested(const WeightSpec& w) { return (w.weights.flags & NIB_WEIGHTS_NESTED) != 0; }
const char* quantType(const WeightSpec& w) { return w.weights.format == NIB_FORMAT_NF4 ? "nf4" : "fp4"; }
uint64_t blocks(const WeightSpec& w) {
  return (uint64_t(w.rows) * w.cols + w.weights.group_size - 1) / w.weights.group_size;
}

bool eightBit(const WeightSpec& w) { return w.weights.format == NIB_FORMAT_INT8; }

// The values of the 16 codes of a format, as fp32: dequantizes every code with scale 1 on the CPU reference.
std::vector<std::byte> makeTable(uint32_t format) {
  NibDequantizeDesc desc{};
  desc.op = NIB_OP_DEQUANTIZE;
  desc.desc_bytes = sizeof desc;
  desc.rows = 1;
  desc.cols = 16;
  desc.weights = {format, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, 0};
  NibMemory memory{sizeof(NibMemory)};
  nibGetMemory(reinterpret_cast<const NibOpDesc*>(&desc), nullptr, &memory);
  std::vector<uint32_t> blob(size_t(memory.range[NIB_ROLE_WEIGHTS].size_bytes / 4));
  blob[0] = 0x76543210u;
  blob[1] = 0xfedcba98u;
  blob[size_t(memory.part[NIB_PART_SCALES].offset_bytes / 4)] = 0x3f800000u;
  std::vector<std::byte> table(16 * 4);
  NibCpuBinding binding{sizeof(NibCpuBinding)};
  binding.range[NIB_ROLE_WEIGHTS] = {blob.data(), blob.size() * 4};
  binding.range[NIB_ROLE_OUTPUT] = {table.data(), table.size()};
  const NibRun run{sizeof(NibRun), 1, 0, 0, UINT32_MAX, {}};
  nibCpuRun(reinterpret_cast<const NibOpDesc*>(&desc), &binding, &run, nullptr, nullptr);
  return table;
}

const std::vector<std::byte>& codeTable(const WeightSpec& w) {
  static const std::vector<std::byte> kNf4 = makeTable(NIB_FORMAT_NF4), kFp4 = makeTable(NIB_FORMAT_FP4);
  return w.weights.format == NIB_FORMAT_NF4 ? kNf4 : kFp4;
}

// Describes a 4-bit weight from the JSON text of its quant_state tensor.
FoundWeight describe(const Checkpoint& checkpoint, size_t tensor, const TensorInfo& info, const std::string& name) {
  constexpr uint64_t kMaxStateBytes = 4096;
  const auto refuse = [&](const char* what) -> Error { return Error(quoteText(name) + ": its quant_state " + what); };
  if (info.dtype != Dtype::kU8 || info.bytes > kMaxStateBytes) throw refuse("is not a short text");
  std::string text(size_t(info.bytes), ' ');
  checkpoint.read(tensor, 0, std::as_writable_bytes(std::span(text.data(), text.size())));
  const Json state = readJson(text, quoteText(name), "its quant_state");
  if (!state.is_object()) throw refuse("is not a JSON object");
  const auto number = [&](const char* key) -> uint64_t {
    if (!state.contains(key) || !state[key].is_number_unsigned()) throw refuse("lacks a number");
    return state[key].get<uint64_t>();
  };
  FoundWeight found;
  WeightSpec& w = found.spec;
  w.name = name;
  const Json shape = state.value("shape", Json());
  if (!shape.is_array() || shape.size() != 2 || !shape[0].is_number_unsigned() || !shape[1].is_number_unsigned()) {
    throw refuse("lacks a shape of two numbers");
  }
  const uint64_t rows = shape[0].get<uint64_t>(), cols = shape[1].get<uint64_t>();
  if (rows == 0 || cols == 0 || rows > UINT32_MAX || cols > UINT32_MAX) throw refuse("has a shape out of range");
  w.rows = uint32_t(rows);
  w.cols = uint32_t(cols);
  const std::string type =
      state.contains("quant_type") && state["quant_type"].is_string() ? state["quant_type"].get<std::string>() : "";
  if (type != "nf4" && type != "fp4") throw refuse("names a type that is neither nf4 nor fp4");
  const std::string dtype =
      state.contains("dtype") && state["dtype"].is_string() ? state["dtype"].get<std::string>() : "";
  w.source = dtype == "float16" ? Dtype::kF16 : dtype == "bfloat16" ? Dtype::kBF16 : Dtype::kF32;
  const uint64_t block = number("blocksize");
  if (block < 16 || block > 256 || block % 16 != 0) throw refuse("has a block size that nibble does not support");
  w.weights = {uint32_t(type == "nf4" ? NIB_FORMAT_NF4 : NIB_FORMAT_FP4), NIB_GRANULARITY_GROUP, uint32_t(block),
               NIB_TYPE_F32, NIB_WEIGHTS_FLAT};
  if (state.contains("nested_offset")) {
    if (!state["nested_offset"].is_number() || number("nested_blocksize") != 256) {
      throw refuse("has nested scales that nibble does not support");
    }
    w.weights.flags |= NIB_WEIGHTS_NESTED;
    found.nested_offset = state["nested_offset"].get<float>();
    if (!std::isfinite(found.nested_offset)) throw refuse("has a nested offset that is not finite");
  }
  return found;
}

// Loaders decode codes and nested scales with the maps in the file; nibble has the maps built in, so they must be
// equal.
void checkMap(const Checkpoint& checkpoint, const std::string& name, const char* map_name,
              std::span<const std::byte> expected) {
  std::vector<std::byte> map(expected.size());
  checkpoint.read(checkpoint.find(name + "." + map_name).value(), 0, map);
  for (size_t i = 0; i < map.size(); i += sizeof(float)) {
    float theirs, ours;
    std::memcpy(&theirs, &map[i], sizeof theirs);
    std::memcpy(&ours, &expected[i], sizeof ours);
    if (!(std::fabs(theirs - ours) <= 1e-6f * std::fabs(ours))) {
      throw Error(quoteText(name) + ": its " + map_name +
                  " differs from that of bitsandbytes, which nibble has built in");
    }
  }
}

// Describes an LLM.int8 weight from its SCB tensor, the absolute maxima of its rows.
FoundWeight describeEightBit(const Checkpoint& checkpoint, const TensorInfo& scb, const std::string& name) {
  FoundWeight found;
  WeightSpec& w = found.spec;
  w.name = name;
  if (scb.shape.size() != 1 || scb.shape[0] == 0 || scb.shape[0] > UINT32_MAX) {
    throw Error(quoteText(scb.name) + ": is not a vector with one element per row");
  }
  w.rows = uint32_t(scb.shape[0]);
  const std::optional<size_t> codes = checkpoint.find(name);
  if (!codes) throw Error(quoteText(scb.name) + ": there is no " + quoteText(name));
  const TensorInfo info = checkpoint.info(*codes);
  if (info.shape.size() != 2 || info.shape[1] == 0 || info.shape[1] > UINT32_MAX) {
    throw Error(quoteText(name) + ": is not a matrix");
  }
  w.cols = uint32_t(info.shape[1]);
  const std::optional<size_t> format = checkpoint.find(w.module() + ".weight_format");
  std::byte order{0};
  if (format && checkpoint.info(*format).bytes == 1) checkpoint.read(*format, 0, {&order, 1});
  if (order != std::byte{0}) {
    throw Error(quoteText(name) + ": its weight_format is not 0 (row): nibble does not read device-specific orders");
  }
  w.source = Dtype::kF16;
  w.weights = {NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, NIB_WEIGHTS_NARROW};
  return found;
}

class Bitsandbytes : public Container {
 public:
  const char* name() const override { return "bnb"; }
  bool holdsTransposed() const override { return true; }
  Loaders loaders() const override { return Loaders::kTransformers; }

  // LLM.int8 has one scale per row, absmax / 127.
  void normalize(WeightSpec& w) const override {
    if (!eightBit(w)) return;
    w.weights.scale_type = NIB_TYPE_F32;
    w.weights.flags |= NIB_WEIGHTS_NARROW;
  }

  std::string refuses(const WeightSpec& w, Activations activations) const override {
    if (w.weights.format != NIB_FORMAT_NF4 && w.weights.format != NIB_FORMAT_FP4 && !eightBit(w)) {
      return "bnb holds nf4, fp4 and int8";
    }
    if (activations != Activations::kNone) return "bnb has no setting for activations: its loaders decide";
    if (eightBit(w)) {
      if (w.weights.flags & NIB_WEIGHTS_ASYMMETRIC) return "bnb's int8 is symmetric";
      return w.weights.granularity == NIB_GRANULARITY_ROW ? "" : "bnb's int8 has scales per channel";
    }
    const uint32_t size = w.weights.group_size;
    if (size != 32 && size != 64 && size != 128 && size != 256) return "bnb's blocks have 32, 64, 128 or 256 weights";
    return "";
  }

  NibLayout layout(const WeightSpec& w, Activations) const override {
    return eightBit(w) ? NIB_LAYOUT_ROWS : NIB_LAYOUT_BITSANDBYTES;
  }

  std::vector<WeightPart> parts(const WeightSpec& w, Activations) const override {
    if (eightBit(w)) {
      const std::string module = w.module();
      return {{{w.name, Dtype::kI8, {w.rows, w.cols}}, PartFrom::kCodes},
              {{module + ".SCB", Dtype::kF32, {w.rows}}, PartFrom::kAbsmax},
              {{module + ".weight_format", Dtype::kU8, {}}, PartFrom::kBytes, {std::byte{0}}}};  // 0: row-major
    }
    const uint64_t elements = uint64_t(w.rows) * w.cols;
    std::vector<WeightPart> parts;
    parts.push_back({{w.name, Dtype::kU8, {(elements + 1) / 2, 1}}, PartFrom::kCodes});
    parts.push_back({{w.name + ".absmax", nested(w) ? Dtype::kU8 : Dtype::kF32, {blocks(w)}}, PartFrom::kScales});
    parts.push_back({{w.name + ".quant_map", Dtype::kF32, {16}}, PartFrom::kBytes, codeTable(w)});
    if (nested(w)) {
      parts.push_back({{w.name + ".nested_absmax", Dtype::kF32, {(blocks(w) + 255) / 256}}, PartFrom::kNestedScales});
      WeightPart map{{w.name + ".nested_quant_map", Dtype::kF32, {256}}, PartFrom::kBytes};
      map.bytes.resize(sizeof kDynamicMap);
      std::memcpy(map.bytes.data(), kDynamicMap, sizeof kDynamicMap);
      parts.push_back(map);
    }
    const uint64_t state_bytes = lateBytes(w, 0.0f).size();
    parts.push_back(
        {{w.name + ".quant_state.bitsandbytes__" + quantType(w), Dtype::kU8, {state_bytes}}, PartFrom::kLate});
    return parts;
  }

  // JSON text, padded with spaces so that its length does not depend on the value of the offset.
  std::vector<std::byte> lateBytes(const WeightSpec& w, float nested_offset) const override {
    Json state;
    state["quant_type"] = quantType(w);
    state["blocksize"] = w.weights.group_size;
    state["dtype"] = torchName(w.source);
    state["shape"] = {w.rows, w.cols};
    std::string text = state.dump();
    if (nested(w)) {
      char number[40];
      std::snprintf(number, sizeof number, "%.9g", double(nested_offset));  // 9 digits determine an fp32
      std::string value = number;
      if (value.find_first_of(".e") == std::string::npos) value += ".0";
      value.resize(24, ' ');
      text.back() = ',';
      text += "\"nested_blocksize\":256,\"nested_dtype\":\"float32\",\"nested_offset\":" + value + "}";
    }
    std::vector<std::byte> bytes(text.size());
    std::memcpy(bytes.data(), text.data(), text.size());
    return bytes;
  }

  std::vector<FoundWeight> find(const Checkpoint& checkpoint) const override {
    constexpr std::string_view kState = ".quant_state.bitsandbytes__";
    constexpr std::string_view kScb = ".SCB";
    std::vector<FoundWeight> found;
    for (size_t i = 0; i < checkpoint.size(); ++i) {
      const TensorInfo info = checkpoint.info(i);
      const size_t at = info.name.rfind(kState);
      const bool eight = info.name.ends_with(kScb);
      if (at == std::string_view::npos && !eight) continue;
      const std::string name = eight ? std::string(info.name.substr(0, info.name.size() - kScb.size())) + ".weight"
                                     : std::string(info.name.substr(0, at));
      FoundWeight weight = eight ? describeEightBit(checkpoint, info, name) : describe(checkpoint, i, info, name);
      std::string why;
      if (!findParts(*this, checkpoint, weight, &why)) throw Error(quoteText(name) + ": " + why);
      if (weight.spec.bits() == 4) checkMap(checkpoint, name, "quant_map", codeTable(weight.spec));
      if (nested(weight.spec)) checkMap(checkpoint, name, "nested_quant_map", std::as_bytes(std::span(kDynamicMap)));
      found.push_back(std::move(weight));
    }
    return found;
  }

  std::string quantizationConfig(const ConfigFacts& facts) const override {
    // A 4-bit weight states its own type in its quant_state; the config states the most frequent one.
    size_t nf4 = 0, eight = 0;
    for (const WeightSpec& w : facts.weights) {
      nf4 += w.weights.format == NIB_FORMAT_NF4 ? 1 : 0;
      eight += eightBit(w) ? 1 : 0;
    }
    if (eight != 0 && eight != facts.weights.size()) throw Error("--format bnb: int8 cannot be mixed with nf4 or fp4");
    const uint32_t most = 2 * nf4 >= facts.weights.size() ? NIB_FORMAT_NF4 : NIB_FORMAT_FP4;
    const WeightSpec* first = nullptr;
    for (const WeightSpec& w : facts.weights) first = first == nullptr && w.weights.format == most ? &w : first;
    Json config;
    config["quant_method"] = "bitsandbytes";
    config["load_in_4bit"] = eight == 0;
    config["load_in_8bit"] = eight != 0;
    config["_load_in_4bit"] = eight == 0;
    config["_load_in_8bit"] = eight != 0;
    config["bnb_4bit_quant_type"] = first != nullptr ? quantType(*first) : "nf4";
    config["bnb_4bit_use_double_quant"] = first != nullptr && nested(*first);
    config["bnb_4bit_compute_dtype"] = first != nullptr ? torchName(first->source) : "float16";
    config["bnb_4bit_quant_storage"] = "uint8";
    config["llm_int8_threshold"] = 6.0;
    config["llm_int8_skip_modules"] = skipList(facts);
    config["llm_int8_enable_fp32_cpu_offload"] = false;
    config["llm_int8_has_fp16_weight"] = false;
    return config.dump();
  }
};

}  // namespace

const Container& bitsandbytes() {
  static const Bitsandbytes kContainer;
  return kContainer;
}

}  // namespace nib::model
