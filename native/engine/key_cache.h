// The handles of the keys in use: a bounded LRU cache of session objects, and of token objects, which it
// never destroys.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>

#include "engine/error.h"
#include "engine/key.h"
#include "engine/session.h"

namespace keystead {

class KeyCache {
 public:
  using Make = std::function<CK_OBJECT_HANDLE(const Session&, const Key&)>;

  // At most `limit` objects at a time, made by `make`.
  KeyCache(size_t limit, Make make) : limit_(limit), make_(std::move(make)) {}

 private:
  struct Entry {
    std::shared_ptr<const Key> key;
    CK_OBJECT_HANDLE handle = 0;
    uint64_t owner = 0;       // number of the session whose object it is
    unsigned generation = 0;  // of the module; the handle means nothing in another
    size_t uses = 0;
    bool made = false;
    bool listed = true;  // found by later users; else destroyed after the last use
    bool alive = true;   // ours to destroy: not when the token has lost it, nor what lives on the token
  };
  using Place = std::list<Entry>::iterator;

 public:
  // A use of a handle: it is not destroyed meanwhile. A thread holds at most one at a time, and only inside a
  // Stay.
  class Use {
   public:
    Use(KeyCache& cache, const Session& session, Place place)
        : cache_(cache), session_(session), place_(place) {}
    ~Use() { cache_.release(session_, place_); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    CK_OBJECT_HANDLE handle() const { return place_->handle; }
    // The token does not know the handle any more.
    void lost() { cache_.lose(place_); }

   private:
    KeyCache& cache_;
    const Session& session_;
    Place place_;
  };

  // Makes the handle when there is none; of several that want it at once, one makes it. Throws what `make`
  // throws.
  Use use(const Session& session, const std::shared_ptr<const Key>& key);

  // `work(handle)` in a use of the handle. A handle that the token does not know is made anew by the next
  // use.
  template <class Work>
  auto with(const Session& session, const std::shared_ptr<const Key>& key, Work work) {
    Use handle = use(session, key);
    try {
      return work(handle.handle());
    } catch (const Pkcs11Error& e) {
      if (fault_of(e.rv()) == Fault::kHandle) handle.lost();
      throw;
    }
  }

  // Any thread, never waits for the token: later uses make the handle anew. True when the old one is left for
  // sweep().
  bool forget(const Key& key);
  // Destroys what forget() left.
  void sweep(const Session& session);
  // A session is gone or about to go, and its objects with it. Waits until nobody uses them: a token may not
  // bear to have them destroyed then. False when that takes too long.
  bool lose_session(uint64_t number);

  // While it lives, a key of the token has no handle and uses of it wait: so its objects may be destroyed.
  // Throws EngineError KEY_IN_USE when a use does not end.
  class Exclusion {
   public:
    Exclusion(KeyCache& cache, const std::string& id);
    ~Exclusion();
    Exclusion(const Exclusion&) = delete;
    Exclusion& operator=(const Exclusion&) = delete;

   private:
    KeyCache& cache_;
    const std::string id_;
  };

  size_t open() const;
  size_t limit() const { return limit_; }
  uint64_t hits() const { return hits_; }
  uint64_t misses() const { return misses_; }

 private:
  struct Hash {
    size_t operator()(const Key* key) const { return key->hash; }
  };
  struct Same {
    bool operator()(const Key* a, const Key* b) const { return a == b || a->identity == b->identity; }
  };

  void release(const Session& session, Place place);
  void lose(Place place);
  void unlist(Place place);
  // Takes out one handle that nobody uses, the one used longest ago; false when all are in use.
  bool evict(const Session& session, std::vector<CK_OBJECT_HANDLE>& destroy);
  // With the mutex held: takes out all that match, and waits until nobody uses them.
  template <class Matches>
  bool drain(std::unique_lock<std::mutex>& lock, Matches matches);

  const size_t limit_;
  const Make make_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Entry> entries_;  // the one used last in front
  std::unordered_map<const Key*, Place, Hash, Same> places_;
  std::multiset<std::string> excluded_;  // ids
  std::atomic<uint64_t> hits_ = 0, misses_ = 0;
};

}  // namespace keystead
