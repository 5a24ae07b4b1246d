// Changes to the values of a model's tensors, which leave the network's results as they were.
#ifndef NIB_MODEL_TRANSFORM_EDITS_H
#define NIB_MODEL_TRANSFORM_EDITS_H

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nib::model {

// A vector x of `size` elements becomes Q^T x, where Q is orthogonal.
struct Rotation {
  uint64_t size = 0;
  std::function<void(double* x)> apply;
};

// A change to a matrix, or to a vector, which counts as a matrix of one row.
class Edit {
 public:
  virtual ~Edit() = default;
  // Whether all rows must be there at once.
  virtual bool needsAllRows() const { return false; }
  // Changes rows [first, first + rows) of `cols` values.
  virtual void apply(std::vector<double>& values, uint64_t first, uint64_t rows, uint64_t cols) const = 0;
  // The shape that a matrix has afterwards. Only edits that need all rows change it.
  virtual void reshape(uint64_t& /*rows*/, uint64_t& /*cols*/) const {}
};
using EditPtr = std::shared_ptr<const Edit>;

// Column c is multiplied by factors[c]: the value plus offset, which is taken off again.
EditPtr scaleColumns(std::vector<double> factors, double offset = 0);
// Row r is multiplied by factors[r].
EditPtr scaleRows(std::vector<double> factors);
// All values become this one.
EditPtr setAll(double value);
// Adds addends[c] to column c.
EditPtr addToColumns(std::vector<double> addends);
// Clamps every group of `group` columns of a row to the percentile of its magnitudes.
EditPtr clampGroups(uint64_t group, double percentile);
// The rows with these numbers, one after the other.
EditPtr takeRows(std::vector<uint64_t> rows);
// The columns with these numbers, times factors.
EditPtr takeColumns(std::vector<uint64_t> columns, std::vector<double> factors);
// Every run of rotation.size elements of a row is rotated: W -> W Q.
EditPtr rotateColumns(std::shared_ptr<const Rotation> rotation);
// The same of columns, from row `first` on: W -> Q^T W.
EditPtr rotateRows(std::shared_ptr<const Rotation> rotation, uint64_t first = 0);

// By tensor, in the order in which they apply.
struct Edits {
  std::map<std::string, std::vector<EditPtr>, std::less<>> by_tensor;
  // config.json says that the head is the embedding, which it is not any more.
  bool unties = false;
  std::map<std::string, uint64_t> config;  // numbers of config.json that change, by key
  // Only nibble runs the network, whose model_type then says so (kOwnNetwork).
  bool own_network = false;
  // The head becomes a tensor of its own, a copy of the embedding before its edits; "" = it is one already.
  std::string untied_head, embedding;

  void add(const std::string& tensor, EditPtr edit) { by_tensor[tensor].push_back(std::move(edit)); }
};

}  // namespace nib::model
#endif
