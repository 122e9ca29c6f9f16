// Winograd's algorithm F(4x4, 3x3): its transforms. The 36 matrix products between them are cuBLAS's.
//
//     input_transform             V  = B^T d B      of patches d (6, 6) of x
//     filter_transform            U  = G w G^T      of filters w (3, 3)
//     output_transform            y  = A^T M A      blocks (4, 4) of the output
//     output_transform_backward   gM = A gy A^T
//     filter_transform_backward   gw = G^T gU G
//
//     V, M, gM  (36, P, C)         a matrix for each number (a, b) of a patch; P = N*BH*BW patches
//     U, gU     (36, CI, CO)
//     x, gy, y  (N, H, W, C)       the pixels lie `step` numbers apart, so x may be some channels of more
//     w, gw     (3, 3, CI, CO)
//
// Each is a small square between two small matrices, for one channel: a thread reads the square, multiplies it from both
// sides, and writes what comes out. Neighbouring threads have neighbouring channels. (Lavin and Gray, who name the
// transforms, call a patch a tile; here that is a part of a batch.)
//
// The derivation is in docs/ops/winograd.md; minicnn/ops/winograd_on_gpu.py starts these kernels.
#include "common.cuh"

// B^T, G and A^T as `toom_cook` of minicnn/ops/winograd.py finds them for 0, 2/3, -2/3, 3/2, -3/2 and infinity. What is
// known when this is compiled costs nothing: multiplications by zero are left out.
struct InputTransform {
    static constexpr int ROWS = 6, COLUMNS = 6;
    __device__ static constexpr double at(int row, int column) {
        constexpr double BT[ROWS][COLUMNS] = {
            {1, 0, -97. / 36, 0, 1, 0},
            {0, -3. / 2, -9. / 4, 2. / 3, 1, 0},
            {0, 3. / 2, -9. / 4, -2. / 3, 1, 0},
            {0, -2. / 3, -4. / 9, 3. / 2, 1, 0},
            {0, 2. / 3, -4. / 9, -3. / 2, 1, 0},
            {0, 1, 0, -97. / 36, 0, 1},
        };
        return BT[row][column];
    }
};

struct FilterTransform {
    static constexpr int ROWS = 6, COLUMNS = 3;
    __device__ static constexpr double at(int row, int column) {
        constexpr double G[ROWS][COLUMNS] = {
            {1, 0, 0},
            {-81. / 130, -54. / 130, -36. / 130},
            {-81. / 130, 54. / 130, -36. / 130},
            {8. / 65, 12. / 65, 18. / 65},
            {8. / 65, -12. / 65, 18. / 65},
            {0, 0, 1},
        };
        return G[row][column];
    }
};

struct OutputTransform {
    static constexpr int ROWS = 4, COLUMNS = 6;
    __device__ static constexpr double at(int row, int column) {
        constexpr double AT[ROWS][COLUMNS] = {
            {1, 1, 1, 1, 1, 0},
            {0, 2. / 3, -2. / 3, 3. / 2, -3. / 2, 0},
            {0, 4. / 9, 4. / 9, 9. / 4, 9. / 4, 0},
            {0, 8. / 27, -8. / 27, 27. / 8, -27. / 8, 1},
        };
        return AT[row][column];
    }
};

template <typename Matrix>
struct Transposed {
    static constexpr int ROWS = Matrix::COLUMNS, COLUMNS = Matrix::ROWS;
    __device__ static constexpr double at(int row, int column) { return Matrix::at(column, row); }
};

// y = Matrix x Matrix^T
template <typename Matrix, typename T>
__device__ __forceinline__ void transform(
    const T (&x)[Matrix::COLUMNS][Matrix::COLUMNS], T (&y)[Matrix::ROWS][Matrix::ROWS]
) {
    T rows[Matrix::ROWS][Matrix::COLUMNS];  // Matrix x
#pragma unroll
    for (int a = 0; a < Matrix::ROWS; ++a) {
#pragma unroll
        for (int j = 0; j < Matrix::COLUMNS; ++j) {
            rows[a][j] = 0;
#pragma unroll
            for (int i = 0; i < Matrix::COLUMNS; ++i) {
                if (Matrix::at(a, i) != 0) rows[a][j] += T(Matrix::at(a, i)) * x[i][j];
            }
        }
    }
#pragma unroll
    for (int a = 0; a < Matrix::ROWS; ++a) {
#pragma unroll
        for (int b = 0; b < Matrix::ROWS; ++b) {
            y[a][b] = 0;
#pragma unroll
            for (int j = 0; j < Matrix::COLUMNS; ++j) {
                if (Matrix::at(b, j) != 0) y[a][b] += rows[a][j] * T(Matrix::at(b, j));
            }
        }
    }
}

// A square of numbers that lie `down` apart from row to row, and `along` from column to column.
template <typename T, int SIZE>
__device__ __forceinline__ void read_square(const T* address, long long down, long long along, T (&square)[SIZE][SIZE]) {
#pragma unroll
    for (int i = 0; i < SIZE; ++i) {
#pragma unroll
        for (int j = 0; j < SIZE; ++j) square[i][j] = address[i * down + j * along];
    }
}

template <typename T, int SIZE>
__device__ __forceinline__ void write_square(T* address, long long down, long long along, const T (&square)[SIZE][SIZE]) {
#pragma unroll
    for (int i = 0; i < SIZE; ++i) {
#pragma unroll
        for (int j = 0; j < SIZE; ++j) address[i * down + j * along] = square[i][j];
    }
}

// A square of one channel of an image, whose first pixel is (h, w); outside of the image there are zeros.
template <typename T, int SIZE>
__device__ __forceinline__ void read_pixels(
    const T* __restrict__ image, int h, int w, int H, int W, int step, T (&square)[SIZE][SIZE]
) {
#pragma unroll
    for (int i = 0; i < SIZE; ++i) {
#pragma unroll
        for (int j = 0; j < SIZE; ++j) {
            const bool inside = 0 <= h + i && h + i < H && 0 <= w + j && w + j < W;
            square[i][j] = inside ? image[((long long)(h + i) * W + w + j) * step] : T(0);
        }
    }
}

// What a thread works on: channel c of one of the patches, which count (n, row of blocks, column of blocks). (h, w) is the
// first pixel of its block, and `offset` where its number is in a matrix (patches, C).
struct Work {
    int n, h, w, c;
    long long offset;
    bool exists;
};

__device__ __forceinline__ Work work_of_thread(int patches, int C, int BH, int BW) {
    const int patch = blockIdx.x * blockDim.y + threadIdx.y, c = blockIdx.y * blockDim.x + threadIdx.x;
    const int n = patch / (BH * BW), h = patch / BW % BH * 4, w = patch % BW * 4;
    return {n, h, w, c, (long long)patch * C + c, patch < patches && c < C};
}

template <typename T>
__global__ void input_transform(
    const T* __restrict__ x, T* __restrict__ V, int patches, int C, int BH, int BW, int H, int W, int x_step, int top,
    int left
) {
    const Work at = work_of_thread(patches, C, BH, BW);
    if (!at.exists) return;
    T d[6][6], v[6][6];
    read_pixels(x + (long long)at.n * H * W * x_step + at.c, at.h - top, at.w - left, H, W, x_step, d);
    transform<InputTransform>(d, v);
    const long long matrix = (long long)patches * C;
    write_square(V + at.offset, 6 * matrix, matrix, v);
}

template <typename T>
__global__ void output_transform_backward(
    const T* __restrict__ gy, T* __restrict__ gM, int patches, int C, int BH, int BW, int OH, int OW, int gy_step
) {
    const Work at = work_of_thread(patches, C, BH, BW);
    if (!at.exists) return;
    T g[4][4], gm[6][6];
    read_pixels(gy + (long long)at.n * OH * OW * gy_step + at.c, at.h, at.w, OH, OW, gy_step, g);
    transform<Transposed<OutputTransform>>(g, gm);
    const long long matrix = (long long)patches * C;
    write_square(gM + at.offset, 6 * matrix, matrix, gm);
}

// The blocks of the last row and column may reach beyond the image.
template <typename T>
__global__ void output_transform(
    const T* __restrict__ M, T* __restrict__ y, int patches, int C, int BH, int BW, int OH, int OW, int y_step
) {
    const Work at = work_of_thread(patches, C, BH, BW);
    if (!at.exists) return;
    T m[6][6], block[4][4];
    const long long matrix = (long long)patches * C;
    read_square(M + at.offset, 6 * matrix, matrix, m);
    transform<OutputTransform>(m, block);
    T* image = y + (long long)at.n * OH * OW * y_step + at.c;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const int h = at.h + i, w = at.w + j;
            if (h < OH && w < OW) image[((long long)h * OW + w) * y_step] = block[i][j];
        }
    }
}

template <typename T>
__global__ void filter_transform(const T* __restrict__ w, T* __restrict__ U, int CI, int CO) {
    const Work at = work_of_thread(CI, CO, 1, 1);  // input channels in place of patches
    if (!at.exists) return;
    T filter[3][3], u[6][6];
    const long long matrix = (long long)CI * CO;
    read_square(w + at.offset, 3 * matrix, matrix, filter);
    transform<FilterTransform>(filter, u);
    write_square(U + at.offset, 6 * matrix, matrix, u);
}

template <typename T>
__global__ void filter_transform_backward(const T* __restrict__ gU, T* __restrict__ gw, int CI, int CO) {
    const Work at = work_of_thread(CI, CO, 1, 1);  // input channels in place of patches
    if (!at.exists) return;
    T gu[6][6], g[3][3];
    const long long matrix = (long long)CI * CO;
    read_square(gU + at.offset, 6 * matrix, matrix, gu);
    transform<Transposed<FilterTransform>>(gu, g);
    write_square(gw + at.offset, 3 * matrix, matrix, g);
}
