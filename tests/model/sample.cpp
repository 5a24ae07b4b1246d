// Writes a model into a new folder, and beside it the list of its tensors for the reader in Python:
//   nibble_model_sample FOLDER  ->  FOLDER/out/..., FOLDER/expected.json
#include "model/archive/error.h"
#include "model/archive/json_scanner.h"
#include "model/archive/model_writer.h"

#include <cstdio>
#include <fstream>
#include <random>

using namespace nib::model;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  try {
    std::vector<OutputTensor> tensors;
    for (uint32_t d = 0; d < kDtypeCount; ++d) {
      const Dtype dtype = static_cast<Dtype>(d);
      const std::string name(dtypeName(dtype));
      tensors.push_back({{"model.layers." + std::to_string(d) + "." + name, dtype, {8, 3}}, d / 2});
      tensors.push_back(
          {{name + " \"\\/\n\t\x01 \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", dtype, {1, 2, 4, 1}}, std::nullopt});
      tensors.push_back({{"empty." + name, dtype, {0, 5}}, std::nullopt});
      if (dtypeBits(dtype) % 8 == 0) tensors.push_back({{"scalar." + name, dtype, {}}, std::nullopt});
    }
    WriterOptions options;
    options.out = folder / "out";
    options.identity = "sample";
    options.max_shard_bytes = 1000;
    options.metadata = {{"format", "pt"}, {"a\"b\xc3\xa9", "\\\n"}};
    ModelWriter writer(options, planSafetensors(options, tensors));

    std::mt19937 random(7);
    std::string list;
    for (size_t t = 0; t < tensors.size(); ++t) {
      std::vector<std::byte> bytes(*tensorBytes(tensors[t].dtype, tensors[t].shape));
      std::string hex;
      for (std::byte& byte : bytes) {
        byte = static_cast<std::byte>(random());
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", std::to_integer<unsigned>(byte));
        hex += digits;
      }
      writer.write(t, 0, bytes);
      writer.finished(t);
      std::string shape;
      for (const uint64_t size : tensors[t].shape) shape += (shape.empty() ? "" : ", ") + std::to_string(size);
      list += (t == 0 ? "" : ",\n") + std::string("{\"name\": ") + jsonString(tensors[t].name) + ", \"dtype\": \"" +
              std::string(dtypeName(tensors[t].dtype)) + "\", \"shape\": [" + shape + "], \"hex\": \"" + hex + "\"}";
    }
    writer.publish();
    std::ofstream(folder / "expected.json") << "[" << list << "]\n";
  } catch (const Error& error) {
    std::fprintf(stderr, "nibble_model_sample: %s\n", error.what());
    return 1;
  }
  return 0;
}
