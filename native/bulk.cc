#include "bulk.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <string>

#include "engine/crew.h"
#include "engine/error.h"
#include "engine/frames.h"
#include "engine/gcm.h"
#include "engine/heads.h"
#include "engine/pages.h"
#include "engine/records.h"
#include "job.h"

namespace keystead {
namespace {

// A range of frames holds at least as many plaintext bytes: enough to be worth a change of hands.
constexpr size_t kRangeBytes = 64 * 1024;

// One FrameJob of JavaScript's under way.
struct FrameWork {
  FrameRun run;
  std::shared_ptr<Job> job;
  std::atomic<bool> authentic{true};

  void answer_opened(std::exception_ptr error) {
    const bool good = authentic && !error;
    if (Visit visit(*job); visit && !good) wipe(run.out, run.out_size);
    job->result([good](Napi::Env env) { return Napi::Boolean::New(env, good); });
    job->answer(error);
  }
};

void copy(const Napi::Object& options, const char* name, uint8_t* to, size_t size) {
  const auto bytes = options.Get(name).As<Napi::Uint8Array>();
  if (bytes.ByteLength() != size) {
    throw EngineError("FRAME_LAYOUT", std::string(name) + " has " + std::to_string(size) + " bytes, not " +
                                          std::to_string(bytes.ByteLength()));
  }
  std::memcpy(to, bytes.Data(), size);
}

std::shared_ptr<FrameWork> frame_work(const Napi::CallbackInfo& info) {
  const auto options = info[0].As<Napi::Object>();
  auto work = std::make_shared<FrameWork>();
  work->job = Job::make(info.Env());
  FrameRun& run = work->run;
  const auto in = options.Get("input").As<Napi::Uint8Array>();
  const auto out = options.Get("output").As<Napi::Uint8Array>();
  run.in = work->job->pin(in);
  run.in_size = in.ByteLength();
  run.out = work->job->pin(out);
  run.out_size = out.ByteLength();
  // The whole buffer, not this run's part of it, so that all its runs give the same advice.
  advise_huge_pages(out.ArrayBuffer().Data(), out.ArrayBuffer().ByteLength());
  run.frame_length = options.Get("frameLength").As<Napi::Number>().Uint32Value();
  run.first_sequence = options.Get("firstSequence").As<Napi::Number>().Uint32Value();
  run.final = options.Get("final").As<Napi::Boolean>().Value();
  return work;
}

// Reads the rest of the options and starts; what they have wrong rejects the promise.
template <typename Start>
Napi::Value start(const Napi::CallbackInfo& info, const Start& start) {
  const auto work = frame_work(info);
  try {
    const auto options = info[0].As<Napi::Object>();
    copy(options, "key", work->run.key.data(), work->run.key.size());
    copy(options, "messageId", work->run.message_id.data(), work->run.message_id.size());
    start(work, std::max(size_t{1}, kRangeBytes / std::max(1U, work->run.frame_length)));
  } catch (...) {
    work->job->answer(std::current_exception());
  }
  return work->job->promise(info.Env());
}

Napi::Value seal(const Napi::CallbackInfo& info) {
  return start(info, [](const std::shared_ptr<FrameWork>& work, size_t grain) {
    Crew::instance().run(
        frames_to_seal(work->run), grain,
        [work](size_t from, size_t to) {
          if (Visit visit(*work->job); visit) seal_frames(work->run, from, to);
        },
        [work](std::exception_ptr error) { work->job->answer(error); });
  });
}

Napi::Value open(const Napi::CallbackInfo& info) {
  return start(info, [](const std::shared_ptr<FrameWork>& work, size_t grain) {
    Crew::instance().run(
        frames_to_open(work->run), grain,
        [work](size_t from, size_t to) {
          Visit visit(*work->job);
          if (!visit || !work->authentic) return;
          if (!open_frames(work->run, from, to)) work->authentic = false;
        },
        [work](std::exception_ptr error) { work->answer_opened(error); });
  });
}

// Enough records for a range to be worth a change of hands.
constexpr size_t kRangeRecords = 32;

struct RecordWork {
  Records records;
  std::vector<uint8_t> authentic;
  std::shared_ptr<Job> job;
};

using LayOut = void (*)(Records&, std::span<const uint32_t>, size_t, size_t);
using Pass = void (*)(const Records&, size_t, size_t);

template <typename Answer>
Napi::Value start_records(const Napi::CallbackInfo& info, LayOut lay_out, Pass pass, const Answer& answer) {
  const auto options = info[0].As<Napi::Object>();
  const auto work = std::make_shared<RecordWork>();
  work->job = Job::make(info.Env());
  Records& records = work->records;
  const auto in = options.Get("input").As<Napi::Uint8Array>();
  const auto out = options.Get("output").As<Napi::Uint8Array>();
  records.in = work->job->pin(in);
  records.out = work->job->pin(out);
  advise_huge_pages(out.ArrayBuffer().Data(), out.ArrayBuffer().ByteLength());
  const auto lengths = options.Get("lengths").As<Napi::Uint32Array>();
  const auto tail = options.Get("headerTail").As<Napi::Uint8Array>();
  records.frame_length = options.Get("frameLength").As<Napi::Number>().Uint32Value();
  records.tail.assign(tail.Data(), tail.Data() + tail.ByteLength());
  try {
    copy(options, "dataKey", records.data_key.data(), records.data_key.size());
    lay_out(records, {lengths.Data(), lengths.ElementLength()}, in.ByteLength(), out.ByteLength());
    work->authentic.resize(records.count());
    records.authentic = work->authentic.data();
    Crew::instance().run(
        records.count(), kRangeRecords,
        [work, pass](size_t from, size_t to) {
          if (Visit visit(*work->job); visit) pass(work->records, from, to);
        },
        [work, answer](std::exception_ptr error) {
          answer(work);
          work->job->answer(error);
        });
  } catch (...) {
    work->job->answer(std::current_exception());
  }
  return work->job->promise(info.Env());
}

Napi::Value seal_all(const Napi::CallbackInfo& info) {
  return start_records(info, lay_out_plaintexts, seal_records, [](const std::shared_ptr<RecordWork>&) {});
}

Napi::Value open_all(const Napi::CallbackInfo& info) {
  return start_records(info, lay_out_messages, open_records, [](const std::shared_ptr<RecordWork>& work) {
    work->job->result([work](Napi::Env env) {
      auto authentic = Napi::Uint8Array::New(env, work->authentic.size());
      std::copy(work->authentic.begin(), work->authentic.end(), authentic.Data());
      return authentic;
    });
  });
}

Napi::Value group(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto in = info[0].As<Napi::Uint8Array>();
  const auto lengths = info[1].As<Napi::Uint32Array>();
  try {
    const Heads found =
        group_by_head({in.Data(), in.ByteLength()}, {lengths.Data(), lengths.ElementLength()});
    auto heads = Napi::Uint32Array::New(env, found.of.size());
    std::copy(found.of.begin(), found.of.end(), heads.Data());
    auto firsts = Napi::Uint32Array::New(env, 2 * found.firsts.size());
    for (size_t i = 0; i < found.firsts.size(); i++) {
      firsts[2 * i] = static_cast<uint32_t>(found.firsts[i].at);
      firsts[2 * i + 1] = static_cast<uint32_t>(found.firsts[i].size);
    }
    const auto result = Napi::Object::New(env);
    result.Set("heads", heads);
    result.Set("firsts", firsts);
    return result;
  } catch (const EngineError&) {
    throw Napi::Error(env, error_value(env, std::current_exception()));
  }
}

Napi::Value crew(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    const auto gcms = Napi::Array::New(env);
    for (const std::string& name : gcm_names()) gcms.Set(gcms.Length(), name);
    const auto crew = Napi::Object::New(env);
    crew.Set("threads", static_cast<double>(Crew::instance().threads()));
    crew.Set("gcm", gcm_in_use());
    crew.Set("gcms", gcms);
    return crew;
  } catch (const EngineError&) {
    throw Napi::Error(env, error_value(env, std::current_exception()));
  }
}

void force_gcm(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    use_gcm(info[0].As<Napi::String>());
  } catch (const EngineError&) {
    throw Napi::Error(env, error_value(env, std::current_exception()));
  }
}

}  // namespace

void InitBulk(Napi::Env env, Napi::Object exports) {
  exports.Set("sealFrames", Napi::Function::New(env, seal, "sealFrames"));
  exports.Set("openFrames", Napi::Function::New(env, open, "openFrames"));
  exports.Set("sealRecords", Napi::Function::New(env, seal_all, "sealRecords"));
  exports.Set("openRecords", Napi::Function::New(env, open_all, "openRecords"));
  exports.Set("groupByHead", Napi::Function::New(env, group, "groupByHead"));
  exports.Set("crew", Napi::Function::New(env, crew, "crew"));
  exports.Set("useGcm", Napi::Function::New(env, force_gcm, "useGcm"));
}

}  // namespace keystead
