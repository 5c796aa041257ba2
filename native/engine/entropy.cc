#include "engine/entropy.h"

#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "engine/error.h"

namespace keystead {

void host_random(uint8_t* out, size_t size) {
  while (size > 0) {
    size_t some = std::min<size_t>(size, 256);  // getentropy's limit; such requests are never cut short
    if (getentropy(out, some) != 0) {
      throw EngineError("ENTROPY", std::string("the host's random generator failed: ") + strerror(errno));
    }
    out += some;
    size -= some;
  }
}

}  // namespace keystead
