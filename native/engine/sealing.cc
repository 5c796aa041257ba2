#include "engine/sealing.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_map>

#include "engine/backing_key.h"
#include "engine/crew.h"
#include "engine/entropy.h"
#include "engine/error.h"
#include "engine/secret.h"

namespace keystead {

namespace {

constexpr size_t kNoncePlace = kHeaderSize;
constexpr uint8_t kFormat = 1;
// What sealing costs on one core: 0.4 to 0.7 µs an item and 0.1 to 0.4 ns a byte, by implementation of
// AES-GCM.
constexpr size_t kBytesOfAnItem = 2048;
constexpr size_t kLittle =
    200 * 1024;  // about 50 to 100 µs: less than waking the crew and waiting for it is worth
constexpr size_t kGrain = 64;

// Where an item's bytes begin.
struct Place {
  size_t in = 0, out = 0, context = 0;
};

// All that the second half of a job needs; shared by the threads that run it, each of which works out its
// items by itself. The caller's numbers are copied: another thread of his may write to them.
struct Plan {
  std::vector<DerivedKey> keys;
  std::vector<uint32_t> lengths;
  std::vector<uint32_t> context_lengths;
  std::vector<uint32_t>
      key_of;                 // sealing: the first item of each key; opening: the key of each item, or kNone
  std::vector<Place> places;  // of each kGrain-th item
  size_t work = 0;            // in bytes
};

[[noreturn]] void misfit() {
  throw EngineError("BATCH_LAYOUT", "the sizes of the batch do not fit its buffers");
}

std::vector<uint32_t> copied(const LentNumbers& numbers) {
  return {numbers.data, numbers.data + numbers.count};
}

// How much longer an item comes out than it goes in.
enum class Way { kSeal, kOpen };

size_t out_size(Way way, size_t in_size) {
  if (way == Way::kSeal) return in_size + kOverhead;
  return in_size > kOverhead ? in_size - kOverhead : 0;
}

// Walks the items of a plan, from the first of a grain on.
class Walk {
 public:
  Walk(const BatchJob& job, const Plan& plan, Way way, size_t from = 0)
      : job_(job), plan_(plan), way_(way), index_(from) {
    if (from) place_ = plan.places[from / kGrain];
  }

  const Place& place() const { return place_; }

  // Input, context and output of the next item.
  BatchItem next() {
    const size_t in_size = plan_.lengths[index_];
    const size_t context_size = plan_.context_lengths[shared() ? 0 : index_];
    const BatchItem item{0,
                         0,
                         job_.input + place_.in,
                         in_size,
                         job_.contexts.data + place_.context,
                         context_size,
                         job_.output + place_.out};
    place_.in += in_size;
    place_.out += out_size(way_, in_size);
    if (!shared()) place_.context += context_size;
    index_++;
    return item;
  }

 private:
  bool shared() const { return plan_.context_lengths.size() == 1; }

  const BatchJob& job_;
  const Plan& plan_;
  const Way way_;
  size_t index_;
  Place place_;
};

// Finds the places, once the sizes have been seen to fit the caller's memory, all of it.
std::shared_ptr<Plan> plan(const BatchJob& job, Way way) {
  auto plan = std::make_shared<Plan>();
  plan->lengths = copied(job.lengths);
  plan->context_lengths = copied(job.context_lengths);
  const size_t count = plan->lengths.size();
  if (plan->context_lengths.size() != 1 && plan->context_lengths.size() != count) misfit();
  uint64_t in = 0, out = 0, context = 0;  // sums of fewer than 2^32 numbers of 32 bits
  for (const uint32_t length : plan->lengths) {
    in += length;
    out += out_size(way, length);
  }
  for (const uint32_t length : plan->context_lengths) context += length;
  if (in != job.input_size || out != job.output_size || context != job.contexts.size) misfit();
  plan->places.reserve(count / kGrain + 1);
  Walk walk(job, *plan, way);
  for (size_t index = 0; index < count; index++) {
    if (index % kGrain == 0) plan->places.push_back(walk.place());
    walk.next();
  }
  const size_t contexts = plan->context_lengths.size() == 1 ? count * context : context;
  plan->work = in + contexts + count * kBytesOfAnItem;
  return plan;
}

// Derives `count` keys, here when one lane is all there is to do it on, and then does `rest`.
bool derive_keys(const Session& session, const Deriving& deriving, const std::shared_ptr<Caller>& caller,
                 size_t count, std::function<void(const Session&, size_t)> derive,
                 std::function<bool()> rest) {
  if (deriving.lanes > 1 && count > 1) {
    do_parts(caller, {count, std::move(derive), std::move(rest)}, deriving.lanes, true, deriving.submit);
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (!Visit(*caller)) return true;  // answered meanwhile: its deadline has passed
    derive(session, i);
  }
  return rest();
}

Secret<32> derived(const Session& session, KeyCache& cache, const std::shared_ptr<const Key>& key,
                   const uint8_t* nonce) {
  return cache.with(session, key, [&](CK_OBJECT_HANDLE handle) { return derive(session, handle, nonce); });
}

// Runs `work` over the plan's items, from a multiple of kGrain each time: here when it is little, else on the
// crew, which then answers.
bool run(const std::shared_ptr<Plan>& plan, const std::shared_ptr<Caller>& caller,
         std::function<void(size_t, size_t)> work) {
  const size_t count = plan->lengths.size();
  auto visited = [caller, count, work = std::move(work)](size_t from, size_t to) {
    Visit visit(*caller);
    if (visit) work(from * kGrain, std::min(count, to * kGrain));
  };
  const size_t grains = (count + kGrain - 1) / kGrain;
  if (plan->work <= kLittle) {
    visited(0, grains);
    return true;
  }
  Crew::instance().run(grains, 1, std::move(visited),
                       [plan, caller](std::exception_ptr error) { caller->answer(error); });
  return false;
}

std::shared_ptr<Plan> plan_seal(const BatchJob& job) {
  auto sealing = plan(job, Way::kSeal);
  if (job.groups.count != job.keys.size()) misfit();
  const size_t count = sealing->lengths.size();
  size_t index = 0;
  for (const uint32_t size : copied(job.groups)) {
    if (size > count - index) misfit();
    sealing->key_of.push_back(static_cast<uint32_t>(index));
    index += size;
  }
  if (index != count) misfit();
  return sealing;
}

void seal_range(const BatchJob& job, const Plan& plan, size_t from, size_t to) {
  if (from == to) return;
  std::vector<BatchItem> items;
  items.reserve(to - from);
  const std::vector<uint32_t>& first = plan.key_of;
  // The last key that begins here or before: those in front of it at the same place have no items.
  size_t key = std::ranges::upper_bound(first, from) - first.begin() - 1;
  Walk walk(job, plan, Way::kSeal, from);
  for (size_t index = from; index < to; index++) {
    while (key + 1 < first.size() && first[key + 1] <= index) key++;
    BatchItem& item = items.emplace_back(walk.next());
    item.key = static_cast<uint32_t>(key);
    item.number = static_cast<uint32_t>(index - first[key]);
  }
  seal_items(plan.keys, items, 0, items.size());
  if (!job.wipe_input) return;
  const size_t begin = items.front().in - job.input;
  wipe(job.input + begin, walk.place().in - begin);
}

struct Opening {
  std::shared_ptr<Plan> plan;
  struct Needed {
    uint32_t group;
    std::array<uint8_t, kNonceSize> nonce;
  };
  std::vector<Needed> needed;  // the derived keys, in their order
};

// Picks the items that can be authentic at all, and finds the distinct derived keys that they need.
Opening plan_open(const BatchJob& job) {
  Opening opening{plan(job, Way::kOpen), {}};
  auto& plan = *opening.plan;
  const size_t count = plan.lengths.size();
  if (job.groups.count != count) misfit();
  plan.key_of = copied(job.groups);
  std::unordered_map<std::string, uint32_t> known;
  Opening::Needed wanted{}, last{};
  uint32_t last_key = BatchJob::kNone;
  Walk walk(job, plan, Way::kOpen);
  for (uint32_t& key : plan.key_of) {
    const BatchItem item = walk.next();
    wanted.group = key;
    if (key != BatchJob::kNone && key >= job.keys.size()) misfit();
    if (key == BatchJob::kNone || item.in_size < kOverhead || item.in[0] != kFormat ||
        memcmp(item.in, job.keys[key]->header.data(), kHeaderSize) != 0) {
      wipe(item.out, out_size(Way::kOpen, item.in_size));
      key = BatchJob::kNone;
      continue;
    }
    memcpy(wanted.nonce.data(), item.in + kNoncePlace, kNonceSize);
    // Most often a batch's items come back together.
    if (last_key == BatchJob::kNone || wanted.group != last.group || wanted.nonce != last.nonce) {
      std::string name(reinterpret_cast<const char*>(&wanted.group), sizeof wanted.group);
      name.append(reinterpret_cast<const char*>(wanted.nonce.data()), kNonceSize);
      auto [place, fresh] = known.try_emplace(std::move(name), static_cast<uint32_t>(opening.needed.size()));
      if (fresh) opening.needed.push_back(wanted);
      last_key = place->second;
      last = wanted;
    }
    key = last_key;
  }
  return opening;
}

void open_range(const BatchJob& job, const Plan& plan, size_t from, size_t to, uint8_t* ok) {
  std::vector<BatchItem> items;
  std::vector<size_t> indices;
  items.reserve(to - from);
  indices.reserve(to - from);
  Walk walk(job, plan, Way::kOpen, from);
  for (size_t index = from; index < to; index++) {
    BatchItem item = walk.next();
    item.key = plan.key_of[index];
    if (item.key == BatchJob::kNone) continue;
    items.push_back(item);
    indices.push_back(index);
  }
  std::vector<uint8_t> opened(items.size());
  open_items(plan.keys, items, 0, items.size(), opened.data());
  for (size_t i = 0; i < opened.size(); i++) ok[indices[i]] = opened[i];
}

}  // namespace

void mixed_random(const Session& session, uint8_t* out, size_t size) {
  std::vector<uint8_t> host(size);
  host_random(host.data(), size);
  session.random(out, size);
  for (size_t i = 0; i < size; i++) out[i] ^= host[i];
  wipe(host.data(), size);
}

bool seal_batch(const Session& session, const Deriving& deriving, const std::shared_ptr<BatchJob>& job,
                const std::shared_ptr<Caller>& caller) {
  std::shared_ptr<Plan> plan;
  {
    Visit visit(*caller);
    if (!visit) return true;
    plan = plan_seal(*job);
  }
  const size_t nonces = job->keys.size() * kNonceSize;
  SecretBytes random(nonces + (job->random_input ? job->input_size : 0));
  mixed_random(session, random.data(), random.size());
  if (job->random_input) {
    Visit visit(*caller);
    if (!visit) return true;
    memcpy(job->input, random.data() + nonces, job->input_size);
  }
  plan->keys.resize(job->keys.size());
  for (size_t group = 0; group < job->keys.size(); group++) {
    memcpy(plan->keys[group].nonce.data(), random.data() + group * kNonceSize, kNonceSize);
    plan->keys[group].header = job->keys[group]->header;
  }
  auto derive = [plan, job, &cache = deriving.cache](const Session& session, size_t group) {
    DerivedKey& key = plan->keys[group];
    key.key = derived(session, cache, job->keys[group], key.nonce.data());
  };
  auto seal = [plan, job, caller] {
    return run(plan, caller, [plan, job](size_t from, size_t to) { seal_range(*job, *plan, from, to); });
  };
  return derive_keys(session, deriving, caller, job->keys.size(), derive, seal);
}

bool open_batch(const Session& session, const Deriving& deriving, const std::shared_ptr<BatchJob>& job,
                const std::shared_ptr<std::vector<uint8_t>>& ok, const std::shared_ptr<Caller>& caller) {
  auto opening = std::make_shared<Opening>();
  {
    Visit visit(*caller);
    if (!visit) return true;
    *opening = plan_open(*job);
  }
  opening->plan->keys.resize(opening->needed.size());
  auto derive = [opening, job, &cache = deriving.cache](const Session& session, size_t i) {
    const Opening::Needed& needed = opening->needed[i];
    opening->plan->keys[i].key = derived(session, cache, job->keys[needed.group], needed.nonce.data());
  };
  auto open = [plan = opening->plan, job, ok, caller] {
    ok->assign(plan->lengths.size(), 0);
    return run(plan, caller,
               [plan, job, ok](size_t from, size_t to) { open_range(*job, *plan, from, to, ok->data()); });
  };
  return derive_keys(session, deriving, caller, opening->needed.size(), derive, open);
}

}  // namespace keystead
