// The source hash and the fingerprint of a model.
#include "model/archive/checkpoint.h"
#include "model_test.h"

namespace nib::model::test {
namespace {

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape, uint64_t begin,
                  uint64_t end) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

Hash128 sourceHash(const fs::path& path, uint64_t piece_bytes, bool backwards = false) {
  const Checkpoint checkpoint(path);
  SourceHasher hasher(checkpoint);
  for (size_t k = 0; k < checkpoint.size(); ++k) {
    const size_t i = backwards ? checkpoint.size() - 1 - k : k;
    const uint64_t bytes = checkpoint.info(i).bytes;
    for (uint64_t at = 0; at < bytes; at += piece_bytes) {
      std::vector<std::byte> piece(std::min(piece_bytes, bytes - at));
      checkpoint.read(i, at, piece);
      hasher.add(i, at, piece);
    }
  }
  return hasher.digest();
}

TEST_CASE("the hash is XXH3 of 128 bits") {
  // The output of `xxhsum -H2` for an empty file.
  CHECK(Hasher().digest().hex() == "99aa06d3014798d86001c324468d497f");
  Hasher whole, pieces;
  whole.add(bytesOf("abcdef"));
  pieces.add(bytesOf("abc"));
  pieces.add(bytesOf("def"));
  CHECK(whole.digest() == pieces.digest());
}

TEST_CASE("the source hash depends on the tensors, not on how they are stored or read") {
  const TempFolder folder;
  const std::string a = entry("a", "U8", "[4]", 0, 4), b = entry("b", "F16", "[3]", 4, 10);
  writeText(folder / "one/model.safetensors",
            fileOf("{" + a + "," + b + "," + entry("e", "F32", "[0,3]", 10, 10) + "}", 10));
  // The same in shards, b's bytes 4...9 first.
  writeText(folder / "two/1.safetensors",
            fileOf("{\"__metadata__\":{\"k\":\"v\"}," + entry("b", "F16", "[3]", 0, 6) + "}   ") +
                "\x04\x05\x06\x07\x08\x09");
  writeText(folder / "two/2.safetensors", fileOf("{" + a + "," + entry("e", "F32", "[0,3]", 4, 4) + "}", 4));
  writeText(folder / "two/model.safetensors.index.json",
            "{\"weight_map\":{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\",\"e\":\"2.safetensors\"}}");
  const Hash128 hash = sourceHash(folder / "one", 100);
  CHECK(sourceHash(folder / "one", 1, true) == hash);
  CHECK(sourceHash(folder / "two", 3) == hash);

  const std::string e = entry("e", "F32", "[0,3]", 10, 10);
  const std::vector<std::string> others = {
      fileOf("{" + entry("A", "U8", "[4]", 0, 4) + "," + b + "," + e + "}", 10),    // a name
      fileOf("{" + entry("a", "I8", "[4]", 0, 4) + "," + b + "," + e + "}", 10),    // a dtype
      fileOf("{" + entry("a", "U8", "[2,2]", 0, 4) + "," + b + "," + e + "}", 10),  // a shape
      fileOf("{" + a + "," + b + "," + entry("e", "F32", "[0,2]", 10, 10) + "}", 10),
      fileOf("{" + a + "," + b + "," + entry("e", "F32", "[0,1]", 10, 10) + "}", 10),
      fileOf("{" + a + "," + b + "}", 10),                     // a tensor less
      fileOf("{" + a + "," + b + "," + e + "}", 9) + "\x0a"};  // a byte
  for (const std::string& other : others) {
    writeText(folder / "other.safetensors", other);
    CHECK(sourceHash(folder / "other.safetensors", 100) != hash);
  }
}

TEST_CASE("a source hash needs the whole model") {
  const TempFolder folder;
  writeText(folder / "x.safetensors", fileOf("{" + entry("a", "U8", "[4]", 0, 4) + "}", 4));
  const Checkpoint checkpoint(folder / "x.safetensors");
  SourceHasher hasher(checkpoint);
  const std::vector<std::byte> bytes(3);
  hasher.add(0, 0, bytes);
  NIB_CHECK_ERROR("tensor \"a\": not hashed to its end", hasher.digest());
  NIB_CHECK_ERROR("tensor \"a\": hashed out of order", hasher.add(0, 0, bytes));
  NIB_CHECK_ERROR("tensor \"a\": hashed out of order", hasher.add(0, 3, bytes));
}

TEST_CASE("the fingerprint depends on header, size, config and sampled bytes, and on nothing else") {
  const TempFolder folder;
  const std::string json = "{" + entry("a", "U8", "[1000000]", 0, 1'000'000) + "}";
  const fs::path path = folder / "m/model.safetensors";
  const auto fingerprint = [&] { return Checkpoint(folder / "m").fingerprint(); };
  writeText(path, fileOf(json, 1'000'000));
  writeText(folder / "m/config.json", "{}");
  const Hash128 first = fingerprint();
  fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(1));
  writeText(folder / "m/README.md", "x");
  CHECK(fingerprint() == first);
  fs::rename(folder / "m", folder / "n");
  CHECK(Checkpoint(folder / "n").fingerprint() == first);
  fs::rename(folder / "n", folder / "m");

  // The first and the last byte are sampled; so a change of all weights, such as further training, is detected.
  for (const size_t at : {size_t{0}, size_t{999'999}}) {
    std::string file = fileOf(json, 1'000'000);
    file[8 + json.size() + at] ^= 1;
    writeText(path, file);
    CHECK(fingerprint() != first);
  }
  writeText(path, fileOf("{" + entry("b", "U8", "[1000000]", 0, 1'000'000) + "}", 1'000'000));
  CHECK(fingerprint() != first);
  writeText(path, fileOf(json, 1'000'000));
  CHECK(fingerprint() == first);
  writeText(folder / "m/config.json", "{ }");
  CHECK(fingerprint() != first);
}

}  // namespace
}  // namespace nib::model::test
