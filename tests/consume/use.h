/* A minimal use of the library, as C11 and as C++: quantizes one row on the CPU and checks the codes.
   Returns 0, or the number of the step that failed. */
#ifndef USE_H
#define USE_H

#include <nibble/nibble.h>

#include <string.h>

/* Choices as applications write them, which must compile without a warning. Returns flags of a product. */
static uint32_t chooseWeights(int dense, int half, int asymmetric, NibWeights* weights) {
  weights->format = dense ? NIB_FORMAT_DENSE : NIB_FORMAT_INT8;
  weights->granularity = dense ? 0 : NIB_GRANULARITY_ROW;
  weights->scale_type = half ? NIB_TYPE_F16 : NIB_TYPE_F32;
  weights->flags = asymmetric ? NIB_WEIGHTS_ASYMMETRIC : 0;
  if (!asymmetric) weights->flags |= NIB_WEIGHTS_NARROW | NIB_WEIGHTS_SCALE_FLOOR;
  return (half ? NIB_PRODUCT_BIAS : 0) | NIB_PRODUCT_RESIDUAL;
}

static int useNibble(void) {
  /* absmax 127 and narrow int8: the scale is 1 and every code is its value. */
  static float source[4] = {-127.0f, 0.0f, 64.0f, 127.0f};
  static const signed char expected[4] = {-127, 0, 64, 127};
  static unsigned int blob[256];

  NibQuantizeDesc desc;
  NibMemory memory;
  NibCpuBinding binding;
  NibRun run;

  memset(&desc, 0, sizeof desc);
  memset(&memory, 0, sizeof memory);
  memory.struct_bytes = sizeof memory;
  desc.op = NIB_OP_QUANTIZE;
  desc.desc_bytes = sizeof desc;
  desc.rows = 1;
  desc.cols = 4;
  desc.source_type = NIB_TYPE_F32;
  if (chooseWeights(0, 0, 0, &desc.weights) != NIB_PRODUCT_RESIDUAL) return 6;

  if (nibGetMemory((const NibOpDesc*)&desc, NULL, &memory) != NIB_SUCCESS) return 1;
  if (memory.range[NIB_ROLE_WEIGHTS].size_bytes > sizeof blob) return 2;
  memset(&binding, 0, sizeof binding);
  binding.struct_bytes = sizeof binding;
  binding.range[NIB_ROLE_WEIGHTS].data = blob;
  binding.range[NIB_ROLE_WEIGHTS].size_bytes = sizeof blob;
  binding.range[NIB_ROLE_INPUT].data = source;
  binding.range[NIB_ROLE_INPUT].size_bytes = sizeof source;
  memset(&run, 0, sizeof run);
  run.struct_bytes = sizeof run;
  run.n = 1;
  run.slice_count = UINT32_MAX;
  if (nibCpuRun((const NibOpDesc*)&desc, &binding, &run, NULL, NULL) != NIB_SUCCESS) return 3;
  if (memcmp((const char*)blob + memory.part[NIB_PART_CODES].offset_bytes, expected, sizeof expected) != 0) return 4;
#if !defined(NIB_NO_VULKAN)
  {
    /* Links the Vulkan part; a wrong version is refused before anything else is read. */
    NibContextDesc context_desc;
    NibContext* context = NULL;
    memset(&context_desc, 0, sizeof context_desc);
    context_desc.abi_version = NIB_ABI_VERSION + 1;
    if (nibCreateContext(&context_desc, &context) != NIB_ERROR_VERSION) return 5;
  }
#endif
  return 0;
}

#endif
