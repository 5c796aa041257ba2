#include "engine/heads.h"

#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/batch.h"
#include "engine/error.h"

namespace keystead {

Heads group_by_head(std::span<const uint8_t> ciphertexts, std::span<const uint32_t> lengths) {
  const auto misfit = [] {
    return EngineError("BATCH_LAYOUT", "the lengths of the ciphertexts do not come to their bytes");
  };
  Heads heads;
  heads.of.reserve(lengths.size());
  std::unordered_map<std::string, uint32_t> known;
  std::string last;
  size_t at = 0;
  for (const uint32_t size : lengths) {
    if (size > ciphertexts.size() - at) throw misfit();
    // No plaintext is empty, so there is at least one byte besides the overhead.
    const std::string_view head(reinterpret_cast<const char*>(ciphertexts.data()) + at,
                                size > kOverhead ? kHeaderSize : 0);
    if (heads.of.empty() || head != last) {
      last = head;
      const auto [place, fresh] = known.try_emplace(last, static_cast<uint32_t>(heads.firsts.size()));
      if (fresh) heads.firsts.push_back({at, size});
      heads.of.push_back(place->second);
    } else {
      heads.of.push_back(heads.of.back());
    }
    at += size;
  }
  if (at != ciphertexts.size()) throw misfit();
  return heads;
}

}  // namespace keystead
