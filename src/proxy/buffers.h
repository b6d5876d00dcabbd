// Memory for bytes on their way, kept by the worker for the next one. A connection holds a buffer
// only while bytes are in it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/lifetime.h"

namespace fairlead::proxy {

class Buffers;

// Empty until taken. Gives itself back.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)),
        bytes_(std::move(other.bytes_)),
        size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer() { release(); }

  explicit operator bool() const { return bytes_ != nullptr; }
  [[nodiscard]] std::span<char> span() LIFETIMEBOUND { return {bytes_.get(), size_}; }
  [[nodiscard]] std::string_view first(std::size_t count) const LIFETIMEBOUND {
    return {bytes_.get(), count};
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  void release();

 private:
  friend class Buffers;
  Buffer(Buffers& owner, std::unique_ptr<char[]> bytes, std::size_t size)
      : owner_(&owner), bytes_(std::move(bytes)), size_(size) {}
  Buffers* owner_ = nullptr;
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

class Buffers {
 public:
  static constexpr std::size_t small = std::size_t{16} * 1024;
  static constexpr std::size_t large = std::size_t{256} * 1024;  // for bodies that keep coming

  [[nodiscard]] Buffer take() { return take(small_, small); }
  [[nodiscard]] Buffer take_large() { return take(large_, large); }

 private:
  friend class Buffer;
  using Free = std::vector<std::unique_ptr<char[]>>;
  static constexpr std::size_t most_small = 64;
  static constexpr std::size_t most_large = 8;

  Buffer take(Free& free, std::size_t size) {
    if (free.empty()) return {*this, std::unique_ptr<char[]>(new char[size]), size};
    std::unique_ptr<char[]> bytes = std::move(free.back());
    free.pop_back();
    return {*this, std::move(bytes), size};
  }
  void give(std::unique_ptr<char[]> bytes, std::size_t size) {
    Free& free = size == small ? small_ : large_;
    if (free.size() < (size == small ? most_small : most_large)) free.push_back(std::move(bytes));
  }

  Free small_;
  Free large_;
};

inline void Buffer::release() {
  if (bytes_) owner_->give(std::move(bytes_), size_);
  bytes_.reset();
  size_ = 0;
}

inline Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this == &other) return *this;
  release();
  owner_ = std::exchange(other.owner_, nullptr);
  bytes_ = std::move(other.bytes_);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

}  // namespace fairlead::proxy
