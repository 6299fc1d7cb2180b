// A CUDA device whose memory is host memory and whose kernels are those of the CPU, for a torch built without CUDA.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/resize_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <mutex>
#include <set>

using namespace at;

namespace {

const Device DEVICE(DeviceType::CUDA, 0);

// Allocators: device memory, and pinned memory, whose addresses are remembered for `is_pinned`.
std::mutex pinned_lock;
std::set<void*> pinned;

void free_pinned(void* address) {
  std::lock_guard<std::mutex> held(pinned_lock);
  pinned.erase(address);
  c10::free_cpu(address);
}

struct Memory final : Allocator {
  explicit Memory(bool is_pinned) : is_pinned_(is_pinned) {}
  DataPtr allocate(size_t size) override {
    void* address = c10::alloc_cpu(size);
    if (!is_pinned_ || !address) return {address, address, &c10::free_cpu, is_pinned_ ? Device(kCPU) : DEVICE};
    std::lock_guard<std::mutex> held(pinned_lock);
    pinned.insert(address);
    return {address, address, &free_pinned, Device(kCPU)};
  }
  DeleterFnPtr raw_deleter() const override { return is_pinned_ ? &free_pinned : &c10::free_cpu; }
  void copy_data(void* to, const void* from, size_t size) const override { default_copy_data(to, from, size); }
  bool is_pinned_;
};
Memory device_memory(false), pinned_memory(true);

// A generator of the device draws the numbers of the CPU; `within` hides its device from the CPU's kernels.
struct DeviceGenerator final : CPUGeneratorImpl {
  DeviceGenerator() { device_ = DEVICE; }
  void within(bool inside) { device_ = inside ? Device(kCPU) : DEVICE; }
};

// Device guard and hooks: one device, one stream, nothing to wait for.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  DeviceType type() const override { return DeviceType::CUDA; }
  Device exchangeDevice(Device) const override { return DEVICE; }
  Device getDevice() const override { return DEVICE; }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  Stream getStream(Device) const override { return Stream(Stream::DEFAULT, DEVICE); }
  Stream getDefaultStream(Device) const override { return Stream(Stream::DEFAULT, DEVICE); }
  Stream getNewStream(Device, int) const override { return Stream(Stream::DEFAULT, DEVICE); }
  Stream exchangeStream(Stream) const override { return Stream(Stream::DEFAULT, DEVICE); }
  DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const Stream&, const DeviceIndex, const EventFlag) const override {}
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const DeviceIndex) const noexcept override {}
};

struct Hooks final : CUDAHooksInterface {
  explicit Hooks(CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return 1; }
  DeviceIndex current_device() const override { return 0; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(DeviceIndex) const override {}
  int getNumGPUs() const override { return 1; }
  Allocator* getPinnedMemoryAllocator() const override { return &pinned_memory; }
  Generator getNewGenerator(DeviceIndex) const override { return make_generator<DeviceGenerator>(); }
  bool isPinnedPtr(const void* address) const override {
    std::lock_guard<std::mutex> held(pinned_lock);
    return pinned.count(const_cast<void*>(address)) > 0;
  }
};

// Kernels: memory and views are handled here, every other operation runs on the CPU.
Tensor host(const Tensor& x) {
  return x.is_cpu() ? x : from_blob(x.data_ptr(), x.sizes(), x.strides(), x.options().device(kCPU));
}

Tensor& copy(Tensor& self, const Tensor& source, bool) {
  host(self).copy_(host(source));
  return self;
}

Tensor copy_and_resize(const Tensor& source, const Tensor& target) {
  native::resize_(target, source.sizes());
  host(target).copy_(host(source));
  return target;
}

Tensor make_empty(IntArrayRef size, std::optional<ScalarType> dtype, std::optional<Layout>, std::optional<Device>,
                  std::optional<bool>, std::optional<MemoryFormat> format) {
  auto keys = c10::DispatchKeySet(c10::DispatchKey::CUDA);
  return at::detail::empty_generic(size, &device_memory, keys, c10::dtype_or_default(dtype), format);
}

Tensor make_strided(IntArrayRef size, IntArrayRef stride, std::optional<ScalarType> dtype, std::optional<Layout>,
                    std::optional<Device>, std::optional<bool>) {
  auto keys = c10::DispatchKeySet(c10::DispatchKey::CUDA);
  return at::detail::empty_strided_generic(size, stride, &device_memory, keys, c10::dtype_or_default(dtype));
}

void on_host(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  std::vector<DeviceGenerator*> drawn;
  for (const auto& value : torch::jit::last(*stack, operation.schema().arguments().size())) {
    if (!value.isGenerator()) continue;
    auto* found = dynamic_cast<DeviceGenerator*>(value.toGenerator().unsafeGetGeneratorImpl());
    TORCH_CHECK(found, "Expected a 'cuda' device type for generator but found 'cpu'");
    drawn.push_back(found);
  }
  for (auto* each : drawn) each->within(true);
  native::cpu_fallback(operation, stack);
  for (auto* each : drawn) each->within(false);
}

TORCH_LIBRARY_IMPL(_, CUDA, library) { library.fallback(torch::CppFunction::makeFromBoxedFunction<&on_host>()); }

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("empty.memory_format", &make_empty);
  library.impl("empty_strided", &make_strided);
  library.impl("copy_", &copy);
  library.impl("_copy_from_and_resize", &copy_and_resize);
  library.impl("as_strided", &native::as_strided_tensorimpl);
  library.impl("view", TORCH_FN(static_cast<Tensor (*)(const Tensor&, IntArrayRef)>(&native::view)));
  library.impl("_reshape_alias", &native::_reshape_alias);
  library.impl("unfold", &native::unfold);
  using Resize = const Tensor& (*)(const Tensor&, IntArrayRef, std::optional<MemoryFormat>);
  library.impl("resize_", TORCH_FN(static_cast<Resize>(&native::resize_)));
  library.impl("set_.source_Storage_storage_offset", &native::set_storage_cpu_);
  library.impl("set_.source_Storage", TORCH_FN(static_cast<Tensor& (*)(Tensor&, Storage)>(&native::set_)));
  library.impl("set_.source_Tensor", &native::set_tensor_);
  library.impl("set_", &native::set_cpu_);
  for (const char* name : {"convolution", "convolution_backward"})  // else torch looks for cuDNN
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&on_host>());
}

}  // namespace

namespace at {
using PretendedHooks = ::Hooks;
C10_REGISTER_TYPED_CLASS(CUDAHooksRegistry, "CUDAHooks", PretendedHooks)
}

extern "C" bool install() {
  c10::SetAllocator(DeviceType::CUDA, &device_memory);
  c10::impl::device_guard_impl_registry[static_cast<size_t>(DeviceType::CUDA)].store(new Guard);
  return at::detail::getCUDAHooks().hasCUDA();
}
