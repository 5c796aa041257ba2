// An ECDSA signature in its two forms: r and s in a row, as PKCS#11 has it, and Ecdsa-Sig-Value of RFC 3279
// as DER.
#pragma once

#include <optional>
#include <span>

#include "engine/der.h"
#include "engine/material.h"

namespace keystead {

// Bytes of a coordinate, and of each of r and s: 32, 48 or 66.
size_t curve_bytes(Curve curve);

// Throws EngineError SIGNATURE_SIZE unless r and s have the size of the curve each.
Bytes ecdsa_der(Curve curve, std::span<const uint8_t> raw);
// Nothing when it is not the DER of two numbers from 1 that fit the curve.
std::optional<Bytes> ecdsa_raw(Curve curve, std::span<const uint8_t> signature);

}  // namespace keystead
