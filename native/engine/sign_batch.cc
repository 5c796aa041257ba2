#include "engine/sign_batch.h"

#include <span>

#include "engine/backing_key.h"
#include "engine/error.h"
#include "engine/hash.h"
#include "engine/signature.h"

namespace keystead {

namespace {

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

}  // namespace

void sign_batch(std::shared_ptr<Caller> caller, std::shared_ptr<const SignBatch> batch,
                std::shared_ptr<Signatures> signatures, KeyCache& cache, size_t lanes, SubmitPart submit) {
  struct Signed {
    std::shared_ptr<const SignBatch> batch;
    std::vector<Item> items;
    std::vector<std::vector<uint8_t>> made;  // each is written by one lane
  };
  auto all = std::make_shared<Signed>(Signed{batch, items_of(*batch), {}});
  all->made.resize(all->items.size());
  auto sign = [all, &cache](const Session& session, size_t index) {
    const Item& item = all->items[index];
    all->made[index] = cache.with(session, item.group->key, [&](CK_OBJECT_HANDLE handle) {
      return sign_with(session, handle, item.material, item.group->signing, item.input);
    });
  };
  auto pack = [all, signatures] {
    for (const auto& signature : all->made) {
      signatures->packed.insert(signatures->packed.end(), signature.begin(), signature.end());
      signatures->lengths.push_back(static_cast<uint32_t>(signature.size()));
    }
    return true;
  };
  do_parts(std::move(caller), {all->items.size(), sign, pack}, lanes, false, std::move(submit));
}

}  // namespace keystead
