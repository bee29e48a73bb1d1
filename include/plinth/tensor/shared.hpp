// SPDX-License-Identifier: MIT
// A pointer to an object that counts its owners. Tensors are copied and destroyed all over; std::shared_ptr would write
// some hundred bytes of code at each of these places, and four functions for each type of object.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace plinth::detail {

/// The base of what Shared points to.
class Counted {
 public:
  Counted() = default;
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  template <class T>
  friend class Shared;
  std::atomic<std::uint32_t> owners_ = 0;
};

/// One of the owners of a T, or null. The last one deletes it. As safe between threads as std::shared_ptr: different
/// owners of one object may be copied and destroyed at the same time.
template <class T>
class Shared {
 public:
  Shared() = default;
  Shared(std::nullptr_t) {}
  /// An owner more of an object made by new.
  explicit Shared(T* object) : object_(object) {
    if (object_) object_->owners_.fetch_add(1, std::memory_order_relaxed);
  }
  Shared(const Shared& other) : Shared(other.object_) {}
  Shared(Shared&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <class U>
    requires(std::derived_from<U, T> && !std::same_as<U, T>)
  Shared(const Shared<U>& other) : Shared(other.get()) {}
  Shared& operator=(Shared other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Shared() {
    if (object_ && object_->owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(object_);
  }

  T* get() const { return object_; }
  T& operator*() const { return *object_; }
  T* operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }
  /// Whether nobody else owns the object. The pointer is not null.
  bool sole_owner() const { return object_->owners_.load(std::memory_order_acquire) == 1; }

 private:
  [[gnu::noinline]] static void destroy(T* object) { delete object; }

  T* object_ = nullptr;
};

}  // namespace plinth::detail
