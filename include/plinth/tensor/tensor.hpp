// SPDX-License-Identifier: MIT
// Tensor<T, Device>: a strided array in a device's memory. Storage and metadata only; whatever computes is an op.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <plinth/tensor/element.hpp>
#include <plinth/tensor/memory.hpp>
#include <plinth/tensor/shape.hpp>
#include <plinth/tensor/shared.hpp>

namespace plinth {

namespace detail {

/// Memory shared by the tensors that view it. `version` counts the times it was opened for writing.
template <class D>
struct Storage : Counted {
  explicit Storage(std::size_t size) : data(memory<D>::allocate(size)), bytes(size ? size : 1) {}
  Storage(void* users_memory, std::shared_ptr<const void> keep) : data(users_memory), keep_alive(std::move(keep)) {}
  ~Storage() {
    if (bytes) memory<D>::release(data, bytes);
  }

  void* data;
  std::size_t bytes = 0;  // 0: the user's memory
  std::shared_ptr<const void> keep_alive;
  std::uint64_t version = 0;
};

/// What a tensor was computed by; only autograd looks inside.
struct History : Counted {
  virtual ~History() = default;
};

struct TensorAccess;

}  // namespace detail

/// A strided array of T in the memory of device D. Copying shares the storage, as in PyTorch; plinth::clone copies it.
/// A default-constructed tensor is undefined: it has no storage and may only be assigned to.
template <Element T, class D = Cpu>
class Tensor {
 public:
  using element = T;
  using device = D;

  Tensor() = default;

  /// Uninitialised memory of a shape. Throws ShapeError, MemoryError.
  explicit Tensor(const Shape& shape)
      : storage_(new detail::Storage<D>(static_cast<std::size_t>(element_count(shape)) * sizeof(T))),
        shape_(shape),
        strides_(contiguous_strides(shape)) {}

  /// A copy of `values` in row-major order. Throws ShapeError when their number is not that of the shape.
  Tensor(const Shape& shape, std::span<const T> values) : Tensor(shape) {
    detail::require<ShapeError>(element_count(shape) == static_cast<std::int64_t>(values.size()), "tensor of shape ",
                                shape, " cannot hold ", values.size(), " values");
    memory<D>::copy_from_host(storage_->data, values.data(), values.size_bytes());
  }
  /// The same of values in braces: Tensor<float>({2, 2}, {1, 2, 3, 4}).
  Tensor(const Shape& shape, std::initializer_list<T> values)
      : Tensor(shape, std::span(values.begin(), values.size())) {}

  /// The caller's memory, not copied: element (i, j, ...) is pointer[i * strides[0] + j * strides[1] + ...].
  /// keep_alive is held as long as a tensor views the memory; it may be empty when the caller sees to that.
  /// Throws ShapeError when shape and strides differ in rank, ArgumentError for a null pointer.  PyTorch: from_blob.
  static Tensor view_of(T* pointer, const Shape& shape, const Shape& strides,
                        std::shared_ptr<const void> keep_alive = nullptr) {
    detail::require<ShapeError>(shape.rank() == strides.rank(), "view_of: shape ", shape, " and strides ", strides,
                                " differ in rank");
    detail::require<ArgumentError>(element_count(shape) == 0 || pointer, "view_of: null pointer for shape ", shape);
    Tensor result;
    result.storage_ = detail::Shared(new detail::Storage<D>(pointer, std::move(keep_alive)));
    result.shape_ = shape;
    result.strides_ = strides;
    return result;
  }

  /// Whether there is a storage.
  bool defined() const { return storage_.get() != nullptr; }
  /// The size of each axis.
  const Shape& shape() const { return shape_; }
  /// How many elements further each axis has its next one; 0 where it repeats itself.
  const Shape& strides() const { return strides_; }
  /// The number of axes; 0: a single number.
  int rank() const { return shape_.rank(); }
  /// Size of axis i; negative counts from the end. Throws ShapeError when there is no such axis.
  std::int64_t size(int i) const {
    detail::require<ShapeError>(i >= -rank() && i < rank(), "size: axis ", i, " of shape ", shape_);
    return shape_[i];
  }
  /// The number of elements, the product of all sizes.
  std::int64_t count() const { return element_count(shape_); }

  /// Whether elements lie densely in row-major order.
  bool contiguous() const {
    std::int64_t step = 1;
    for (int i = rank() - 1; i >= 0; --i) {
      if (shape_[i] != 1 && strides_[i] != step) return false;
      step *= std::max<std::int64_t>(shape_[i], 1);
    }
    return true;
  }

  /// The first element, in the memory of the device, or null when undefined; the others lie where strides() says.
  const T* data() const { return storage_ ? static_cast<const T*>(storage_->data) + offset_ : nullptr; }
  /// The memory for writing. Bumps the version: a backward that saved this storage earlier will throw.
  T* mutable_data() {
    if (!storage_) return nullptr;
    ++storage_->version;
    return static_cast<T*>(storage_->data) + offset_;
  }
  /// How often mutable_data was asked for this storage; 0 when undefined.
  std::uint64_t version() const { return storage_ ? storage_->version : 0; }

  /// The elements in row-major order, in the program's memory. Waits for the device. Throws ArgumentError when the
  /// tensor is undefined, as a gradient is that nothing has reached.
  std::vector<T> to_vector() const {
    detail::require<ArgumentError>(defined(), "to_vector: the tensor is undefined");
    std::vector<T> result(static_cast<std::size_t>(count()));
    if (result.empty()) return result;
    if (contiguous()) {
      memory<D>::copy_to_host(result.data(), data(), result.size() * sizeof(T));
      return result;
    }
    std::int64_t low = 0, high = 0;  // reach of the strides
    for (int i = 0; i < rank(); ++i) (strides_[i] < 0 ? low : high) += strides_[i] * (shape_[i] - 1);
    std::vector<T> reach(static_cast<std::size_t>(high - low + 1));
    memory<D>::copy_to_host(reach.data(), data() + low, reach.size() * sizeof(T));
    Shape index = shape_;
    for (int i = 0; i < rank(); ++i) index[i] = 0;
    for (T& value : result) {
      std::int64_t position = -low;
      for (int i = 0; i < rank(); ++i) position += index[i] * strides_[i];
      value = reach[static_cast<std::size_t>(position)];
      for (int i = rank() - 1; i >= 0 && ++index[i] == shape_[i]; --i) index[i] = 0;
    }
    return result;
  }

  /// The value of a tensor with one element. Waits for the device. Throws ShapeError.
  T item() const {
    detail::require<ShapeError>(defined() && count() == 1, "item: shape ", shape_, " has not one element");
    return to_vector().front();
  }

 private:
  friend struct detail::TensorAccess;

  detail::Shared<detail::Storage<D>> storage_;
  Shape shape_, strides_;
  std::int64_t offset_ = 0;
  detail::Shared<detail::History> history_;
};

namespace detail {

/// What ops and the tape, but not users, may do with a tensor's inside.
struct TensorAccess {
  /// The same storage under another shape, `offset` elements further on, without its history.
  template <class T, class D>
  static Tensor<T, D> view(const Tensor<T, D>& x, const Shape& shape, const Shape& strides, std::int64_t offset = 0) {
    Tensor<T, D> result;
    result.storage_ = x.storage_;
    result.shape_ = shape;
    result.strides_ = strides;
    result.offset_ = x.offset_ + offset;
    return result;
  }
  template <class T, class D>
  static Tensor<T, D> without_history(const Tensor<T, D>& x) {
    Tensor<T, D> result = x;
    result.history_ = nullptr;
    return result;
  }
  template <class T, class D>
  static Shared<History>& history(Tensor<T, D>& x) {
    return x.history_;
  }
  template <class T, class D>
  static const Shared<History>& history(const Tensor<T, D>& x) {
    return x.history_;
  }
  /// Whether no other tensor sees this memory.
  template <class T, class D>
  static bool sole_owner(const Tensor<T, D>& x) {
    return x.storage_.sole_owner() && x.storage_->bytes > 0;
  }
};

}  // namespace detail
}  // namespace plinth
