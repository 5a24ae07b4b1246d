// The written files, byte for byte, and the distribution of tensors over files.
#include "model/archive/checkpoint.h"
#include "model/archive/model_writer.h"
#include "model/archive/safetensors_header.h"
#include "model_test.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

namespace nib::model::test {
namespace {

WriterOptions optionsFor(const fs::path& out) {
  WriterOptions options;
  options.out = out;
  options.identity = "test";
  return options;
}

OutputTensor tensor(const std::string& name, Dtype dtype, std::vector<uint64_t> shape,
                    std::optional<uint64_t> group = {}) {
  return {{name, dtype, std::move(shape)}, group};
}

std::string patternOf(size_t t, uint64_t bytes) {
  std::string text(bytes, '\0');
  for (uint64_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(t * 37 + i * 11 + i / 251);
  return text;
}

void writeAll(ModelWriter& writer, std::span<const OutputTensor> tensors) {
  for (size_t t = 0; t < tensors.size(); ++t) {
    writer.write(t, 0, bytesOf(patternOf(t, *tensorBytes(tensors[t].dtype, tensors[t].shape))));
    writer.finished(t);
  }
}

TEST_CASE("a file of two tensors has the bytes of the specification") {
  const TempFolder folder;
  // The order differs from the file's: by dtype descending (F32 before U8), then by name.
  const std::vector<OutputTensor> tensors = {tensor("u", Dtype::kU8, {3}), tensor("b", Dtype::kF32, {1, 2}),
                                             tensor("a", Dtype::kF32, {})};
  ModelWriter writer(optionsFor(folder / "out"), planSafetensors(optionsFor(folder / "out"), tensors));
  writer.write(0, 0, bytesOf("\x01\x02\x03"));
  writer.write(1, 4, bytesOf(std::string("\x00\x00\x00\x40", 4)));
  writer.write(1, 0, bytesOf(std::string("\x00\x00\x80\x3f", 4)));
  writer.write(2, 0, bytesOf(std::string("\x00\x00\x40\xc0", 4)));
  for (size_t t = 0; t < 3; ++t) writer.finished(t);
  writer.addFile("config.json", "{}");
  writer.publish();

  // 194 characters of JSON, padded with spaces to 200 = 0xc8.
  const std::string json =
      "{\"__metadata__\":{\"format\":\"pt\"},"
      "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[4,12]},"
      "\"u\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[12,15]}}";
  REQUIRE(json.size() == 194);
  const std::string expected = std::string("\xc8\x00\x00\x00\x00\x00\x00\x00", 8) + json + std::string(6, ' ') +
                               std::string(
                                   "\x00\x00\x40\xc0"                  // a = -3
                                   "\x00\x00\x80\x3f\x00\x00\x00\x40"  // b = 1, 2
                                   "\x01\x02\x03",
                                   15);
  CHECK(readFolder(folder / "out") ==
        std::map<std::string, std::string>{{"config.json", "{}"}, {"model.safetensors", expected}});
  CHECK(readFolder(folder.path()).size() == 1);  // no OUT.partial left
}

TEST_CASE("the smallest files have the bytes of the specification") {
  const TempFolder folder;
  WriterOptions options = optionsFor(folder / "out");
  options.metadata = {};
  const std::vector<OutputTensor> one = {tensor("", Dtype::kF4, {2})};
  ModelWriter writer(options, planSafetensors(options, one));
  writer.write(0, 0, bytesOf("\x12"));
  writer.finished(0);
  writer.publish();
  // 7b 22 22 3a 7b ... by hand: {"":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}} is 52 characters, 4 spaces.
  const unsigned char expected[] = {0x38, 0,    0,    0,    0,    0,    0,    0,    0x7b, 0x22, 0x22, 0x3a, 0x7b,
                                    0x22, 0x64, 0x74, 0x79, 0x70, 0x65, 0x22, 0x3a, 0x22, 0x46, 0x34, 0x22, 0x2c,
                                    0x22, 0x73, 0x68, 0x61, 0x70, 0x65, 0x22, 0x3a, 0x5b, 0x32, 0x5d, 0x2c, 0x22,
                                    0x64, 0x61, 0x74, 0x61, 0x5f, 0x6f, 0x66, 0x66, 0x73, 0x65, 0x74, 0x73, 0x22,
                                    0x3a, 0x5b, 0x30, 0x2c, 0x31, 0x5d, 0x7d, 0x7d, 0x20, 0x20, 0x20, 0x20, 0x12};
  CHECK(readText(folder / "out/model.safetensors") ==
        std::string(reinterpret_cast<const char*>(expected), sizeof expected));

  options.out = folder / "none";
  ModelWriter none(options, planSafetensors(options, {}));
  none.publish();
  CHECK(readText(folder / "none/model.safetensors") == std::string("\x08\0\0\0\0\0\0\0{}      ", 16));
}

TEST_CASE("headers are padded to a multiple of 8, and no further") {
  std::vector<size_t> spaces(8);
  for (size_t size = 0; size < 16; ++size) {
    const std::vector<TensorSpec> tensors = {{std::string(size, 'n'), Dtype::kU8, {1}}};
    const SafetensorsLayout layout = layOutSafetensors(tensors, {}, "f");
    size_t padding = 0;
    while (layout.head[layout.head.size() - 1 - padding] == std::byte{' '}) ++padding;
    REQUIRE(padding < 8);
    ++spaces[padding];
    CHECK(layout.head.size() % 8 == 0);
    CHECK(layout.head[0] == static_cast<std::byte>(layout.head.size() - 8));
    CHECK(layout.offset[0] == layout.head.size());
    CHECK(layout.file_bytes == layout.head.size() + 1);
  }
  CHECK(spaces == std::vector<size_t>(8, 2));
}

TEST_CASE("tensors of a file are ordered by dtype descending, then by name") {
  const TempFolder folder;
  // The order of the reference: U64 I64 F64 C64 F32 U32 I32 BF16 F16 U16 I16 F8.. I8 U8 F6.. F4 BOOL.
  const std::vector<std::string> order = {
      "U64",         "I64",         "F64",     "C64",     "F32",     "U32", "I32", "BF16",    "F16",     "U16", "I16",
      "F8_E5M2FNUZ", "F8_E4M3FNUZ", "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8",  "U8",  "F6_E3M2", "F6_E2M3", "F4",  "BOOL"};
  std::vector<OutputTensor> tensors;
  for (const std::string& name : order) {
    tensors.push_back(tensor("b" + name, *findDtype(name), {8}));
    tensors.push_back(tensor("a" + name, *findDtype(name), {8}));
  }
  std::shuffle(tensors.begin(), tensors.end(), std::mt19937(1));
  ModelWriter writer(optionsFor(folder / "out"), planSafetensors(optionsFor(folder / "out"), tensors));
  writeAll(writer, tensors);
  writer.publish();
  const std::string file = readText(folder / "out/model.safetensors");
  size_t at = 0;
  for (const std::string& name : order) {
    for (const std::string prefix : {"\"a", "\"b"}) {
      const size_t found = file.find(prefix + name + "\":");
      CHECK_MESSAGE((found != file.npos && found > at), prefix, name);
      at = found;
    }
  }
  const Checkpoint checkpoint(folder / "out");
  for (size_t i = 0; i < checkpoint.size(); ++i) {
    const TensorInfo info = checkpoint.info(i);
    if (dtypeBits(info.dtype) % 8 == 0) CHECK(info.offset % (dtypeBits(info.dtype) / 8) == 0);
  }
}

TEST_CASE("shards are filled in the order of the list, and groups stay together") {
  using Shards = std::vector<std::vector<size_t>>;
  const auto u8 = [](uint64_t bytes, std::optional<uint64_t> group = {}) {
    return tensor("t", Dtype::kU8, {bytes}, group);
  };
  const std::vector<OutputTensor> alone = {u8(4), u8(4), u8(4), u8(20), u8(0), u8(1), u8(9)};
  CHECK(planShards(alone, 10) == Shards{{0, 1}, {2}, {3}, {4, 5, 6}});
  CHECK(planShards(alone, 1000) == Shards{{0, 1, 2, 3, 4, 5, 6}});
  CHECK(planShards(alone, 0) == Shards{{0}, {1}, {2}, {3}, {4}, {5}, {6}});
  CHECK(planShards(alone, UINT64_MAX) == Shards{{0, 1, 2, 3, 4, 5, 6}});
  CHECK(planShards({}, 10) == Shards{{}});
  // All of group 7 is in the file of its first tensor, although this file then has more than 10 bytes.
  const std::vector<OutputTensor> grouped = {u8(3), u8(4, 7), u8(5), u8(5, 7), u8(8, 9), u8(8, 9), u8(1)};
  CHECK(planShards(grouped, 10) == Shards{{0}, {1, 3}, {2}, {4, 5}, {6}});
}

TEST_CASE("shards and their index have the names and the text of the hub") {
  const TempFolder folder;
  WriterOptions options = optionsFor(folder / "out");
  options.max_shard_bytes = 10;
  const std::vector<OutputTensor> tensors = {tensor("z\"", Dtype::kU8, {8}), tensor("a", Dtype::kI16, {4}),
                                             tensor("m", Dtype::kU8, {2})};
  ModelWriter writer(options, planSafetensors(options, tensors));
  CHECK(writer.totalBytes() == 18);
  writeAll(writer, tensors);
  writer.publish();
  const auto files = readFolder(folder / "out");
  REQUIRE(files.size() == 3);
  CHECK(files.count("model-00001-of-00002.safetensors") == 1);
  CHECK(files.count("model-00002-of-00002.safetensors") == 1);
  CHECK(files.at("model.safetensors.index.json") ==
        "{\n  \"metadata\": {\n    \"total_size\": 18\n  },\n  \"weight_map\": {\n"
        "    \"a\": \"model-00002-of-00002.safetensors\",\n"
        "    \"m\": \"model-00002-of-00002.safetensors\",\n"
        "    \"z\\\"\": \"model-00001-of-00002.safetensors\"\n  }\n}\n");
  const Checkpoint checkpoint(folder / "out");
  REQUIRE(checkpoint.size() == 3);
  for (size_t t = 0; t < tensors.size(); ++t) {
    const size_t i = *checkpoint.find(tensors[t].name);
    std::string bytes(checkpoint.info(i).bytes, '\0');
    checkpoint.read(i, 0, std::as_writable_bytes(std::span(bytes)));
    CHECK(bytes == patternOf(t, bytes.size()));
    CHECK(checkpoint.metadata(checkpoint.info(i).file) == Metadata{{"format", "pt"}});
  }
  CHECK(shardName(41, 123456) == "model-00042-of-123456.safetensors");
}

TEST_CASE("pieces written by threads in any order give the same file") {
  const TempFolder folder;
  std::vector<OutputTensor> tensors;
  for (size_t t = 0; t < 40; ++t)
    tensors.push_back(tensor("t" + std::to_string(t), t % 2 == 0 ? Dtype::kU8 : Dtype::kF16, {t * 97}));
  WriterOptions options = optionsFor(folder / "one");
  options.max_shard_bytes = 20'000;
  ModelWriter one(options, planSafetensors(options, tensors));
  writeAll(one, tensors);
  one.publish();

  options.out = folder / "two";
  options.flush_bytes = 5000;
  ModelWriter two(options, planSafetensors(options, tensors));
  std::vector<std::thread> threads;
  for (size_t k = 0; k < 4; ++k) {
    threads.emplace_back([&, k] {
      std::mt19937 random(static_cast<unsigned>(k));
      for (size_t t = tensors.size(); t-- > 0;) {
        if (t % 4 != k) continue;
        const std::string bytes = patternOf(t, *tensorBytes(tensors[t].dtype, tensors[t].shape));
        for (size_t at = 0, size; at < bytes.size(); at += size) {
          size = std::min<size_t>(1 + random() % 500, bytes.size() - at);
          two.write(t, at, bytesOf(bytes.substr(at, size)));
        }
        two.finished(t);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  two.publish();
  CHECK(readFolder(folder / "one") == readFolder(folder / "two"));
}

TEST_CASE("tensors that a file cannot contain are refused before anything is written") {
  const TempFolder folder;
  const auto error = [&](const std::vector<OutputTensor>& tensors) {
    const WriterOptions options = optionsFor(folder / "out");
    const std::string message = errorOf([&] { ModelWriter writer(options, planSafetensors(options, tensors)); });
    CHECK(readFolder(folder.path()).empty());
    return message;
  };
  CHECK(contains(error({tensor("a", Dtype::kU8, {1}), tensor("a", Dtype::kU8, {2})}), "\"a\": occurs twice"));
  CHECK(contains(error({tensor("a", Dtype::kF4, {3})}), "\"a\": its shape and dtype do not fill"));
  CHECK(contains(error({tensor("a", Dtype::kF64, {1ull << 32, 1ull << 32})}), "\"a\": its shape and dtype"));
  CHECK(contains(error({tensor("a", Dtype::kU8, {1ull << 60}), tensor("b", Dtype::kU8, {1ull << 60})}),
                 "cannot reserve"));
  CHECK(contains(error({tensor("__metadata__", Dtype::kU8, {1})}), "__metadata__"));
  CHECK(contains(error({tensor("a\xff", Dtype::kU8, {1})}), "not UTF-8"));
  CHECK(contains(error({tensor(std::string("a\0", 2), Dtype::kU8, {1})}), "U+0000"));
  CHECK(contains(error({tensor("a", Dtype::kU8, std::vector<uint64_t>(65, 1))}), "more than 64 dimensions"));
}

TEST_CASE("an incomplete output is not published") {
  const TempFolder folder;
  const std::vector<OutputTensor> tensors = {tensor("a", Dtype::kU8, {4}), tensor("b", Dtype::kU8, {4}),
                                             tensor("e", Dtype::kU8, {0})};
  ModelWriter writer(optionsFor(folder / "out"), planSafetensors(optionsFor(folder / "out"), tensors));
  writer.write(0, 0, bytesOf("abcd"));
  NIB_CHECK_ERROR("tensor \"a\" is not written, and 2 more", writer.publish());
  writer.finished(0);
  writer.write(1, 0, bytesOf("ab"));
  NIB_CHECK_ERROR("\"b\": is not finished: 2 of 4 bytes were written", writer.finished(1));
  NIB_CHECK_ERROR("\"b\": bytes beyond its end", writer.write(1, 3, bytesOf("cd")));
  NIB_CHECK_ERROR("\"b\": bytes beyond its end", writer.write(1, UINT64_MAX, bytesOf("cd")));
  NIB_CHECK_ERROR("\"a\": is finished", writer.write(0, 0, bytesOf("x")));
  NIB_CHECK_ERROR("\"a\": is not finished: it was before", writer.finished(0));
  writer.write(1, 2, bytesOf("cd"));
  writer.finished(1);
  NIB_CHECK_ERROR("tensor \"e\" is not written", writer.publish());
  CHECK(!fs::exists(folder / "out"));
  writer.finished(2);
  writer.publish();
  CHECK(Checkpoint(folder / "out").size() == 3);
}

TEST_CASE("other files of the folder are written and copied") {
  const TempFolder folder;
  const std::string large = patternOf(3, 2'500'000);
  writeText(folder / "in/tokenizer.json", large);
  fs::create_symlink("in/tokenizer.json", folder / "link");
  ModelWriter writer(optionsFor(folder / "out"), planSafetensors(optionsFor(folder / "out"), {}));
  writer.copyFile("tokenizer.json", folder / "link");
  writer.addFile("config.json", "{}");
  for (const char* name : {"", ".", "..", "a//b", "/a", "../x", ".nibble-journal"}) {
    NIB_CHECK_ERROR("cannot name an output file", writer.addFile(name, "x"));
  }
  NIB_CHECK_ERROR("\"config.json\": occurs twice", writer.addFile("config.json", "x"));
  NIB_CHECK_ERROR("\"model.safetensors\": occurs twice", writer.addFile("model.safetensors", "x"));
  NIB_CHECK_ERROR("nosuch: cannot be read", writer.copyFile("x", folder / "nosuch"));
  writer.publish();
  const auto files = readFolder(folder / "out");
  CHECK(files.size() == 3);
  CHECK(files.at("tokenizer.json") == large);
  CHECK(!fs::is_symlink(folder / "out/tokenizer.json"));
}

TEST_CASE("a file gets its rows in the order of the plan, added tensors, and may be resumed") {
  const TempFolder folder;
  // Two heads of four rows of two bytes, then a tensor of the plan's own; 2 bytes of header and 2 of padding.
  const auto plan = [] {
    OutputPlan made;
    made.kind = OutputKind::kFile;
    made.files.push_back({"data", 24, std::vector<std::byte>(2, std::byte{'h'})});
    made.items = {{"a", 0, 2, 16}, {"b", 0, 20, 4}};
    made.rows = {RowOrder{2, 4}, RowOrder{}};
    made.added = {std::vector<std::byte>(4, std::byte{'z'})};
    return made;
  };
  WriterOptions options = optionsFor(folder / "out.gguf");
  const auto write = [](ModelWriter& writer, const char* text, uint64_t offset) {
    writer.write(0, offset, std::as_bytes(std::span(text, std::strlen(text))));
  };
  {
    ModelWriter writer(options, plan());
    CHECK(!writer.takesFiles());
    write(writer, "a0a", 0);
    NIB_CHECK_ERROR("\"a\" is not written", writer.publish());
  }
  CHECK(!fs::exists(options.out));
  options.resume = true;
  ModelWriter writer(options, plan());
  CHECK(!writer.isFinished(0));
  // Pieces that end within rows, in any order.
  write(writer, "1a2a3b0b1b2b3", 3);
  write(writer, "a0a", 0);
  writer.finished(0);
  writer.publish();
  const std::string padding(2, '\0');
  CHECK(readText(options.out) == "hha0a2a1a3b0b2b1b3" + padding + "zzzz");
  // The third and fourth row of a head are its second half.
  const RowOrder order{2, 4};
  CHECK(std::array{order.placeOf(0), order.placeOf(1), order.placeOf(2), order.placeOf(3), order.placeOf(5)} ==
        std::array<uint64_t, 5>{0, 2, 1, 3, 6});
}

}  // namespace
}  // namespace nib::model::test
