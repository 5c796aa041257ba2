// An opened token: logged in once, with lanes that take operations and answer them, also after faults.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/backing_key.h"
#include "engine/batch_job.h"
#include "engine/capabilities.h"
#include "engine/domain.h"
#include "engine/error.h"
#include "engine/key_cache.h"
#include "engine/key_import.h"
#include "engine/lane.h"
#include "engine/login.h"
#include "engine/module.h"
#include "engine/private_key.h"
#include "engine/sign_batch.h"
#include "engine/slot.h"

namespace keystead {

struct TokenOptions {
  std::string module;
  Environment environment;
  TokenName name;
  size_t handles = 1;   // backing keys with a handle at the same time
  size_t sessions = 0;  // at most; 0: as many as the token's limits and the trial allow, up to 64
  Watch::Clock::duration deadline = std::chrono::seconds(30);  // of each operation
};

class Token : public Member, public std::enable_shared_from_this<Token> {
 public:
  // Takes as long as the module does: not for a thread that must not wait.
  static std::shared_ptr<Token> open(const TokenOptions& options, std::unique_ptr<Pin> pin);

  // All of these return at once, and answer the caller from a thread of the engine. Values are in place
  // before that.
  void open_domain(std::shared_ptr<Caller> caller, std::string name, bool create, std::shared_ptr<bool> made);
  void generate_key(std::shared_ptr<Caller> caller, std::string domain, Bytes context, Material material,
                    std::shared_ptr<BackingKey> made);
  void seal(std::shared_ptr<Caller> caller, std::shared_ptr<BatchJob> job);
  void open_batch(std::shared_ptr<Caller> caller, std::shared_ptr<BatchJob> job, std::shared_ptr<Bytes> ok);
  void random(std::shared_ptr<Caller> caller, size_t size, std::shared_ptr<Bytes> bytes);
  void sign(std::shared_ptr<Caller> caller, std::shared_ptr<const Key> key, Signing signing, Bytes input,
            std::shared_ptr<Bytes> signature);
  void sign_batch(std::shared_ptr<Caller> caller, std::shared_ptr<const SignBatch> batch,
                  std::shared_ptr<Signatures> signatures);
  void mac(std::shared_ptr<Caller> caller, std::shared_ptr<const Key> key, Hash hash, Bytes message,
           std::shared_ptr<Bytes> mac);
  // Nothing when it does not decrypt.
  void decrypt(std::shared_ptr<Caller> caller, std::shared_ptr<const Key> key, Hash hash, Bytes ciphertext,
               std::shared_ptr<std::optional<SecretBytes>> plaintext);
  void derive_secret(std::shared_ptr<Caller> caller, std::shared_ptr<const Key> key, Bytes public_key,
                     std::shared_ptr<std::optional<SecretBytes>> secret);
  void data_key_pair(std::shared_ptr<Caller> caller, Material material,
                     std::shared_ptr<std::optional<PrivateKey>> pair);
  void rewrap(std::shared_ptr<Caller> caller, std::shared_ptr<const Key> key, std::string domain,
              Bytes context, std::shared_ptr<Bytes> blob);
  void import(std::shared_ptr<Caller> caller, std::shared_ptr<const ImportOrder> order,
              std::shared_ptr<ImportedKey> imported);
  void create_token_key(std::shared_ptr<Caller> caller, std::string id, Material material,
                        std::shared_ptr<Bytes> public_key);
  void token_public_key(std::shared_ptr<Caller> caller, std::string id, std::shared_ptr<Bytes> public_key);
  void destroy_token_key(std::shared_ptr<Caller> caller, std::string id, std::shared_ptr<bool> any);
  void forget(const Key& key);

  // Lets what was asked for finish, closes the sessions (which destroys the handles), lets go of the module.
  // Waits for that; throws EngineError DEADLINE when the token does not come back from a call. A second call
  // does nothing.
  void close();

  const Capabilities& capabilities() const { return can_; }
  CK_MECHANISM_TYPE key_wrap() const { return key_wrap_; }
  size_t lanes(Kind kind) const { return kind == Kind::kSymmetric ? symmetric_lanes_ : asymmetric_lanes_; }
  const KeyCache& handles() const { return cache_; }
  unsigned generation() const { return module_.generation(); }
  bool available() const { return module_.available() && !closed_; }

  Token(std::shared_ptr<Module> module, const TokenOptions& options, std::unique_ptr<Pin> pin);
  ~Token() override;

 private:
  void start(const TokenOptions& options);
  void start_lane(std::shared_ptr<Queue> queue, Session session);
  void revive() override;
  // Refuses at once while the token is away, save what goes on with something begun before.
  void submit(Kind kind, std::shared_ptr<Caller> caller, Work work, bool begun = false);
  SubmitPart parts(Kind kind);
  // Work with a key of this type, or EngineError KEY_TYPE. What it is made of is known of backing keys only.
  void use(Kind kind, std::shared_ptr<Caller> caller, std::shared_ptr<const Key> key, KeyType type,
           std::function<void(const Session&, CK_OBJECT_HANDLE, const Material&)> work);
  // A lane's life; it owns its session.
  void serve(Queue& queue, std::optional<Session> session);
  void run(Queue& queue, std::optional<Session>& session, const std::shared_ptr<Task>& task);
  // Whether the task is worth another try, with what is needed for that done or under way.
  enum class Remedy { kReport, kTryAgain, kWaitForModule };
  Remedy remedy(const Pkcs11Error& error, std::optional<Session>& session, Task& task);
  void expire(const std::shared_ptr<Task>& task);
  void part_with(Session& session);
  CK_OBJECT_HANDLE make_handle(const Session& session, const Key& key);

  Module& module_;
  std::shared_ptr<Module> share_;  // let go of by close()
  const TokenName name_;
  const Watch::Clock::duration deadline_;
  Login login_;
  Capabilities can_;
  CK_MECHANISM_TYPE key_wrap_ = 0;
  std::atomic<CK_SLOT_ID> slot_;
  std::optional<Session> login_session_;  // pinned: holds the login while lanes reopen theirs
  Domains domains_;
  KeyCache cache_;

  std::shared_ptr<Queue> symmetric_, asymmetric_;
  size_t symmetric_lanes_ = 0, asymmetric_lanes_ = 0;
  std::atomic<unsigned> vague_ = 0;  // vague faults in a row
  std::atomic<bool> closed_ = false;

  std::mutex mutex_;
  std::condition_variable ended_;
  size_t serving_ = 0;
  std::exception_ptr broken_;  // set when the token came back but the login did not
};

}  // namespace keystead
