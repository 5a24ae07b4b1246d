// The kit's error messages: one line that names the error and its location.
#include <doctest/doctest.h>
#include <nibble/formats.h>
#include <nibble/kit.h>

#include <filesystem>

#include "kit/destination.h"
#include "kit/file.h"

using namespace nib::kit;

namespace {

template <class Function>
std::string messageOf(const Function& function) {
  try {
    function();
  } catch (const Error& error) {
    const std::string text = error.what();
    CHECK(text.find('\n') == std::string::npos);
    return text;
  }
  return "no error";
}

bool contains(const std::string& text, const char* part) {
  CAPTURE(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an unknown format is refused with the list of formats") {
  const std::string text = messageOf([] { quantizeDesc("int5", 2, 2); });
  CHECK(contains(text, "no format \"int5\" in this build; there is "));
  CHECK_THROWS_AS(quantizeDesc("int5", 2, 2), NotFound);
  CHECK(quantizeDesc("INT8", 2, 32).weights.format == NIB_FORMAT_INT8);
}

TEST_CASE("data whose size differs from the description is refused") {
  const std::vector<float> data(100);
  CHECK(messageOf([&] { quantize(Device::cpu(), data, int4(2, 128)); }) == "quantize: 2x128 needs 256 values, got 100");
}

TEST_CASE("the convenience functions refuse options that need a plan") {
  const std::vector<float> data(256);
  NibQuantizeDesc half = int4(2, 128);
  half.source_type = NIB_TYPE_F16;
  CHECK(contains(messageOf([&] { quantize(Device::cpu(), data, half); }), "use a Plan"));
  NibQuantizeDesc given = int4(2, 128);
  given.flags = NIB_QUANTIZE_GIVEN_SCALES;
  CHECK(contains(messageOf([&] { quantize(Device::cpu(), data, given); }), "use a Plan"));
}

TEST_CASE("the error for a refused description has nibble's reason and result") {
  NibQuantizeDesc desc = int4(2, 128);
  desc.weights.group_size = 17;
  try {
    const Plan plan(Device::cpu(), desc);
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.result() != NIB_SUCCESS);
    CHECK(contains(error.what(), "group_size"));
  }
}

TEST_CASE("a tensor with too few bytes is refused before it is read") {
  const std::vector<float> data(256);
  Tensor tensor = quantize(Device::cpu(), data, int4(2, 128));
  tensor.blob.resize(tensor.blob.size() / 2);
  CHECK(contains(messageOf([&] { dequantize(Device::cpu(), tensor); }), "dequantize: a tensor of 2x128 has"));
}

TEST_CASE("transfers beyond a buffer are refused") {
  const Device cpu = Device::cpu();
  const Buffer buffer(cpu, 16);
  const std::vector<uint32_t> data(4);
  CHECK(messageOf([&] { cpu.upload(buffer, data, 4); }) ==
        "upload: 16 bytes at offset 4 exceed the buffer of 16 bytes: use a smaller range or a larger buffer");
  CHECK(contains(messageOf([&] { cpu.download<uint32_t>(buffer, 5); }), "exceed the buffer of 16 bytes"));
  CHECK(contains(messageOf([&] { cpu.download<uint32_t>(buffer, 1, UINT64_MAX); }), "exceed the buffer of 16 bytes"));
  CHECK(contains(messageOf([&] { cpu.fill(buffer, 0, 2, 4); }), "multiples of 4"));
  CHECK(contains(messageOf([&] { cpu.upload(Buffer(), data); }),
                 "upload: 16 bytes at offset 0 exceed the buffer of 0 bytes"));
}

TEST_CASE("a binding names the role that is missing or too small") {
  const Device cpu = Device::cpu();
  const Plan plan(cpu, int4(2, 128));
  const Buffer input(cpu, plan.sizeBytes(NIB_ROLE_INPUT));
  const Buffer small(cpu, 4);
  CHECK(contains(messageOf([&] { Binding(plan, Ranges{.weights = {}, .input = input, .output = {}, .aux = {}}); }),
                 "needs a weights range of"));
  CHECK(contains(messageOf([&] { Binding(plan, Ranges{.weights = small, .input = input, .output = {}, .aux = {}}); }),
                 "the weights range has 4 bytes, the plan needs"));
  const Range beyond(input, 4, input.sizeBytes());
  CHECK(contains(messageOf([&] { Binding(plan, Ranges{.weights = input, .input = beyond, .output = {}, .aux = {}}); }),
                 "binding input: 1024 bytes at offset 4 exceed the buffer of 1024 bytes"));
}

TEST_CASE("a binding runs on its own device only") {
  const Device one = Device::cpu();
  const Device other = Device::cpu();
  const Plan plan(one, int4(2, 128));
  const Buffer input(one, plan.sizeBytes(NIB_ROLE_INPUT));
  const Buffer blob(one, plan.sizeBytes(NIB_ROLE_WEIGHTS));
  const Binding binding(plan, Ranges{.weights = blob, .input = input, .output = {}, .aux = {}});
  CHECK(messageOf([&] { other.run(binding, 2); }) == "run: the binding belongs to another device");
}

TEST_CASE("files are written whole or not at all") {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "nibble_kit_file_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "verdicts").string();
  CHECK(loadVerdicts(path).empty());
  const Bytes bytes(100000, std::byte{7});
  detail::writeFile(path, bytes);
  detail::writeFile(path, bytes);  // replaces
  CHECK(detail::readFile(path) == bytes);
  // No temporary file is left.
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
  const std::string nowhere = (folder / "no" / "file").string();
  CHECK(contains(messageOf([&] { detail::writeFile(nowhere, bytes); }), "cannot be created"));
  std::filesystem::remove_all(folder);
}

#if !defined(_WIN32)
TEST_CASE("links are followed, pipes and descriptors are written through") {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / "nibble_kit_place_test";
  fs::remove_all(folder);
  fs::create_directories(folder / "far");
  const Bytes bytes(1000, std::byte{7});
  fs::create_symlink("far/file", folder / "link");
  fs::create_symlink("link", folder / "chain");
  fs::create_symlink("loop", folder / "loop");
  detail::writeFile((folder / "chain").string(), bytes);
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(fs::is_symlink(folder / "chain"));
  CHECK(detail::readFile((folder / "far" / "file").string()) == bytes);
  CHECK(contains(messageOf([&] { detail::destinationOf(folder / "loop"); }), "never end"));
  CHECK(contains(messageOf([&] { detail::destinationOf(folder); }), "is a folder"));
  CHECK(contains(messageOf([&] { detail::destinationOf(""); }), "name a file"));
  CHECK(detail::destinationOf("/dev/null").kind == detail::Destination::Kind::kStream);
  CHECK(detail::destinationOf("/dev/stderr").descriptor == 2);
  CHECK(detail::destinationOf(folder / "far" / ".." / "far" / "new").path ==
        detail::destinationOf(folder / "far" / "new").path);
  // A trial leaves nothing behind.
  detail::checkWritable(detail::destinationOf(folder / "far" / "file"));
  detail::checkWritable(detail::destinationOf(folder / "far" / "new"));
  CHECK(std::distance(fs::directory_iterator(folder / "far"), {}) == 1);
  CHECK(contains(messageOf([&] { detail::checkWritable(detail::destinationOf(folder / "no" / "file")); }),
                 "there is no folder"));
  fs::remove_all(folder);
}
#endif
