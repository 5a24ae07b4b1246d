// Lookup in the table that the build generates from kernels.list.
#include "formats/format.h"

namespace nib {

const FormatDesc* findFormat(uint32_t id) {
  for (uint32_t i = 0; i < kFormatCount; ++i) {
    if (kFormats[i]->info.format == id) return kFormats[i];
  }
  return nullptr;
}

const char* formatKind(uint32_t id) {
  for (uint32_t i = 0; i < kFormatCount; ++i) {
    if (kFormats[i]->info.format == id) return kFormatKinds[i];
  }
  return nullptr;
}

namespace {
// Ignores the case of ASCII letters.
bool sameName(const char* a, const char* b) {
  for (; *a != '\0' && *b != '\0'; ++a, ++b) {
    const char ca = *a >= 'A' && *a <= 'Z' ? char(*a - 'A' + 'a') : *a;
    const char cb = *b >= 'A' && *b <= 'Z' ? char(*b - 'A' + 'a') : *b;
    if (ca != cb) return false;
  }
  return *a == *b;
}
}  // namespace

bool isFormatKind(const char* name) {
  for (const char* const* kind = kAllKinds; *kind != nullptr; ++kind) {
    if (sameName(*kind, name)) return true;
  }
  return false;
}

}  // namespace nib

using namespace nib;

extern "C" {

uint32_t nibFormatCount(void) { return kFormatCount; }

const NibFormatInfo* nibFormatAt(uint32_t index) { return index < kFormatCount ? &kFormats[index]->info : nullptr; }

const NibFormatInfo* nibFormatById(uint32_t format) {
  const FormatDesc* desc = findFormat(format);
  return desc != nullptr ? &desc->info : nullptr;
}

const NibFormatInfo* nibFormatByName(const char* name) {
  if (name == nullptr) return nullptr;
  for (uint32_t i = 0; i < kFormatCount; ++i) {
    if (sameName(kFormats[i]->info.name, name)) return &kFormats[i]->info;
  }
  return nullptr;
}

}  // extern "C"
