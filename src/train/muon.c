/* Owns the update rule Muon (Jordan et al. 2024): momentum whose matrix is made orthogonal, so
 * that every direction of a weight matrix moves as far as any other.
 *
 *     m = mu m + g    u = g + mu m    (Nesterov)
 *     x = u / |u|;  five times:  a = x x^T,  x = (c0 I + c1 a + c2 a^2) x
 *     p -= lr (0.2 sqrt(max(rows, columns)) x + decay p)
 *
 * The quintic takes singular values in (0, 1] to about 1 (0.7 to 1.2) and needs no SVD; its
 * coefficients are Jordan's. The factor 0.2 sqrt(max) is from "Muon is Scalable for LLM
 * Training" (Liu et al. 2025): it gives an update the root mean square AdamW's has, so that one
 * learning rate and one decay serve both rules.
 *
 * Products run with the shorter side as rows: for r x c, r <= c, five rounds are
 * 5 (4 r^2 c + 2 r^3) operations. */
#include "train/trainer.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

size_t lmw_muon_floats(int rows, int cols)
{
    const size_t r = (size_t)(rows < cols ? rows : cols), c = (size_t)(rows < cols ? cols : rows);
    return 2 * r * c + 2 * r * r;
}

/* Where entry (i, j) of a matrix stands when the shorter side is the rows. */
static inline size_t place(int rows, int cols, int i, int j)
{
    return rows > cols ? (size_t)j * (size_t)rows + (size_t)i
                       : (size_t)i * (size_t)cols + (size_t)j;
}

/* Updates the momentum, writes u with the shorter side as rows, returns its Frobenius norm. */
static double direction(const struct lmw_muon *k, int rows, int cols, const float *g, float *m,
                        float *x)
{
    double square = 0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++, g++, m++) {
            float gi = *g * k->grad_scale;
            *m = k->momentum * *m + gi;
            float u = gi + k->momentum * *m;
            square += (double)u * (double)u;
            x[place(rows, cols, i, j)] = u;
        }
    return sqrt(square);
}

static void multiply(enum CBLAS_TRANSPOSE tb, int m, int n, int k, float alpha, const float *a,
                     const float *b, float beta, float *c)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, tb, m, n, k, alpha, a, k, b, tb == CblasTrans ? k : n,
                beta, c, n);
}

/* x [r][c] towards orthogonal rows; a, b [r][r] and y [r][c] are room. The result is in x. */
static void orthogonalise(int r, int c, float *x, float *y, float *a, float *b)
{
    const float c0 = 3.4445f, c1 = -4.7750f, c2 = 2.0315f;
    const size_t n = (size_t)r * (size_t)r;
    for (int round = 0; round < 5; round++) {
        multiply(CblasTrans, r, r, c, 1, x, x, 0, a);
        memcpy(b, a, n * sizeof *b);
        multiply(CblasNoTrans, r, r, r, c2, a, a, c1, b);
        memcpy(y, x, (size_t)r * (size_t)c * sizeof *y);
        multiply(CblasNoTrans, r, c, r, 1, b, x, c0, y);
        float *t = x;
        x = y;
        y = t;
    }
    memcpy(y, x, (size_t)r * (size_t)c * sizeof *y); /* five is odd: the caller's x */
}

void lmw_muon(const struct lmw_muon *k, int rows, int cols, const float *g, float *p, float *m,
              float *work)
{
    const bool turned = rows > cols;
    const int r = turned ? cols : rows, c = turned ? rows : cols;
    const size_t n = (size_t)r * (size_t)c;
    float *x = work, *y = x + n, *a = y + n, *b = a + (size_t)r * (size_t)r;
    const double norm = direction(k, rows, cols, g, m, x);
    cblas_sscal((int)n, (float)(1 / (norm + 1e-12)), x, 1);
    orthogonalise(r, c, x, y, a, b);
    const float step = k->lr * 0.2f * sqrtf((float)c), keep = 1 - k->lr * k->weight_decay;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++, p++)
            *p = *p * keep - step * x[place(rows, cols, i, j)];
}
