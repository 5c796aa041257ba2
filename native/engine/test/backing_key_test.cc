// Keys of every kind, made in a token of the real SoftHSM and used there.
#include "engine/backing_key.h"

#include <algorithm>

#include "engine/decryption.h"
#include "engine/hash.h"
#include "engine/key_object.h"
#include "engine/public_key.h"
#include "engine/signature.h"
#include "engine/test/check.h"
#include "engine/test/softhsm.h"

using namespace keystead;
using namespace keystead::test;

namespace {

const Material kRsa{KeyType::kRsa, 2048, {}};
const Material kEc{KeyType::kEc, 0, Curve::kP521};
const Material kEd25519{KeyType::kEd25519, 0, {}};

struct Used {
  Material material;
  Signing signing;
};
const Used kSigners[] = {
    {kRsa, {Scheme::kRsaPss, Hash::kSha256}},
    {kRsa, {Scheme::kRsaPkcs1, Hash::kSha384}},
    {kEc, {Scheme::kEcdsa, Hash::kSha512}},
    {{KeyType::kEc, 0, Curve::kSecp256k1}, {Scheme::kEcdsa, Hash::kSha256}},
    {kEd25519, {Scheme::kEd25519, {}}},
    {kEd25519, {Scheme::kEd25519ph, Hash::kSha512}},
};

Bytes input_of(const Signing& signing) {
  Bytes input(signing.scheme == Scheme::kEd25519 ? 3 : hash_size(signing.hash));
  for (size_t i = 0; i < input.size(); i++) input[i] = static_cast<uint8_t>(i);
  return input;
}

// A session of a token of its own, logged in.
struct Fixture {
  SoftHsm hsm;
  Opened token{hsm.open()};
  std::shared_ptr<Module> module = Module::acquire(hsm.options.module, hsm.options.environment);
  Stay stay{*module};
  Session session{*module, find_slot(*module, hsm.options.name)};
  ~Fixture() { session.close(); }
};

}  // namespace

TEST(each_kind_signs_what_its_public_key_verifies) {
  SoftHsm hsm;
  Opened token(hsm.open());
  token.open_domain();
  for (const Used& used : kSigners) {
    BackingKey made = token.generate({'c'}, used.material);
    uint8_t header[kHeaderSize] = {1};
    auto key = Key::make("d", made.blob, {'c'}, header);
    Bytes input = input_of(used.signing);
    Bytes signature = token.sign(key, used.signing, input);
    PublicKey public_key(made.public_key);
    CHECK(public_key.verify(used.signing, input, signature));
    input[0] ^= 1;
    CHECK(!public_key.verify(used.signing, input, signature));
  }
}

TEST(a_message_is_signed_and_verified_as_its_digest) {
  SoftHsm hsm;
  Opened token(hsm.open());
  token.open_domain();
  const Bytes message{'m', 'e'};
  for (const Used& used : kSigners) {
    if (is_seeded(used.material.type)) continue;
    BackingKey made = token.generate({'c'}, used.material);
    uint8_t header[kHeaderSize] = {1};
    const Signing whole{used.signing.scheme, used.signing.hash, true};
    Bytes signature = token.sign(Key::make("d", made.blob, {'c'}, header), whole, message);
    Bytes hashed(hash_size(whole.hash));
    digest(whole.hash, {message}, hashed.data());
    PublicKey public_key(made.public_key);
    CHECK(public_key.verify(whole, message, signature));
    CHECK(public_key.verify(used.signing, hashed, signature));
    CHECK(!public_key.verify(whole, hashed, signature));
  }
}

TEST(a_key_does_what_its_kind_is_for_and_nothing_else) {
  SoftHsm hsm;
  Opened token(hsm.open());
  token.open_domain();
  auto is_kind = [](const EngineError& error) { return error.code() == "KEY_TYPE"; };
  auto rsa = token.new_key(1, kRsa), ec = token.new_key(2, kEc), seed = token.new_key(3, kEd25519);
  const Signing ecdsa{Scheme::kEcdsa, Hash::kSha256};
  CHECK_THROWS(token.sign(rsa, ecdsa, Bytes(32)), EngineError, is_kind(error));
  CHECK_THROWS(token.sign(seed, ecdsa, Bytes(32)), EngineError, is_kind(error));
  CHECK_THROWS(token.mac(ec, Hash::kSha256, {1}), EngineError, is_kind(error));
  CHECK_THROWS(token.mac(seed, Hash::kSha256, {1}), EngineError, is_kind(error));
  CHECK(token.mac(token.new_key(4), Hash::kSha256, {1}).size() == 32);
}

TEST(oaep_padding_is_removed_by_the_token_or_here_with_one_result) {
  Fixture f;
  CHECK(oaep_padding(f.token->capabilities(), Hash::kSha1) == Padding::kByEngine);
  GeneratedKey made = generate_extractable(f.session, kRsa);
  Temporary key(f.session, made.handle);
  const Bytes plaintext{1, 2, 3};
  Bytes ciphertext = PublicKey(made.public_key).encrypt(Hash::kSha1, plaintext);
  for (Padding padding : {Padding::kByToken, Padding::kByEngine}) {
    auto decrypted = decrypt_oaep(f.session, key, padding, Hash::kSha1, ciphertext);
    CHECK(decrypted && std::ranges::equal(decrypted->view(), plaintext));
  }
  ciphertext[10] ^= 1;
  CHECK(!decrypt_oaep(f.session, key, Padding::kByEngine, Hash::kSha1, ciphertext));
}

TEST(imported_material_is_what_it_was_said_to_be) {
  SoftHsm hsm;
  Opened token(hsm.open());
  token.open_domain();
  BackingKey wrapping = token.generate({'w'}, kRsa);
  const uint8_t header[kHeaderSize] = {1};
  auto order = [&](std::span<const uint8_t> clear, const Material& material) {
    auto order = std::make_shared<ImportOrder>();
    order->wrapping = Key::make("d", wrapping.blob, {'w'}, header);
    order->encrypted = PublicKey(wrapping.public_key).encrypt(Hash::kSha256, clear);
    order->domain = "d";
    order->context = Bytes(70, 'x');
    order->material_id_at = 6;
    order->material = material;
    return order;
  };
  const Bytes secret(32, 7);
  const Material material{KeyType::kSecret, 32};
  ImportedKey imported = token.import(order(secret, material));
  CHECK(imported.material_id.size() == 64);
  Bytes context(6, 'x');
  context.insert(context.end(), imported.material_id.begin(), imported.material_id.end());
  auto key = Key::make("d", imported.blob, context, header);
  CHECK(token.unseal(key, token.seal(key, {1, 2})) == Bytes({1, 2}));

  auto code = [](const EngineError& error, const char* code) { return error.code() == code; };
  CHECK_THROWS(token.import(order(secret, {KeyType::kSecret, 64})), EngineError,
               code(error, "IMPORT_MATERIAL"));
  CHECK_THROWS(token.import(order(secret, kEc)), EngineError, code(error, "IMPORT_MATERIAL"));
  CHECK_THROWS(token.import(order(secret, kEd25519)), EngineError, code(error, "MECHANISM_MISSING"));
  auto damaged = order(secret, material);
  damaged->encrypted[0] ^= 1;
  CHECK_THROWS(token.import(damaged), EngineError, code(error, "IMPORT_CIPHERTEXT"));
  for (size_t size : {0, 1, 255, 256}) {
    auto cut = order(secret, material);
    cut->key_wrap = true;
    cut->encrypted.resize(size);
    CHECK_THROWS(token.import(cut), EngineError, code(error, "IMPORT_CIPHERTEXT"));
  }
  for (size_t at : {7, 71}) {
    auto misplaced = order(secret, material);
    misplaced->material_id_at = at;
    CHECK_THROWS(token.import(misplaced), EngineError, code(error, "IMPORT_LAYOUT"));
  }
}

TEST(a_key_on_the_token_is_destroyed_under_those_who_use_it) {
  SoftHsm hsm;
  Opened token(hsm.open());
  const uint8_t header[kHeaderSize] = {1};
  const Signing pss{Scheme::kRsaPss, Hash::kSha256};
  for (int round = 0; round < 5; round++) {
    auto batch = std::make_shared<SignBatch>();
    const PublicKey public_key(token.create_token_key("t", kRsa));
    batch->groups = {{Key::of_token("t", header), pss, 400}};
    batch->input = Bytes(400 * 32, 7);
    batch->lengths.assign(400, 32);
    auto signing = std::make_shared<Waiter>();
    token->sign_batch(signing, batch, std::make_shared<Signatures>());
    auto any = std::make_shared<bool>(false);
    Opened::await([&](auto waiter) { token->destroy_token_key(waiter, "t", any); });
    CHECK(*any);
    CHECK_THROWS(signing->wait(), EngineError, error.code() == "KEY_NOT_FOUND");
  }
}

TEST(what_a_token_lacks_is_named) {
  SoftHsm hsm;
  Opened token(hsm.open());
  Capabilities can = token->capabilities();
  auto without = [&](CK_MECHANISM_TYPE type) {
    Capabilities rest = can;
    std::erase_if(rest.mechanisms, [&](const auto& known) { return known.type == type; });
    return rest;
  };
  auto names = [](const EngineError& error, const char* mechanism) {
    return error.code() == "MECHANISM_MISSING" &&
           std::string(error.what()).find(mechanism) != std::string::npos;
  };
  CHECK_THROWS(require_signing(without(CKM_ECDSA), {Scheme::kEcdsa}), EngineError, names(error, "CKM_ECDSA"));
  CHECK_THROWS(require_signing(without(CKM_RSA_PKCS_PSS), {Scheme::kRsaPss}), EngineError,
               names(error, "CKM_RSA_PKCS_PSS"));
  CHECK_THROWS(require_mac(without(CKM_SHA384_HMAC), Hash::kSha384), EngineError,
               names(error, "CKM_SHA384_HMAC"));
  CHECK_THROWS(require_generator(without(CKM_RSA_PKCS_KEY_PAIR_GEN), kRsa), EngineError,
               names(error, "CKM_RSA_PKCS_KEY_PAIR_GEN"));
  CHECK_THROWS(oaep_padding(without(CKM_RSA_X_509), Hash::kSha256), EngineError,
               names(error, "CKM_RSA_X_509"));
  can.maker = "another";
  CHECK(oaep_padding(can, Hash::kSha256) == Padding::kByToken);
  CHECK(oaep_padding(without(CKM_RSA_PKCS_OAEP), Hash::kSha256) == Padding::kByEngine);
}

RUN_TESTS()
