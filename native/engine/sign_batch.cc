#include "engine/sign_batch.h"

#include <algorithm>
#include <atomic>
#include <span>

#include "engine/backing_key.h"
#include "engine/error.h"
#include "engine/hash.h"
#include "engine/signature.h"

namespace keystead {

namespace {

constexpr size_t kMostInAPart = 16;

struct Item {
  const SignBatch::Group* group;
  Material material;
  std::span<const uint8_t> input;
};

[[noreturn]] void misfit() {
  throw EngineError("BATCH_LAYOUT", "the sizes of the batch do not fit its buffers");
}

std::vector<Item> items_of(const SignBatch& batch) {
  std::vector<Item> items;
  items.reserve(batch.lengths.size());
  std::span<const uint8_t> rest = batch.input;
  for (const SignBatch::Group& group : batch.groups) {
    if (group.count > batch.lengths.size() - items.size()) misfit();
    Material material = require_type(*group.key, signer_type(group.signing.scheme));
    for (uint32_t i = 0; i < group.count; i++) {
      size_t size = batch.lengths[items.size()];
      if (size > rest.size()) misfit();
      require_digest_size(group.signing, rest.first(size));
      items.push_back({&group, material, rest.first(size)});
      rest = rest.subspan(size);
    }
  }
  if (items.size() != batch.lengths.size()) misfit();
  return items;
}

class Run : public std::enable_shared_from_this<Run> {
 public:
  Run(std::shared_ptr<Caller> caller, std::shared_ptr<const SignBatch> batch,
      std::shared_ptr<Signatures> signatures, KeyCache& cache, SubmitPart submit)
      : caller_(std::move(caller)),
        batch_(std::move(batch)),
        signatures_(std::move(signatures)),
        cache_(cache),
        submit_(std::move(submit)),
        items_(items_of(*batch_)),
        made_(items_.size()),
        left_(items_.size()) {}

  void start(size_t lanes) {
    if (items_.empty()) return caller_->answer(nullptr);
    grain_ = std::clamp<size_t>(items_.size() / lanes, 1, kMostInAPart);
    for (size_t lane = 0; lane < lanes; lane++) next();
  }

 private:
  // Answered when its items are signed, or cannot be.
  struct Part : Caller {
    Part(std::shared_ptr<Run> run, size_t from, size_t to) : run(std::move(run)), from(from), to(to) {}
    bool enter() override { return run->caller_->enter(); }
    void leave() override { run->caller_->leave(); }
    void answer(std::exception_ptr error) override {
      if (!answered.exchange(true)) run->settle(to - from, error);
    }
    std::shared_ptr<Run> run;
    const size_t from, to;
    size_t at = from;  // where the next try begins
    std::atomic<bool> answered = false;
  };

  void next() {
    size_t from = next_.fetch_add(grain_);
    if (from >= items_.size() || failed_) return;
    auto part = std::make_shared<Part>(shared_from_this(), from, std::min(from + grain_, items_.size()));
    submit_(
        part,
        [this, part = part.get()](const Session& session) {  // both live as long as the task
          for (; part->at < part->to && !failed_; part->at++) sign(session, part->at);
          return true;
        },
        from > 0);
  }

  void sign(const Session& session, size_t index) {
    const Item& item = items_[index];
    made_[index] = cache_.with(session, item.group->key, [&](CK_OBJECT_HANDLE handle) {
      return sign_with(session, handle, item.material, item.group->signing, item.input);
    });
  }

  void settle(size_t count, std::exception_ptr error) {
    if (error) {
      failed_ = true;
      return caller_->answer(error);
    }
    if ((left_ -= count) > 0) return next();
    for (const auto& signature : made_) {
      signatures_->packed.insert(signatures_->packed.end(), signature.begin(), signature.end());
      signatures_->lengths.push_back(static_cast<uint32_t>(signature.size()));
    }
    caller_->answer(nullptr);
  }

  const std::shared_ptr<Caller> caller_;
  const std::shared_ptr<const SignBatch> batch_;
  const std::shared_ptr<Signatures> signatures_;
  KeyCache& cache_;
  const SubmitPart submit_;
  const std::vector<Item> items_;
  std::vector<std::vector<uint8_t>> made_;  // each is written by one part
  size_t grain_ = 1;
  std::atomic<size_t> next_ = 0, left_;
  std::atomic<bool> failed_ = false;
};

}  // namespace

void sign_batch(std::shared_ptr<Caller> caller, std::shared_ptr<const SignBatch> batch,
                std::shared_ptr<Signatures> signatures, KeyCache& cache, size_t lanes, SubmitPart submit) {
  std::make_shared<Run>(std::move(caller), std::move(batch), std::move(signatures), cache, std::move(submit))
      ->start(lanes);
}

}  // namespace keystead
