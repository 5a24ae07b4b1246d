// Models that nibble cannot run, or that contradict their config.json: one line that names the reason.
#include "goldens.h"

#include <nlohmann/json.hpp>

#include <functional>
#include <map>

namespace nib::model::test {
namespace {

using Json = nlohmann::ordered_json;

struct StoredTensor {
  Json dtype, shape;
  std::string bytes;
};
using Tensors = std::map<std::string, StoredTensor>;

Tensors readTensors(const fs::path& path) {
  const std::string file = readText(path);
  uint64_t size = 0;
  for (int i = 0; i < 8; ++i) size |= uint64_t(uint8_t(file[size_t(i)])) << (8 * i);
  Tensors tensors;
  const Json header = Json::parse(file.substr(8, size));
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
    tensors[name] = {entry["dtype"], entry["shape"], file.substr(8 + size + begin, end - begin)};
  }
  return tensors;
}

std::string fileOfTensors(const Tensors& tensors) {
  Json header;
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", tensor.dtype},
                    {"shape", tensor.shape},
                    {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  std::string json = header.dump();
  json.resize((json.size() + 7) / 8 * 8, ' ');
  return fileOf(json) + data;
}

using EditConfig = std::function<void(Json&)>;
using EditTensors = std::function<void(Tensors&)>;

// The message with which the changed copy of a golden's model is refused; "" if it runs.
std::string refusal(const char* golden, const EditConfig& edit_config, const EditTensors& edit_tensors = {}) {
  const fs::path source = fs::path(NIB_ARCH_DATA) / golden;
  const TempFolder folder;
  Json config = Json::parse(readText(source / "config.json"));
  if (edit_config) edit_config(config);
  writeText(folder / "config.json", config.dump());
  Tensors tensors = readTensors(source / "model.safetensors");
  if (edit_tensors) edit_tensors(tensors);
  writeText(folder / "model.safetensors", fileOfTensors(tensors));
  try {
    const LoadedModel model(folder.path());
    const std::vector<uint32_t> ids = {1, 2, 3, 4, 5};
    Runner runner = runnerOf(model, model.config(), ids.size());
    runWhole(runner, ids);
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(message.find('\n') == std::string::npos);
    return message;
  }
  return "";
}

std::string refusal(const char* golden, const EditTensors& edit_tensors) { return refusal(golden, {}, edit_tensors); }

EditConfig with(const char* key, const Json& value) {
  return [=](Json& config) { config[key] = value; };
}

const std::string kFamilies = "llama, mistral, qwen2, qwen3, phi3, gemma2, gemma3_text, gemma3, olmo2, gpt2, gpt_neox";

TEST_CASE("an unchanged copy is not refused") {
  for (const char* name : {"llama_plain", "mistral_window", "qwen2_plain", "qwen3_plain", "phi3_su", "gemma2_plain",
                           "gemma3_images", "olmo2_plain", "gpt2_plain", "gpt_neox_plain"}) {
    CHECK(refusal(name, EditConfig{}) == "");
  }
}

TEST_CASE("networks that nibble does not run are refused by name") {
  CHECK(refusal("llama_plain", with("model_type", "falcon")) ==
        "config.json: \"model_type\" is \"falcon\"; nibble runs " + kFamilies);
  CHECK(refusal("llama_plain", [](Json& config) { config.erase("model_type"); }) ==
        "config.json: \"model_type\" is missing; nibble runs " + kFamilies);
  for (const char* key : {"rope_type", "type"}) {
    CHECK(refusal("llama_plain", with("rope_scaling", {{key, "proportional"}, {"factor", 2}})) ==
          "config.json: \"rope_type\" is \"proportional\"; nibble runs default, linear, dynamic, yarn, llama3 and "
          "longrope");
  }
  CHECK(refusal("llama_plain", with("rope_scaling", {{"type", "linear"}})) ==
        "config.json: \"factor\" of rope_scaling is missing");
  CHECK(refusal("llama_plain", with("rope_scaling", 2)) == "config.json: \"rope_scaling\" must be an object or null");
  CHECK(refusal("qwen3_plain", with("rope_parameters", {{"full_attention", {{"rope_theta", 10000}}}})) ==
        "config.json: \"rope_parameters\" differs between layers, which nibble does not run yet");
  CHECK(refusal("llama_longrope", [](Json& config) { config["rope_scaling"]["short_factor"].erase(0); }) ==
        "config.json: \"short_factor\" must be a list of 8 numbers");
  CHECK(refusal("llama_plain", with("partial_rotary_factor", 0.5)) ==
        "config.json: \"partial_rotary_factor\" is not 1; models of type llama rotate whole heads");
  CHECK(refusal("llama_plain", with("hidden_act", "quick_gelu")) ==
        "config.json: \"hidden_act\" is \"quick_gelu\"; nibble runs silu, gelu, gelu_pytorch_tanh and relu");
  CHECK(refusal("llama_plain", with("head_dim", 12)) ==
        "config.json: \"head_dim\" is 12; nibble runs multiples of 8 up to 256");
  CHECK(refusal("llama_plain", with("num_attention_heads", 8)) ==
        "config.json: \"head_dim\" is 4; nibble runs multiples of 8 up to 256");
  CHECK(refusal("llama_plain", with("num_key_value_heads", 3)) ==
        "config.json: \"num_key_value_heads\" must divide num_attention_heads");
  CHECK(refusal("llama_plain", with("hidden_size", "32")) ==
        "config.json: \"hidden_size\" must be a whole number from 0 to 2147483647");
  CHECK(refusal("llama_plain", with("rms_norm_eps", 0)) == "config.json: \"rms_norm_eps\" must be above 0");
  CHECK(refusal("llama_plain", with("tie_word_embeddings", 0)) ==
        "config.json: \"tie_word_embeddings\" must be true or false");
  CHECK(refusal("qwen2_layer_types", with("layer_types", Json::array({"full_attention"}))) ==
        "config.json: \"layer_types\" must be a list of 3 texts");
  CHECK(refusal("qwen2_layer_types",
                with("layer_types", Json::array({"full_attention", "chunked_attention", "full_attention"}))) ==
        "config.json: \"layer_types\" has \"chunked_attention\"; nibble runs full_attention and sliding_attention");
  CHECK(refusal("qwen2_layer_types", with("use_sliding_window", false)) ==
        "config.json: \"layer_types\" has sliding_attention, but no window is in use");
}

TEST_CASE("tensors that are missing, too many or of another shape are named") {
  const std::string up = "model.layers.1.mlp.up_proj.weight", norm = "model.layers.0.input_layernorm.weight";
  for (const std::string& name : {up, norm, std::string("lm_head.weight"), std::string("model.embed_tokens.weight")}) {
    CHECK(refusal("llama_plain", [&](Tensors& tensors) { tensors.erase(name); }) ==
          "the model has no tensor \"" + name + "\"");
  }
  const std::string bias = "model.layers.1.self_attn.k_proj.bias", key_norm = "model.layers.0.self_attn.k_norm.weight";
  CHECK(refusal("qwen2_plain", [&](Tensors& tensors) { tensors.erase(bias); }) ==
        "the model has no tensor \"" + bias + "\"");
  CHECK(refusal("qwen3_plain", [&](Tensors& tensors) { tensors.erase(key_norm); }) ==
        "the model has no tensor \"" + key_norm + "\"");

  const auto extra = [](const std::string& name) {
    return "the network of config.json does not use tensor \"" + name + "\"; the model is not what its model_type says";
  };
  for (const std::string& name : {bias, key_norm, std::string("model.layers.2.mlp.up_proj.weight")}) {
    CHECK(refusal("llama_plain", [&](Tensors& tensors) { tensors[name] = tensors[norm]; }) == extra(name));
  }
  // Qwen2 without its biases is no Llama.
  CHECK(refusal("qwen2_plain", with("model_type", "llama")) == extra("model.layers.0.self_attn.k_proj.bias"));
  CHECK(refusal("llama_plain", with("num_hidden_layers", 1)) == extra("model.layers.1.input_layernorm.weight"));
  // These two tensors are known to be unused.
  CHECK(refusal("llama_plain", [&](Tensors& tensors) {
          tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = tensors[norm];
        }) == "");
  CHECK(refusal("qwen2_plain",
                [&](Tensors& tensors) { tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]; }) == "");

  CHECK(refusal("llama_plain", with("vocab_size", 62)) ==
        "\"model.embed_tokens.weight\" is 61 x 32, but config.json makes it 62 x 32");
  CHECK(refusal("llama_plain", with("intermediate_size", 40)) ==
        "\"model.layers.0.mlp.gate_proj.weight\" is 32 x 32, but config.json makes it 40 x 32");
  CHECK(refusal("llama_plain", with("num_key_value_heads", 2)) ==
        "\"model.layers.0.self_attn.k_proj.weight\" is 32 x 32, but config.json makes it 16 x 32");
  CHECK(refusal("llama_plain", [&](Tensors& tensors) {
          tensors[norm].shape = {16, 2};
        }) == "\"" + norm + "\" is 16 x 2, but config.json makes it 32");
  CHECK(refusal("llama_plain", [&](Tensors& tensors) { tensors[norm].dtype = "I16"; }) ==
        "\"" + norm + "\" must be of a floating-point type");
  const std::string codes = refusal("llama_plain", [&](Tensors& tensors) { tensors[up].dtype = "I16"; });
  CHECK(codes.find("\"" + up + "\" holds codes of type I16 without a scale that nibble knows") != codes.npos);
}

// --------------------------------------------------------------------------------------------- configurations
ModelConfig read(const Json& json) { return readConfig(json.dump()); }

TEST_CASE("keys that config.json lacks have the defaults of the family's class") {
  const ModelConfig llama = read({{"model_type", "llama"}});
  CHECK(llama.vocabulary == 32000);
  CHECK(llama.hidden == 4096);
  CHECK(llama.inner == 11008);
  CHECK(llama.layers == 32);
  CHECK(llama.heads == 32);
  CHECK(llama.key_heads == 32);
  CHECK(llama.head_size == 128);
  CHECK(llama.max_positions == 2048);
  CHECK(llama.epsilon == 1e-6f);
  CHECK(llama.rope.theta == 10000);
  CHECK_FALSE(llama.tied);
  CHECK(windowsOf(llama) == std::vector<uint32_t>{0});

  const ModelConfig mistral = read({{"model_type", "mistral"}});
  CHECK(mistral.inner == 14336);
  CHECK(mistral.key_heads == 8);
  CHECK(mistral.max_positions == 131072);
  CHECK(windowsOf(mistral) == std::vector<uint32_t>{4096});

  for (const char* family : {"qwen2", "qwen3"}) {
    const ModelConfig qwen = read({{"model_type", family}, {"hidden_size", 2048}});
    CHECK(qwen.vocabulary == 151936);
    CHECK(qwen.inner == 22016);
    CHECK(qwen.key_heads == 32);
    CHECK(qwen.max_positions == 32768);
    CHECK(qwen.head_size == (std::string(family) == "qwen3" ? 128 : 64));
    CHECK(windowsOf(qwen) == std::vector<uint32_t>{0});
  }
}

TEST_CASE("null is not a missing key where transformers tells them apart") {
  CHECK(windowsOf(read({{"model_type", "mistral"}, {"sliding_window", nullptr}})) == std::vector<uint32_t>{0});
  for (const char* family : {"qwen2", "qwen3"}) {
    Json json = {{"model_type", family}, {"use_sliding_window", true}};
    CHECK(windowsOf(read(json)) == std::vector<uint32_t>{0, 4096});  // of 32 layers the last 4
    json["sliding_window"] = nullptr;
    CHECK(windowsOf(read(json)) == std::vector<uint32_t>{0});
    json = {{"model_type", family}, {"hidden_size", 512}, {"num_attention_heads", 8}};
    json["num_key_value_heads"] = nullptr;
    CHECK(read(json).key_heads == 8);
  }
}

TEST_CASE("rope_scaling comes before rope_parameters, and what it has before the root") {
  Json json = {{"model_type", "llama"},
               {"rope_theta", 3},
               {"rope_scaling", {{"type", "linear"}, {"factor", 2}}},
               {"rope_parameters", {{"rope_type", "linear"}, {"factor", 4}, {"rope_theta", 5}}}};
  CHECK(read(json).rope.factor == 2);
  CHECK(read(json).rope.theta == 3);
  json["rope_scaling"] = nullptr;
  CHECK(read(json).rope.factor == 4);
  CHECK(read(json).rope.theta == 5);
  json["rope_scaling"] = Json::object();
  CHECK(read(json).rope.factor == 4);
}

}  // namespace
}  // namespace nib::model::test
