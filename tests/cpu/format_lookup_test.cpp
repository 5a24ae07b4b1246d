// nibFormat*: the table of formats in the public API.
#include <doctest/doctest.h>

#include <nibble/formats.h>
#include <nibble/nibble.h>

#include <cctype>
#include <cstring>
#include <string>

TEST_CASE("formats are listed once in ascending id, and an index beyond the count gives NULL") {
  REQUIRE(nibFormatCount() > 0);
  uint32_t last = 0;
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const NibFormatInfo* info = nibFormatAt(i);
    REQUIRE(info != nullptr);
    CHECK(info->format > last);
    last = info->format;
    CHECK(info->name != nullptr);
    CHECK(std::strlen(info->name) > 0);
    CHECK(info->bits >= 1);
    CHECK(info->bits <= 8);
    CHECK((info->weights_flags & ~uint32_t(NIB_WEIGHTS_ASYMMETRIC | NIB_WEIGHTS_NARROW | NIB_WEIGHTS_FLAT |
                                           NIB_WEIGHTS_NESTED | NIB_WEIGHTS_FOUR_BITS | NIB_WEIGHTS_SCALE_RULE)) == 0);
    CHECK(info->granularities != 0);
    CHECK(info->granularities < 16);
    CHECK(info->scale_types != 0);
    CHECK(info->scale_types < 32);
    CHECK(info->group_multiple % 16 == 0);
    CHECK(info->group_max % info->group_multiple == 0);
    const bool usual =
        info->default_group_size == 0 ||
        (info->default_group_size >= 16 && info->default_group_size <= 256 && info->default_group_size % 16 == 0);
    CHECK(usual);
  }
  CHECK(nibFormatAt(nibFormatCount()) == nullptr);
  CHECK(nibFormatAt(UINT32_MAX) == nullptr);
}

TEST_CASE("formats are found by id and by name, without regard to case") {
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const NibFormatInfo* info = nibFormatAt(i);
    CHECK(nibFormatById(info->format) == info);
    std::string name = info->name, upper = name;
    for (char& c : upper) c = char(std::toupper(static_cast<unsigned char>(c)));
    CHECK(nibFormatByName(name.c_str()) == info);
    CHECK(nibFormatByName(upper.c_str()) == info);
    upper[0] = name[0];
    CHECK(nibFormatByName(upper.c_str()) == info);
    // A prefix of a name and a name with a suffix do not match.
    CHECK(nibFormatByName((name + "x").c_str()) == nullptr);
    CHECK(nibFormatByName((name + " ").c_str()) == nullptr);
    CHECK(nibFormatByName(name.substr(0, name.size() - 1).c_str()) != info);
  }
}

TEST_CASE("unknown names and ids are not found") {
  CHECK(nibFormatById(0) == nullptr);
  CHECK(nibFormatById(0x7fffffffu) == nullptr);
  CHECK(nibFormatById(UINT32_MAX) == nullptr);
  CHECK(nibFormatByName(nullptr) == nullptr);
  CHECK(nibFormatByName("") == nullptr);
  CHECK(nibFormatByName("float") == nullptr);
}

TEST_CASE("the formats of this build have the documented properties") {
  struct Row {
    uint32_t format;
    const char* name;
    uint32_t bits, group, flags;
  };
  const uint32_t affine = NIB_WEIGHTS_ASYMMETRIC | NIB_WEIGHTS_NARROW | NIB_WEIGHTS_FLAT;
  const Row rows[] = {{NIB_FORMAT_INT8, "int8", 8, 0, affine | NIB_WEIGHTS_FOUR_BITS},
                      {NIB_FORMAT_INT4, "int4", 4, 128, affine},
                      {NIB_FORMAT_NF4, "nf4", 4, 64, NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED}};
  for (const Row& row : rows) {
    const NibFormatInfo* info = nibFormatById(row.format);
    if (info == nullptr) continue;
    CHECK(std::string(info->name) == row.name);
    CHECK(info->bits == row.bits);
    CHECK(info->default_group_size == row.group);
    CHECK(info->weights_flags == row.flags);
  }
}

TEST_CASE("format ids are permanent") {
  CHECK(uint32_t(NIB_FORMAT_INT8) == 1);
  CHECK(uint32_t(NIB_FORMAT_INT4) == 2);
  CHECK(uint32_t(NIB_FORMAT_NF4) == 3);
}
