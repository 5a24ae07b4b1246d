// Activations between runs of a block's nodes, and between blocks: kept in host memory, and in a file when that is
// full.
#ifndef NIB_MODEL_BLOCKS_ACTIVATIONS_H
#define NIB_MODEL_BLOCKS_ACTIVATIONS_H

#include "model/archive/posix_file.h"
#include "model/timed_device.h"

#include <nibble/graph.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

// Bytes in memory up to a limit, and beyond it in an unnamed file, which the system deletes when the process ends.
class ActivationStore {
 public:
  // Bytes that are kept; an empty one costs nothing.
  class Piece {
    friend class ActivationStore;
    std::vector<std::byte> bytes_;  // in memory
    uint64_t offset_ = 0, capacity_ = 0;
    size_t size_ = 0;
    bool in_file_ = false;

   public:
    size_t size() const { return size_; }
  };
  // folder: where the file is created when it is needed.
  ActivationStore(uint64_t memory_bytes, std::filesystem::path folder);
  // Replaces the content of the piece. Throws.
  void put(Piece& piece, std::span<const std::byte> bytes);
  // bytes: piece.size() of them. Throws.
  void get(const Piece& piece, std::span<std::byte> bytes) const;
  uint64_t fileBytes() const { return file_bytes_; }

 private:
  uint64_t memory_bytes_, used_bytes_ = 0, file_bytes_ = 0;
  std::filesystem::path folder_;
  File file_;
};

// Arena values that are written before node `cut` and read from it on, each piece of memory once. `inputs`: names of
// inputs that the host writes again or that no node overwrites.
std::vector<graph::ValueId> liveValues(const graph::Graph& graph, const graph::Program& program, uint32_t cut,
                                       const std::vector<std::string>& inputs);

// The bytes of values for the first `tokens` tokens of a step.
class Saved {
 public:
  void save(ActivationStore& store, const TimedDevice& device, const graph::Graph& graph, const graph::Program& program,
            const std::vector<graph::ValueId>& values, uint32_t tokens);
  void restore(const ActivationStore& store, const TimedDevice& device, const graph::Graph& graph,
               const graph::Program& program) const;

 private:
  std::vector<graph::ValueId> values_;
  std::vector<ActivationStore::Piece> pieces_;
};

}  // namespace nib::model
#endif
