#include "model/quantize/families.h"

#include "model/archive/module_name.h"

#include <algorithm>

namespace nib::model {
namespace {

constexpr MatrixFamily kFamilies[] = {
    {"Llama, Mistral, Qwen, Gemma and their kin",
     "llama mistral ministral ministral3 qwen2 qwen3 gemma gemma2 gemma3_text gemma3n_text gemma4_text cohere cohere2 "
     "granite olmo olmo2 olmo3 stablelm smollm3 seed_oss ernie4_5 exaone4 helium nemotron arcee apertus minicpm "
     "hunyuan_v1_dense starcoder2 mllama_text_model",
     "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj", "lm_head", "model"},
    {"Phi-3, GLM", "phi3 phi4mm glm glm4", "qkv_proj o_proj gate_up_proj down_proj", "lm_head", "model"},
    {"Molmo, OLMo's first code", "molmo mmolmo hf_olmo", "att_proj attn_out ff_proj ff_out", "lm_head", "model"},
    {"RWKV", "rwkv", "key value receptance output", "head", "rwkv"},
    {"RecurrentGemma", "recurrent_gemma",
     "q_proj k_proj v_proj o_proj linear_x linear_y linear_out gate_proj up_proj down_proj", "lm_head", "model"},
    {"CogVLM", "cogvlm cogvlm2", "language_expert_query_key_value language_expert_dense gate_proj up_proj down_proj",
     "lm_head", "model"},
    {"Phi, Persimmon", "phi persimmon",
     "q_proj k_proj v_proj query_key_value dense fc1 fc2 dense_h_to_4h dense_4h_to_h", "lm_head", "model"},
    {"Mixtral, PhiMoE", "mixtral phimoe minimax minimax_m2", "q_proj k_proj v_proj o_proj w1 w2 w3", "lm_head",
     "model"},
    {"Qwen-MoE, OLMoE and Llama 4",
     "qwen2_moe qwen3_moe qwen3_next qwen3_vl_moe_text qwen3_5_moe_text olmoe llama4_text glm4_moe ernie4_5_moe "
     "granitemoe hunyuan_v1_moe gpt_oss",
     "q_proj k_proj v_proj o_proj gate_proj up_proj gate_up_proj down_proj in_proj_qkvz out_proj in_proj_qkv in_proj_z",
     "lm_head", "model"},
    {"DeepSeek", "deepseek_v2 deepseek_v3 deepseek_v32 kimi_k2 longcat_flash",
     "q_proj q_a_proj q_b_proj kv_a_proj_with_mqa kv_b_proj o_proj gate_proj up_proj down_proj", "lm_head", "model"},
    {"InternLM 2, Baichuan", "internlm2 baichuan", "wqkv wo w1 w2 w3 W_pack o_proj gate_proj up_proj down_proj",
     "lm_head output", "model"},
    {"Llama in Meta's names", "", "wq wk wv wo w1 w2 w3", "output", ""},
    {"GPT-NeoX", "gpt_neox gpt_neox_japanese", "query_key_value dense dense_h_to_4h dense_4h_to_h", "embed_out",
     "gpt_neox"},
    {"BLOOM, ChatGLM", "bloom chatglm", "query_key_value dense dense_h_to_4h dense_4h_to_h", "lm_head", "transformer"},
    // Its layers are of a class of its own, which transformers does not replace by bitsandbytes' layers.
    {"Falcon", "falcon RefinedWeb RefinedWebModel", "query_key_value dense dense_h_to_4h dense_4h_to_h", "lm_head",
     "transformer", false, "query_key_value dense dense_h_to_4h dense_4h_to_h"},
    {"GPT-2 and its kin", "gpt2 openai-gpt imagegpt gpt_bigcode gpt_neo qwen",
     "c_attn q_attn c_proj c_fc q_proj k_proj v_proj out_proj w1 w2", "lm_head", "transformer"},
    {"GPT-J, CodeGen", "gptj codegen", "q_proj k_proj v_proj out_proj qkv_proj fc_in fc_out", "lm_head", "transformer"},
    {"MPT, DBRX", "mpt dbrx", "Wqkv out_proj up_proj down_proj", "lm_head", "transformer"},
    {"OPT", "opt xglm", "q_proj k_proj v_proj out_proj fc1 fc2", "lm_head", "model"},
    {"Mamba and hybrids", "mamba mamba2 falcon_mamba jamba bamba zamba2 nemotron_h falcon_h1 granitemoehybrid",
     "in_proj out_proj q_proj k_proj v_proj o_proj gate_proj up_proj down_proj", "lm_head", "backbone model"},
    {"BART, Marian, M2M100, Pegasus", "bart mbart marian m2m_100 pegasus blenderbot plbart",
     "q_proj k_proj v_proj out_proj fc1 fc2", "lm_head", "model"},
    {"Whisper, Moonshine", "whisper moonshine", "q_proj k_proj v_proj o_proj out_proj fc1 fc2", "proj_out", "model"},
    {"T5", "t5 mt5 umt5 longt5 switch_transformers pix2struct udop pop2piano", "q k v o wi wi_0 wi_1 wo", "lm_head", "",
     false, "wo", true, "", true},
    {"BERT, RoBERTa, ELECTRA", "bert roberta xlm-roberta electra camembert roberta-prelayernorm esm layoutlm ernie",
     "query key value dense", "cls.predictions.decoder lm_head.decoder generator_lm_head",
     "bert roberta electra esm layoutlm ernie", true},
    {"DistilBERT", "distilbert", "q_lin k_lin v_lin out_lin lin1 lin2", "vocab_projector", "distilbert", true},
    {"ALBERT", "albert", "query key value dense ffn ffn_output", "predictions.decoder", "albert", true},
    {"MPNet", "mpnet", "q k v o dense", "lm_head.decoder", "mpnet", true},
    {"DeBERTa", "deberta deberta-v2", "query_proj key_proj value_proj in_proj pos_proj pos_q_proj dense",
     "cls.predictions.decoder lm_predictions.lm_head", "deberta", true},
    {"ModernBERT, NomicBERT", "modernbert nomic_bert", "Wqkv Wi Wo out_proj fc11 fc12 fc1 fc2", "decoder", "model bert",
     true},
    {"ViT, DeiT, BEiT", "vit deit beit data2vec-vision audio-spectrogram-transformer", "query key value dense", "",
     "vit deit beit data2vec_vision", true, "", false,
     "encoder.layer>layers attention.attention.query>attention.q_proj attention.attention.key>attention.k_proj "
     "attention.attention.value>attention.v_proj attention.output.dense>attention.o_proj intermediate.dense>mlp.fc1 "
     "output.dense>mlp.fc2"},
    {"Swin", "swin swinv2", "query key value dense", "", "swin swinv2", true, "", false,
     "attention.self.query>attention.q_proj attention.self.key>attention.k_proj "
     "attention.self.value>attention.v_proj attention.output.dense>attention.o_proj intermediate.dense>mlp.fc1 "
     "output.dense>mlp.fc2"},
    {"DINOv2, timm", "dinov2 dinov2_with_registers", "query key value dense fc1 fc2 qkv proj", "", "dinov2", true},
    {"CLIP, SigLIP", "clip siglip siglip2 clip_vision_model siglip_vision_model clip_text_model siglip_text_model",
     "q_proj k_proj v_proj out_proj fc1 fc2", "", "", true},
    {"Wav2Vec2, HuBERT", "wav2vec2 hubert wavlm data2vec-audio wav2vec2-bert",
     "q_proj k_proj v_proj out_proj intermediate_dense output_dense linear_q linear_k linear_v linear_out", "lm_head",
     "wav2vec2 hubert wavlm", true},
};

}  // namespace

const MatrixFamily* findMatrixFamily(std::string_view model_type) {
  const auto* const found = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                         [&](const MatrixFamily& f) { return hasWord(f.types, model_type); });
  return found != std::end(kFamilies) ? found : nullptr;
}

bool isLinearOfAnyFamily(std::string_view last_name) {
  return std::any_of(std::begin(kFamilies), std::end(kFamilies),
                     [&](const MatrixFamily& f) { return hasWord(f.linears, last_name); });
}

}  // namespace nib::model
