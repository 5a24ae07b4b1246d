#include "model/archive/gptq/settings.h"

#include "model/archive/error.h"

#include <algorithm>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostOverrides = 100'000;

// The value of the first of these keys. Throws if it is no integer.
std::optional<int64_t> integerOf(const Json& config, const std::string& where,
                                 std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (!config.contains(key) || config[key].is_null()) continue;
    const Json& value = config[key];
    if (!value.is_number_integer() || value > Json(1 << 20) || value < Json(-1)) {
      throw Error(where + ": " + key + " of the quantization is no number of bits or weights");
    }
    return value.get<int64_t>();
  }
  return std::nullopt;
}

std::optional<bool> flagOf(const Json& config, const char* key) {
  if (!config.contains(key) || !config[key].is_boolean()) return std::nullopt;
  return config[key].get<bool>();
}

// Replaces the settings that the object has.
void apply(const Json& config, const std::string& where, PackedSettings& settings) {
  if (const auto bits = integerOf(config, where, {"bits", "w_bit"})) settings.bits = bits;
  if (const auto group = integerOf(config, where, {"group_size", "q_group_size"})) settings.group_size = group;
  if (const auto symmetric = flagOf(config, "sym")) settings.symmetric = *symmetric;
  if (const auto zero_point = flagOf(config, "zero_point")) settings.symmetric = !*zero_point;
  if (const auto reorders = flagOf(config, "desc_act")) settings.reorders = *reorders;
}

}  // namespace

PackedConfig::PackedConfig(const Checkpoint& checkpoint, ReadMethod method) {
  const std::vector<QuantizationStatement> statements = statedQuantization(checkpoint);
  settings_.symmetric = method != ReadMethod::kAwq;
  bool first = true;
  for (const QuantizationStatement& statement : statements) {
    if (statement.method != method) continue;
    if (first) {
      read(statement);
      first = false;
      continue;
    }
    PackedSettings other;
    other.symmetric = method != ReadMethod::kAwq;
    apply(statement.config, statement.where, other);
    const auto differ = [](const auto& a, const auto& b) { return a && b && *a != *b; };
    if (differ(other.bits, settings_.bits) || differ(other.group_size, settings_.group_size) ||
        other.symmetric != settings_.symmetric || isGptqV2(statement.config) != v2_) {
      throw Error(shown(checkpoint.path()) + ": " + statement.where +
                  " gives the weights other bits, groups or zero points than " + statements[0].where +
                  ": remove the file that does not hold");
    }
  }
}

void PackedConfig::read(const QuantizationStatement& statement) {
  apply(statement.config, statement.where, settings_);
  v2_ = isGptqV2(statement.config);
  const Json dynamic = statement.config.contains("dynamic") ? statement.config["dynamic"] : Json();
  if (!dynamic.is_object()) return;
  if (dynamic.size() > kMostOverrides) throw Error(statement.where + ": dynamic has too many entries");
  for (const auto& [key, values] : dynamic.items()) {
    if (key.starts_with("-:")) continue;  // dense
    overrides_.push_back(
        {NamePattern(statement.where + ": dynamic", "re:" + (key.starts_with("+:") ? key.substr(2) : key)), values});
  }
}

PackedSettings PackedConfig::of(const std::string& module) const {
  PackedSettings settings = settings_;
  for (const Override& over : overrides_) {
    if (!over.pattern.matches(module)) continue;
    if (over.values.is_object()) apply(over.values, over.pattern.shown(), settings);
    break;
  }
  return settings;
}

}  // namespace nib::model
