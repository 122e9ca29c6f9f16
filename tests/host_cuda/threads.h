// Blocks and threads on one CPU thread.
//
// Blocks run one after the other. The threads of a block run on stacks of their own, so that one that has to wait at a
// barrier can be left and taken up again later. As long as no thread has to wait, though, the next one starts on the
// stack of the one that has just ended: a kernel without barriers is nothing but a loop.
#pragma once

#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "arithmetic.h"

// After all headers of the system: some of them know these words too.
#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(bytes) __attribute__((aligned(bytes)))

// One CPU thread runs all threads, so its thread-local variables are shared by them and by nobody else. The linker
// puts them side by side, wherever they were declared: that is how they can be found and filled (fill_shared_memory).
// `used`: the compiler must not conclude from what it sees that a variable is never written.
#define __shared__ __attribute__((used)) thread_local

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
constexpr int warpSize = 32;

constexpr unsigned most_dynamic_shared_memory = 48 * 1024, guard_zone = 256;
alignas(16) static thread_local unsigned char shared_memory[most_dynamic_shared_memory + guard_zone];

namespace host {

constexpr int most_threads = 1024;
constexpr size_t stack_size = 64 * 1024;

enum class State { not_started, ready, at_block_barrier, at_warp_barrier, ended };

struct Thread {
    uint3 index;
    State state;
    jmp_buf place;  // where it waits
    int line;       // of the barrier it waits at
    // What it brings to an operation of its warp, and what it takes from there:
    unsigned mask;
    int source;
    unsigned long long value, received;
    unsigned votes;
};

struct Stack {
    bool exists;
    jmp_buf idle;  // where it waits for a thread to start
};

struct Launch {
    void (*run_thread)(void** arguments);
    void** arguments;
    bool reversed;  // the last block and the last thread first
    unsigned shared_bytes;
};

inline Launch current_launch;
inline Thread threads[most_threads];
inline Thread* current;
inline int thread_count;
inline bool somebody_waited;  // in this block
inline jmp_buf scheduler;
inline char failure[300];

inline Stack stacks[most_threads];  // stack n is that of thread n, and of threads that follow it without waiting
inline Stack* starting;
alignas(64) inline unsigned char stack_memory[most_threads][stack_size];  // untouched pages cost nothing

inline int number(const Thread& thread) { return int(&thread - threads); }

// Report what a kernel did wrong. The first error counts.
__attribute__((format(printf, 1, 2))) inline void fail(const char* format, ...) {
    if (failure[0]) return;
    va_list values;
    va_start(values, format);
    const int length =
        snprintf(failure, sizeof failure, "block (%u, %u, %u), ", blockIdx.x, blockIdx.y, blockIdx.z);
    vsnprintf(failure + length, sizeof failure - length, format, values);
    va_end(values);
}

// ---- a thread, and how it waits -----------------------------------------------------------------------

// Leave the current thread; return when somebody resumes it.
__noinline__ inline void wait(State state, int line) {
    somebody_waited = true;
    current->state = state;
    current->line = line;
    if (_setjmp(current->place) == 0) _longjmp(scheduler, 1);
}

// Leave the current thread for good.
[[noreturn]] __noinline__ inline void abandon() { _longjmp(scheduler, 1); }

// Go to the next thread in order, if there is one.
inline bool advance() {
    const int next = number(*current) + (current_launch.reversed ? -1 : 1);
    if (next < 0 || next >= thread_count) return false;
    current = &threads[next];
    threadIdx = current->index;
    return true;
}

// What is executed on every stack, until the end of the launch.
inline void run_threads_on_stack() {
    Stack* const stack = starting;
    for (;;) {
        do {
            current_launch.run_thread(current_launch.arguments);
            current->state = State::ended;
        } while (!somebody_waited && advance());
        if (_setjmp(stack->idle) == 0) _longjmp(scheduler, 1);
    }
}

// Let a thread run until it waits or ends.
__noinline__ inline void resume(Thread& thread) {
    current = &thread;
    threadIdx = thread.index;
    if (_setjmp(scheduler)) return;
    if (thread.state != State::not_started) _longjmp(thread.place, 1);
    starting = &stacks[number(thread)];
    if (starting->exists) _longjmp(starting->idle, 1);
    starting->exists = true;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = stack_memory[number(thread)];
    context.uc_stack.ss_size = stack_size;
    context.uc_link = nullptr;
    makecontext(&context, run_threads_on_stack, 0);
    setcontext(&context);
}

// ---- a block, and a grid of them ----------------------------------------------------------------------

bool run_warp(Thread* lanes, int size);  // until all wait at a block barrier or have ended; see warps.h

// Let threads go on that all wait at one block barrier; return whether there are any.
inline bool pass_block_barrier() {
    const Thread* first = nullptr;
    for (Thread* thread = threads; thread < threads + thread_count; ++thread) {
        if (thread->state != State::at_block_barrier) continue;
        if (!first) first = thread;
        if (thread->line != first->line) {
            fail(
                "thread %d waits at __syncthreads() in line %d, but thread %d at that in line %d", number(*first),
                first->line, number(*thread), thread->line
            );
            return false;
        }
        thread->state = State::ready;
    }
    return first != nullptr;
}

inline void run_block() {
    for (int n = 0; n < thread_count; ++n) threads[n].state = State::not_started;
    somebody_waited = false;
    const int warps = (thread_count + warpSize - 1) / warpSize;
    do {
        for (int n = 0; n < warps; ++n) {
            const int first = (current_launch.reversed ? warps - 1 - n : n) * warpSize;
            const int rest = thread_count - first;
            if (!run_warp(threads + first, rest < warpSize ? rest : warpSize)) return;
        }
    } while (pass_block_barrier());
}

// The part of memory that holds this library's thread-local variables.
struct Region {
    unsigned char *begin, *end;
};

inline int is_ours(dl_phdr_info* library, size_t, void* found) {
    for (int n = 0; library->dlpi_tls_data && n < library->dlpi_phnum; ++n) {
        if (library->dlpi_phdr[n].p_type != PT_TLS) continue;
        unsigned char* begin = static_cast<unsigned char*>(library->dlpi_tls_data);
        unsigned char* end = begin + library->dlpi_phdr[n].p_memsz;
        if (begin <= shared_memory && shared_memory < end) {
            *static_cast<Region*>(found) = {begin, end};
            return 1;
        }
    }
    return 0;
}

inline Region thread_local_variables() {
    shared_memory[0] = 0xFF;  // they exist from the first use on
    Region region = {};
    dl_iterate_phdr(is_ours, &region);
    return region;
}

// With 0xFF; of the dynamic shared memory, what the launch asked for and a zone behind it that nobody may write.
inline void fill_shared_memory(Region region) {
    memset(region.begin, 0xFF, shared_memory - region.begin);
    memset(shared_memory, 0xFF, current_launch.shared_bytes + guard_zone);
    unsigned char* const behind = shared_memory + sizeof shared_memory;
    memset(behind, 0xFF, region.end - behind);
}

inline void check_guard_zone() {
    for (unsigned n = 0; n < guard_zone; ++n) {
        if (shared_memory[current_launch.shared_bytes + n] != 0xFF) {
            fail(
                "byte %u of dynamic shared memory was written, but the launch asked for %u bytes",
                current_launch.shared_bytes + n, current_launch.shared_bytes
            );
            return;
        }
    }
}

// Run all blocks; return null, or what went wrong.
inline const char* launch(Launch launch, dim3 grid, dim3 block) {
    current_launch = launch;
    gridDim = grid;
    blockDim = block;
    thread_count = 0;
    failure[0] = 0;
    for (unsigned z = 0; z < block.z; ++z) {
        for (unsigned y = 0; y < block.y; ++y) {
            for (unsigned x = 0; x < block.x; ++x) threads[thread_count++].index = {x, y, z};
        }
    }
    for (int n = 0; n < thread_count; ++n) stacks[n].exists = false;  // nothing is left on them

    const Region shared = thread_local_variables();
    fill_shared_memory(shared);
    const long long blocks = 1LL * grid.x * grid.y * grid.z;
    for (long long n = 0; n < blocks && !failure[0]; ++n) {
        const long long at = launch.reversed ? blocks - 1 - n : n;
        blockIdx = {unsigned(at % grid.x), unsigned(at / grid.x % grid.y), unsigned(at / grid.x / grid.y)};
        run_block();
        if (somebody_waited || n == blocks - 1) {  // without barriers, threads have nothing to share
            check_guard_zone();
            fill_shared_memory(shared);
        }
    }
    return failure[0] ? failure : nullptr;
}

}  // namespace host

// All threads of a block arrive before any goes on. Those that have returned are not waited for.
inline void __syncthreads(int line = __builtin_LINE()) { host::wait(host::State::at_block_barrier, line); }
