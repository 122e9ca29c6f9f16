// CUDA C++ for an ordinary C++ compiler: what a kernel may use, so that it can be tested without a GPU.
//
// The harness (__init__.py) puts this file before a kernel file, and after it, for each kernel, an entry that Python
// calls. A kernel file stays plain CUDA and includes nothing of this. What it has to obey:
//
//   - Dynamic shared memory has one name: extern __shared__ unsigned char shared_memory[];  outside of namespaces.
//   - Variables in shared memory have no constructors (CUDA forbids them too). At the start of a block they are
//     filled with bytes 0xFF, which are NaN as floats and -1 as integers: who reads before writing sees it.
//   - All threads of a block that have not returned meet at the same __syncthreads(), and all lanes in the mask of
//     a warp operation at the same operation; "the same" means: on the same line. Anything else is an error.
//   - Names of C's library (index, gamma, y0, ...) are taken.
//   - No waiting for other blocks, nor in a loop for another thread: threads take turns only at barriers.
//   - A read or write of a vector that does not lie at a multiple of its size is an error, as on a GPU; so is an index
//     beyond the end of an array whose size is declared.
//
// Products and sums are never contracted to fused multiply-adds here. nvcc does so unless told not to.
#pragma once

#include "arithmetic.h"
#include "checks.h"
#include "threads.h"
#include "warps.h"

// ---- what Python sees of a kernel ---------------------------------------------------------------------

namespace host {

struct Parameter {
    char kind;  // p: pointer, i: integer, f: floating point, s: struct
    int size;   // in bytes
};

template <typename T>
constexpr Parameter parameter() {
    char kind = 's';
    if (std::is_pointer_v<T>) kind = 'p';
    if (std::is_integral_v<T> || std::is_enum_v<T>) kind = 'i';
    if (std::is_floating_point_v<T>) kind = 'f';
    return {kind, sizeof(T)};
}

template <typename T>
T read(const void* argument) {  // which may lie anywhere
    T value;
    memcpy(&value, argument, sizeof value);
    return value;
}

template <auto kernel>
struct Entry;

template <typename... A, void (*kernel)(A...)>
struct Entry<kernel> {
    static constexpr int count = sizeof...(A);
    static constexpr Parameter parameters[count + 1] = {parameter<A>()...};

    static void run_thread(void** arguments) { call(arguments, std::index_sequence_for<A...>()); }

    template <size_t... I>
    static void call([[maybe_unused]] void** arguments, std::index_sequence<I...>) {
        kernel(read<A>(arguments[I])...);
    }
};

// What the generated file exports: an array of these, in the order of the name expressions.
struct Kernel {
    int count;
    const Parameter* parameters;
    void (*run_thread)(void** arguments);
};

template <auto kernel>
constexpr Kernel kernel_entry = {Entry<kernel>::count, Entry<kernel>::parameters, Entry<kernel>::run_thread};

}  // namespace host

extern "C" __attribute__((visibility("default"))) const char* host_cuda_launch(
    const host::Kernel* kernel, const unsigned* grid, const unsigned* block, unsigned shared_bytes, int reversed,
    void** arguments
) {
    return host::launch(
        {kernel->run_thread, arguments, reversed != 0, shared_bytes}, {grid[0], grid[1], grid[2]},
        {block[0], block[1], block[2]}
    );
}
