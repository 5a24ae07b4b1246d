// Interface of planted.comp.
#ifndef NIB_TESTS_PLANTED_H
#define NIB_TESTS_PLANTED_H

#include "common/interface.h"

#define PLANTED_SPEC(X) \
  X(0, uint, WG, 128u)  \
  X(1, uint, STEPS, 4u) \
  X(2, nib_bool, NEGATE, true)

#ifdef __cplusplus
namespace nib {
#endif
struct PlantedPush {
  NibPushHead head;
  uint count;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
