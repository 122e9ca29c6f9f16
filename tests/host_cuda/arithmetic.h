// CUDA's vector types and those of its functions of numbers that C++ does not have.
#pragma once

#include <math.h>
#include <string.h>

#include <type_traits>
#include <utility>

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

#define VECTOR_2(name, T)                    \
    struct alignas(2 * sizeof(T)) name {     \
        T x, y;                              \
    };                                       \
    inline name make_##name(T x, T y) { return {x, y}; }

#define VECTOR_4(name, T, alignment)         \
    struct alignas(alignment) name {         \
        T x, y, z, w;                        \
    };                                       \
    inline name make_##name(T x, T y, T z, T w) { return {x, y, z, w}; }

VECTOR_2(float2, float)
VECTOR_2(double2, double)
VECTOR_2(int2, int)
VECTOR_2(uint2, unsigned)
VECTOR_2(uchar2, unsigned char)
VECTOR_4(float4, float, 16)
VECTOR_4(double4, double, 16)
VECTOR_4(int4, int, 16)
VECTOR_4(uint4, unsigned, 16)
VECTOR_4(uchar4, unsigned char, 4)
#undef VECTOR_2
#undef VECTOR_4

template <typename T>
T __ldg(const T* address) {
    return *address;
}

// Threads take turns only at barriers, so nobody comes between.
template <typename T>
T atomicAdd(T* address, std::common_type_t<T> value) {
    const T before = *address;
    *address = before + value;
    return before;
}

// ---- integers -----------------------------------------------------------------------------------------

inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(1ull * a * b >> 32); }
inline int __mulhi(int a, int b) { return int(1ll * a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __clz(int bits) { return bits ? __builtin_clz(bits) : 32; }
inline int __ffs(int bits) { return __builtin_ffs(bits); }

// As in CUDA, min and max of two types are those of their common type; of a number and NaN, the number.
template <typename A, typename B>
std::common_type_t<A, B> max(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) return std::fmax(T(a), T(b));
    else return T(a) < T(b) ? T(b) : T(a);
}
template <typename A, typename B>
std::common_type_t<A, B> min(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) return std::fmin(T(a), T(b));
    else return T(b) < T(a) ? T(b) : T(a);
}

// ---- floating point -----------------------------------------------------------------------------------

namespace host {

template <typename To, typename From>
To same_bits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To result;
    memcpy(&result, &value, sizeof value);
    return result;
}

}  // namespace host

inline int __float_as_int(float value) { return host::same_bits<int>(value); }
inline unsigned __float_as_uint(float value) { return host::same_bits<unsigned>(value); }
inline float __int_as_float(int bits) { return host::same_bits<float>(bits); }
inline float __uint_as_float(unsigned bits) { return host::same_bits<float>(bits); }
inline long long __double_as_longlong(double value) { return host::same_bits<long long>(value); }
inline double __longlong_as_double(long long bits) { return host::same_bits<double>(bits); }

inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline float rsqrt(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }

// The fast and inexact ones are exact here.
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float a, float b) { return a / b; }
