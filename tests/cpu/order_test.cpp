// Column orders from the group indices of a GPTQ layer.
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "run_op.h"

using namespace nib;
using namespace nib::tests;

namespace {

// Empty if the group indices are refused.
std::vector<uint32_t> orderOf(const std::vector<uint32_t>& group_index, uint32_t group_size) {
  const uint32_t cols = uint32_t(group_index.size());
  std::vector<uint32_t> order(cols + 2, 0xa5a5a5a5u);
  const NibResult result = nibOrderFromGroupIndex(group_index.data(), cols, group_size, &order[1]);
  CHECK(order.front() == 0xa5a5a5a5u);
  CHECK(order.back() == 0xa5a5a5a5u);
  if (result != NIB_SUCCESS) {
    CHECK(result == NIB_ERROR_INVALID_ARGUMENT);
    return {};
  }
  return {order.begin() + 1, order.end() - 1};
}

using Columns = std::vector<uint32_t>;

}  // namespace

TEST_CASE("an order lists the columns by group, and within a group in ascending order") {
  CHECK(orderOf({0, 0, 1, 1}, 2) == Columns{0, 1, 2, 3});
  CHECK(orderOf({1, 0, 1, 0}, 2) == Columns{1, 3, 0, 2});
  CHECK(orderOf({2, 0, 1, 2, 1, 0}, 2) == Columns{1, 5, 2, 4, 0, 3});
  CHECK(orderOf({2, 1, 0}, 1) == Columns{2, 1, 0});
  CHECK(orderOf({0, 0, 0}, 3) == Columns{0, 1, 2});
  CHECK(orderOf({0}, 1) == Columns{0});
}

TEST_CASE("only the last group of an order may be short") {
  CHECK(orderOf({1, 0, 0, 1, 0}, 3) == Columns{1, 2, 4, 0, 3});
  CHECK(orderOf({0, 2, 1, 1, 0}, 2) == Columns{0, 4, 2, 3, 1});
  CHECK(orderOf({0, 0}, UINT32_MAX) == Columns{0, 1});
  CHECK(orderOf({0, 1, 1, 1, 0}, 3).empty());
}

TEST_CASE("group indices that do not form groups of the size are refused") {
  CHECK(orderOf({0, 0, 0, 1}, 2).empty());
  CHECK(orderOf({0, 0, 0, 0}, 2).empty());
  CHECK(orderOf({1, 1, 1, 1}, 2).empty());
  CHECK(orderOf({0, 2, 0, 1}, 2).empty());  // no such group
  CHECK(orderOf({0, 1, 0, UINT32_MAX}, 2).empty());
  CHECK(orderOf({0, 1}, 0).empty());
  uint32_t one = 0;
  CHECK(nibOrderFromGroupIndex(&one, 0, 1, &one) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibOrderFromGroupIndex(nullptr, 1, 1, &one) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibOrderFromGroupIndex(&one, 1, 1, nullptr) == NIB_ERROR_INVALID_ARGUMENT);
}

TEST_CASE("an order of many columns is a stable sort by group") {
  constexpr uint32_t kCols = 4096 - 7, kGroup = 128;
  std::vector<uint32_t> group_index(kCols);
  for (uint32_t c = 0; c < kCols; ++c) group_index[c] = uint32_t(uint64_t(c) * 1531 % kCols) / kGroup;
  const Columns order = orderOf(group_index, kGroup);
  REQUIRE(order.size() == kCols);
  for (uint32_t k = 0; k < kCols; ++k) {
    REQUIRE(group_index[order[k]] == k / kGroup);
    if (k % kGroup != 0) REQUIRE(order[k] > order[k - 1]);
  }
}

// y = 1 * x0 + 2 * x1 + ... with groups 1, 0, 1, 0: weights are stored as columns 1, 3, 0, 2.
TEST_CASE("a product with columns sorted by group equals that of the original columns") {
  NibMatmulDesc d{};
  d.op = NIB_OP_MATMUL;
  d.desc_bytes = sizeof d;
  d.flags = NIB_PRODUCT_ORDER;
  d.rows = d.tokens = 1;
  d.cols = 4;
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  const uint32_t group_index[] = {1, 0, 1, 0};
  uint32_t order[4];
  REQUIRE(nibOrderFromGroupIndex(group_index, 4, 2, order) == NIB_SUCCESS);
  std::memcpy(ranges.part(NIB_ROLE_WEIGHTS, NIB_PART_ORDER), order, sizeof order);
  const float sorted[] = {2, 4, 1, 3}, x[] = {1, 10, 100, 1000};
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), sorted, sizeof sorted);
  std::memcpy(ranges.bytes(NIB_ROLE_INPUT), x, sizeof x);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  float y;
  std::memcpy(&y, ranges.bytes(NIB_ROLE_OUTPUT), sizeof y);
  CHECK(y == 4321);
}
