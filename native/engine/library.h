// A PKCS#11 module as a shared library. Loaded once and never unloaded: its threads and exit handlers outlive
// us.
#pragma once

#include <string>

#include "engine/cryptoki.h"

namespace keystead {

// The path with links resolved, so that two names of one module are one; the name itself where there is no
// such file (the loader may still find it in its own places).
std::string real_path(const std::string& path);

// Throws EngineError MODULE_NOT_FOUND with the loader's words, or NOT_A_MODULE.
const CK_FUNCTION_LIST* load_module(const std::string& path);

}  // namespace keystead
