#include "engine/gcm.h"

#include <random>

#include "engine/error.h"
#include "engine/test/check.h"

namespace keystead {
namespace {

std::mt19937_64& generator() {
  static std::mt19937_64 generator(20260101);
  return generator;
}

std::vector<uint8_t> random_bytes(size_t size) {
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(generator()());
  return bytes;
}

std::vector<uint8_t> hex(const std::string& text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::unique_ptr<Gcm> make(const std::string& name) {
  return name == "openssl" ? make_openssl_gcm() : make_ipsec_mb_gcm();
}

struct Vector {
  const char* source;
  const char* key;
  const char* iv;
  const char* aad;
  const char* plaintext;
  const char* ciphertext;
  const char* tag;
};

// Test cases 13 to 16 of McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B, and one
// with additional data only of NIST's CAVP set gcmEncryptExtIV256.
constexpr Vector kVectors[] = {
    {"case 13", "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"case 14", "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000", "", "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18",
     "d0d1c8a799996bf0265b98b5d48ab919"},
    {"case 15", "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888", "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
     "b16aedf5aa0de657ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
     "c5f61e6393ba7a0abcc9f662898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {"case 16", "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
     "b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
     "c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"CAVP 256/96/0/128/128 0", "78dc4e0aaf52d935c3c01eea57428f00ca1fd475f5da86a49c8dd73d68c8e223",
     "d79cf22d504cc793c3fb6c8a", "b96baa8c1c75a671bfb2d08d06be5f36", "", "",
     "3e5d486aa2e30b22e040b85723a06e76"},
};

TEST(openssl_is_always_there) { CHECK(gcm_names().back() == "openssl"); }

TEST(published_vectors) {
  for (const std::string& name : gcm_names()) {
    const auto gcm = make(name);
    for (const Vector& v : kVectors) {
      const auto plaintext = hex(v.plaintext);
      const auto ciphertext = hex(v.ciphertext);
      std::vector<uint8_t> out(plaintext.size());
      std::vector<uint8_t> tag(16);
      gcm->set_key(hex(v.key).data());
      gcm->seal(hex(v.iv).data(), hex(v.aad), plaintext, out.data(), tag.data());
      CHECK(out == ciphertext);
      CHECK(tag == hex(v.tag));
      CHECK(gcm->open(hex(v.iv).data(), hex(v.aad), ciphertext, tag.data(), out.data()));
      CHECK(out == plaintext);
    }
  }
}

// What one implementation seals, in place or not, each opens, at all sizes at which code paths differ.
TEST(implementations_agree) {
  std::vector<size_t> sizes = {65536, 65537, 1048576 + 13};
  for (size_t size = 0; size <= 4096; size += size < 600 ? 1 : 61) sizes.push_back(size);
  sizes.push_back(4096);
  for (const size_t size : sizes) {
    const auto key = random_bytes(32);
    const auto iv = random_bytes(12);
    const auto aad = random_bytes(generator()() % 300);
    const auto plaintext = random_bytes(size);
    std::vector<std::vector<uint8_t>> sealed;
    for (const std::string& name : gcm_names()) {
      const auto gcm = make(name);
      gcm->set_key(key.data());
      std::vector<uint8_t> out(size + 16);
      gcm->seal(iv.data(), aad, plaintext, out.data(), out.data() + size);
      std::vector<uint8_t> in_place = plaintext;
      in_place.resize(size + 16);
      gcm->seal(iv.data(), aad, {in_place.data(), size}, in_place.data(), in_place.data() + size);
      CHECK(in_place == out);
      sealed.push_back(out);
    }
    for (const std::string& name : gcm_names()) {
      const auto gcm = make(name);
      gcm->set_key(key.data());
      for (const auto& each : sealed) {
        CHECK(each == sealed.front());
        std::vector<uint8_t> out(size);
        CHECK(gcm->open(iv.data(), aad, {each.data(), size}, each.data() + size, out.data()));
        CHECK(out == plaintext);
      }
    }
  }
}

TEST(every_flipped_bit_fails_and_wipes) {
  for (const std::string& name : gcm_names()) {
    const auto gcm = make(name);
    const auto key = random_bytes(32);
    // IV, additional data, ciphertext and tag in a row.
    constexpr size_t kAad = 12, kText = kAad + 9, kTag = kText + 37, kEnd = kTag + 16;
    auto message = random_bytes(kEnd);
    gcm->set_key(key.data());
    gcm->seal(message.data(), {&message[kAad], kText - kAad}, {&message[kText], kTag - kText},
              &message[kText], &message[kTag]);
    const auto open = [&](std::vector<uint8_t>& out) {
      return gcm->open(message.data(), {&message[kAad], kText - kAad}, {&message[kText], kTag - kText},
                       &message[kTag], out.data());
    };
    std::vector<uint8_t> out(kTag - kText, 0xee);
    CHECK(open(out));
    for (size_t bit = 0; bit < kEnd * 8; ++bit) {
      message[bit / 8] ^= 1 << bit % 8;
      std::fill(out.begin(), out.end(), 0xee);
      CHECK(!open(out));
      CHECK(out == std::vector<uint8_t>(kTag - kText));
      message[bit / 8] ^= 1 << bit % 8;
    }
    CHECK(open(out));
  }
}

TEST(a_key_is_used_until_the_next) {
  for (const std::string& name : gcm_names()) {
    const auto gcm = make(name);
    const auto first = random_bytes(32);
    const auto second = random_bytes(32);
    const auto iv = random_bytes(12);
    uint8_t text[3][20] = {};
    uint8_t tag[16];
    gcm->set_key(first.data());
    gcm->seal(iv.data(), {}, text[0], text[0], tag);
    gcm->set_key(second.data());
    gcm->seal(iv.data(), {}, text[1], text[1], tag);
    gcm->clear_key();
    gcm->set_key(first.data());
    gcm->seal(iv.data(), {}, text[2], text[2], tag);
    CHECK(!std::equal(text[0], text[0] + 20, text[1]));
    CHECK(std::equal(text[0], text[0] + 20, text[2]));
  }
}

TEST(choice) {
  for (const std::string& name : gcm_names()) {
    use_gcm(name);
    CHECK(gcm_in_use() == name);
  }
  CHECK_THROWS(use_gcm("rot13"), EngineError, error.code() == "GCM_UNAVAILABLE");
  CHECK(gcm_in_use() == gcm_names().back());
}

}  // namespace
}  // namespace keystead

RUN_TESTS()
