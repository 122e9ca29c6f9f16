// The mask of dropout, drawn by a counter-based generator.
//
//     mask[i] = 0 with probability p, else scale = 1 / (1 - p)
//
// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") turns a key and a counter into
// four random numbers of 32 bits: ten rounds of two multiplications each. Element i gets number i % 4 of counter i / 4,
// so that no thread needs to know what another one has drawn; the counter's third word is the number of the mask. The
// key lies in the GPU's memory, where it can be changed between two replays of a recorded training step.
#include "common.cuh"

struct Philox {
    unsigned int at[4];
};

__device__ __forceinline__ Philox philox(unsigned long long counter, unsigned int call, unsigned long long key) {
    unsigned int k0 = (unsigned int)key, k1 = (unsigned int)(key >> 32);
    Philox x = {{(unsigned int)counter, (unsigned int)(counter >> 32), call, 0u}};
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const unsigned long long first = 0xD2511F53ull * x.at[0], second = 0xCD9E8D57ull * x.at[2];
        x = {{
            (unsigned int)(second >> 32) ^ x.at[1] ^ k0, (unsigned int)second,
            (unsigned int)(first >> 32) ^ x.at[3] ^ k1, (unsigned int)first,
        }};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return x;
}

// A thread draws four elements.
template <typename T>
__global__ void dropout_mask(
    T* __restrict__ mask, const unsigned long long* key, unsigned int call, long long size, float p, T scale
) {
    const long long counter = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (counter * 4 >= size) return;
    const Philox random = philox(counter, call, *key);
    Pack<T, 4> drawn;
    for (int k = 0; k < 4; ++k) {
        const float uniform = (random.at[k] >> 8) * 0x1p-24f;  // from 0 to just below 1, all exact
        drawn.at[k] = uniform >= p ? scale : T(0);
    }
    if (counter * 4 + 4 <= size) {
        store<T, 4>(mask + counter * 4, drawn);
    } else {
        for (int k = 0; counter * 4 + k < size; ++k) mask[counter * 4 + k] = drawn.at[k];
    }
}

// The generator by itself, for comparison with published numbers: four numbers for each counter from 0.
__global__ void philox_numbers(unsigned int* __restrict__ numbers, unsigned long long first, unsigned long long key, int counters) {
    const int place = blockIdx.x * blockDim.x + threadIdx.x;
    if (place >= counters) return;
    const Philox random = philox(first + place, 0, key);
    for (int k = 0; k < 4; ++k) numbers[place * 4 + k] = random.at[k];
}
