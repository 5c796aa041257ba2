// A template of PKCS#11 attributes that owns its values.
#pragma once

#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "engine/cryptoki.h"

namespace keystead {

class Attributes {
 public:
  Attributes& flag(CK_ATTRIBUTE_TYPE type, bool value) {
    CK_BBOOL byte = value ? CK_TRUE : CK_FALSE;
    return bytes(type, {reinterpret_cast<const char*>(&byte), sizeof byte});
  }
  Attributes& number(CK_ATTRIBUTE_TYPE type, CK_ULONG value) {
    return bytes(type, {reinterpret_cast<const char*>(&value), sizeof value});
  }
  Attributes& bytes(CK_ATTRIBUTE_TYPE type, std::string_view value) {
    std::string& kept = values_.emplace_back(value);
    attributes_.push_back({type, kept.data(), static_cast<CK_ULONG>(kept.size())});
    return *this;
  }

  // The interface of PKCS#11 is not const-correct; no function writes to a template.
  CK_ATTRIBUTE* data() const { return const_cast<CK_ATTRIBUTE*>(attributes_.data()); }
  CK_ULONG size() const { return static_cast<CK_ULONG>(attributes_.size()); }

 private:
  std::vector<CK_ATTRIBUTE> attributes_;
  std::deque<std::string> values_;  // a deque: addresses stay
};

}  // namespace keystead
