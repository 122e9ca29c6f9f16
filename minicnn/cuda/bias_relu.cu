// What follows every convolution: its bias and ReLU; and backwards ReLU's mask and the gradient of the bias.
//
//     y  = max(y + b, 0)                  in place
//     gz = gy * (y > 0)                   gb = sum of gz over all rows
//
//     y, gy, gz  (rows, C)                the rows lie y_step, gy_step, gz_step numbers apart: they may be some
//     b, gb      (C)                      channels of more
#include "common.cuh"

// A thread adds the biases of V neighbouring channels to one row; with `relu` it clips the sums at zero. `b` may be
// null: then there is no bias.
template <typename T, int V>
__global__ void add_bias(T* __restrict__ y, const T* __restrict__ b, int rows, int C, int y_step, int relu) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    for (int c = threadIdx.x * V; c < C; c += blockDim.x * V) {
        T* target = y + (long long)row * y_step + c;
        Pack<T, V> value = load<T, V>(target);
        const Pack<T, V> bias = b ? load<T, V>(b + c) : all<T, V>(T(0));
#pragma unroll
        for (int k = 0; k < V; ++k) {
            const T sum = value.at[k] + bias.at[k];
            value.at[k] = relu && sum < T(0) ? T(0) : sum;  // a NaN stays one
        }
        store<T, V>(target, value);
    }
}

// A thread goes down some rows of V neighbouring channels, masks them, and adds them up on the way. The threads of a
// block that have the same channels add their sums in shared memory, in order; what the blocks found is added up
// afterwards: parts (gridDim.x, C). `y` may be null: then nothing is masked, and `gz` is not written. `gz` may be `gy`.
template <typename T, int V>
__global__ void mask_and_sum_rows(
    const T* gy, const T* __restrict__ y, T* gz, T* __restrict__ parts, int rows, int C,
    int gy_step, int y_step, int gz_step
) {
    __shared__ Pack<T, V> sums[256];  // (blockDim.y, blockDim.x)
    const int c = (blockIdx.y * blockDim.x + threadIdx.x) * V;
    Pack<T, V> sum = all<T, V>(T(0));
    if (c < C) {
        for (int row = blockIdx.x * blockDim.y + threadIdx.y; row < rows; row += gridDim.x * blockDim.y) {
            Pack<T, V> g = load<T, V>(gy + (long long)row * gy_step + c);
            if (y) {
                const Pack<T, V> output = load<T, V>(y + (long long)row * y_step + c);
#pragma unroll
                for (int k = 0; k < V; ++k) g.at[k] = output.at[k] > T(0) ? g.at[k] : T(0);
                store<T, V>(gz + (long long)row * gz_step + c, g);
            }
#pragma unroll
            for (int k = 0; k < V; ++k) sum.at[k] += g.at[k];
        }
    }
    sums[threadIdx.y * blockDim.x + threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && c < C) {
        for (int other = 1; other < blockDim.y; ++other) {
#pragma unroll
            for (int k = 0; k < V; ++k) sum.at[k] += sums[other * blockDim.x + threadIdx.x].at[k];
        }
        store<T, V>(parts + (long long)blockIdx.x * C + c, sum);
    }
}
