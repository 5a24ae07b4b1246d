// The blobs of layers that GPTQ has finished, in a folder beside the output until that is complete. So an interrupted
// run can be resumed, and a model's blobs need not fit in memory.
#ifndef NIB_MODEL_QUANTIZE_GPTQ_STORE_H
#define NIB_MODEL_QUANTIZE_GPTQ_STORE_H

#include "model/archive/resume_folder.h"
#include "model/quantize/gptq/layer.h"

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>

namespace nib::model {

class BlobStore {
 public:
  // folder: is made, or emptied unless `resume`. identity: files of other runs are not read. Throws; also if the folder
  // holds anything else, or another run uses it.
  BlobStore(std::filesystem::path folder, std::string identity, bool resume);
  // Throws if the folder cannot be that of a store. Changes nothing.
  static void check(const std::filesystem::path& folder);

  struct Entry {
    GptqLayerReport report;
    HostBlob blob;
  };
  // Throws if the file cannot be written.
  void save(const GptqLayerReport& report, const HostBlob& blob) const;
  // None if there is no complete file of this run.
  std::optional<Entry> read(const std::string& module) const;
  // Deletes the folder. Throws.
  void remove() const;
  const std::filesystem::path& folder() const { return files_.path(); }

 private:
  std::filesystem::path pathOf(const std::string& module) const;
  std::optional<Entry> entryOf(const nlohmann::ordered_json& head, const std::string& module,
                               std::span<const std::byte> blob) const;
  ResumeFolder files_;
  std::string identity_;
};

}  // namespace nib::model
#endif
