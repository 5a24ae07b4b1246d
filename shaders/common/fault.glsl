// A planted fault: builds that test the tests define NIB_FAULT, and every kernel then gets one bit of its results
// wrong.
#ifndef NIB_COMMON_FAULT_GLSL
#define NIB_COMMON_FAULT_GLSL

#ifdef NIB_FAULT
const uint kFault = 1u;
#else
const uint kFault = 0u;
#endif

#endif
