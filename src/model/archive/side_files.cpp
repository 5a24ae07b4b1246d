#include "model/archive/side_files.h"

#include "model/archive/error.h"
#include "model/archive/posix_file.h"
#include "model/archive/tensor_source.h"

#include <algorithm>
#include <cstdint>

namespace nib::model {
namespace {

namespace fs = std::filesystem;

// Tokenizers have up to about 20 MB; a much larger file contains weights.
constexpr uint64_t kMaxBytes = 256'000'000;
constexpr size_t kMaxFiles = 10'000;
constexpr int kMaxDepth = 8;

template <class... Endings>
bool endsWith(std::string_view name, Endings... endings) {
  return (name.ends_with(endings) || ...);
}

bool isWeights(std::string_view name) {
  return endsWith(name, ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".gguf", ".ggml", ".h5", ".msgpack",
                  ".onnx", ".onnx_data", ".npz", ".ot", ".tflite", ".pdparams", ".nemo", ".mlmodel", ".index.json");
}

// Describes the weights of the input, not those of the output.
bool describesWeights(std::string_view name) {
  return name == "config.json" || name == "adapter_config.json" || isQuantizationFile(name);
}

bool isDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// A module of sentence-transformers: "2_Dense".
bool isModuleFolder(std::string_view name) {
  return isDigits(name.substr(0, name.find('_'))) && name.find('_') != name.npos;
}

class Walk {
 public:
  explicit Walk(const fs::path& folder) : root_(folder) {}

  SideFiles result() {
    visit("", 0);
    return std::move(found_);
  }

 private:
  void note(const std::string& name, const char* why) {
    found_.notes.push_back(shown(root_ / name) + ": is not copied: " + why);
  }

  void visit(const std::string& prefix, int depth) {
    const fs::path folder = root_ / prefix;
    const bool is_module = isModuleFolder(firstFolder(prefix));
    for (const std::string& entry : listFolder(folder)) {
      const std::string name = prefix + entry;
      std::error_code error;
      const fs::file_type type = fs::status(root_ / name, error).type();
      if (name.find('\n') != name.npos) {
        note(name, "its name has a line break");
      } else if (type == fs::file_type::not_found) {
        note(name, "it is a link to a file that is not there");
      } else if (type == fs::file_type::directory) {
        visitFolder(entry, name, depth);
      } else if (type != fs::file_type::regular) {
        note(name, "it is not a regular file");
      } else if (isWeights(entry) && !is_module) {
        found_.weights.push_back(name);
      } else if (prefix.empty() && describesWeights(entry)) {
        if (entry != "config.json") note(name, "it describes the weights of the input");
      } else if (endsWith(entry, ".partial")) {
        note(name, "it is incomplete");
      } else if (fs::file_size(root_ / name, error) > kMaxBytes) {
        note(name, "it is larger than 256 MB");
      } else if (found_.files.size() == kMaxFiles) {
        if (!is_full_) note(name, "there are more than 10000 files, and later ones are left out, too");
        is_full_ = true;
      } else {
        found_.files.push_back({name, root_ / name});
      }
    }
  }

  void visitFolder(const std::string& entry, const std::string& name, int depth) {
    if (entry[0] == '.') return note(name, "it is a hidden folder");
    if (entry == "__pycache__" || endsWith(entry, ".partial", ".gptq", ".replaced")) return;
    const fs::path folder = root_ / name;
    if (depth == kMaxDepth) return note(name, "it is nested too deep");
    std::error_code error;
    const fs::path real = fs::canonical(folder, error);
    const fs::path root = fs::canonical(root_, error);
    const bool is_loop = std::mismatch(real.begin(), real.end(), root.begin(), root.end()).first == real.end();
    if (is_loop) return note(name, "it is a link to a folder around it");
    const std::vector<std::string> names = listFolder(folder);
    const bool has_config = std::find(names.begin(), names.end(), "config.json") != names.end();
    const bool has_weights = std::any_of(names.begin(), names.end(), isWeights);
    if (has_config && has_weights && !isModuleFolder(entry)) return note(name, "it is a model of its own");
    visit(name + "/", depth + 1);
  }

  static std::string_view firstFolder(std::string_view prefix) { return prefix.substr(0, prefix.find('/')); }

  const fs::path root_;
  SideFiles found_;
  bool is_full_ = false;
};

}  // namespace

std::vector<char> contentOf(const SideFile& file, uint64_t max_bytes) {
  if (!file.text) return readWholeFile(file.path, max_bytes);
  if (file.text->size() > max_bytes) throw Error(shown(file.path) + ": its " + file.name + " is too large");
  return {file.text->begin(), file.text->end()};
}

const SideFile* findSideFile(const std::vector<SideFile>& files, std::string_view name) {
  const auto found = std::find_if(files.begin(), files.end(), [&](const SideFile& file) { return file.name == name; });
  return found != files.end() ? &*found : nullptr;
}

bool isLoaderFile(std::string_view name) {
  const auto is = [&](auto... names) { return ((name == names) || ...); };
  const auto begins = [&](auto... starts) { return (name.starts_with(starts) || ...); };
  if (name.empty() || name[0] == '.' || isWeights(name) || name.ends_with(".partial")) return false;
  return is("special_tokens_map.json", "added_tokens.json", "merges.txt", "generation_config.json",
            "chat_template.json", "preprocessor_config.json", "processor_config.json",
            "video_preprocessor_config.json") ||
         begins("tokenizer", "vocab.", "LICENSE", "LICENCE", "NOTICE", "USE_POLICY") ||
         endsWith(name, ".model", ".tiktoken", ".jinja", ".py");
}

SideFiles findSideFiles(const fs::path& folder) {
  SideFiles found = Walk(folder).result();
  std::sort(found.files.begin(), found.files.end(),
            [](const SideFile& a, const SideFile& b) { return a.name < b.name; });
  return found;
}

void throwAdapter(const fs::path& path) {
  throw Error(shown(path) +
              ": is an adapter (LoRA), not a model: merge it first, with peft: "
              "PeftModel.from_pretrained(BASE, ADAPTER).merge_and_unload().save_pretrained(OUT)");
}

void refuseAdapter(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return;
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"}) {
    if (fs::exists(folder / name, error)) throwAdapter(folder);
  }
}

bool isAdapterTensor(std::string_view name) {
  const auto has = [&](auto... parts) { return ((name.find(parts) != name.npos) || ...); };
  return has(".lora_A", ".lora_B", ".lora_embedding_", ".lora_magnitude_vector", ".lora_down.", ".lora_up.", ".ia3_l",
             ".hada_w1", ".lokr_w", "prompt_embeddings", "modules_to_save");
}

}  // namespace nib::model
