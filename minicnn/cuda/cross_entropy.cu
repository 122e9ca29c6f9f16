// Softmax and cross-entropy of integer labels in one kernel, and their gradient in another.
//
//     loss_n    = log sum over j of exp(x_nj) - x_n,label
//     gx_nj     = (p_nj - [j is the label]) * gy_n * factor        p_nj = exp(x_nj - largest_n - log_sum_n)
//
//     x, gx                    (N, K)
//     loss, largest, log_sum   (N)        log_sum_n = log sum over j of exp(x_nj - largest_n)
//     gy              (N) or one number for all, as gy_step is 1 or 0; factor is 1/N for the mean, else 1
//
// A block of threads works on one sample. The largest x is subtracted before exp, so that nothing overflows; it is kept
// apart from the logarithm, which would lose its digits beside a large number.
#include "common.cuh"

// What all threads of a block have to say, together: the largest of their values, or the sum. Each thread gets it.
// The tree of additions is always the same, so the result is too.
template <typename T, bool maximum>
__device__ T combined(T value, T* shared) {
    shared[threadIdx.x] = value;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) {
            const T other = shared[threadIdx.x + half];
            if (!maximum) shared[threadIdx.x] += other;
            else if (other > shared[threadIdx.x] || other != other) shared[threadIdx.x] = other;
        }
    }
    __syncthreads();
    const T result = shared[0];
    __syncthreads();  // nobody may write the next values before all have read these
    return result;
}

template <typename T>
__global__ void cross_entropy_forward(
    const T* __restrict__ x, const long long* __restrict__ labels, T* __restrict__ loss, T* __restrict__ largest_of,
    T* __restrict__ log_sum, int K
) {
    __shared__ T shared[128];  // (blockDim.x), a power of two
    const T* row = x + (long long)blockIdx.x * K;
    T largest = row[0];
    for (int j = threadIdx.x; j < K; j += blockDim.x) {
        if (row[j] > largest || row[j] != row[j]) largest = row[j];
    }
    largest = combined<T, true>(largest, shared);
    T sum = 0;
    for (int j = threadIdx.x; j < K; j += blockDim.x) sum += exp(row[j] - largest);
    sum = combined<T, false>(sum, shared);
    if (threadIdx.x == 0) {
        const T log_of_sum = log(sum);
        largest_of[blockIdx.x] = largest;
        log_sum[blockIdx.x] = log_of_sum;
        const long long label = labels[blockIdx.x];
        const bool is_class = 0 <= label && label < K;  // of another label's loss nothing is known
        loss[blockIdx.x] = is_class ? log_of_sum - (row[label] - largest) : T(nan(""));
    }
}

template <typename T>
__global__ void cross_entropy_backward(
    const T* __restrict__ x, const long long* __restrict__ labels, const T* __restrict__ largest_of,
    const T* __restrict__ log_sum, const T* __restrict__ gy, T* __restrict__ gx, int K, int gy_step, T factor
) {
    const long long start = (long long)blockIdx.x * K;
    const T g = gy[blockIdx.x * gy_step] * factor;
    for (int j = threadIdx.x; j < K; j += blockDim.x) {
        const T p = exp((x[start + j] - largest_of[blockIdx.x]) - log_sum[blockIdx.x]);
        gx[start + j] = (j == labels[blockIdx.x] ? p - T(1) : p) * g;
    }
}
