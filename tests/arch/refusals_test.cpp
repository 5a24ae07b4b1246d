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

const std::string kFamilies =
    "llama, mistral, qwen2, qwen3, mixtral, qwen2_moe, qwen3_moe, phi3, gemma2, gemma3_text, gemma3, olmo2, gpt2, "
    "gpt_neox, bert, roberta, vit, clip, clip_vision_model";

TEST_CASE("an unchanged copy is not refused") {
  for (const char* name :
       {"llama_plain", "mistral_window", "qwen2_plain", "qwen3_plain", "phi3_su", "gemma2_plain", "gemma3_images",
        "olmo2_plain", "gpt2_plain", "gpt_neox_plain", "../encoders/bert_plain", "../encoders/roberta_plain"}) {
    CHECK(refusal(name, EditConfig{}) == "");
  }
}

TEST_CASE("encoders that nibble does not run are refused by name") {
  const auto bert = [](const char* key, const Json& value) {
    return refusal("../encoders/bert_plain", with(key, value));
  };
  for (const std::string key : {"is_decoder", "add_cross_attention"}) {
    CHECK(bert(key.c_str(), true) == "config.json: \"" + key + "\" is true; nibble runs bert as an encoder alone");
  }
  CHECK(bert("position_embedding_type", "relative_key") ==
        "config.json: \"position_embedding_type\" is not \"absolute\", which nibble does not run");
  CHECK(bert("num_attention_heads", 3) == "config.json: \"head_dim\" is 10; nibble runs multiples of 8 up to 256");
  CHECK(bert("layer_norm_eps", "1") == "config.json: \"layer_norm_eps\" must be a number");
  CHECK(bert("type_vocab_size", 0) == "config.json: \"type_vocab_size\" must be at least 1");
  CHECK(bert("type_vocab_size", 3) ==
        "\"bert.embeddings.token_type_embeddings.weight\" is 2 x 32, but config.json makes it 3 x 32");
  CHECK(refusal("../encoders/roberta_plain", with("pad_token_id", 50)) ==
        "config.json: \"max_position_embeddings\" leaves no position behind that of pad_token_id");
  CHECK(refusal("../encoders/bert_plain",
                [](Tensors& tensors) { tensors["classifier.weight"] = tensors["cls.predictions.bias"]; }) ==
        "the network of config.json does not use tensor \"classifier.weight\"; the model is not what its model_type "
        "says");
  CHECK(refusal("../encoders/bert_plain", [](Tensors& tensors) { tensors.erase("cls.predictions.bias"); }) ==
        "the model has no tensor \"cls.predictions.bias\"");
}

TEST_CASE("encoders of images that nibble does not run are refused by name") {
  // The message when the network is built, before it reads an image.
  const auto vit = [](const char* key, const Json& value) {
    return refusal("../encoders/vit_plain", with(key, value));
  };
  CHECK(vit("image_size", {16, 16, 16}) == "config.json: \"image_size\" must be a number, or two");
  CHECK(vit("patch_size", 0) == "config.json: \"patch_size\" must be at least 1");
  CHECK(vit("patch_size", 17) == "config.json: \"patch_size\" exceeds image_size");
  CHECK(vit("image_size", 2000000000) == "config.json: \"image_size\" or patch_size is too large");
  CHECK(vit("id2label", Json::object()) == "config.json: \"id2label\" has no label");
  CHECK(vit("pooler_act", "relu") == "config.json: \"pooler_act\" is not \"tanh\", which nibble does not run");
  CHECK(vit("hidden_act", "mish") ==
        "config.json: \"hidden_act\" is \"mish\"; nibble runs silu, gelu, gelu_pytorch_tanh and relu");
  CHECK(vit("image_size", 20) ==
        "\"vit.embeddings.position_embeddings\" has 544 elements, but config.json makes it 832");
  CHECK(vit("num_channels", 1) ==
        "\"vit.embeddings.patch_embeddings.projection.weight\" is 32 x 3 x 4 x 4, but config.json makes it 32 x 16");
  CHECK(refusal("../encoders/clip_both", with("vision_config", 1)) ==
        "config.json: \"vision_config\" must be an object");
  CHECK(refusal("../encoders/clip_both", with("projection_dim", 8)) ==
        "\"visual_projection.weight\" is 12 x 24, but config.json makes it 8 x 24");
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

TEST_CASE("keys of a family that its network does not do are refused by name") {
  CHECK(refusal("phi3_plain", with("rope_scaling", {{"type", "linear"}, {"factor", 2}})) ==
        "config.json: \"rope_type\" is \"linear\"; models of type phi3 have default and longrope");
  CHECK(refusal("phi3_window", with("partial_rotary_factor", 0.4)) ==
        "config.json: \"partial_rotary_factor\" leaves 6 elements of a head to rotate; nibble rotates multiples of 4");
  for (const char* golden : {"gemma2_plain", "gemma3_plain"}) {
    CHECK(
        refusal(golden, with("use_bidirectional_attention", true)) ==
        "config.json: \"use_bidirectional_attention\" is true; nibble runs models whose tokens see those before them");
    CHECK(refusal(golden, with("hidden_activation", "tanh")) ==
          "config.json: \"hidden_activation\" is \"tanh\"; nibble runs silu, gelu, gelu_pytorch_tanh and relu");
    CHECK(refusal(golden, with("query_pre_attn_scalar", 0)) ==
          "config.json: \"query_pre_attn_scalar\" must be at least 1");
    CHECK(refusal(golden, with("final_logit_softcapping", -1)) ==
          "config.json: \"final_logit_softcapping\" must be from 2^-10 to 2^20, or null");
    CHECK(
        refusal(golden, with("layer_types", Json::array({"full_attention"}))).find("\"layer_types\" must be a list") !=
        std::string::npos);
  }
  CHECK(refusal("gemma3_plain", with("attn_logit_softcapping", 50)) ==
        "config.json: \"attn_logit_softcapping\" is not null, as it is in models of type gemma3");
  CHECK(refusal("gemma3_plain", with("rope_parameters", {{"rope_type", "default"}})) ==
        "config.json: \"rope_parameters\" must have full_attention and sliding_attention");
  CHECK(refusal("gemma3_plain", with("sliding_window_pattern", 0)) ==
        "config.json: \"sliding_window_pattern\" must be at least 1");
  CHECK(refusal("gemma3_images", with("text_config", nullptr)) == "config.json: \"text_config\" is missing");
  CHECK(refusal("gpt2_plain", with("add_cross_attention", true)) ==
        "config.json: \"add_cross_attention\" is true; nibble runs decoders alone");
  CHECK(refusal("gpt2_plain", [](Json& config) {
          config.update({{"n_embd", 50}, {"n_head", 3}});
        }) == "config.json: \"n_head\" must divide n_embd");
  CHECK(refusal("gpt2_plain", with("n_embd", "32")) ==
        "config.json: \"n_embd\" must be a whole number from 0 to 2147483647");
  CHECK(refusal("gpt2_plain", with("activation_function", "tanh")) ==
        "config.json: \"activation_function\" is \"tanh\"; nibble runs silu, gelu, gelu_pytorch_tanh and relu");
  CHECK(refusal("gpt2_plain", with("n_positions", 4)) ==
        "a sequence of 5 tokens exceeds the 4 positions that the model has learned");
  CHECK(refusal("gpt_neox_plain", [](Json& config) {
          config.update({{"hidden_size", 50}, {"num_attention_heads", 3}});
        }) == "config.json: \"num_attention_heads\" must divide hidden_size");
  CHECK(refusal("gpt_neox_plain", with("layer_norm_eps", "1")) == "config.json: \"layer_norm_eps\" must be a number");
}

TEST_CASE("keys that config.json of the other families lacks have the defaults of the class") {
  const ModelConfig phi3 = readConfig(R"({"model_type": "phi3"})");
  CHECK(phi3.vocabulary == 32064);
  CHECK(phi3.inner == 8192);
  CHECK(phi3.key_heads == 32);
  CHECK(phi3.head_size == 96);
  CHECK(phi3.epsilon == 1e-5f);
  CHECK(windowsOf(phi3) == std::vector<uint32_t>{0});
  const ModelConfig gemma2 = readConfig(R"({"model_type": "gemma2"})");
  CHECK(gemma2.tied);
  CHECK(gemma2.head_size == 256);
  CHECK(gemma2.attention_cap == 50);
  CHECK(gemma2.logit_cap == 30);
  CHECK(gemma2.embedding_scale == 48);
  CHECK(gemma2.attention_scale == 0.0625f);
  CHECK(gemma2.window[0] == 4096);
  CHECK(gemma2.window[1] == 0);
  const ModelConfig gemma3 = readConfig(R"({"model_type": "gemma3", "text_config": {"sliding_window": 512}})");
  CHECK(gemma3.vocabulary == 262208);
  CHECK(gemma3.rope.theta == 1e6);
  CHECK(gemma3.window_rope->theta == 1e4);
  CHECK(gemma3.window[4] == 512);
  CHECK(gemma3.window[5] == 0);
  CHECK(gemma3.prefix == "language_model.model");
  const ModelConfig olmo2 = readConfig(R"({"model_type": "olmo2"})");
  CHECK(olmo2.vocabulary == 50304);
  CHECK(olmo2.epsilon == 1e-5f);
  const ModelConfig gpt2 = readConfig(R"({"model_type": "gpt2", "n_embd": 1024, "n_head": 16})");
  CHECK(gpt2.inner == 4096);
  CHECK(gpt2.learned_positions == 1024);
  CHECK(gpt2.tied);
  const ModelConfig neox = readConfig(R"({"model_type": "gpt_neox"})");
  CHECK(neox.hidden == 6144);
  CHECK(neox.rope.rotary_size == 24);
  CHECK(neox.parallel);
  CHECK(neox.activation == NIB_ACTIVATION_GELU);
}

TEST_CASE("names of tensors have either prefix") {
  for (const char* golden : {"gpt2_plain", "gemma3_images"}) {
    const bool is_gpt2 = std::string(golden) == "gpt2_plain";
    CHECK(refusal(golden, [&](Tensors& tensors) {
            Tensors renamed;
            for (const auto& [name, tensor] : tensors) {
              const std::string from = is_gpt2 ? "" : "language_model.model.";
              const std::string to = is_gpt2 ? "transformer." : "model.language_model.";
              renamed[name.starts_with(from) ? to + name.substr(from.size()) : name] = tensor;
            }
            tensors = renamed;
          }) == "");
  }
  CHECK(refusal("gpt2_plain", [](Tensors& tensors) { tensors.erase("wte.weight"); }) ==
        "the model has no tensor \"transformer.wte.weight\"");
  CHECK(refusal("gpt2_plain", [](Tensors& tensors) { tensors.erase("h.1.mlp.c_fc.bias"); }) ==
        "the model has no tensor \"h.1.mlp.c_fc.bias\"");
  // A matrix as other families store it.
  CHECK(refusal("gpt2_plain", [](Tensors& tensors) {
          tensors["h.0.attn.c_attn.weight"].shape = {96, 32};
        }) == "\"h.0.attn.c_attn.weight\" is 32 x 96, but config.json makes it 96 x 32");
  // Masks and frequencies that older files hold.
  CHECK(refusal("gpt2_plain", [](Tensors& tensors) {
          tensors["h.0.attn.bias"] = tensors["h.0.attn.masked_bias"] = tensors["ln_f.bias"];
        }) == "");
  CHECK(refusal("gpt_neox_plain", [](Tensors& tensors) {
          const StoredTensor& any = tensors["gpt_neox.final_layer_norm.bias"];
          tensors["gpt_neox.layers.0.attention.rotary_emb.inv_freq"] = any;
          tensors["gpt_neox.layers.0.attention.masked_bias"] = tensors["gpt_neox.layers.1.attention.bias"] = any;
        }) == "");
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
