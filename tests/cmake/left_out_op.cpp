// Prints what a build says about an op that it left out. Linked with that build by small_program.cmake.
#include <nibble/nibble.h>

#include <cstdio>

int main() {
  NibHistogramDesc desc = {};
  desc.op = NIB_OP_HISTOGRAM;
  desc.desc_bytes = sizeof desc;
  const NibLog log = {[](void*, NibSeverity, const char* text) { std::puts(text); }, nullptr};
  NibMemory memory = {};
  const NibOpDesc* const op = reinterpret_cast<const NibOpDesc*>(&desc);
  return nibGetMemory(op, &log, &memory) == NIB_ERROR_UNSUPPORTED ? 0 : 1;
}
