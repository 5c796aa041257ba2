#include "engine/ed25519.h"

#include <algorithm>
#include <array>
#include <optional>

#include "engine/error.h"
#include "engine/hash.h"
#include "engine/openssl_keys.h"
#include "engine/secret.h"

namespace keystead {
namespace {

using View = std::span<const uint8_t>;

constexpr size_t kSize = kEd25519KeySize;
constexpr unsigned long kMontgomeryA = 486662;  // of Curve25519, RFC 7748

constexpr uint8_t kPh[] = {'S', 'i', 'g', 'E', 'd', '2', '5', '5', '1', '9', ' ', 'n',
                           'o', ' ', 'E', 'd', '2', '5', '5', '1', '9', ' ', 'c', 'o',
                           'l', 'l', 'i', 's', 'i', 'o', 'n', 's', 1,   0};

const OpenSslKeys& ssl() { return OpenSslKeys::instance(); }

// Numbers are wiped when they go.
struct Number : Freed<bignum_st> {
  Number() : Freed<bignum_st>(ssl().BN_new(), ssl().BN_clear_free) { ensure(get() != nullptr, "BN_new"); }
  explicit Number(unsigned long word) : Number() { ensure(ssl().BN_set_word(get(), word), "BN_set_word"); }
  explicit Number(View little_endian) : Number() {
    const auto size = static_cast<int>(little_endian.size());
    ensure(ssl().BN_lebin2bn(little_endian.data(), size, get()) != nullptr, "BN_lebin2bn");
  }
  void write(uint8_t* out) const {
    ensure(ssl().BN_bn2lebinpad(get(), out, kSize) == static_cast<int>(kSize), "BN_bn2lebinpad");
  }
};

struct Context : Freed<bignum_ctx> {
  Context() : Freed<bignum_ctx>(ssl().BN_CTX_new(), ssl().BN_CTX_free) {
    ensure(get() != nullptr, "BN_CTX_new");
  }
};

struct Point : Freed<ec_point_st> {
  explicit Point(const ec_group_st* group)
      : Freed<ec_point_st>(ssl().EC_POINT_new(group), ssl().EC_POINT_clear_free) {
    ensure(get() != nullptr, "EC_POINT_new");
  }
};

// What is the same in every call: the field, the group of Wei25519, and what leads from one form to the
// other.
class Curve25519 {
 public:
  static const Curve25519& instance() {
    static const Curve25519 curve;
    return curve;
  }

  const bignum_st* order() const { return order_.get(); }
  bn_mont_ctx_st* montgomery() const { return montgomery_.get(); }
  const ec_group_st* group() const { return group_.get(); }

  // RFC 8032, 5.1.3, refusing the points with x = 0, which Wei25519 has no coordinates for and no key may be.
  std::optional<Point> decode(View encoded, bignum_ctx* context) const {
    std::array<uint8_t, kSize> bytes;
    std::copy_n(encoded.begin(), kSize, bytes.begin());
    const bool odd = bytes[kSize - 1] >> 7;
    bytes[kSize - 1] &= 0x7f;
    const Number y{View(bytes)};
    if (ssl().BN_cmp(y.get(), p_.get()) >= 0) return std::nullopt;
    const Number square = mul(y, y, context);
    // x² = (y² - 1) / (d y² + 1)
    const Number numerator = sub(square, one_, context);
    if (ssl().BN_is_zero(numerator.get())) return std::nullopt;
    const Number quotient = divide(numerator, add(mul(d_, square, context), one_, context), context);
    Number x;
    if (!ssl().BN_mod_sqrt(x.get(), quotient.get(), p_.get(), context)) return std::nullopt;
    if (static_cast<bool>(ssl().BN_is_odd(x.get())) != odd) x = sub(Number(0UL), x, context);
    return point(x, y, context);
  }

  void encode(const ec_point_st* from, uint8_t* out, bignum_ctx* context) const {
    Number x(0UL);
    Number y(1UL);
    if (!ssl().EC_POINT_is_at_infinity(group(), from)) {
      Number wx, v;
      ensure(ssl().EC_POINT_get_affine_coordinates(group(), from, wx.get(), v.get(), context),
             "EC_POINT_get_affine_coordinates");
      const Number u = sub(wx, shift_, context);
      if (!ssl().BN_is_zero(v.get())) x = divide(mul(root_, u, context), v, context);
      y = divide(sub(u, one_, context), add(u, one_, context), context);
    }
    y.write(out);
    if (ssl().BN_is_odd(x.get())) out[kSize - 1] |= 0x80;
  }

 private:
  Curve25519() {
    const Context context;
    bignum_ctx* const c = context.get();
    // p = 2^255 - 19; L = 2^252 + 27742317777372353535851937790883648493.
    std::array<uint8_t, kSize> bytes;
    bytes.fill(0xff);
    bytes[0] = 0xed;
    bytes[kSize - 1] = 0x7f;
    p_ = Number(View(bytes));
    order_ = Number(View(kOrder));
    ensure(ssl().BN_MONT_CTX_set(montgomery_.get(), order_.get(), c), "BN_MONT_CTX_set");
    const Number zero(0UL);
    d_ = divide(sub(zero, Number(121665UL), c), Number(121666UL), c);
    ensure(
        ssl().BN_mod_sqrt(root_.get(), sub(zero, Number(kMontgomeryA + 2), c).get(), p_.get(), c) != nullptr,
        "BN_mod_sqrt");
    const Number a(kMontgomeryA);
    const Number three(3UL);
    const Number squared = mul(a, a, c);
    shift_ = divide(a, three, c);
    const Number wei_a = divide(sub(three, squared, c), three, c);
    const Number wei_b =
        divide(sub(mul(Number(2UL), mul(a, squared, c), c), mul(Number(9UL), a, c), c), Number(27UL), c);
    group_.reset(ssl().EC_GROUP_new_curve_GFp(p_.get(), wei_a.get(), wei_b.get(), c));
    ensure(group_ != nullptr, "EC_GROUP_new_curve_GFp");
    // The base point: y = 4/5, x even.
    std::array<uint8_t, kSize> base;
    divide(Number(4UL), Number(5UL), c).write(base.data());
    const auto generator = decode(base, c);
    ensure(generator.has_value(), "BN_mod_sqrt");
    ensure(ssl().EC_GROUP_set_generator(group_.get(), generator->get(), order_.get(), Number(8UL).get()),
           "EC_GROUP_set_generator");
  }

  Number add(const Number& a, const Number& b, bignum_ctx* context) const {
    Number sum;
    ensure(ssl().BN_mod_add(sum.get(), a.get(), b.get(), p_.get(), context), "BN_mod_add");
    return sum;
  }
  Number sub(const Number& a, const Number& b, bignum_ctx* context) const {
    Number difference;
    ensure(ssl().BN_mod_sub(difference.get(), a.get(), b.get(), p_.get(), context), "BN_mod_sub");
    return difference;
  }
  Number mul(const Number& a, const Number& b, bignum_ctx* context) const {
    Number product;
    ensure(ssl().BN_mod_mul(product.get(), a.get(), b.get(), p_.get(), context), "BN_mod_mul");
    return product;
  }
  Number divide(const Number& a, const Number& b, bignum_ctx* context) const {
    Number inverse;
    ensure(ssl().BN_mod_inverse(inverse.get(), b.get(), p_.get(), context) != nullptr, "BN_mod_inverse");
    return mul(a, inverse, context);
  }

  // Edwards to Montgomery (u = (1+y)/(1-y), v = sqrt(-486664) u/x; RFC 7748, 4.1) to Weierstrass (u + A/3,
  // v).
  Point point(const Number& x, const Number& y, bignum_ctx* context) const {
    const Number u = divide(add(one_, y, context), sub(one_, y, context), context);
    const Number v = divide(mul(root_, u, context), x, context);
    Point point(group());
    const Number wx = add(u, shift_, context);
    ensure(ssl().EC_POINT_set_affine_coordinates(group(), point.get(), wx.get(), v.get(), context),
           "EC_POINT_set_affine_coordinates");
    return point;
  }

  static constexpr uint8_t kOrder[kSize] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                            0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                            0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

  const Number one_{1UL};
  Number p_, order_, d_, root_, shift_;
  Freed<bn_mont_ctx_st> montgomery_{ssl().BN_MONT_CTX_new(), ssl().BN_MONT_CTX_free};
  Freed<ec_group_st> group_{nullptr, ssl().EC_GROUP_free};
};

// A hash of 64 bytes modulo the order, without a branch or a division: high * 2^256 is what leads to
// Montgomery's form.
Number reduce(const Curve25519& curve, const Secret<64>& hash, bignum_ctx* context) {
  const Number low(View(hash.data(), kSize));
  Number high(View(hash.data() + kSize, kSize));
  Number sum;
  ensure(ssl().BN_to_montgomery(high.get(), high.get(), curve.montgomery(), context), "BN_to_montgomery");
  ensure(ssl().BN_to_montgomery(sum.get(), low.get(), curve.montgomery(), context), "BN_to_montgomery");
  ensure(ssl().BN_from_montgomery(sum.get(), sum.get(), curve.montgomery(), context), "BN_from_montgomery");
  ensure(ssl().BN_mod_add_quick(sum.get(), sum.get(), high.get(), curve.order()), "BN_mod_add_quick");
  return sum;
}

Number challenge(const Curve25519& curve, View domain, View r, View public_key, View message,
                 bignum_ctx* context) {
  Secret<64> hash;
  digest(Hash::kSha512, {domain, r, public_key, message}, hash.data());
  return reduce(curve, hash, context);
}

}  // namespace

View ed25519ph_domain() { return kPh; }

bool is_ed25519_point(View public_key) {
  const Curve25519& curve = Curve25519::instance();
  const Context context;
  if (public_key.size() != kSize) return false;
  const auto point = curve.decode(public_key, context.get());
  if (!point) return false;
  for (int doubled = 0; doubled < 3; ++doubled) {
    ensure(ssl().EC_POINT_dbl(curve.group(), point->get(), point->get(), context.get()), "EC_POINT_dbl");
  }
  return !ssl().EC_POINT_is_at_infinity(curve.group(), point->get());
}

void ed25519_sign(View domain, View seed, View public_key, View message, uint8_t* signature) {
  const Curve25519& curve = Curve25519::instance();
  const Context context;
  Secret<64> expanded;
  digest(Hash::kSha512, {seed}, expanded.data());
  expanded.data()[0] &= 0xf8;
  expanded.data()[31] &= 0x7f;
  expanded.data()[31] |= 0x40;
  const Number scalar(View(expanded.data(), kSize));

  Secret<64> hash;
  digest(Hash::kSha512, {domain, View(expanded.data() + kSize, kSize), message}, hash.data());
  const Number nonce = reduce(curve, hash, context.get());
  const Point r(curve.group());
  ensure(ssl().EC_POINT_mul(curve.group(), r.get(), nonce.get(), nullptr, nullptr, context.get()),
         "EC_POINT_mul");
  curve.encode(r.get(), signature, context.get());

  // S = nonce + challenge * scalar, by Montgomery's multiplication: its time tells nothing of them.
  Number s = challenge(curve, domain, {signature, kSize}, public_key, message, context.get());
  ensure(ssl().BN_to_montgomery(s.get(), s.get(), curve.montgomery(), context.get()), "BN_to_montgomery");
  ensure(ssl().BN_mod_mul_montgomery(s.get(), s.get(), scalar.get(), curve.montgomery(), context.get()),
         "BN_mod_mul_montgomery");
  ensure(ssl().BN_mod_add_quick(s.get(), s.get(), nonce.get(), curve.order()), "BN_mod_add_quick");
  s.write(signature + kSize);
}

bool ed25519_verify(View domain, View public_key, View message, View signature) {
  const Curve25519& curve = Curve25519::instance();
  const Context context;
  if (public_key.size() != kSize || signature.size() != kEd25519SignatureSize) return false;
  const Number s(signature.last(kSize));
  if (ssl().BN_cmp(s.get(), curve.order()) >= 0) return false;
  const auto point = curve.decode(public_key, context.get());
  if (!point) return false;
  ensure(ssl().EC_POINT_invert(curve.group(), point->get(), context.get()), "EC_POINT_invert");
  const Number k = challenge(curve, domain, signature.first(kSize), public_key, message, context.get());
  const Point r(curve.group());
  ensure(ssl().EC_POINT_mul(curve.group(), r.get(), s.get(), point->get(), k.get(), context.get()),
         "EC_POINT_mul");
  std::array<uint8_t, kSize> encoded;
  curve.encode(r.get(), encoded.data(), context.get());
  return std::ranges::equal(encoded, signature.first(kSize));
}

}  // namespace keystead
