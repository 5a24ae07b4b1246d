// What ops share that read a dense source, row by row, and whose description has rows, cols, source_type and source_stride:
// the functions of their OpRow.
#ifndef NIB_OPS_SOURCE_DESC_H
#define NIB_OPS_SOURCE_DESC_H

#include <cstring>

#include "ops/geometry.h"
#include "ops/probe.h"

namespace nib {

template <class Desc>
uint32_t sourceMaxRows(const NibOpDesc* any, bool* fixed) {
  *fixed = false;
  return reinterpret_cast<const Desc*>(any)->rows;
}

template <class Desc>
void sourceSides(const NibOpDesc* any, uint32_t* rows, uint32_t* cols) {
  *rows = reinterpret_cast<const Desc*>(any)->rows;
  *cols = reinterpret_cast<const Desc*>(any)->cols;
}

template <class Desc>
void resizeSource(const NibOpDesc* any, uint32_t rows, uint32_t cols, void* out) {
  Desc d = *reinterpret_cast<const Desc*>(any);
  d.source_stride = strideLike(d.source_stride, d.cols, cols);
  d.rows = rows;
  d.cols = cols;
  std::memcpy(out, &d, sizeof d);
}

template <class Desc>
void fillSourceProbe(const NibOpDesc* any, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::fillDense(binding.range[NIB_ROLE_INPUT].data, reinterpret_cast<const Desc*>(any)->source_type,
                   memory.range[NIB_ROLE_INPUT].size_bytes, 0x9e3779b9u);
}

}  // namespace nib
#endif
