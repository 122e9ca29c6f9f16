// What all kernels share.
//
// The files in this folder are CUDA C++ that NVRTC compiles at run time, nvcc compiles to look at, and an ordinary
// C++ compiler compiles to test without a GPU. So they use no headers but this one.

// V neighbouring numbers, read or written at once: up to 16 bytes, the most a thread moves in one instruction. Arrays
// that are read so must begin at a multiple of their size, and so must each of their rows; launch.py sees to that.
template <typename T, int V>
struct alignas(V * sizeof(T)) Pack {
    T at[V];
};

template <typename T, int V>
__device__ __forceinline__ Pack<T, V> load(const T* address) {
    return *reinterpret_cast<const Pack<T, V>*>(address);
}

template <typename T, int V>
__device__ __forceinline__ void store(T* address, const Pack<T, V>& pack) {
    *reinterpret_cast<Pack<T, V>*>(address) = pack;
}

template <typename T, int V>
__device__ __forceinline__ Pack<T, V> all(T value) {
    Pack<T, V> pack;
#pragma unroll
    for (int k = 0; k < V; ++k) pack.at[k] = value;
    return pack;
}

// The windows that see pixel h of an image: from `first` to `last`, which is less than `first` if there is none.
// They solve 0 <= h + before - window * stride < kernel.
struct Seen {
    int first, last;
};

__device__ __forceinline__ Seen windows_that_see(int h, int before, int kernel, int stride, int windows) {
    const int beyond = h + before - kernel;  // the last pixel that is too early for a window to see h
    const int first = beyond < 0 ? 0 : beyond / stride + 1;
    const int last = (h + before) / stride;
    return {first, last < windows ? last : windows - 1};
}

// What a window has inside the image: pixels `start` + i for i from `first` up to, and without, `end`.
struct Inside {
    int start, first, end;
};

__device__ __forceinline__ Inside inside_image(int window, int before, int kernel, int stride, int pixels) {
    const int start = window * stride - before;
    return {start, start < 0 ? -start : 0, pixels - start < kernel ? pixels - start : kernel};
}
