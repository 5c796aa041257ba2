// What a token does: each operation, on a lane of its kind.
#include "engine/agreement.h"
#include "engine/data_key_pair.h"
#include "engine/decryption.h"
#include "engine/key_object.h"
#include "engine/sealing.h"
#include "engine/signature.h"
#include "engine/token.h"
#include "engine/token_key.h"

namespace keystead {

namespace {

Kind kind_of(const Material& material) {
  return material.type == KeyType::kSecret ? Kind::kSymmetric : Kind::kAsymmetric;
}

}  // namespace

void Token::open_domain(std::shared_ptr<Caller> caller, std::string name, bool create,
                        std::shared_ptr<bool> made) {
  submit(Kind::kSymmetric, std::move(caller), [=, this](const Session& session) {
    // An earlier try may have made the keys and then failed: made is made.
    *made = domains_.open(session, name, create) || *made;
    return true;
  });
}

void Token::generate_key(std::shared_ptr<Caller> caller, std::string domain, Bytes context, Material material,
                         std::shared_ptr<BackingKey> made) {
  require_generator(can_, material);
  submit(kind_of(material), std::move(caller), [=, this](const Session& session) {
    *made = generate_backing_key(session, domains_.get(session, domain), key_wrap_, context, material);
    return true;
  });
}

SubmitPart Token::parts(Kind kind) {
  return [this, kind](std::shared_ptr<Caller> part, Work work, bool begun) {
    submit(kind, std::move(part), std::move(work), begun);
  };
}

void Token::seal(std::shared_ptr<Caller> caller, std::shared_ptr<BatchJob> job) {
  submit(Kind::kSymmetric, caller, [=, this](const Session& session) {
    return seal_batch(session, {cache_, symmetric_lanes_, parts(Kind::kSymmetric)}, job, caller);
  });
}

void Token::open_batch(std::shared_ptr<Caller> caller, std::shared_ptr<BatchJob> job,
                       std::shared_ptr<Bytes> ok) {
  submit(Kind::kSymmetric, caller, [=, this](const Session& session) {
    return keystead::open_batch(session, {cache_, symmetric_lanes_, parts(Kind::kSymmetric)}, job, ok,
                                caller);
  });
}

void Token::random(std::shared_ptr<Caller> caller, size_t size, std::shared_ptr<Bytes> bytes) {
  submit(Kind::kSymmetric, std::move(caller), [=](const Session& session) {
    bytes->resize(size);
    mixed_random(session, bytes->data(), size);
    return true;
  });
}

void Token::use(Kind kind, std::shared_ptr<Caller> caller, std::shared_ptr<const Key> key, KeyType type,
                std::function<void(const Session&, CK_OBJECT_HANDLE, const Material&)> work) {
  Material material = require_type(*key, type);
  submit(kind, std::move(caller), [=, this](const Session& session) {
    cache_.with(session, key, [&](CK_OBJECT_HANDLE handle) { work(session, handle, material); });
    return true;
  });
}

void Token::sign(std::shared_ptr<Caller> caller, std::shared_ptr<const Key> key, Signing signing, Bytes input,
                 std::shared_ptr<Bytes> signature) {
  require_signing(can_, signing);
  use(Kind::kAsymmetric, std::move(caller), key, signer_type(signing.scheme),
      [=](const Session& session, CK_OBJECT_HANDLE handle, const Material& material) {
        *signature = sign_with(session, handle, material, signing, input);
      });
}

void Token::sign_batch(std::shared_ptr<Caller> caller, std::shared_ptr<const SignBatch> batch,
                       std::shared_ptr<Signatures> signatures) {
  for (const SignBatch::Group& group : batch->groups) require_signing(can_, group.signing);
  keystead::sign_batch(std::move(caller), std::move(batch), std::move(signatures), cache_, asymmetric_lanes_,
                       parts(Kind::kAsymmetric));
}

void Token::mac(std::shared_ptr<Caller> caller, std::shared_ptr<const Key> key, Hash hash, Bytes message,
                std::shared_ptr<Bytes> mac) {
  require_mac(can_, hash);
  use(Kind::kSymmetric, std::move(caller), key, KeyType::kSecret,
      [=](const Session& session, CK_OBJECT_HANDLE handle, const Material&) {
        *mac = keystead::mac(session, handle, hash, message);
      });
}

void Token::decrypt(std::shared_ptr<Caller> caller, std::shared_ptr<const Key> key, Hash hash,
                    Bytes ciphertext, std::shared_ptr<std::optional<SecretBytes>> plaintext) {
  Padding padding = oaep_padding(can_, hash);
  use(Kind::kAsymmetric, std::move(caller), key, KeyType::kRsa,
      [=](const Session& session, CK_OBJECT_HANDLE handle, const Material&) {
        *plaintext = decrypt_oaep(session, handle, padding, hash, ciphertext);
      });
}

void Token::derive_secret(std::shared_ptr<Caller> caller, std::shared_ptr<const Key> key, Bytes public_key,
                          std::shared_ptr<std::optional<SecretBytes>> secret) {
  require_agreement(can_);
  use(Kind::kAsymmetric, std::move(caller), key, KeyType::kEc,
      [=](const Session& session, CK_OBJECT_HANDLE handle, const Material&) {
        *secret = keystead::derive_secret(session, handle, public_key);
      });
}

void Token::data_key_pair(std::shared_ptr<Caller> caller, Material material,
                          std::shared_ptr<std::optional<PrivateKey>> pair) {
  require_generator(can_, material);
  submit(Kind::kAsymmetric, std::move(caller), [=, this](const Session& session) {
    *pair = generate_data_key_pair(session, material, key_wrap_);
    return true;
  });
}

void Token::rewrap(std::shared_ptr<Caller> caller, std::shared_ptr<const Key> key, std::string domain,
                   Bytes context, std::shared_ptr<Bytes> blob) {
  submit(Kind::kSymmetric, std::move(caller), [=, this](const Session& session) {
    *blob = rewrap_backing_key(session, domains_.get(session, key->domain), key_wrap_, *key,
                               domains_.get(session, domain), context);
    return true;
  });
}

void Token::import(std::shared_ptr<Caller> caller, std::shared_ptr<const ImportOrder> order,
                   std::shared_ptr<ImportedKey> imported) {
  if (is_seeded(order->material.type))
    throw EngineError("MECHANISM_MISSING",
                      "Ed25519 and ML-DSA keys are derived in the token: none is imported");
  constexpr size_t kDigits = 64;
  if (order->context.size() < kDigits || order->material_id_at > order->context.size() - kDigits)
    throw EngineError("IMPORT_LAYOUT", "the context has no room for the id of the material");
  submit(Kind::kAsymmetric, std::move(caller), [=, this](const Session& session) {
    *imported = import_key(session, cache_, domains_, can_, key_wrap_, *order);
    return true;
  });
}

void Token::create_token_key(std::shared_ptr<Caller> caller, std::string id, Material material,
                             std::shared_ptr<Bytes> public_key) {
  if (is_seeded(material.type)) {
    throw EngineError("MECHANISM_MISSING",
                      "Ed25519 and ML-DSA keys are derived by the engine: none lives on a token");
  }
  require_generator(can_, material);
  submit(kind_of(material), std::move(caller), [=](const Session& session) {
    *public_key = keystead::create_token_key(session, id, material);
    return true;
  });
}

void Token::token_public_key(std::shared_ptr<Caller> caller, std::string id,
                             std::shared_ptr<Bytes> public_key) {
  submit(Kind::kAsymmetric, std::move(caller), [=](const Session& session) {
    *public_key = keystead::token_public_key(session, id);
    return true;
  });
}

void Token::destroy_token_key(std::shared_ptr<Caller> caller, std::string id, std::shared_ptr<bool> any) {
  submit(Kind::kSymmetric, std::move(caller), [=, this](const Session& session) {
    KeyCache::Exclusion exclusion(cache_, id);
    // An earlier try may have destroyed some of it and then failed.
    *any = keystead::destroy_token_key(session, id) || *any;
    return true;
  });
}

void Token::forget(const Key& key) {
  if (!cache_.forget(key)) return;
  struct Nobody : Caller {
    bool enter() override { return true; }
    void leave() override {}
    void answer(std::exception_ptr) override {}
  };
  submit(Kind::kSymmetric, std::make_shared<Nobody>(), [this](const Session& session) {
    cache_.sweep(session);
    return true;
  });
}

}  // namespace keystead
