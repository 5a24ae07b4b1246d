// config.json of a GGUF file.
#include "model/archive/error.h"
#include "model/archive/gguf/texts.h"
#include "model/archive/json_scanner.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace nib::model {
namespace {

std::string numberText(double value) {
  char text[40];
  // The fewest digits that tell the float from the next; nine always do.
  for (int digits = 6; digits <= 9; ++digits) {
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    if (std::strtof(text, nullptr) == float(value)) break;
  }
  const std::string result = text;
  return result.find_first_of(".e") == result.npos ? result + ".0" : result;
}

// The settings of Llama 3's rotary embedding, from the divisors of its frequencies.
struct Llama3 {
  double factor = 8, low = 1, high = 4, original = 8192;
};

std::vector<double> divisorsOf(const Llama3& rope, double theta, size_t count) {
  std::vector<double> divisors;
  for (size_t i = 0; i < count; ++i) {
    const double wave = 2 * M_PI * std::pow(theta, double(i) / double(count));
    const double mix = (rope.original / wave - rope.low) / (rope.high - rope.low);
    divisors.push_back(wave > rope.original / rope.low    ? rope.factor
                       : wave < rope.original / rope.high ? 1
                                                          : 1 / ((1 - mix) / rope.factor + mix));
  }
  return divisors;
}

bool areClose(const std::vector<double>& a, const std::vector<float>& b) {
  for (size_t i = 0; i < b.size(); ++i) {
    if (!(std::fabs(a[i] / double(b[i]) - 1) < 1e-4)) return false;
  }
  return true;
}

// Finds the settings that give these divisors: first those of the published models, then those of the first divisors
// between the ends.
std::optional<Llama3> findLlama3(const std::vector<float>& divisors, double theta) {
  Llama3 rope;
  for (const float divisor : divisors) {
    if (!(divisor >= 1) || !std::isfinite(divisor)) return std::nullopt;
    rope.factor = std::fmax(rope.factor, double(divisor));
  }
  rope.factor = double(divisors.back());
  if (!(rope.factor > 1)) return std::nullopt;
  std::vector<double> wave, mix;
  for (size_t i = 0; i < divisors.size(); ++i) {
    const double m = (1 / double(divisors[i]) - 1 / rope.factor) / (1 - 1 / rope.factor);
    if (m < 1e-5 || m > 1 - 1e-5) continue;
    wave.push_back(2 * M_PI * std::pow(theta, double(i) / double(divisors.size())));
    mix.push_back(m);
  }
  std::vector<Llama3> tried = {rope};
  // mix = (original / wave - low) / (high - low), with low 1 and high 4.
  if (!wave.empty()) tried.push_back({rope.factor, 1, 4, std::round(wave[0] * (3 * mix[0] + 1))});
  if (wave.size() > 1) {
    const double slope = (mix[0] - mix.back()) / (1 / wave[0] - 1 / wave.back());
    const double rest = mix[0] - slope / wave[0];
    const double high = std::round((1 - 1 / rest) * 1000) / 1000;
    tried.push_back({rope.factor, 1, high, std::round(slope * (high - 1))});
  }
  for (const Llama3& one : tried) {
    if (one.high > one.low && one.original > 0 && areClose(divisorsOf(one, theta, divisors.size()), divisors)) {
      return one;
    }
  }
  return std::nullopt;
}

class Writer {
 public:
  Writer(const GgufHeader& header, const GgufFamily& family, const GgufNetworkFacts& facts)
      : header_(header), family_(family), facts_(facts), arch_(family.architecture) {}

  std::string text() {
    const std::string type = family_.model_type;
    addText("model_type", type);
    const uint64_t heads = needed("attention.head_count"), hidden = needed("embedding_length");
    if (heads == 0 || hidden == 0) header_.fail("has no attention heads, or vectors of no elements");
    const uint64_t head = header_.whole(arch_ + ".attention.key_length").value_or(hidden / heads);
    if (header_.whole(arch_ + ".attention.value_length").value_or(head) != head) {
      header_.fail("has keys and values of different sizes, which nibble does not run");
    }
    if (facts_.vocabulary == 0) header_.fail("has no matrix \"token_embd.weight\"");
    const uint64_t rotated = header_.whole(arch_ + ".rope.dimension_count").value_or(head);
    if (rotated != head && type != "phi3") {
      header_.fail("rotates a part of a head only, which nibble does not run for " + arch_);
    }
    add("vocab_size", std::to_string(facts_.vocabulary));
    add("hidden_size", std::to_string(hidden));
    add("intermediate_size", std::to_string(needed("feed_forward_length")));
    add("num_hidden_layers", std::to_string(needed("block_count")));
    add("num_attention_heads", std::to_string(heads));
    add("num_key_value_heads", std::to_string(header_.whole(arch_ + ".attention.head_count_kv").value_or(heads)));
    add("head_dim", std::to_string(head));
    const bool is_gemma = type == "gemma2" || type == "gemma3_text";
    addText("hidden_act", is_gemma ? "gelu_pytorch_tanh" : "silu");
    add("max_position_embeddings", std::to_string(needed("context_length")));
    add("rms_norm_eps", numberText(number("attention.layer_norm_rms_epsilon")));
    addRope();
    add("tie_word_embeddings", facts_.tied ? "true" : "false");
    if (type == "llama") add("attention_bias", facts_.biased ? "true" : "false");
    if (type == "qwen2" || type == "qwen3") add("use_sliding_window", "false");
    if (type == "mixtral") addExperts();
    if (type == "gemma2") addGemma2(heads, hidden, head);
    if (type == "gemma3_text") addGemma3(heads, hidden, head);
    if (type == "phi3") addPhi3(head, rotated);
    addText("torch_dtype", "float16");
    addTokens();
    return text_ + "\n}\n";
  }

 private:
  uint64_t needed(const std::string& key) const {
    const std::optional<uint64_t> value = header_.whole(arch_ + "." + key);
    if (!value) header_.fail("has no \"" + arch_ + "." + key + "\"");
    return *value;
  }
  double number(const std::string& key) const {
    const std::optional<double> value = header_.number(arch_ + "." + key);
    if (!value) header_.fail("has no \"" + arch_ + "." + key + "\"");
    return *value;
  }

  std::optional<uint64_t> token(const char* name) const {
    return header_.whole(std::string("tokenizer.ggml.") + name + "_token_id");
  }

  void addExperts() {
    add("num_local_experts", std::to_string(needed("expert_count")));
    add("num_experts_per_tok", std::to_string(needed("expert_used_count")));
    add("sliding_window", "null");
  }

  // The scale of queries is not in the file: llama.cpp knows that the largest model has another one.
  void addGemma2(uint64_t heads, uint64_t hidden, uint64_t head) {
    constexpr uint64_t kLayersOfLargest = 46;
    addText("hidden_activation", "gelu_pytorch_tanh");
    add("query_pre_attn_scalar", std::to_string(needed("block_count") == kLayersOfLargest ? hidden / heads : head));
    add("attn_logit_softcapping", numberText(header_.number(arch_ + ".attn_logit_softcapping").value_or(50)));
    add("final_logit_softcapping", numberText(header_.number(arch_ + ".final_logit_softcapping").value_or(30)));
    add("sliding_window", std::to_string(header_.whole(arch_ + ".attention.sliding_window").value_or(4096)));
  }

  // Nor is the rotary embedding of layers with a window, or which these are.
  void addGemma3(uint64_t heads, uint64_t hidden, uint64_t head) {
    constexpr uint64_t kLayersOfLargest = 62;
    addText("hidden_activation", "gelu_pytorch_tanh");
    add("query_pre_attn_scalar", std::to_string(needed("block_count") == kLayersOfLargest ? hidden / heads : head));
    const auto cap = header_.number(arch_ + ".final_logit_softcapping");
    add("final_logit_softcapping", cap && *cap != 0 ? numberText(*cap) : "null");
    add("attn_logit_softcapping", "null");
    add("rope_local_base_freq", numberText(header_.number(arch_ + ".rope.freq_base_swa").value_or(10000)));
    add("sliding_window", std::to_string(needed("attention.sliding_window")));
    add("sliding_window_pattern", "6");
  }

  void addPhi3(uint64_t head, uint64_t rotated) {
    if (rotated == 0 || rotated > head) header_.fail("rotates more elements than a head has");
    if (rotated != head) add("partial_rotary_factor", numberText(double(rotated) / double(head)));
    const uint64_t positions = needed("context_length");
    const uint64_t original = header_.whole(arch_ + ".rope.scaling.original_context_length").value_or(positions);
    add("original_max_position_embeddings", std::to_string(original));
    const uint64_t window = header_.whole(arch_ + ".attention.sliding_window").value_or(0);
    add("sliding_window", window != 0 ? std::to_string(window) : "null");
    if (facts_.rope_short.empty() && facts_.rope_long.empty()) return;
    if (facts_.rope_short.size() != rotated / 2 || facts_.rope_long.size() != rotated / 2) {
      header_.fail("has factors of the rotary embedding for " + std::to_string(facts_.rope_long.size()) + " and " +
                   std::to_string(facts_.rope_short.size()) + " elements, and heads rotate " + std::to_string(rotated));
    }
    const auto factor = header_.number(arch_ + ".rope.scaling.attn_factor");
    add("rope_scaling", "{\"rope_type\": \"longrope\", \"short_factor\": " + listText(facts_.rope_short) +
                            ", \"long_factor\": " + listText(facts_.rope_long) +
                            (factor ? ", \"attention_factor\": " + numberText(*factor) : "") + "}");
  }

  std::string listText(const std::vector<float>& values) const {
    std::string text;
    for (const float value : values) {
      if (!(value > 0) || !std::isfinite(value))
        header_.fail("has a factor of the rotary embedding that is not above 0");
      text += (text.empty() ? "[" : ", ") + numberText(double(value));
    }
    return text + "]";
  }

  // A text ends with any of several tokens: of the text, of a turn, of a message.
  void addTokens() {
    if (const auto bos = token("bos")) add("bos_token_id", std::to_string(*bos));
    std::string ends;
    uint32_t count = 0;
    for (const char* name : {"eos", "eot", "eom"}) {
      const auto id = token(name);
      if (!id || (count != 0 && (id == token("eos") || (count > 1 && id == token("eot"))))) continue;
      ends += (count++ == 0 ? "" : ", ") + std::to_string(*id);
    }
    if (count != 0) add("eos_token_id", count == 1 ? ends : "[" + ends + "]");
  }

  void addRope() {
    const double theta = header_.number(arch_ + ".rope.freq_base").value_or(10000);
    add("rope_theta", numberText(theta));
    const std::string scaling(header_.text(arch_ + ".rope.scaling.type").value_or("none"));
    const auto factor = header_.number(arch_ + ".rope.scaling.factor");
    const auto original = header_.whole(arch_ + ".rope.scaling.original_context_length");
    const bool is_yarn = scaling == "yarn";
    if (scaling != "none" && scaling != "linear" && !is_yarn) {
      header_.fail("has a rotary embedding with the scaling " + quoteText(scaling) + ", which nibble does not read");
    }
    for (const char* key : {"yarn_ext_factor", "yarn_attn_factor", "yarn_beta_fast", "yarn_beta_slow", "attn_factor",
                            "yarn_log_multiplier"}) {
      if (key == std::string_view("attn_factor") && !facts_.rope_long.empty()) continue;
      if (!header_.has(arch_ + ".rope.scaling." + key)) continue;
      header_.fail("has \"" + arch_ + ".rope.scaling." + key + "\", which nibble does not read");
    }
    if (!facts_.rope_long.empty() || !facts_.rope_short.empty()) {
      if (family_.model_type == std::string_view("phi3")) return;  // addPhi3
      header_.fail("has factors of LongRoPE, which nibble reads for phi3 only");
    }
    if (!facts_.rope_divisors.empty()) {
      const std::optional<Llama3> rope = findLlama3(facts_.rope_divisors, theta);
      if (!rope || scaling != "none") {
        header_.fail("tensor \"rope_freqs.weight\": its divisors are not those of Llama 3, and nibble reads no others");
      }
      add("rope_scaling",
          "{\"rope_type\": \"llama3\", \"factor\": " + numberText(rope->factor) +
              ", \"low_freq_factor\": " + numberText(rope->low) + ", \"high_freq_factor\": " + numberText(rope->high) +
              ", \"original_max_position_embeddings\": " + std::to_string(uint64_t(rope->original)) + "}");
    } else if (scaling != "none" && factor && *factor != 1) {
      add("rope_scaling",
          "{\"rope_type\": " + jsonString(scaling) + ", \"factor\": " + numberText(*factor) +
              (is_yarn && original ? ", \"original_max_position_embeddings\": " + std::to_string(*original) : "") +
              "}");
    }
  }

  void add(const std::string& key, const std::string& value) {
    text_ += (text_.size() == 1 ? "\n  " : ",\n  ") + jsonString(key) + ": " + value;
  }
  void addText(const std::string& key, const std::string& value) { add(key, jsonString(value)); }

  const GgufHeader& header_;
  const GgufFamily& family_;
  const GgufNetworkFacts& facts_;
  const std::string arch_;
  std::string text_ = "{";
};

}  // namespace

std::string ggufConfigText(const GgufHeader& header, const GgufFamily& family, const GgufNetworkFacts& facts) {
  return Writer(header, family, facts).text();
}

}  // namespace nib::model
