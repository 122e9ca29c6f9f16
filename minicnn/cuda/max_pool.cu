// Max pooling, and its gradient.
//
//     y[n, p, q, c]  = max over i, j of x[n, p*SH + i - top, q*SW + j - left, c]
//     gx[n, h, w, c] = sum of gy[n, p, q, c] over the windows (p, q) that (h, w) won
//
//     x, gx          (N, H, W, C)
//     y, gy, places  (N, OH, OW, C)       places[n, p, q, c] = i*KW + j of the winner, the first of equal ones
//
// Unlike the array path in minicnn/ops/max_pool.py, which pools rows and then columns because NumPy has to walk over
// memory once for each comparison, a thread looks at a whole window: its numbers come from the cache.
#include "common.cuh"

// Blocks are short along the channels (the rest of them is on blockIdx.y) and long along the pixels: windows overlap, and
// what one thread has read is in the cache when its neighbour wants it.

// A thread finds the maxima of one window for V neighbouring channels. `places` may be null.
template <typename T, int V, typename Place>
__global__ void max_pool_forward(
    const T* __restrict__ x, T* __restrict__ y, Place* __restrict__ places, int windows, int H, int W, int C,
    int KH, int KW, int SH, int SW, int top, int left, int OH, int OW
) {
    const int window = blockIdx.x * blockDim.y + threadIdx.y;  // (n, p, q)
    if (window >= windows) return;
    const int n = window / (OH * OW), p = window / OW % OH, q = window % OW;
    const Inside rows = inside_image(p, top, KH, SH, H), columns = inside_image(q, left, KW, SW, W);
    for (int c = (blockIdx.y * blockDim.x + threadIdx.x) * V; c < C; c += gridDim.y * blockDim.x * V) {
        Pack<T, V> best;
        Pack<Place, V> place;
        for (int i = rows.first; i < rows.end; ++i) {
#pragma unroll 3
            for (int j = columns.first; j < columns.end; ++j) {
                const long long pixel = ((long long)n * H + rows.start + i) * W + columns.start + j;
                const Pack<T, V> candidate = load<T, V>(x + pixel * C + c);
                const bool is_first = i == rows.first && j == columns.first;
#pragma unroll
                for (int k = 0; k < V; ++k) {
                    const T value = candidate.at[k];
                    if (is_first || value > best.at[k] || value != value) {  // a NaN wins, and stays
                        best.at[k] = value;
                        place.at[k] = Place(i * KW + j);
                    }
                }
            }
        }
        const long long at = (long long)window * C + c;
        store<T, V>(y + at, best);
        if (places) store<Place, V>(places + at, place);
    }
}

// A thread adds up, for V neighbouring channels of one pixel, the gradients of the windows it won: to zero, or to what
// is there already. Reading from all windows that see the pixel needs no atomic additions, whose order would vary.
template <typename T, int V, typename Place>
__global__ void max_pool_backward(
    const T* __restrict__ gy, const Place* __restrict__ places, T* __restrict__ gx, int pixels, int H, int W, int C,
    int KH, int KW, int SH, int SW, int top, int left, int OH, int OW, int add
) {
    const int pixel = blockIdx.x * blockDim.y + threadIdx.y;  // (n, h, w)
    if (pixel >= pixels) return;
    const int n = pixel / (H * W), h = pixel / W % H, w = pixel % W;
    const Seen rows = windows_that_see(h, top, KH, SH, OH), columns = windows_that_see(w, left, KW, SW, OW);
    for (int c = (blockIdx.y * blockDim.x + threadIdx.x) * V; c < C; c += gridDim.y * blockDim.x * V) {
        T* target = gx + (long long)pixel * C + c;
        Pack<T, V> sum = add ? load<T, V>(target) : all<T, V>(T(0));
        for (int p = rows.first; p <= rows.last; ++p) {
#pragma unroll 3
            for (int q = columns.first; q <= columns.last; ++q) {
                const int own_place = (h + top - p * SH) * KW + w + left - q * SW;
                const long long at = (((long long)n * OH + p) * OW + q) * C + c;
                const Pack<Place, V> winner = load<Place, V>(places + at);
                const Pack<T, V> gradient = load<T, V>(gy + at);
#pragma unroll
                for (int k = 0; k < V; ++k) {
                    if (winner.at[k] == own_place) sum.at[k] += gradient.at[k];
                }
            }
        }
        store<T, V>(target, sum);
    }
}
