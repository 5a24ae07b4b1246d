// Importance matrices: the mean square of every input of a weight matrix, in the files of llama.cpp ("imatrix").
#ifndef NIB_MODEL_ARCHIVE_GGUF_IMPORTANCE_H
#define NIB_MODEL_ARCHIVE_GGUF_IMPORTANCE_H

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace nib::model {

// The importance of one tensor of GGUF: a matrix, or the matrices of all experts.
struct ImportanceEntry {
  // Sums of squares, column by column, expert by expert.
  std::vector<float> squares;
  // Rows of inputs that each expert has seen; one number for a matrix. A file of the older kind has one in any case.
  std::vector<float> counts;

  // The mean square of each column of an expert, of `experts`; 1 for all if it has seen nothing.
  std::vector<float> means(uint64_t expert, uint64_t experts) const;
};

struct Importance {
  std::map<std::string, ImportanceEntry> entries;  // by the name of the tensor in GGUF, "blk.0.attn_q.weight"
  std::vector<std::string> datasets;
  uint32_t chunks = 0;      // texts
  uint32_t chunk_size = 0;  // tokens of each; 0 = not known
};

// Reads a file of either kind: GGUF, or the older .dat. Throws; also for numbers that are not finite, or negative.
Importance readImportance(const std::filesystem::path& path);

// The bytes of a GGUF file. Throws.
std::vector<std::byte> importanceBytes(const Importance& importance, const std::string& where);

}  // namespace nib::model
#endif
