// Weight formats and their permanent numbers. Written by the build from shaders/kernels.list: do not edit.
#ifndef NIBBLE_FORMATS_H
#define NIBBLE_FORMATS_H

typedef enum NibFormat {
  NIB_FORMAT_INT8 = 1,
  NIB_FORMAT_INT4 = 2,
  NIB_FORMAT_NF4 = 3,
  NIB_FORMAT_UINT8 = 4,
  NIB_FORMAT_UINT4 = 5,
  NIB_FORMAT_INT3 = 6,
  NIB_FORMAT_INT2 = 7,
  NIB_FORMAT_TERNARY = 8,
  NIB_FORMAT_BINARY = 9,
  NIB_FORMAT_FP4 = 10,
  NIB_FORMAT_FP8 = 11,
  NIB_FORMAT_FP8_E5M2 = 12,
  NIB_FORMAT_MXFP4 = 13,
  NIB_FORMAT_Q4_0 = 14,
  NIB_FORMAT_Q4_1 = 15,
  NIB_FORMAT_Q5_0 = 16,
  NIB_FORMAT_Q5_1 = 17,
  NIB_FORMAT_Q8_0 = 18,
  NIB_FORMAT_MAX_ENUM = 0x7fffffff
} NibFormat;

#endif
