#include "engine/key_cache.h"

#include <algorithm>
#include <chrono>

namespace keystead {

namespace {

constexpr auto kPatience = std::chrono::seconds(1);

void destroy_all(const Session& session, const std::vector<CK_OBJECT_HANDLE>& handles) {
  // A handle that cannot be destroyed any more is gone already.
  for (CK_OBJECT_HANDLE handle : handles) {
    session.module().functions().C_DestroyObject(session.handle(), handle);
  }
}

}  // namespace

KeyCache::Use KeyCache::use(const Session& session, const std::shared_ptr<const Key>& key) {
  std::vector<CK_OBJECT_HANDLE> destroy;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (key->on_token() && excluded_.contains(key->id)) {
      changed_.wait(lock);
    } else if (auto found = places_.find(key.get()); found != places_.end()) {
      Place place = found->second;
      if (!place->made) {
        changed_.wait(lock);
      } else if (place->generation != session.generation()) {
        place->alive = false;
        unlist(place);
      } else {
        entries_.splice(entries_.begin(), entries_, place);
        place->uses++;
        hits_++;
        return Use(*this, session, place);
      }
    } else if (entries_.size() >= limit_) {
      if (!evict(session, destroy)) changed_.wait(lock);
    } else {
      break;
    }
  }
  misses_++;
  entries_.push_front({.key = key,
                       .owner = session.number(),
                       .generation = session.generation(),
                       .uses = 1,
                       .alive = !key->on_token()});
  Place place = entries_.begin();
  places_.emplace(key.get(), place);
  lock.unlock();

  CK_OBJECT_HANDLE handle = 0;
  try {
    destroy_all(session, destroy);
    handle = make_(session, *key);
  } catch (...) {
    lock.lock();
    place->uses = 0;
    place->alive = false;
    unlist(place);
    throw;
  }
  lock.lock();
  place->handle = handle;
  place->made = true;
  changed_.notify_all();
  return Use(*this, session, place);
}

bool KeyCache::evict(const Session& session, std::vector<CK_OBJECT_HANDLE>& destroy) {
  for (Place place = entries_.end(); place != entries_.begin();) {
    --place;
    if (place->uses > 0) continue;
    if (place->alive && place->generation == session.generation()) destroy.push_back(place->handle);
    place->alive = false;
    unlist(place);
    return true;
  }
  return false;
}

// Nobody finds it any more; it goes at once unless somebody uses it or it is left for sweep().
void KeyCache::unlist(Place place) {
  if (place->listed) places_.erase(place->key.get());
  place->listed = false;
  if (place->uses == 0 && !place->alive) entries_.erase(place);
  changed_.notify_all();
}

void KeyCache::release(const Session& session, Place place) {
  std::vector<CK_OBJECT_HANDLE> destroy;
  {
    std::lock_guard lock(mutex_);
    place->uses--;
    if (place->uses == 0 && !place->listed) {
      if (place->alive && place->generation == session.generation()) destroy.push_back(place->handle);
      entries_.erase(place);
    }
    changed_.notify_all();
  }
  destroy_all(session, destroy);
}

void KeyCache::lose(Place place) {
  std::lock_guard lock(mutex_);
  place->alive = false;
  unlist(place);
}

bool KeyCache::forget(const Key& key) {
  std::lock_guard lock(mutex_);
  auto found = places_.find(&key);
  if (found == places_.end()) return false;
  bool in_use = found->second->uses > 0;
  unlist(found->second);
  return !in_use;
}

void KeyCache::sweep(const Session& session) {
  std::vector<CK_OBJECT_HANDLE> destroy;
  {
    std::lock_guard lock(mutex_);
    for (Place place = entries_.begin(); place != entries_.end();) {
      Place next = std::next(place);
      if (!place->listed && place->uses == 0) {
        if (place->alive && place->generation == session.generation()) destroy.push_back(place->handle);
        entries_.erase(place);
      }
      place = next;
    }
    changed_.notify_all();
  }
  destroy_all(session, destroy);
}

template <class Matches>
bool KeyCache::drain(std::unique_lock<std::mutex>& lock, Matches matches) {
  for (Place place = entries_.begin(); place != entries_.end();) {
    Place next = std::next(place);
    if (place->made && matches(*place)) {
      place->alive = false;
      unlist(place);
    }
    place = next;
  }
  return changed_.wait_for(lock, kPatience, [&] {
    return std::none_of(entries_.begin(), entries_.end(),
                        [&](const Entry& entry) { return entry.uses > 0 && matches(entry); });
  });
}

bool KeyCache::lose_session(uint64_t number) {
  std::unique_lock lock(mutex_);
  return drain(lock, [&](const Entry& entry) { return entry.owner == number; });
}

KeyCache::Exclusion::Exclusion(KeyCache& cache, const std::string& id) : cache_(cache), id_(id) {
  std::unique_lock lock(cache.mutex_);
  cache.excluded_.insert(id);
  if (cache.drain(lock, [&](const Entry& entry) { return entry.key->id == id; })) return;
  cache.excluded_.erase(cache.excluded_.find(id));
  cache.changed_.notify_all();
  throw EngineError("KEY_IN_USE", "the key labelled \"" + id + "\" is in use in a call that takes long");
}

KeyCache::Exclusion::~Exclusion() {
  std::lock_guard lock(cache_.mutex_);
  cache_.excluded_.erase(cache_.excluded_.find(id_));
  cache_.changed_.notify_all();
}

size_t KeyCache::open() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace keystead
