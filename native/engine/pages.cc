#include "engine/pages.h"

#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace keystead {

void advise_huge_pages([[maybe_unused]] void* buffer, [[maybe_unused]] size_t size) {
#ifdef MADV_HUGEPAGE
  constexpr uintptr_t kHuge = 2 << 20;
  const auto begin = reinterpret_cast<uintptr_t>(buffer);
  const uintptr_t from = (begin + kHuge - 1) / kHuge * kHuge;
  const uintptr_t to = (begin + size) / kHuge * kHuge;
  if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
#endif
}

}  // namespace keystead
