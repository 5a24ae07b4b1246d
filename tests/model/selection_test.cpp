// The choice of tensors to quantize and of their types, without a device.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include "model/archive/error.h"
#include "model/archive/ignore_list.h"
#include "model/quantize/name_hints.h"
#include "model/quantize/selection.h"

#include <algorithm>

using namespace nib::model;

namespace {

TensorInfo tensor(std::string_view name, std::vector<uint64_t> shape, Dtype dtype = Dtype::kF16) {
  TensorInfo info;
  info.name = name;
  info.shape = std::move(shape);
  info.dtype = dtype;
  return info;
}

SelectionOptions of(std::string_view type) {
  SelectionOptions options;
  options.type = *findWeightType(type);
  return options;
}

constexpr std::string_view kQ = "model.layers.3.self_attn.q_proj.weight";
constexpr std::string_view kDown = "model.layers.3.mlp.down_proj.weight";

}  // namespace

TEST_CASE("the projections of attention and MLP inside blocks are quantized, and nothing else") {
  for (const std::string_view name :
       {"model.layers.0.self_attn.q_proj.weight", "model.layers.11.self_attn.k_proj.weight",
        "layers.0.attn.v_proj.weight", "model.language_model.layers.2.self_attn.o_proj.weight",
        "model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.experts.7.up_proj.weight",
        "model.layers.0.mlp.down_proj.weight", "layers.7.k_proj.weight", "layers.x.layers.layers.10.a\nb.q_proj.weight",
        "transformer.h.0.attn.c_attn.weight", "model.layers.0.mlp.gate_up_proj.weight"}) {
    INFO(name);
    CHECK(isBlockLinear(name));
  }
  for (const std::string_view name :
       {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight", "model.layers.0.input_layernorm.weight",
        "model.layers.0.self_attn.q_proj.bias", "model.layers.0.self_attn.q_norm.weight", "q_proj.weight",
        "model.layers.x.self_attn.q_proj.weight", "model.layers.0.self_attn.q_proj.weight_scale", "",
        "layers.0q_proj.weight", "layers.q_proj.weight", "layers..q_proj.weight", "xlayers.0.q_proj.weight",
        "model.layers.0.aq_proj.weight", "model.layers.0", "layers.12", "model.layers.0.mlp.gateup_proj.weight"}) {
    INFO(name);
    CHECK(!isBlockLinear(name));
  }
  // Names may have any length.
  const std::string long_text(10'000'000, 'a');
  CHECK(isBlockLinear("layers.0." + long_text + ".q_proj.weight"));
  CHECK(!isBlockLinear("layers." + long_text + ".q_proj.weight"));
}

TEST_CASE("a name that is too long for patterns is refused if options have patterns") {
  const std::string name = "layers.0." + std::string(100'000, 'a') + ".q_proj.weight";
  CHECK(decide(tensor(name, {16, 128}), of("int4"), compressedTensors()).kind == Decision::kQuantize);
  SelectionOptions options = of("int4");
  options.exclude.emplace_back("--exclude", "(a|b)*c");
  CHECK_THROWS_AS(decide(tensor(name, {16, 128}), options, compressedTensors()), Error);
}

TEST_CASE("types are found without regard to case, with their formats") {
  CHECK(findWeightType("INT4")->format == NIB_FORMAT_INT4);
  CHECK(findWeightType("Fp8_E5M2")->format == NIB_FORMAT_FP8_E5M2);
  CHECK(findWeightType("q4_0")->format == NIB_FORMAT_Q4_0);
  CHECK(findWeightType("bf16")->dense == Dtype::kBF16);
  CHECK(!findWeightType("bf16")->quantized());
  CHECK(!findWeightType("int5"));
  CHECK(!findWeightType(""));
}

TEST_CASE("default scales: groups of 128 for 4 bits, one per row for 8 bits, blocks of 32 for MX") {
  const Container& ct = compressedTensors();
  const NibWeights int4 = decide(tensor(kQ, {256, 512}), of("int4"), ct).weight.weights;
  CHECK(int4.granularity == NIB_GRANULARITY_GROUP);
  CHECK(int4.group_size == 128);
  CHECK(int4.scale_type == NIB_TYPE_F16);  // the weights' type
  CHECK(int4.flags == 0);
  CHECK(decide(tensor(kQ, {256, 512}, Dtype::kBF16), of("int4"), ct).weight.weights.scale_type == NIB_TYPE_BF16);
  CHECK(decide(tensor(kQ, {256, 512}), of("int8"), ct).weight.weights.granularity == NIB_GRANULARITY_ROW);
  CHECK(decide(tensor(kQ, {256, 512}), of("fp8"), ct).weight.weights.granularity == NIB_GRANULARITY_ROW);
  const NibWeights mx = decide(tensor(kQ, {256, 512}), of("mxfp4"), ct).weight.weights;
  CHECK(mx.group_size == 32);
  CHECK(mx.scale_type == NIB_TYPE_E8M0);
  CHECK(mx.flags == NIB_WEIGHTS_SCALE_EVEN);
  const NibWeights nf4 = decide(tensor(kQ, {256, 512}), of("nf4"), bitsandbytes()).weight.weights;
  CHECK(nf4.group_size == 64);
  CHECK(nf4.scale_type == NIB_TYPE_F32);
  CHECK(nf4.flags == (NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED));
  SelectionOptions one = of("int4");
  one.granularity = Granularity::kGroup;
  one.group_size = -1;
  CHECK(decide(tensor(kQ, {256, 512}), one, ct).weight.weights.granularity == NIB_GRANULARITY_ROW);
}

TEST_CASE("a K not divisible by the group size uses the largest power of two that divides it, or stays float") {
  const Decision smaller = decide(tensor(kDown, {256, 704}), of("int4"), compressedTensors());
  CHECK(smaller.kind == Decision::kQuantize);
  CHECK(smaller.weight.weights.group_size == 64);  // 704 = 64 * 11
  CHECK(smaller.note.find("704 is not a multiple of 128: group 64") != std::string::npos);
  const Decision none = decide(tensor(kDown, {256, 1000}), of("int4"), compressedTensors());  // 1000 = 8 * 125
  CHECK(none.kind == Decision::kKeep);
  CHECK(none.note.find("stays F16") != std::string::npos);
  // MX blocks are always 32: 48 = 32 + 16.
  CHECK(decide(tensor(kDown, {256, 48}), of("mxfp4"), compressedTensors()).kind == Decision::kKeep);
}

TEST_CASE("--include adds, --exclude removes, the last matching rule applies") {
  SelectionOptions options = of("int4");
  CHECK(decide(tensor("lm_head.weight", {1024, 256}), options, compressedTensors()).kind == Decision::kKeep);
  options.include.emplace_back("--include", "^lm_head");
  CHECK(decide(tensor("lm_head.weight", {1024, 256}), options, compressedTensors()).kind == Decision::kQuantize);
  options.exclude.emplace_back("--exclude", "layers\\.3\\.");
  CHECK(decide(tensor(kQ, {256, 256}), options, compressedTensors()).kind == Decision::kKeep);
  options.exclude.clear();
  options.rules.push_back(parseRule("mlp=int8"));
  options.rules.push_back(parseRule("down_proj=int4:32"));
  CHECK(decide(tensor(kDown, {256, 704}), options, compressedTensors()).weight.weights.group_size == 32);
  CHECK(decide(tensor("model.layers.0.mlp.up_proj.weight", {704, 256}), options, compressedTensors())
            .weight.weights.format == NIB_FORMAT_INT8);
  options.rules.push_back(parseRule("down_proj=BF16"));
  const Decision cast = decide(tensor(kDown, {256, 704}), options, compressedTensors());
  CHECK(cast.kind == Decision::kCast);
  CHECK(cast.dtype == Dtype::kBF16);
}

TEST_CASE("a matrix requested by name that cannot be quantized is an error; others stay unchanged") {
  SelectionOptions options = of("int4");
  CHECK(decide(tensor(kQ, {256, 256}, Dtype::kI32), options, compressedTensors()).kind == Decision::kKeep);
  CHECK(decide(tensor(kQ, {256}), options, compressedTensors()).kind == Decision::kKeep);
  options.include.emplace_back("--include", "q_proj");
  CHECK_THROWS_AS(decide(tensor(kQ, {256, 256}, Dtype::kI32), options, compressedTensors()), Error);
  const Decision vector = decide(tensor(kQ, {256}), options, compressedTensors());
  CHECK(vector.kind == Decision::kKeep);
  CHECK(vector.passed_over);
  CHECK(vector.note == "is not a matrix: stays F16");
  CHECK_THROWS_AS(decide(tensor(kQ, {256, 256}), of("int3"), compressedTensors()), Error);
  CHECK_THROWS_AS(decide(tensor(kQ, {256, 256}), of("int4"), bitsandbytes()), Error);
  CHECK_THROWS_AS(decide(tensor(kQ, {256, 256}), of("int4"), plainSafetensors()), Error);
  SelectionOptions activations = of("int4");
  activations.activations = Activations::kInt8Token;
  CHECK_THROWS_AS(decide(tensor(kQ, {256, 256}), activations, compressedTensors()), Error);
}

TEST_CASE("malformed rules and patterns are refused in one line") {
  for (const char* text : {"int4", "=int4", "x=int5", "x=int4:", "x=int4:0", "x=int4:17x", "x=int4:300", "(=int4"}) {
    INFO(text);
    CHECK_THROWS_AS(parseRule(text), Error);
  }
  CHECK(parseRule("a=b=int8").pattern.matches("xa=by"));
  CHECK(parseRule("x=int4:-1").type.group_size == -1);
  CHECK_THROWS_AS(NamePattern("--include", "["), Error);
}

TEST_CASE("compressed-tensors: names, dtypes and shapes of a weight's parts") {
  const auto parts = [](std::string_view type, std::vector<uint64_t> shape, bool asymmetric = false) {
    SelectionOptions options = of(type);
    options.asymmetric = asymmetric;
    std::string text;
    const Decision decision = decide(tensor(kQ, std::move(shape)), options, compressedTensors());
    for (const WeightPart& part : compressedTensors().parts(decision.weight, Activations::kNone)) {
      text += part.tensor.name.substr(part.tensor.name.rfind("q_proj.") + 7) + " " +
              std::string(dtypeName(part.tensor.dtype));
      for (const uint64_t side : part.tensor.shape) text += " " + std::to_string(side);
      text += "; ";
    }
    return text;
  };
  CHECK(parts("int4", {100, 256}) == "weight_packed I32 100 32; weight_scale F16 100 2; weight_shape I64 2; ");
  CHECK(parts("int4", {100, 256}, true) ==
        "weight_packed I32 100 32; weight_scale F16 100 2; weight_zero_point I32 13 2; weight_shape I64 2; ");
  CHECK(parts("int8", {100, 256}) == "weight_packed I32 100 64; weight_scale F16 100 1; weight_shape I64 2; ");
  CHECK(parts("fp8", {100, 256}) == "weight F8_E4M3 100 256; weight_scale F16 100 1; ");
  CHECK(parts("mxfp4", {100, 256}) == "weight_packed U8 100 128; weight_scale U8 100 8; ");
}

TEST_CASE("config.json keeps its keys and their order, and a malformed one is refused") {
  const std::string config = R"({"b": 1.5, "a": [1, {"c": 1e-05}], "quantization_config": {"old": 1}, "z": null})";
  CHECK(configWith(config, R"({"quant_method":"x"})") ==
        "{\n  \"b\": 1.5,\n  \"a\": [\n    1,\n    {\n      \"c\": 1e-05\n    }\n  ],\n  \"quantization_config\": {\n"
        "    \"quant_method\": \"x\"\n  },\n  \"z\": null\n}\n");
  CHECK(configWith(R"({"a":1,"quantization_config":{}})", "") == "{\n  \"a\": 1\n}\n");
  CHECK_THROWS_AS(configWith("[1]", ""), Error);
  CHECK_THROWS_AS(configWith("{", ""), Error);
  CHECK_THROWS_AS(configWith(std::string(100, '[') + std::string(100, ']'), ""), Error);
  // Time depends on size alone.
  std::string many = "{\"a\":[";
  for (int i = 0; i < 500'000; ++i) many += "{},";
  CHECK(configWith(many + "0]}", "").size() > many.size());
  many = "{";
  for (int i = 0; i < 300'000; ++i) many += "\"" + std::to_string(i) + "\":0,";
  CHECK(configWith(many + "\"a\":0}", "").size() > many.size());
  CHECK_THROWS_AS(configWith(many + "\"7\":0}", ""), Error);
}

TEST_CASE("config.json keeps the numbers that Python writes, and NaN is no number elsewhere") {
  const std::string config =
      "{\n  \"a\": [\n    0.0,\n    Infinity,\n    -Infinity,\n    NaN,\n    1e999\n  ],\n"
      "  \"b\": 1000000000000000019884624838656,\n  \"c\": 1.50\n}\n";
  CHECK(configWith(config, "") == config);
  for (const char* text : {"{\"a\":Inf}", "{\"a\":+Infinity}", "{\"a\":nan}", "{\"a\":-NaN}", "{\"a\":Infinity1}"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(configWith(text, ""), Error);
  }
}

TEST_CASE("the type and the tie are set in the parts of config.json, too") {
  const std::string config =
      R"({"torch_dtype":"float32","text_config":{"dtype":"float32","n":{"torch_dtype":null}},"x":{"dtype":3}})";
  CHECK(configWith(config, "", "float16") ==
        "{\n  \"torch_dtype\": \"float16\",\n  \"text_config\": {\n    \"dtype\": \"float16\",\n    \"n\": {\n"
        "      \"torch_dtype\": null\n    }\n  },\n  \"x\": {\n    \"dtype\": 3\n  }\n}\n");
  CHECK(configWith(R"({"text_config":{"tie_word_embeddings":true},"vision_config":{}})", "", "", true) ==
        "{\n  \"text_config\": {\n    \"tie_word_embeddings\": false\n  },\n  \"vision_config\": {},\n"
        "  \"tie_word_embeddings\": false\n}\n");
}

TEST_CASE("a pattern with re: matches from the start of a name, with or without .weight") {
  CHECK(NamePattern("--exclude", "re:.*vision").matches("model.vision_tower.weight"));
  CHECK(!NamePattern("--exclude", "re:vision").matches("model.vision_tower.weight"));
  CHECK(NamePattern("--exclude", "vision").matches("model.vision_tower.weight"));
  CHECK(NamePattern("--include", "q_proj$").matches("model.q_proj.weight"));
  CHECK(NamePattern("--include", "re:.*q_proj$").matches("model.q_proj.weight"));
  CHECK(!NamePattern("--include", "q_proj$").matches("model.q_proj.bias"));
}

TEST_CASE("the nearest names come first, one for all layers") {
  const std::vector<std::string_view> names = {"vision_tower.layers.0.fc1.weight", "vision_tower.layers.1.fc1.weight",
                                               "model.layers.0.mlp.up_proj.weight", "lm_head.weight"};
  CHECK(nearestNames(".*visoin.*", names, 1) == std::vector<std::string>{"vision_tower.layers.0.fc1.weight"});
  CHECK(nearestNames("lm_haed$", names, 1) == std::vector<std::string>{"lm_head.weight"});
  CHECK(nearestNames("mlp\\.upproj", names, 1) == std::vector<std::string>{"model.layers.0.mlp.up_proj.weight"});
  CHECK(nearestNames("x", names, 9).size() == 3);
  CHECK(nearestNames("x", {}, 9).empty());
}

TEST_CASE("kinds of modules by their names") {
  using Row = std::pair<const char*, ModuleKind>;
  for (const auto& [name, kind] :
       {Row{"model.layers.0.block_sparse_moe.experts.3.w1", ModuleKind::kBlockLinear},
        Row{"model.layers.0.block_sparse_moe.gate", ModuleKind::kRouter},
        Row{"model.layers.0.mlp.shared_expert_gate", ModuleKind::kRouter},
        Row{"model.layers.0.mlp.gate", ModuleKind::kRouter},
        Row{"model.layers.0.feed_forward.router", ModuleKind::kRouter},
        Row{"gpt_neox.layers.2.attention.query_key_value", ModuleKind::kBlockLinear},
        Row{"gpt_neox.layers.2.attention.dense", ModuleKind::kBlockLinear},
        Row{"transformer.h.0.mlp.dense_4h_to_h", ModuleKind::kBlockLinear},
        Row{"bert.encoder.layer.0.attention.self.query", ModuleKind::kBlockLinear},
        Row{"bert.pooler.dense", ModuleKind::kHead},
        Row{"encoder.block.0.layer.0.SelfAttention.q", ModuleKind::kBlockLinear},
        Row{"encoder.block.0.layer.0.SelfAttention.relative_attention_bias", ModuleKind::kEmbedding},
        Row{"model.vision_tower.encoder.layers.0.fc1", ModuleKind::kTower},
        Row{"visual.merger.mlp.0", ModuleKind::kTower},
        Row{"multi_modal_projector.linear_1", ModuleKind::kTower},
        Row{"mm_projector.0", ModuleKind::kTower},
        Row{"audio_tower.layers.0.fc1", ModuleKind::kTower},
        Row{"wte", ModuleKind::kEmbedding},
        Row{"bert.embeddings.token_type_embeddings", ModuleKind::kEmbedding},
        Row{"visual.pos_embed", ModuleKind::kTower},
        Row{"model.decoder.embed_positions", ModuleKind::kEmbedding},
        Row{"electra.embeddings_project", ModuleKind::kOther},
        Row{"language_model.lm_head", ModuleKind::kHead},
        Row{"embed_out", ModuleKind::kHead},
        Row{"classifier", ModuleKind::kHead},
        Row{"score", ModuleKind::kHead},
        Row{"cls.predictions.decoder", ModuleKind::kHead},
        Row{"qa_outputs", ModuleKind::kHead},
        Row{"model.decoder.project_in", ModuleKind::kOther},
        Row{"bert.encoder.layer.0.output.dense", ModuleKind::kBlockLinear}}) {
    INFO(name);
    CHECK(int(moduleKind(name)) == int(kind));
  }
}

namespace {

ConfigFacts factsOf(const std::vector<const char*>& quantized, std::vector<std::string> dense) {
  ConfigFacts facts;
  for (const char* name : quantized) {
    WeightSpec weight;
    weight.name = std::string(name) + ".weight";
    facts.weights.push_back(weight);
  }
  facts.dense_modules = std::move(dense);
  return facts;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("lists of dense modules are the file's names where loaders use those") {
  const ConfigFacts facts = factsOf({"model.layers.0.mlp.gate_proj", "model.layers.0.mlp.experts.0.up_proj"},
                                    {"lm_head", "model.layers.0.mlp.gate"});
  CHECK(ignoreList(facts) == Names{"lm_head", "model.layers.0.mlp.gate"});
  // "model.layers.0.mlp.gate" begins the name of gate_proj.
  CHECK(skipList(facts) == Names{"lm_head", "model.layers.0.mlp.gate$"});
  // "dense" ends the name of a quantized module.
  CHECK(skipList(factsOf({"encoder.layer.0.output.dense"}, {"dense"})) == Names{"dense$"});
  CHECK(targetOf(facts, "model.layers.0.mlp.gate_proj") == "model.layers.0.mlp.gate_proj");
}

TEST_CASE("where loaders use other names the lists have patterns, or all known names") {
  ConfigFacts facts =
      factsOf({"language_model.model.layers.0.mlp.up_proj"},
              {"language_model.model.layers.1.mlp.up_proj", "vision_tower.layers.0.mlp.fc1", "lm_head"});
  facts.dense_trees = {"vision_tower"};
  facts.names = LoaderNames(true, "", "");
  CHECK(ignoreList(facts) == Names{"language_model.model.layers.1.mlp.up_proj", "lm_head",
                                   "re:(?:.*\\.)?layers\\.1\\.mlp\\.up_proj$", "re:(?:.*\\.)?lm_head$",
                                   "re:(?:.*\\.)?vision_tower\\..*", "vision_tower.layers.0.mlp.fc1"});
  const Names skipped = skipList(facts);
  for (const char* name : {"lm_head", "model.language_model.layers.1.mlp.up_proj",
                           "language_model.model.layers.1.mlp.up_proj", "vision_tower", "model.vision_tower"}) {
    INFO(name);
    CHECK(std::find(skipped.begin(), skipped.end(), name) != skipped.end());
  }
  // The same ending in a quantized tower.
  facts = factsOf({"vision_tower.layers.1.mlp.up_proj"}, {"model.layers.1.mlp.up_proj"});
  facts.names = LoaderNames(true, "", "");
  CHECK(ignoreList(facts) == Names{"model.layers.1.mlp.up_proj",
                                   "re:(?:(?:model|language_model|language|llm|transformer|thinker|base_model)\\.)*"
                                   "layers\\.1\\.mlp\\.up_proj$"});
}

TEST_CASE("newer names of a module are in its pattern and in its spellings") {
  ConfigFacts facts = factsOf({"vit.encoder.layer.0.intermediate.dense"}, {"vit.encoder.layer.0.output.dense"});
  facts.names = LoaderNames(false, "vit", "encoder.layer>layers intermediate.dense>mlp.fc1 output.dense>mlp.fc2");
  CHECK(targetOf(facts, "vit.encoder.layer.0.output.dense")
            .ends_with("(?:encoder\\.layer\\.0\\.output\\.dense|layers\\.0\\.mlp\\.fc2)$"));
  CHECK(skipList(facts) == Names{"encoder.layer.0.output.dense", "layers.0.mlp.fc2", "vit.encoder.layer.0.output.dense",
                                 "vit.layers.0.mlp.fc2"});
}

TEST_CASE("stacks of experts are matrices with rows as outputs, however they are stored") {
  const std::optional<std::string> config = R"({"model_type":"x","hidden_size":4})";
  const std::vector<TensorInfo> in_first = {tensor("layers.0.mlp.experts.gate_up_proj", {2, 4, 6}),
                                            tensor("layers.0.mlp.experts.down_proj", {2, 3, 4})};
  const MatrixFacts facts(in_first, config);
  std::string why;
  const std::vector<StackedMatrix> up = facts.matricesOf(in_first[0], &why);
  REQUIRE(up.size() == 4);
  CHECK(up[3].module == "layers.0.mlp.experts.1.up_proj");
  CHECK(up[3].rows == 3);
  CHECK(up[3].cols == 4);
  // Row 0, column 0 of up in expert 1 is element [1][0][3].
  CHECK(up[3].slice.first == 27);
  CHECK(up[3].slice.row_stride == 1);
  CHECK(up[3].slice.column_stride == 6);
  const std::vector<StackedMatrix> down = facts.matricesOf(in_first[1], &why);
  REQUIRE(down.size() == 2);
  CHECK(down[1].rows == 4);
  CHECK(down[1].cols == 3);
  CHECK(down[1].slice.first == 12);
  const std::vector<TensorInfo> out_first = {tensor("layers.0.mlp.experts.gate_up_proj", {2, 6, 4}),
                                             tensor("layers.0.mlp.experts.down_proj", {2, 4, 3})};
  const std::vector<StackedMatrix> rows = MatrixFacts(out_first, config).matricesOf(out_first[0], &why);
  REQUIRE(rows.size() == 4);
  CHECK(rows[1].slice.first == 12);  // element [0][3][0]
  CHECK(rows[1].slice.row_stride == 4);
  CHECK(rows[1].slice.column_stride == 1);
  // Twice the inner size is the hidden size: the other stack tells.
  const std::vector<TensorInfo> square = {tensor("layers.0.mlp.experts.gate_up_proj", {2, 4, 4}),
                                          tensor("layers.0.mlp.experts.down_proj", {2, 4, 2})};
  CHECK(MatrixFacts(square, config).matricesOf(square[0], &why)[0].slice.column_stride == 1);
  CHECK(MatrixFacts(std::span(square).first(1), config).matricesOf(square[0], &why).empty());
  CHECK(why.find("inputs from outputs") != std::string::npos);
}

TEST_CASE("a pattern is bounded in time and memory, whatever it is") {
  const auto refused = [](const std::string& pattern, const std::string& name = "layers.0.a") {
    try {
      static_cast<void>(NamePattern("--include", pattern).matches(name));
    } catch (const Error& error) {
      CHECK(std::string_view(error.what()).find('\n') == std::string_view::npos);
      return std::string(error.what());
    }
    return std::string();
  };
  const auto holds = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  const std::string groups = [] {
    std::string text;
    for (int i = 0; i < 50'000; ++i) text += "(a)";
    return text;
  }();
  CHECK(holds(refused(groups), "longer than 4096 bytes"));
  CHECK(holds(refused(std::string(2000, '(') + std::string(2000, ')')), "not a valid regular expression"));
  CHECK(holds(refused("a\\"), "not a valid regular expression"));
  CHECK(holds(refused("(?C"), "not a valid regular expression"));
  CHECK(holds(refused("((((a{1,60}){1,60}){1,60}){1,60})"), "not a valid regular expression"));
  const std::string name = "model." + std::string(200, 'a') + ".weight";
  for (const char* endless : {"([a-z0-9_.]+)+!", "(a|a)*!", "(.*)*(.*)*(.*)*!", "((a+)+)+$b", "(?:a?){40}a{400}!"}) {
    INFO(endless);
    const std::string line = refused(endless, name);
    CHECK((line.empty() || holds(line, "takes too many steps")));
  }
  CHECK(holds(refused("([a-z0-9_.]+)+[!?]", name), "takes too many steps"));
  // Recursion and look-behinds are as bounded.
  CHECK(holds(refused("(?R)*a", name), "--include"));
  const std::string longest(4096, 'a');
  CHECK(NamePattern("--include", "a+$").matches(longest));
  CHECK(!NamePattern("--include", "(a|b)*c").matches("aaaa"));
  CHECK(holds(refused("a", std::string(4097, 'a')), "too long"));
  // The syntax of Perl: classes, lazy quantifiers, named groups, look-ahead.
  CHECK(NamePattern("--rule", "^model\\.layers\\.(?<n>[0-9]+)\\.(?!mlp)").matches("model.layers.12.attn.q.weight"));
  CHECK(!NamePattern("--rule", "a$").matches("a\n"));
}
