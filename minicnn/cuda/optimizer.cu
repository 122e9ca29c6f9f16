// Stochastic gradient descent on many parameters in one launch, and the norm of all their gradients.
//
//     d  = g + weight_decay * w
//     v  = momentum * v + d
//     w -= lr * v                         plain momentum
//     w -= lr * d + lr * momentum * v     Nesterov
//
// A network has a hundred parameters, most of them small; a launch for each would take longer than the work. So a
// table in the GPU's memory says where they are: a row (w, g, v, size) for each. blockIdx.y is the row; the blocks of
// a row share its elements. The arithmetic is done in the order of minicnn/optim/sgd.py, so the bits are the same.
#include "common.cuh"

struct Row {
    unsigned long long w, g, v, size;  // addresses, and the number of elements
};

// rates (rows of the table, 3): lr, lr * momentum and weight_decay of each parameter, which a schedule may change
// between two replays of a recorded step. Nothing moves if the loss, `guard`, is not finite: then the weights of
// before can be looked at. It may be null.
template <typename T>
__global__ void sgd_step(
    const Row* __restrict__ table, const T* __restrict__ rates, const T* __restrict__ guard, T momentum, int nesterov
) {
    if (guard && !isfinite(*guard)) return;
    const Row row = table[blockIdx.y];
    T* w = reinterpret_cast<T*>(row.w);
    const T* g = reinterpret_cast<const T*>(row.g);
    T* v = reinterpret_cast<T*>(row.v);
    const T lr = rates[blockIdx.y * 3], lr_ahead = rates[blockIdx.y * 3 + 1], weight_decay = rates[blockIdx.y * 3 + 2];
    const long long size = row.size, step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const T d = w[i] * weight_decay + g[i];
        v[i] = v[i] * momentum + d;
        w[i] = nesterov ? (w[i] - d * lr) - v[i] * lr_ahead : w[i] - v[i] * lr;
    }
}

// a += share * (w - a): the running average of the weights, where g of a row is the address of a.
template <typename T>
__global__ void move_average(const Row* __restrict__ table, const T* __restrict__ share, const T* __restrict__ guard) {
    if (guard && !isfinite(*guard)) return;
    const Row row = table[blockIdx.y];
    const T* w = reinterpret_cast<const T*>(row.w);
    T* average = reinterpret_cast<T*>(row.g);
    const long long size = row.size, step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        average[i] += (w[i] - average[i]) * *share;
    }
}

// parts (rows of the table, gridDim.x): each block's sum of g^2, in double precision and always in the same order.
template <typename T>
__global__ void sums_of_squares(const Row* __restrict__ table, double* __restrict__ parts) {
    __shared__ double sums[256];  // (blockDim.x), a power of two
    const Row row = table[blockIdx.y];
    const T* g = reinterpret_cast<const T*>(row.g);
    const long long size = row.size, step = (long long)gridDim.x * blockDim.x;
    if ((long long)blockIdx.x * blockDim.x >= size) {  // a small array has no work for all its blocks
        if (threadIdx.x == 0) parts[blockIdx.y * gridDim.x + blockIdx.x] = 0;
        return;
    }
    double sum = 0;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        sum += (double)g[i] * (double)g[i];
    }
    sums[threadIdx.x] = sum;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x == 0) parts[blockIdx.y * gridDim.x + blockIdx.x] = sums[0];
}

// w = g * min(1, max_norm / norm), where w of a row is the address of a new array: nobody's gradient is changed.
template <typename T>
__global__ void clip(const Row* __restrict__ table, const double* __restrict__ norm, double max_norm) {
    const Row row = table[blockIdx.y];
    T* clipped = reinterpret_cast<T*>(row.w);
    const T* g = reinterpret_cast<const T*>(row.g);
    const T factor = *norm > max_norm ? T(max_norm / *norm) : T(1);
    const long long size = row.size, step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        clipped[i] = g[i] * factor;
    }
}
