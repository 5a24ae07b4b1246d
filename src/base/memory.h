// Host memory from the caller's callbacks (malloc without them), and the core's array.
#ifndef NIB_BASE_MEMORY_H
#define NIB_BASE_MEMORY_H

#include <nibble/nibble.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>

namespace nib {

class HostMemory {
 public:
  HostMemory() = default;
  explicit HostMemory(const NibAllocator* callbacks) {
    if (callbacks != nullptr) callbacks_ = *callbacks;
  }
  // NULL if out of memory. A size of 0 allocates one byte.
  void* allocate(size_t size_bytes, size_t alignment = alignof(std::max_align_t)) const {
    if (size_bytes == 0) size_bytes = 1;
    return callbacks_.allocate != nullptr ? callbacks_.allocate(callbacks_.user, size_bytes, alignment)
                                          : std::malloc(size_bytes);
  }
  void release(void* memory) const {
    if (memory == nullptr) return;
    if (callbacks_.release != nullptr) {
      callbacks_.release(callbacks_.user, memory);
    } else {
      std::free(memory);
    }
  }
  template <class T, class... Arguments>
  T* create(Arguments&&... arguments) const {
    void* memory = allocate(sizeof(T), alignof(T));
    return memory != nullptr ? new (memory) T{static_cast<Arguments&&>(arguments)...} : nullptr;
  }
  template <class T>
  void destroy(T* object) const {
    if (object == nullptr) return;
    object->~T();
    release(object);
  }
  const NibAllocator* callbacks() const { return callbacks_.allocate != nullptr ? &callbacks_ : nullptr; }

 private:
  NibAllocator callbacks_{};
};

// Growable array of trivially copyable elements. Growing returns false if out of memory; the array is then unchanged.
template <class T>
class Array {
 public:
  static_assert(std::is_trivially_copyable_v<T>);
  explicit Array(const HostMemory& allocator) : allocator_(allocator) {}
  ~Array() { allocator_.release(data_); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  bool reserve(size_t capacity) {
    if (capacity <= capacity_) return true;
    T* data = static_cast<T*>(allocator_.allocate(capacity * sizeof(T), alignof(T)));
    if (data == nullptr) return false;
    if (size_ > 0) std::memcpy(static_cast<void*>(data), data_, size_ * sizeof(T));
    allocator_.release(data_);
    data_ = data;
    capacity_ = capacity;
    return true;
  }
  bool push(const T& value) {
    if (size_ == capacity_ && !reserve(capacity_ == 0 ? 8 : capacity_ * 2)) return false;
    data_[size_++] = value;
    return true;
  }
  // New elements are zeroed.
  bool resize(size_t size) {
    if (!reserve(size)) return false;
    if (size > size_) std::memset(static_cast<void*>(data_ + size_), 0, (size - size_) * sizeof(T));
    size_ = size;
    return true;
  }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  size_t size() const { return size_; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

 private:
  HostMemory allocator_;
  T* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace nib
#endif
