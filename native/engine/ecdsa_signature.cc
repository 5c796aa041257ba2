#include "engine/ecdsa_signature.h"

#include <algorithm>
#include <string>

#include "engine/error.h"

namespace keystead {

size_t curve_bytes(Curve curve) {
  switch (curve) {
    case Curve::kP384:
      return 48;
    case Curve::kP521:
      return 66;
    default:
      return 32;
  }
}

Bytes ecdsa_der(Curve curve, std::span<const uint8_t> raw) {
  const size_t size = curve_bytes(curve);
  if (raw.size() != 2 * size) {
    throw EngineError("SIGNATURE_SIZE", "an ECDSA signature on this curve has " + std::to_string(2 * size) +
                                            " bytes, not " + std::to_string(raw.size()));
  }
  return der(kDerSequence, {der_unsigned(raw.first(size)), der_unsigned(raw.last(size))});
}

std::optional<Bytes> ecdsa_raw(Curve curve, std::span<const uint8_t> signature) {
  const size_t size = curve_bytes(curve);
  DerReader outer(signature);
  std::span<const uint8_t> body, r, s;
  if (!outer.take(kDerSequence, body) || !outer.empty()) return std::nullopt;
  DerReader inner(body);
  if (!inner.take_unsigned(r) || !inner.take_unsigned(s) || !inner.empty()) return std::nullopt;
  if (r.empty() || s.empty() || r.size() > size || s.size() > size) return std::nullopt;
  Bytes raw(2 * size);
  std::copy(r.begin(), r.end(), raw.begin() + static_cast<long>(size - r.size()));
  std::copy(s.begin(), s.end(), raw.end() - static_cast<long>(s.size()));
  return raw;
}

}  // namespace keystead
