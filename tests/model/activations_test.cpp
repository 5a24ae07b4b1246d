// Activations that GPTQ keeps: in memory up to a limit, after it in a file, with the same bytes.
#include "model/blocks/activations.h"

#include "model/model_test.h"

using namespace nib::model;
using namespace nib::model::test;

namespace {

std::vector<std::byte> bytesOf(size_t count, uint32_t seed) {
  std::vector<std::byte> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = std::byte((i * 31 + seed * 7) >> 2);
  return bytes;
}

}  // namespace

TEST_CASE("pieces come back from memory and from the file, after growing and shrinking too") {
  const TempFolder folder;
  for (const uint64_t limit : {uint64_t(0), uint64_t(5000), UINT64_MAX / 2}) {
    CAPTURE(limit);
    ActivationStore store(limit, folder / "");
    std::vector<ActivationStore::Piece> pieces(10);
    for (const size_t size : {size_t(1000), size_t(10), size_t(3000), size_t(0), size_t(3000)}) {
      for (uint32_t i = 0; i < pieces.size(); ++i) store.put(pieces[i], bytesOf(size + i, i));
      for (uint32_t i = 0; i < pieces.size(); ++i) {
        REQUIRE(pieces[i].size() == size + i);
        std::vector<std::byte> back(pieces[i].size());
        store.get(pieces[i], back);
        CHECK(back == bytesOf(size + i, i));
      }
    }
    // Ten pieces of 3000 bytes do not fit into 5000.
    CHECK((store.fileBytes() != 0) == (limit <= 5000));
    CHECK(std::filesystem::is_empty(folder / ""));
  }
}
