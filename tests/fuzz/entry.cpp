// The entry of one coverage-guided fuzzer: NIB_FUZZ_READER is the name of its reader.
#include "readers.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  nib::fuzz::NIB_FUZZ_READER({reinterpret_cast<const char*>(data), size});
  return 0;
}
