// im2col and its transpose: the patches of images as the rows of a matrix, and back.
//
//     cols[(n, p, q), (i, j, c)] = x_pad[n, p*SH + i - top, q*SW + j - left, c]
//
//     x     (N, H, W, C)            the pixels lie x_step numbers apart, so x may be some channels of more
//     cols  (N*OH*OW, KH*KW*C)
//
// The array path is minicnn/ops/im2col.py; the derivation is in docs/ops/conv2d.md.
#include "common.cuh"

// Neighbouring rows that a thread works on: it finds out only once which kernel element a column belongs to.
constexpr int ROWS = 4;

// A thread copies V neighbouring channels of one kernel element, for some neighbouring patches; threadIdx.x runs along a
// row of the matrix, so that neighbouring threads read and write neighbouring numbers.
template <typename T, int V>
__global__ void im2col(
    const T* __restrict__ x, T* __restrict__ cols, int rows, int H, int W, int C, int x_step,
    int KH, int KW, int SH, int SW, int top, int left, int OH, int OW
) {
    const int first = (blockIdx.x * blockDim.y + threadIdx.y) * ROWS;  // (n, p, q)
    if (first >= rows) return;
    const int first_n = first / (OH * OW), first_p = first / OW % OH, first_q = first % OW;
    const int K = KH * KW * C;
    for (int column = threadIdx.x * V; column < K; column += blockDim.x * V) {  // (i, j, c)
        const int tap = column / C, c = column % C;
        const int above = tap / KW - top, before = tap % KW - left;
        int n = first_n, p = first_p, q = first_q;
#pragma unroll
        for (int row = first; row < first + ROWS; ++row) {
            if (row >= rows) break;
            const int h = p * SH + above, w = q * SW + before;
            const bool inside = 0 <= h && h < H && 0 <= w && w < W;
            const long long pixel = ((long long)n * H + h) * W + w;
            store<T, V>(
                cols + (long long)row * K + column, inside ? load<T, V>(x + pixel * x_step + c) : all<T, V>(T(0))
            );
            if (++q == OW) {
                q = 0;
                if (++p == OH) {
                    p = 0;
                    ++n;
                }
            }
        }
    }
}

// A thread adds up, for V neighbouring channels of one pixel, what every patch that it was in sends back. Patches are
// taken in order, so the sum does not depend on which thread comes first.
template <typename T, int V>
__global__ void col2im(
    const T* __restrict__ gcols, T* __restrict__ gx, int pixels, int H, int W, int C, int gx_step,
    int KH, int KW, int SH, int SW, int top, int left, int OH, int OW
) {
    const int pixel = blockIdx.x * blockDim.y + threadIdx.y;  // (n, h, w)
    if (pixel >= pixels) return;
    const int n = pixel / (H * W), h = pixel / W % H, w = pixel % W;
    const Seen rows = windows_that_see(h, top, KH, SH, OH), columns = windows_that_see(w, left, KW, SW, OW);
    for (int c = threadIdx.x * V; c < C; c += blockDim.x * V) {
        Pack<T, V> sum = all<T, V>(T(0));
        for (int p = rows.first; p <= rows.last; ++p) {
            for (int q = columns.first; q <= columns.last; ++q) {
                const int i = h + top - p * SH, j = w + left - q * SW;
                const long long row = ((long long)n * OH + p) * OW + q;
                const Pack<T, V> share = load<T, V>(gcols + (row * KH * KW + i * KW + j) * C + c);
#pragma unroll
                for (int k = 0; k < V; ++k) sum.at[k] += share.at[k];
            }
        }
        store<T, V>(gx + (long long)pixel * gx_step + c, sum);
    }
}
