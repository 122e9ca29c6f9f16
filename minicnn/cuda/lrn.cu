// Local response normalisation across channels, and its gradient, each in one pass over memory.
//
//     u_c  = k + scale * sum of x_d^2 over the window of c       d from c - size/2 to c + (size-1)/2
//     y_c  = x_c * u_c^-beta
//     gx_d = gy_d * u_d^-beta  -  2 * scale * beta * x_d * sum of gy_c * x_c * u_c^(-beta-1) over the c that see d
//
//     x, y, gy, gx  (pixels, C)           scale = alpha / size
//
// The channels of a pixel go into shared memory, where each is read by all the windows it is in. Backward computes u
// again from x: reading it from memory would take as long as reading x.
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

// A thread takes every blockDim.x-th channel of one pixel. All threads of a block meet at the barrier, those beyond
// the last pixel too.
template <typename T>
__global__ void lrn_forward(
    const T* __restrict__ x, T* __restrict__ y, int pixels, int C, int size, T scale, T beta, T k
) {
    T* squares = reinterpret_cast<T*>(shared_memory) + threadIdx.y * C;  // of this pixel: (C)
    const int pixel = blockIdx.x * blockDim.y + threadIdx.y;
    const long long start = (long long)pixel * C;
    const int end = pixel < pixels ? C : 0;
    for (int c = threadIdx.x; c < end; c += blockDim.x) squares[c] = x[start + c] * x[start + c];
    __syncthreads();
    for (int c = threadIdx.x; c < end; c += blockDim.x) {
        const T u = k + scale * window_sum(squares, c, size / 2, (size - 1) / 2, C);
        y[start + c] = x[start + c] * inverse_power(u, beta);
    }
}

template <typename T>
__global__ void lrn_backward(
    const T* __restrict__ x, const T* __restrict__ gy, T* __restrict__ gx, int pixels, int C, int size, T scale,
    T beta, T k
) {
    T* squares = reinterpret_cast<T*>(shared_memory) + threadIdx.y * 2 * C;  // of this pixel: (C)
    T* shares = squares + C;                                                 // gy * x * u^(-beta-1): (C)
    const int pixel = blockIdx.x * blockDim.y + threadIdx.y;
    const long long start = (long long)pixel * C;
    const int end = pixel < pixels ? C : 0;
    for (int c = threadIdx.x; c < end; c += blockDim.x) squares[c] = x[start + c] * x[start + c];
    __syncthreads();
    for (int c = threadIdx.x; c < end; c += blockDim.x) {
        const T u = k + scale * window_sum(squares, c, size / 2, (size - 1) / 2, C);
        const T direct = gy[start + c] * inverse_power(u, beta);
        shares[c] = direct * x[start + c] / u;
        gx[start + c] = direct;  // the same thread goes on with it below
    }
    __syncthreads();
    for (int c = threadIdx.x; c < end; c += blockDim.x) {
        // Seen from below, the window is turned round.
        const T through_windows = window_sum(shares, c, (size - 1) / 2, size / 2, C);
        gx[start + c] -= T(2) * scale * beta * x[start + c] * through_windows;
    }
}
