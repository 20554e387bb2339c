/* cayley, its gradient and power_iteration for real matrices in double precision:

       cc -O2 -o port port.c -lm && ./port < cayley.json > answers.jsonl

   reads a vector file, one test a line, and prints a line of JSON for each test in double precision. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 4096
typedef struct { int ndim, shape[8], size; double data[MOST]; } array;

/* Reads the array of that name in a line; returns 0 if there is none of doubles. */
static int read_array(const char *line, const char *name, array *x)
{
    char key[40];
    snprintf(key, sizeof key, "\"%s\":{\"dtype\":\"float64\",\"shape\":[", name);
    char *p = strstr(line, key);
    if (!p) return 0;
    p += strlen(key);
    for (x->ndim = 0; *p != ']'; p += *p == ',') x->shape[x->ndim++] = (int)strtol(p, &p, 10);
    p = strchr(p, '[') + 1;
    for (x->size = 0; *p != ']' && x->size < MOST; p += strspn(p, "\","))
        x->data[x->size++] = strtod(p + (*p == '"'), &p); /* reads NaN and Infinity, too */
    return 1;
}

static void print_array(const array *x, const char *end)
{
    printf("{\"dtype\": \"float64\", \"shape\": [");
    for (int i = 0; i < x->ndim; i++) printf(i ? ", %d" : "%d", x->shape[i]);
    printf("], \"data\": [");
    for (int i = 0; i < x->size; i++)
        if (isnan(x->data[i])) printf(i ? ", \"NaN\"" : "\"NaN\"");
        else printf(i ? ", %.17g" : "%.17g", x->data[i]);
    printf("]}%s", end);
}

/* Solves (I + c A) Y = B in place of B, n x k; M is workspace. No pivots: the symmetric part is I. */
static void solve(int n, int k, double c, const double *A, double *M, double *B)
{
    for (int i = 0; i < n * n; i++) M[i] = c * A[i] + (i % (n + 1) == 0);
    for (int i = 0; i < n; i++)
        for (int r = 0; r < n; r++) {
            double factor = r == i ? 0 : M[r * n + i] / M[i * n + i];
            for (int j = i; j < n && r != i; j++) M[r * n + j] -= factor * M[i * n + j];
            for (int j = 0; j < k && r != i; j++) B[r * k + j] -= factor * B[i * k + j];
        }
    for (int i = 0; i < n * k; i++) B[i] /= M[i / k * (n + 1)];
}

/* Puts Q = (I - A/2)^-1 (I + A/2) E in the place of a tall X, n x k, whose entry (i, j) is
   x[i * row + j * column]; or, if G is given, the lower triangle of J K^T - K J^T,
   J = (I + A/2)^-1 G, K = (Q + E) / 2. */
static void cayley(int n, int k, int row, int column, double *x, const double *G)
{
    double *A = calloc(4 * n * n + 1, sizeof *A), *M = A + n * n, *K = M + n * n, *J = K + n * n;
    for (int j = 0; j < k; j++)
        for (int i = j + 1; i < n; i++) A[j * n + i] = -(A[i * n + j] = x[i * row + j * column]);
    for (int i = 0; i < n * k; i++) K[i] = A[i / k * n + i % k] / 2 + (i / k == i % k);
    solve(n, k, -0.5, A, M, K);
    for (int i = 0; i < n * k; i++) {
        x[i / k * row + i % k * column] = G ? 0 : K[i];
        J[i] = G ? G[i / k * row + i % k * column] : 0;
        K[i] = (K[i] + (i / k == i % k)) / 2;
    }
    solve(n, k, 0.5, A, M, J);
    for (int i = 0; i < n && G; i++)
        for (int j = 0; j < k && j < i; j++)
            for (int l = 0; l < k; l++)
                x[i * row + j * column] += J[i * k + l] * K[j * k + l] - K[i * k + l] * J[j * k + l];
    free(A);
}

/* y = W x / max(|W x|, e); W is n x m, its entry (i, j) W[i * row + j * col]. */
static void step(int n, int m, int row, int col, const double *W, const double *x, double *y, double e)
{
    double norm = 0;
    for (int i = 0; i < n; norm = hypot(norm, y[i++]))
        for (int j = y[i] = 0; j < m; j++) y[i] += W[i * row + j * col] * x[j];
    for (int i = 0; i < n; i++) y[i] /= fmax(norm, e);
}

static array X, G, W, u, v;
static char line[1 << 20];

int main(void)
{
    while (fgets(line, sizeof line, stdin)) {
        int is_map = read_array(line, "X", &X), with_G = is_map && read_array(line, "G", &G);
        if (!is_map && !read_array(line, "W", &W)) continue;
        printf("{\"id\": \"%.*s\", ", (int)strcspn(line + 7, "\""), line + 7);
        if (is_map) {
            if (X.ndim < 2 || (with_G && memcmp(&G, &X, (1 + X.ndim) * sizeof(int)))) goto refuse;
            int n = X.shape[X.ndim - 2], k = X.shape[X.ndim - 1], tall = n >= k;
            for (int at = 0; at < X.size; at += n * k)
                cayley(tall ? n : k, tall ? k : n, tall ? k : 1, tall ? 1 : k, X.data + at,
                       with_G ? G.data + at : NULL);
            printf("\"answer\": ");
            print_array(&X, "}\n");
        } else {
            int h = W.shape[0], w = W.shape[1];
            if (!read_array(line, "u", &u) || !read_array(line, "v", &v) || u.size != h || v.size != w)
                goto refuse;
            for (int i = atoi(strstr(line, "\"n_power_iterations\":") + 21); i > 0; i--) {
                double eps = atof(strstr(line, "\"eps\":") + 6);
                step(h, w, w, 1, W.data, v.data, u.data, eps);
                step(w, h, 1, w, W.data, u.data, v.data, eps);
            }
            printf("\"answer\": [");
            print_array(&u, ", ");
            print_array(&v, "]}\n");
        }
        continue;
refuse: printf("\"error\": \"wrong shapes\"}\n");
    }
    return 0;
}
