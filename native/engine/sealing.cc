#include "engine/sealing.h"

#include <cstring>
#include <string>
#include <unordered_map>

#include "engine/backing_key.h"
#include "engine/crew.h"
#include "engine/entropy.h"
#include "engine/error.h"

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

// All that the second half of a job needs; shared by the threads that run it.
struct Plan {
  std::vector<DerivedKey> keys;
  std::vector<BatchItem> items;
  std::vector<uint32_t> places;  // opening: which item of the job each is
  size_t work = 0;               // in bytes
};

[[noreturn]] void misfit() {
  throw EngineError("BATCH_LAYOUT", "the sizes of the batch do not fit its buffers");
}

// Walks the items, reading each length once: another thread of the caller's may write to them.
class Walk {
 public:
  explicit Walk(const BatchJob& job) : job_(job) {
    if (job.context_lengths.count != 1 && job.context_lengths.count != job.lengths.count) misfit();
  }

  // The item's input, context and output; `out_size` tells the output's size from the input's.
  template <class OutSize>
  BatchItem next(size_t index, OutSize out_size) {
    BatchItem item{};
    item.in_size = job_.lengths.data[index];
    if (item.in_size > job_.input_size - in_) misfit();
    item.in = job_.input + in_;
    in_ += item.in_size;
    if (index == 0 || job_.context_lengths.count > 1) {
      context_ += context_size_;
      context_size_ = job_.context_lengths.data[index];
      if (context_size_ > job_.contexts.size - context_) misfit();
    }
    item.context = job_.contexts.data + context_;
    item.context_size = context_size_;
    size_t size = out_size(item.in_size);
    if (size > job_.output_size - out_) misfit();
    item.out = job_.output + out_;
    out_ += size;
    return item;
  }

 private:
  const BatchJob& job_;
  size_t in_ = 0, out_ = 0, context_ = 0, context_size_ = 0;
};

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

// Runs `work` over the plan's items here when it is little, else on the crew, which then runs `finish` and
// answers.
bool run(const std::shared_ptr<Plan>& plan, const std::shared_ptr<Caller>& caller,
         std::function<void(size_t, size_t)> work, std::function<void()> finish) {
  auto visited = [caller, work = std::move(work)](size_t from, size_t to) {
    Visit visit(*caller);
    if (visit) work(from, to);
  };
  auto finished = [caller, finish = std::move(finish)] {
    Visit visit(*caller);
    if (visit) finish();
  };
  if (plan->work <= kLittle) {
    visited(0, plan->items.size());
    finished();
    return true;
  }
  Crew::instance().run(plan->items.size(), kGrain, std::move(visited),
                       [plan, caller, finished = std::move(finished)](std::exception_ptr error) {
                         finished();
                         caller->answer(error);
                       });
  return false;
}

std::shared_ptr<Plan> plan_seal(const BatchJob& job) {
  auto plan = std::make_shared<Plan>();
  size_t count = job.lengths.count;
  if (job.groups.count != job.keys.size()) misfit();
  plan->items.reserve(count);
  Walk walk(job);
  size_t index = 0;
  for (uint32_t group = 0; group < job.groups.count; group++) {
    uint32_t size = job.groups.data[group];
    if (size > count - index) misfit();
    for (uint32_t number = 0; number < size; number++, index++) {
      BatchItem item = walk.next(index, [](size_t in) { return in + kOverhead; });
      item.key = group;
      item.number = number;
      plan->work += item.in_size + item.context_size + kBytesOfAnItem;
      plan->items.push_back(item);
    }
  }
  if (index != count) misfit();
  return plan;
}

struct Opening {
  std::shared_ptr<Plan> plan = std::make_shared<Plan>();
  struct Needed {
    uint32_t group;
    std::array<uint8_t, kNonceSize> nonce;
  };
  std::vector<Needed> needed;  // the derived keys, in their order
};

// Picks the items that can be authentic at all, and finds the distinct derived keys that they need.
Opening plan_open(const BatchJob& job) {
  Opening opening;
  auto& plan = *opening.plan;
  size_t count = job.lengths.count;
  if (job.groups.count != count) misfit();
  plan.items.reserve(count);
  plan.places.reserve(count);
  std::unordered_map<std::string, uint32_t> known;
  std::string wanted, last;
  uint32_t last_key = 0;
  Walk walk(job);
  for (size_t index = 0; index < count; index++) {
    BatchItem item = walk.next(index, [](size_t in) { return in > kOverhead ? in - kOverhead : 0; });
    uint32_t group = job.groups.data[index];
    if (group != BatchJob::kNone && group >= job.keys.size()) misfit();
    size_t out_size = item.in_size > kOverhead ? item.in_size - kOverhead : 0;
    if (group == BatchJob::kNone || item.in_size < kOverhead || item.in[0] != kFormat ||
        memcmp(item.in, job.keys[group]->header.data(), kHeaderSize) != 0) {
      wipe(item.out, out_size);
      continue;
    }
    const uint8_t* nonce = item.in + kNoncePlace;
    wanted.assign(reinterpret_cast<const char*>(&group), sizeof group);
    wanted.append(reinterpret_cast<const char*>(nonce), kNonceSize);
    if (wanted != last) {  // most often a batch's items come back together
      auto [place, fresh] = known.try_emplace(wanted, static_cast<uint32_t>(opening.needed.size()));
      if (fresh) {
        auto& need = opening.needed.emplace_back();
        need.group = group;
        memcpy(need.nonce.data(), wanted.data() + sizeof group, kNonceSize);
      }
      last_key = place->second;
      last = wanted;
    }
    item.key = last_key;
    plan.work += item.in_size + item.context_size + kBytesOfAnItem;
    plan.items.push_back(item);
    plan.places.push_back(static_cast<uint32_t>(index));
  }
  return opening;
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
  std::vector<uint8_t> nonces(job->keys.size() * kNonceSize);
  mixed_random(session, nonces.data(), nonces.size());
  plan->keys.resize(job->keys.size());
  for (size_t group = 0; group < job->keys.size(); group++) {
    memcpy(plan->keys[group].nonce.data(), &nonces[group * kNonceSize], kNonceSize);
    plan->keys[group].header = job->keys[group]->header;
  }
  auto derive = [plan, job, &cache = deriving.cache](const Session& session, size_t group) {
    DerivedKey& key = plan->keys[group];
    key.key = derived(session, cache, job->keys[group], key.nonce.data());
  };
  auto seal = [plan, job, caller] {
    return run(
        plan, caller,
        [plan, job](size_t from, size_t to) {
          seal_items(plan->keys, plan->items, from, to);
          if (!job->wipe_input || from == to) return;
          const BatchItem &first = plan->items[from], &last = plan->items[to - 1];
          wipe(job->input + (first.in - job->input), last.in + last.in_size - first.in);
        },
        [] {});
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
    ok->assign(job->lengths.count, 0);
    auto opened = std::make_shared<std::vector<uint8_t>>(plan->items.size());
    return run(
        plan, caller,
        [plan, opened](size_t from, size_t to) {
          open_items(plan->keys, plan->items, from, to, opened->data());
        },
        [plan, opened, ok] {
          for (size_t i = 0; i < opened->size(); i++) (*ok)[plan->places[i]] = (*opened)[i];
        });
  };
  return derive_keys(session, deriving, caller, opening->needed.size(), derive, open);
}

}  // namespace keystead
