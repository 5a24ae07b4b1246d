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
  virtual void apply(double* values, uint64_t first, uint64_t rows, uint64_t cols) const = 0;
};
using EditPtr = std::shared_ptr<const Edit>;

// Column c is multiplied by factors[c].
EditPtr scaleColumns(std::vector<double> factors);
// Row r is multiplied by factors[r].
EditPtr scaleRows(std::vector<double> factors);
// All values become this one.
EditPtr setAll(double value);
// Every run of rotation.size elements of a row is rotated: W -> W Q.
EditPtr rotateColumns(std::shared_ptr<const Rotation> rotation);
// The same of columns: W -> Q^T W.
EditPtr rotateRows(std::shared_ptr<const Rotation> rotation);

// By tensor, in the order in which they apply.
struct Edits {
  std::map<std::string, std::vector<EditPtr>, std::less<>> by_tensor;
  // config.json says that the head is the embedding, which it is not any more.
  bool unties = false;
  // The head becomes a tensor of its own, a copy of the embedding before its edits; "" = it is one already.
  std::string untied_head, embedding;

  void add(const std::string& tensor, EditPtr edit) { by_tensor[tensor].push_back(std::move(edit)); }
};

}  // namespace nib::model
#endif
