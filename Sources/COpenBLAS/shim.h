#pragma once
#include <cblas.h>
#include <stddef.h>

// LAPACK as OpenBLAS carries it (Fortran's calling convention, column-major): no header of it is installed with the
// library. The last arguments are the lengths of the strings.
void spotrf_(const char *uplo, const blasint *n, float *a, const blasint *lda, blasint *info, size_t uplo_length);
void strtri_(const char *uplo, const char *diag, const blasint *n, float *a, const blasint *lda, blasint *info,
             size_t uplo_length, size_t diag_length);
void dposv_(const char *uplo, const blasint *n, const blasint *nrhs, double *a, const blasint *lda, double *b,
            const blasint *ldb, blasint *info, size_t uplo_length);
