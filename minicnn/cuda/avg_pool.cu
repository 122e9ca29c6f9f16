// Average pooling, and its gradient.
//
//     y[n, p, q, c]  = 1 / count[p, q] * sum over i, j of x_pad[n, p*SH + i - top, q*SW + j - left, c]
//     gx[n, h, w, c] = sum of gy[n, p, q, c] / count[p, q] over the windows (p, q) that contain (h, w)
//
//     x, gx  (N, H, W, C)
//     y, gy  (N, OH, OW, C)
//     count  (OH, OW)                     how many places of a window are counted; made in minicnn/ops/avg_pool.py
#include "common.cuh"

// Blocks are short along the channels (the rest of them is on blockIdx.y) and long along the pixels: windows overlap, and
// what one thread has read is in the cache when its neighbour wants it.

// A thread takes the mean of one window for V neighbouring channels.
template <typename T, int V>
__global__ void avg_pool_forward(
    const T* __restrict__ x, const T* __restrict__ count, T* __restrict__ y, int windows, int H, int W, int C,
    int KH, int KW, int SH, int SW, int top, int left, int OH, int OW
) {
    const int window = blockIdx.x * blockDim.y + threadIdx.y;  // (n, p, q)
    if (window >= windows) return;
    const int n = window / (OH * OW), p = window / OW % OH, q = window % OW;
    const Inside rows = inside_image(p, top, KH, SH, H), columns = inside_image(q, left, KW, SW, W);
    const T counted = count[p * OW + q];
    for (int c = (blockIdx.y * blockDim.x + threadIdx.x) * V; c < C; c += gridDim.y * blockDim.x * V) {
        Pack<T, V> sum = all<T, V>(T(0));
        for (int i = rows.first; i < rows.end; ++i) {
#pragma unroll 3
            for (int j = columns.first; j < columns.end; ++j) {
                const long long pixel = ((long long)n * H + rows.start + i) * W + columns.start + j;
                const Pack<T, V> value = load<T, V>(x + pixel * C + c);
#pragma unroll
                for (int k = 0; k < V; ++k) sum.at[k] += value.at[k];
            }
        }
#pragma unroll
        for (int k = 0; k < V; ++k) sum.at[k] /= counted;
        store<T, V>(y + (long long)window * C + c, sum);
    }
}

// A thread adds up, for V neighbouring channels of one pixel, its shares in the means it was part of.
template <typename T, int V>
__global__ void avg_pool_backward(
    const T* __restrict__ gy, const T* __restrict__ count, T* __restrict__ gx, int pixels, int H, int W, int C,
    int KH, int KW, int SH, int SW, int top, int left, int OH, int OW
) {
    const int pixel = blockIdx.x * blockDim.y + threadIdx.y;  // (n, h, w)
    if (pixel >= pixels) return;
    const int n = pixel / (H * W), h = pixel / W % H, w = pixel % W;
    const Seen rows = windows_that_see(h, top, KH, SH, OH), columns = windows_that_see(w, left, KW, SW, OW);
    for (int c = (blockIdx.y * blockDim.x + threadIdx.x) * V; c < C; c += gridDim.y * blockDim.x * V) {
        Pack<T, V> sum = all<T, V>(T(0));
        for (int p = rows.first; p <= rows.last; ++p) {
#pragma unroll 3
            for (int q = columns.first; q <= columns.last; ++q) {
                const T counted = count[p * OW + q];
                const long long window = ((long long)n * OH + p) * OW + q;
                const Pack<T, V> gradient = load<T, V>(gy + window * C + c);
#pragma unroll
                for (int k = 0; k < V; ++k) sum.at[k] += gradient.at[k] / counted;
            }
        }
        store<T, V>(gx + (long long)pixel * C + c, sum);
    }
}
