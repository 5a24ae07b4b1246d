#include "counting_new.h"

#include <atomic>
#include <cstdlib>
#include <new>

#if defined(__APPLE__)
#include <malloc/malloc.h>
static size_t sizeOf(void* memory) { return malloc_size(memory); }
#else
#include <malloc.h>
static size_t sizeOf(void* memory) { return malloc_usable_size(memory); }
#endif

namespace {
std::atomic<long long> held{0};
std::atomic<long long> peak{0};
}  // namespace

namespace nib::model::test {

void startCounting() {
  held = 0;
  peak = 0;
}

size_t peakBytes() { return static_cast<size_t>(peak.load()); }

}  // namespace nib::model::test

void* operator new(size_t size) {
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  const long long now = held += static_cast<long long>(sizeOf(memory));
  long long most = peak.load();
  while (now > most && !peak.compare_exchange_weak(most, now)) {
  }
  return memory;
}

void operator delete(void* memory) noexcept {
  if (memory == nullptr) return;
  held -= static_cast<long long>(sizeOf(memory));
  std::free(memory);
}

void* operator new[](size_t size) { return operator new(size); }
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
void operator delete[](void* memory, size_t) noexcept { operator delete(memory); }
