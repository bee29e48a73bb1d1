// SPDX-License-Identifier: MIT
// SHA-256: tells whether every bit of much data is what it was. FIPS 180-4, sections 4.1.2, 5.1.1, 5.3.3 and 6.2.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace plinth {

/// Takes data in pieces of any size and gives its digest.  Python: hashlib.sha256.
class Sha256 {
 public:
  /// The next bytes of the data.
  void add(const void* data, std::size_t bytes) {
    const auto* from = static_cast<const std::uint8_t*>(data);
    length_ += bytes;
    while (bytes > 0) {
      const std::size_t taken = std::min(bytes, sizeof block_ - filled_);
      std::memcpy(block_ + filled_, from, taken);
      from += taken;
      bytes -= taken;
      filled_ += taken;
      if (filled_ == sizeof block_) compress();
    }
  }
  /// The bytes of all values, as they lie in memory.
  template <class T>
  void add(const std::vector<T>& values) {
    if (!values.empty()) add(values.data(), values.size() * sizeof(T));
  }

  /// The digest of all that was added, in 64 hexadecimal digits. Nothing can be added after it.
  std::string digest() {
    const std::uint64_t bits = std::uint64_t{length_} * 8;
    const std::uint8_t one = 0x80, zero = 0;
    add(&one, 1);
    while (filled_ != 56) add(&zero, 1);
    for (int shift = 56; shift >= 0; shift -= 8) {
      const auto byte = static_cast<std::uint8_t>(bits >> shift);
      add(&byte, 1);
    }
    std::string text;
    for (const std::uint32_t word : hash_)
      for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15];
    return text;
  }

 private:
  void compress() {
    std::uint32_t w[64];
    for (int t = 0; t < 16; ++t)
      w[t] = std::uint32_t{block_[4 * t]} << 24 | std::uint32_t{block_[4 * t + 1]} << 16 |
             std::uint32_t{block_[4 * t + 2]} << 8 | block_[4 * t + 3];
    for (int t = 16; t < 64; ++t)
      w[t] = (std::rotr(w[t - 2], 17) ^ std::rotr(w[t - 2], 19) ^ w[t - 2] >> 10) + w[t - 7] +
             (std::rotr(w[t - 15], 7) ^ std::rotr(w[t - 15], 18) ^ w[t - 15] >> 3) + w[t - 16];
    std::uint32_t s[8];
    std::copy(hash_, hash_ + 8, s);
    for (int begin = 0; begin < 64; begin += 8) {
      for (int i = 0; i < 8; ++i) {  // the words stay where they are; it is their names, a to h, that move on
        const auto word = [&](int name) -> std::uint32_t& { return s[(name - i) & 7]; };
        const std::uint32_t a = word(0), b = word(1), c = word(2), e = word(4), f = word(5), g = word(6);
        const std::uint32_t choice = (e & f) ^ (~e & g), majority = (a & b) ^ (a & c) ^ (b & c);
        const std::uint32_t sum1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
        const std::uint32_t sum0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
        const std::uint32_t t1 = word(7) + sum1 + choice + constants[begin + i] + w[begin + i];
        word(3) += t1;
        word(7) = t1 + sum0 + majority;
      }
    }
    for (int i = 0; i < 8; ++i) hash_[i] += s[i];
    filled_ = 0;
  }

  // The fractional parts of the cube roots of the first 64 primes.
  static constexpr std::uint32_t constants[64] = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
      0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
      0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
      0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
      0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
      0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
      0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

  // Those of the square roots of the first 8.
  std::uint32_t hash_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                            0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::uint8_t block_[64] = {};
  std::size_t filled_ = 0, length_ = 0;
};

}  // namespace plinth
