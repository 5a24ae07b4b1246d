// Upload, download and fill. Mapped memory is copied directly; the rest goes through a ring of staging blocks, so that
// the host copies one block while the device copies another.
#include "kit/vulkan_backend.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace nib::kit::detail {
namespace {

constexpr uint32_t kDepth = VulkanDevice::kStagingDepth;

const RawBuffer& rawOf(const BufferState& state) { return static_cast<const VulkanBuffer&>(state).raw; }

// The staging blocks of one transfer; the destructor waits for pending copies before it releases them.
class Ring {
 public:
  Ring(VulkanDevice& device, uint64_t size_bytes) : device_(device) {
    const uint64_t chunks = (size_bytes + VulkanDevice::kStagingBytes - 1) / VulkanDevice::kStagingBytes;
    const uint32_t wanted = static_cast<uint32_t>(std::min<uint64_t>(kDepth, chunks));
    for (; count_ < wanted; ++count_) {
      try {
        blocks_[count_] = device_.acquireStaging();
      } catch (const std::exception&) {
        if (count_ == 0) throw;
        break;  // one block is enough, only slower
      }
    }
  }
  ~Ring() {
    for (uint32_t i = 0; i < count_; ++i) {
      try {
        device_.wait(blocks_[i].commands);
      } catch (const std::exception&) {
        // An earlier exception is on its way: a transfer that succeeds has waited for all its copies.
      }
      device_.release(blocks_[i]);
    }
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  uint32_t count() const { return count_; }
  StagingBlock& operator[](uint64_t chunk) { return blocks_[chunk % count_]; }

 private:
  VulkanDevice& device_;
  std::array<StagingBlock, kDepth> blocks_;
  uint32_t count_ = 0;
};

uint64_t chunkBytes(uint64_t size_bytes, uint64_t chunk) {
  return std::min(VulkanDevice::kStagingBytes, size_bytes - chunk * VulkanDevice::kStagingBytes);
}

}  // namespace

void VulkanBackend::upload(const BufferState& to, uint64_t offset_bytes, const void* data, uint64_t size_bytes) {
  const RawBuffer& raw = rawOf(to);
  const std::byte* source = static_cast<const std::byte*>(data);
  device->requireUsable("uploading");
  if (raw.mapped) {
    std::memcpy(static_cast<std::byte*>(raw.mapped) + offset_bytes, source, static_cast<size_t>(size_bytes));
    return;
  }
  Ring ring(*device, size_bytes);
  const uint64_t chunks = (size_bytes + VulkanDevice::kStagingBytes - 1) / VulkanDevice::kStagingBytes;
  for (uint64_t i = 0; i < chunks; ++i) {
    StagingBlock& block = ring[i];
    device->wait(block.commands);
    const VkBufferCopy region{0, offset_bytes + i * VulkanDevice::kStagingBytes, chunkBytes(size_bytes, i)};
    std::memcpy(block.buffer.mapped, source + i * VulkanDevice::kStagingBytes, static_cast<size_t>(region.size));
    device->begin(block.commands);
    device->api.CmdCopyBuffer(block.commands.buffer, block.buffer.buffer, raw.buffer, 1, &region);
    device->end(block.commands);
  }
  for (uint64_t i = 0; i < ring.count(); ++i) device->wait(ring[i].commands);
}

void VulkanBackend::download(const BufferState& from, uint64_t offset_bytes, void* data, uint64_t size_bytes) {
  const RawBuffer& raw = rawOf(from);
  std::byte* target = static_cast<std::byte*>(data);
  device->requireUsable("downloading");
  // Large reads of uncached memory are slower than a copy by the device.
  if (raw.mapped && (raw.cached || size_bytes <= 4096)) {
    std::memcpy(target, static_cast<const std::byte*>(raw.mapped) + offset_bytes, static_cast<size_t>(size_bytes));
    return;
  }
  Ring ring(*device, size_bytes);
  const uint64_t chunks = (size_bytes + VulkanDevice::kStagingBytes - 1) / VulkanDevice::kStagingBytes;
  const auto collect = [&](uint64_t chunk) {
    StagingBlock& block = ring[chunk];
    device->wait(block.commands);
    std::memcpy(target + chunk * VulkanDevice::kStagingBytes, block.buffer.mapped,
                static_cast<size_t>(chunkBytes(size_bytes, chunk)));
  };
  for (uint64_t i = 0; i < chunks; ++i) {
    if (i >= ring.count()) collect(i - ring.count());
    StagingBlock& block = ring[i];
    const VkBufferCopy region{offset_bytes + i * VulkanDevice::kStagingBytes, 0, chunkBytes(size_bytes, i)};
    device->begin(block.commands);
    device->api.CmdCopyBuffer(block.commands.buffer, raw.buffer, block.buffer.buffer, 1, &region);
    device->end(block.commands);
  }
  for (uint64_t i = chunks - std::min<uint64_t>(chunks, ring.count()); i < chunks; ++i) collect(i);
}

void VulkanBackend::fill(const BufferState& buffer, uint64_t offset_bytes, uint64_t size_bytes, uint32_t word) {
  const RawBuffer& raw = rawOf(buffer);
  device->requireUsable("filling a buffer");
  if (raw.mapped) {
    std::fill_n(reinterpret_cast<uint32_t*>(static_cast<std::byte*>(raw.mapped) + offset_bytes), size_bytes / 4, word);
    return;
  }
  device->submit([&](VkCommandBuffer commands) {
    device->api.CmdFillBuffer(commands, raw.buffer, offset_bytes, size_bytes, word);
  });
}

}  // namespace nib::kit::detail
