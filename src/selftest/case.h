// A case: a description of any op, the data it reads and how many rows a run takes.
#ifndef NIB_SELFTEST_CASE_H
#define NIB_SELFTEST_CASE_H

#include <nibble/nibble.h>

#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "selftest/description.h"
#include "selftest/recipe.h"

namespace nib::selftest {

enum class Extent {
  kQuick,  // every path, granularity and type once or twice
  kFull
};

class Case {
 public:
  Recipe recipe = Recipe::kMixed;
  uint64_t seed = 0;
  uint32_t n = 0;  // rows of the run

  // Starts a description: all fields are 0 except op and size.
  template <class Desc>
  Desc& describe(NibOp op) {
    set(selftest::describe<Desc>(op));
    return as<Desc>();
  }
  // Copies a complete description.
  template <class Desc>
  void set(const Desc& desc) {
    static_assert(sizeof(Desc) <= sizeof bytes_ && std::is_trivially_copyable_v<Desc>);
    std::memset(bytes_, 0, sizeof bytes_);
    std::memcpy(bytes_, &desc, sizeof desc);
    type_ = &kType<Desc>;
  }

  // Throws std::logic_error if it is a description of another type.
  template <class Desc>
  const Desc& as() const {
    if (type_ != &kType<Desc>) throw std::logic_error("the case has a description of another type");
    return *reinterpret_cast<const Desc*>(bytes_);
  }
  template <class Desc>
  Desc& as() {
    return const_cast<Desc&>(std::as_const(*this).as<Desc>());
  }

  const NibOpDesc* desc() const { return reinterpret_cast<const NibOpDesc*>(bytes_); }
  uint32_t op() const { return desc()->op; }
  size_t descBytes() const;
  // The memory of the description, to overwrite it with another of the same op.
  void* storage() { return bytes_; }

  // The format of the list that contains the case; 0 for dense weights and for ops without a list per format.
  uint32_t format() const;
  // The quantized or dense weights; NULL = the op has none.
  const NibWeights* weights() const;
  // "quantize int4 g128 asym f16 -> bf16 scales, 33x130 (n 33), mixed, seed 7": enough to recreate the case.
  std::string name() const;

 private:
  template <class Desc>
  static inline char kType = 0;  // its address identifies the type

  alignas(8) std::byte bytes_[256] = {};
  const void* type_ = nullptr;
};

// The ranges of a case as host words, by role.
struct Images {
  std::vector<uint32_t> role[NIB_ROLE_COUNT];
};

}  // namespace nib::selftest
#endif
