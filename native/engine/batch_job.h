// A batch as it comes from the caller: items packed one behind the other, and what is to be done with them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/key.h"

namespace keystead {

// Memory that the caller lent: valid while a Visit lasts.
struct Lent {
  const uint8_t* data = nullptr;
  size_t size = 0;  // bytes
};
struct LentNumbers {
  const uint32_t* data = nullptr;
  size_t count = 0;
};

struct BatchJob {
  std::vector<std::shared_ptr<const Key>> keys;
  uint8_t* input = nullptr;  // written to only as the flags below say
  size_t input_size = 0;
  LentNumbers lengths;
  Lent contexts;
  LentNumbers context_lengths;  // one for all items, or one an item
  LentNumbers groups;  // sealing: items under each key, in turn; opening: for each item its key, or kNone
  uint8_t* output = nullptr;
  size_t output_size = 0;
  bool wipe_input = false;    // once it is sealed
  bool random_input = false;  // its bytes are drawn before they are sealed

  static constexpr uint32_t kNone = 0xffffffff;
};

}  // namespace keystead
