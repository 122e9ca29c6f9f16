// Local response normalisation across channels, and its gradient, each in one pass over memory.
//
//     u_c  = k + scale * sum of x_d^2 over the window of c       d from c - size/2 to c + (size-1)/2
//     y_c  = x_c * u_c^-beta
//     gx_d = gy_d * u_d^-beta  -  2 * scale * beta * x_d * sum of gy_c * x_c * u_c^(-beta-1) over the c that see d
//
//     x, y, gy, gx  (pixels, C)           scale = alpha / size
//
// The channels of a pixel go into shared memory, where each is read by all the windows it is in. Backward computes u
// again from x, once for the shares and once for the rest: what it takes to keep it is scarcer than arithmetic.
#include "common.cuh"

extern __shared__ unsigned char shared_memory[];

// u^-beta; the usual beta = 3/4 by two square roots, as in minicnn/ops/lrn.py.
template <typename T>
__device__ __forceinline__ T inverse_power(T u, T beta) {
    if (beta != T(0.75)) return pow(u, -beta);
    const T root = sqrt(u);
    return T(1) / (sqrt(root) * root);
}

// The sum of row[d] for d from c - before to c + after, as far as there are such channels.
template <typename T>
__device__ __forceinline__ T window_sum(const T* row, int c, int before, int after, int C) {
    const int first = c - before > 0 ? c - before : 0, last = c + after < C - 1 ? c + after : C - 1;
    T sum = 0;
    for (int d = first; d <= last; ++d) sum += row[d];
    return sum;
}

// A thread takes every blockDim.x-th channel of P neighbouring pixels, and begins to read all of them before it needs the
// first. All threads of a block meet at the barriers, those beyond the last pixel too.
template <typename T, int P>
__global__ void lrn_forward(
    const T* __restrict__ x, T* __restrict__ y, int pixels, int C, int size, T scale, T beta, T k
) {
    T* squares = reinterpret_cast<T*>(shared_memory) + threadIdx.y * P * C;  // of these pixels: (P, C)
    const int first = (blockIdx.x * blockDim.y + threadIdx.y) * P;
    const T* x_here = x + (long long)first * C;
    T* y_here = y + (long long)first * C;
    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        T value[P];
#pragma unroll
        for (int i = 0; i < P; ++i) value[i] = first + i < pixels ? x_here[i * C + c] : T(0);
#pragma unroll
        for (int i = 0; i < P; ++i) squares[i * C + c] = value[i] * value[i];
    }
    __syncthreads();
    for (int c = threadIdx.x; c < C; c += blockDim.x) {
#pragma unroll
        for (int i = 0; i < P; ++i) {
            if (first + i >= pixels) break;
            const T u = k + scale * window_sum(squares + i * C, c, size / 2, (size - 1) / 2, C);
            y_here[i * C + c] = x_here[i * C + c] * inverse_power(u, beta);
        }
    }
}

template <typename T, int P>
__global__ void lrn_backward(
    const T* __restrict__ x, const T* __restrict__ gy, T* __restrict__ gx, int pixels, int C, int size, T scale,
    T beta, T k
) {
    T* squares = reinterpret_cast<T*>(shared_memory) + threadIdx.y * 2 * P * C;  // of these pixels: (P, C)
    T* shares = squares + P * C;                                                 // gy * x * u^(-beta-1): (P, C)
    const int first = (blockIdx.x * blockDim.y + threadIdx.y) * P;
    const T* x_here = x + (long long)first * C;
    const T* gy_here = gy + (long long)first * C;
    T* gx_here = gx + (long long)first * C;
    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        T value[P], gradient[P];
#pragma unroll
        for (int i = 0; i < P; ++i) {
            const bool exists = first + i < pixels;
            value[i] = exists ? x_here[i * C + c] : T(0);
            gradient[i] = exists ? gy_here[i * C + c] : T(0);
        }
#pragma unroll
        for (int i = 0; i < P; ++i) {
            squares[i * C + c] = value[i] * value[i];
            shares[i * C + c] = gradient[i] * value[i];
        }
    }
    __syncthreads();
    for (int c = threadIdx.x; c < C; c += blockDim.x) {
#pragma unroll
        for (int i = 0; i < P; ++i) {
            const T u = k + scale * window_sum(squares + i * C, c, size / 2, (size - 1) / 2, C);
            shares[i * C + c] *= inverse_power(u, beta) / u;
        }
    }
    __syncthreads();
    for (int c = threadIdx.x; c < C; c += blockDim.x) {
#pragma unroll
        for (int i = 0; i < P; ++i) {
            if (first + i >= pixels) break;
            const T u = k + scale * window_sum(squares + i * C, c, size / 2, (size - 1) / 2, C);
            const T direct = gy_here[i * C + c] * inverse_power(u, beta);
            // Seen from below, the window is turned round.
            const T through_windows = window_sum(shares + i * C, c, (size - 1) / 2, size / 2, C);
            gx_here[i * C + c] = direct - T(2) * scale * beta * x_here[i * C + c] * through_windows;
        }
    }
}
