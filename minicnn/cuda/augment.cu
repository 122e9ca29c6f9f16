// A batch out of a data set that lies on the GPU: choose, crop, mirror, normalise.
//
//     x[n, h, w, c] = (images[chosen[n], h + top[n], w' + left[n], c] - mean[c]) / spread[c]
//
//     images  (all, H, W, C)              bytes; what lies outside of an image is its mean colour, 0
//     x       (N, H, W, C)                w' = W - 1 - w if the image is mirrored, else w
//
// The numbers that place the windows are drawn on the CPU, and the arithmetic is that of minicnn/data/normalisation.py,
// so a batch has the same bits wherever it was made.
#include "common.cuh"

// A thread makes one pixel.
template <typename T>
__global__ void choose_crop_mirror_normalise(
    const unsigned char* __restrict__ images, const long long* __restrict__ chosen, const int* __restrict__ top,
    const int* __restrict__ left, const unsigned char* __restrict__ mirrored, const T* __restrict__ mean,
    const T* __restrict__ spread, T* __restrict__ x, int pixels, int H, int W, int C
) {
    const int pixel = blockIdx.x * blockDim.x + threadIdx.x;  // (n, h, w)
    if (pixel >= pixels) return;
    const int n = pixel / (H * W), h = pixel / W % H, w = pixel % W;
    const int row = h + top[n], column = (mirrored[n] ? W - 1 - w : w) + left[n];
    const bool inside = 0 <= row && row < H && 0 <= column && column < W;
    const long long source = ((chosen[n] * H + row) * W + column) * C;
    for (int c = 0; c < C; ++c) {
        x[(long long)pixel * C + c] = inside ? (T(images[source + c]) - mean[c]) / spread[c] : T(0);
    }
}
