#include "engine/batch.h"

#include <cassert>
#include <cstring>
#include <span>

#include "engine/bytes.h"
#include "engine/gcm.h"

namespace keystead {
namespace {

constexpr size_t kNoKey = SIZE_MAX;  // larger than any item.key
constexpr size_t kNumberOffset = kHeaderSize + kNonceSize;

// The additional authenticated data of one item after the other: prefix, then context. The context is copied
// only when it is another one than the last item's.
class Aad {
 public:
  Aad() { bytes_.resize(kPrefixSize); }

  uint8_t* prefix() { return bytes_.data(); }

  void set_context(const uint8_t* context, size_t size) {
    if (context == context_ && size == size_) return;
    bytes_.resize(kPrefixSize + size);
    if (size) std::memcpy(bytes_.data() + kPrefixSize, context, size);
    context_ = context;
    size_ = size;
  }

  std::span<const uint8_t> bytes() const { return {bytes_.data(), kPrefixSize + size_}; }

  // Forgets the context of an earlier run, whose memory may hold another one by now.
  static Aad& of_thread() {
    thread_local Aad aad;
    aad.context_ = nullptr;
    aad.size_ = 0;
    return aad;
  }

 private:
  std::vector<uint8_t> bytes_;
  const uint8_t* context_ = nullptr;
  size_t size_ = 0;
};

// Eight zero bytes, then the item's number.
struct Iv {
  explicit Iv(const uint8_t* number) { std::memcpy(bytes + 8, number, kItemSize); }
  uint8_t bytes[12] = {};
};

}  // namespace

void seal_items(const std::vector<DerivedKey>& keys, const std::vector<BatchItem>& items, size_t from,
                size_t to) {
  GcmRun gcm;
  Aad& aad = Aad::of_thread();
  size_t current = kNoKey;
  for (size_t i = from; i < to; ++i) {
    const BatchItem& item = items[i];
    uint8_t* prefix = aad.prefix();
    if (item.key != current) {
      const DerivedKey& key = keys.at(item.key);
      gcm->set_key(key.key.data());
      std::memcpy(prefix, key.header.data(), kHeaderSize);
      std::memcpy(prefix + kHeaderSize, key.nonce.data(), kNonceSize);
      current = item.key;
    }
    put_be32(prefix + kNumberOffset, item.number);
    aad.set_context(item.context, item.context_size);
    std::memcpy(item.out, aad.prefix(), kPrefixSize);
    uint8_t* ciphertext = item.out + kPrefixSize;
    gcm->seal(Iv(item.out + kNumberOffset).bytes, aad.bytes(), {item.in, item.in_size}, ciphertext,
              ciphertext + item.in_size);
  }
}

void open_items(const std::vector<DerivedKey>& keys, const std::vector<BatchItem>& items, size_t from,
                size_t to, uint8_t* ok) {
  GcmRun gcm;
  Aad& aad = Aad::of_thread();
  size_t current = kNoKey;
  for (size_t i = from; i < to; ++i) {
    const BatchItem& item = items[i];
    assert(item.in_size >= kOverhead);
    ok[i] = 0;
    if (item.in_size < kOverhead) continue;
    if (item.key != current) {
      gcm->set_key(keys.at(item.key).key.data());
      current = item.key;
    }
    aad.set_context(item.context, item.context_size);
    std::memcpy(aad.prefix(), item.in, kPrefixSize);
    const std::span ciphertext(item.in + kPrefixSize, item.in_size - kOverhead);
    ok[i] = gcm->open(Iv(item.in + kNumberOffset).bytes, aad.bytes(), ciphertext,
                      ciphertext.data() + ciphertext.size(), item.out);
  }
}

}  // namespace keystead
