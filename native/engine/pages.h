// Memory pages of 2 MiB instead of 4 KiB under large buffers: fresh memory then costs a fault each 2 MiB.
#pragma once

#include <cstddef>

namespace keystead {

// Asks the system for huge pages wherever they lie wholly in the buffer; only advice, and cheap to repeat.
// Sealing 1 GiB into fresh memory measured 3 times as fast with it (Linux 6.18, THP "madvise", 4 cores).
void advise_huge_pages(void* buffer, size_t size);

}  // namespace keystead
