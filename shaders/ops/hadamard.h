// Interface of hadamard.comp: transforms of blocks of rows by Hadamard matrices.
//   WG           invocations of a workgroup, a power of two
//   SOURCE_TYPE  NibType of the source
//   RESULT_TYPE  NibType of the result
//   VEC          the rows of both allow loads and stores of four elements
//   SIGNS        the sign of each column applies to the source
//   QUADS        of a tile
//   LOW          distance of the elements of the first butterfly: 1, or a multiple of 4
//   STAGES       of butterflies, each at twice the distance of the one before
//   RUN          neighbouring elements of a tile; the next ones are push.step further
//   KIND         of the matrix across the first axis, a hadamard::Kind
//   ORDER        its order
//   PRIME        its modulus
//   TABLE        numbers of its table
#ifndef NIB_OPS_HADAMARD_H
#define NIB_OPS_HADAMARD_H

#include "common/interface.h"

#define HADAMARD_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SOURCE_TYPE, 0u) \
  X(2, uint, RESULT_TYPE, 0u) \
  X(3, nib_bool, VEC, false) \
  X(4, nib_bool, SIGNS, false) \
  X(5, uint, QUADS, 256u) \
  X(6, uint, LOW, 1u) \
  X(7, uint, STAGES, 10u) \
  X(8, uint, RUN, 1024u) \
  X(9, uint, KIND, 0u) \
  X(10, uint, ORDER, 1u) \
  X(11, uint, PRIME, 1u) \
  X(12, uint, TABLE, 1u)

#ifdef __cplusplus
namespace nib {
#endif
struct HadamardPush {
  NibPushHead head;
  uint cols;
  uint tiles;  // of a row
  uint span;   // elements from part 0 of a tile's block to that of the next
  uint parts;  // tiles of a block
  uint step;
  uint source_stride;
  uint result_stride;
  uint source_word;  // first words of parts
  uint result_word;
  uint signs_word;
  float factor;  // of results
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
