// What the threads of a warp do together. Each shows a number and names a lane; once all lanes of the mask have arrived
// at the same operation, each gets the number of the lane it has named, and who has shown another number than zero.
#pragma once

#include "threads.h"

namespace host {

// Of the lanes of a warp, as bits: which wait at the same operation as a thread, and which have not returned.
struct Group {
    unsigned waiting, alive;
};

inline Group group_of(const Thread& thread, const Thread* lanes, int size) {
    Group group = {};
    for (int n = 0; n < size; ++n) {
        const Thread& other = lanes[n];
        const bool together = other.state == State::at_warp_barrier && other.line == thread.line;
        if (other.state != State::ended) group.alive |= 1u << n;
        if (together && other.mask == thread.mask) group.waiting |= 1u << n;
    }
    return group;
}

// Hand out what the group has shown. From a lane that takes no part one gets anything: here, all bits one.
inline void exchange(unsigned group, Thread* lanes, int size) {
    unsigned votes = 0;
    for (int n = 0; n < size; ++n) {
        if (group >> n & 1 && lanes[n].value) votes |= 1u << n;
    }
    for (int n = 0; n < size; ++n) {
        if (!(group >> n & 1)) continue;
        Thread& thread = lanes[n];
        thread.votes = votes;
        thread.received = group >> thread.source & 1 ? lanes[thread.source].value : ~0ull;
        thread.state = State::ready;
    }
}

// Let lanes go on whose operation is complete; return whether there are any.
inline bool pass_warp_barrier(Thread* lanes, int size) {
    const Thread* stuck = nullptr;
    for (int n = 0; n < size; ++n) {
        if (lanes[n].state != State::at_warp_barrier) continue;
        const Group group = group_of(lanes[n], lanes, size);
        if ((group.alive & lanes[n].mask & ~group.waiting) == 0) {
            exchange(group.waiting, lanes, size);
            return true;
        }
        stuck = &lanes[n];
    }
    if (stuck) {
        fail(
            "thread %d waits at a warp operation in line %d for lanes that never come there", number(*stuck),
            stuck->line
        );
    }
    return false;
}

inline bool run_warp(Thread* lanes, int size) {
    do {
        for (int n = 0; n < size && !failure[0]; ++n) {
            Thread& thread = lanes[current_launch.reversed ? size - 1 - n : n];
            if (thread.state == State::not_started || thread.state == State::ready) resume(thread);
        }
    } while (!failure[0] && pass_warp_barrier(lanes, size));
    return !failure[0];
}

inline int lane() { return number(*current) % warpSize; }

inline void meet(unsigned mask, unsigned long long value, int source, int line) {
    if (!(mask >> lane() & 1)) {
        fail("thread %d is not in the mask of its warp operation in line %d", number(*current), line);
        abandon();
    }
    current->mask = mask;
    current->value = value;
    current->source = source;
    wait(State::at_warp_barrier, line);
}

template <typename T>
T shuffle(unsigned mask, T value, int source, int line) {
    static_assert(std::is_arithmetic_v<T> && sizeof(T) >= 4, "shuffles take 4- and 8-byte numbers");
    unsigned long long bits = 0;
    memcpy(&bits, &value, sizeof value);
    meet(mask, bits, source, line);
    memcpy(&value, &current->received, sizeof value);
    return value;
}

}  // namespace host

inline void __syncwarp(unsigned mask = ~0u, int line = __builtin_LINE()) { host::meet(mask, 0, 0, line); }

inline unsigned __ballot_sync(unsigned mask, int vote, int line = __builtin_LINE()) {
    host::meet(mask, vote != 0, 0, line);
    return host::current->votes;
}
inline int __any_sync(unsigned mask, int vote, int line = __builtin_LINE()) {
    return __ballot_sync(mask, vote, line) != 0;
}
inline int __all_sync(unsigned mask, int vote, int line = __builtin_LINE()) {
    return __ballot_sync(mask, !vote, line) == 0;
}

// Shuffles within parts of `width` lanes. Who would read beyond its part gets its own value.
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize, int line = __builtin_LINE()) {
    return host::shuffle(mask, value, (host::lane() & -width) + (source & (width - 1)), line);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned step, int width = warpSize, int line = __builtin_LINE()) {
    const int lane = host::lane(), source = lane - int(step);
    return host::shuffle(mask, value, source < (lane & -width) ? lane : source, line);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned step, int width = warpSize, int line = __builtin_LINE()) {
    const int lane = host::lane(), source = lane + int(step);
    return host::shuffle(mask, value, source >= (lane & -width) + width ? lane : source, line);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = warpSize, int line = __builtin_LINE()) {
    const int lane = host::lane(), source = lane ^ bits;
    return host::shuffle(mask, value, source >= (lane & -width) + width ? lane : source, line);
}
