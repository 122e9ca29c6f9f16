// What a GPU reports as "misaligned address", or not at all. The compiler puts checks before accesses to memory
// (-fsanitize) and calls these functions where one fails; its own library of messages is not linked.
#pragma once

#include "threads.h"

namespace host {

// How the description of every check begins.
struct Place {
    const char* file;
    unsigned line, column;
};

[[noreturn]] inline void access_failed(const Place* place, const char* what) {
    const char* slash = strrchr(place->file, '/');
    fail("thread %d: %s in line %u of %s", number(*current), what, place->line, slash ? slash + 1 : place->file);
    abandon();
}

}  // namespace host

extern "C" {

__attribute__((used)) inline void __ubsan_handle_type_mismatch_v1_abort(host::Place* place, size_t address) {
    host::access_failed(place, address ? "misaligned address" : "null pointer");
}

__attribute__((used)) inline void __ubsan_handle_out_of_bounds_abort(host::Place* place, size_t) {
    host::access_failed(place, "index out of bounds");
}

}  // extern "C"
