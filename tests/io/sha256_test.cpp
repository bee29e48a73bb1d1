// SPDX-License-Identifier: MIT
// SHA-256 on the examples published by NIST with FIPS 180-4, and however the data is cut.
#include <plinth/io/sha256.hpp>

#include <string>

#include "catch.hpp"

using namespace plinth;

namespace {

std::string digest(const std::string& text, std::size_t piece = 1000) {
  Sha256 hash;
  for (std::size_t i = 0; i < text.size(); i += piece) hash.add(text.data() + i, std::min(piece, text.size() - i));
  return hash.digest();
}

}  // namespace

TEST_CASE("SHA-256 of the published examples") {
  CHECK(digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(digest("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu") ==
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  CHECK(digest(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-256 does not depend on how the data is cut") {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  for (const std::size_t piece : {1u, 2u, 55u, 56u, 63u, 64u, 65u, 299u}) CHECK(digest(text, piece) == digest(text));
  CHECK(digest(text) != digest(text + '\0'));
}
