// cayley, its gradient and power_iteration for real matrices, judged by the vector files alone:
//     node port.mjs FOLDER
// says what is wrong, and ends with status 1 if anything is.
import { readFileSync } from "node:fs";

// Matrices are arrays of rows.
const zeros = (n, k) => Array.from({ length: n }, () => new Array(k).fill(0));
const transpose = (A, n, k) => zeros(k, n).map((row, j) => row.map((_, i) => A[i][j]));
const dot = (x, y) => x.reduce((sum, a, i) => sum + a * y[i], 0);

function skew(X, n, k) { // tril(X) and zero columns, minus the transpose
    const A = zeros(n, n);
    for (let i = 0; i < n; i++)
        for (let j = 0; j < Math.min(i, k); j++) {
            A[i][j] = X[i][j];
            A[j][i] = -X[i][j];
        }
    return A;
}

const shifted = (A, c) => A.map((row, i) => row.map((a, j) => (i === j ? 1 : 0) + c * a)); // I + c A

function solve(M, B) { // Gaussian elimination with row exchanges
    const n = M.length, rows = M.map((row, i) => [...row, ...B[i]]);
    for (let i = 0; i < n; i++) {
        let best = i;
        for (let r = i; r < n; r++) if (Math.abs(rows[r][i]) > Math.abs(rows[best][i])) best = r;
        [rows[i], rows[best]] = [rows[best], rows[i]];
        for (let r = i + 1; r < n; r++) {
            const factor = rows[r][i] / rows[i][i];
            for (let j = i; j < rows[r].length; j++) rows[r][j] -= factor * rows[i][j];
        }
    }
    for (let i = n - 1; i >= 0; i--)
        for (let j = n; j < rows[i].length; j++) {
            for (let r = i + 1; r < n; r++) rows[i][j] -= rows[i][r] * rows[r][j];
            rows[i][j] /= rows[i][i];
        }
    return rows.map(row => row.slice(n));
}

function cayley(X, n, k) { // (I - A/2)^-1 (I + A/2) E
    const A = skew(X, n, k);
    return solve(shifted(A, -0.5), shifted(A, 0.5).map(row => row.slice(0, k)));
}

function cayleyVjp(X, n, k, G) { // tril(J K^T - K J^T); J = (I + A/2)^-1 G, K = (Q + E) / 2
    const J = solve(shifted(skew(X, n, k), 0.5), G);
    const K = cayley(X, n, k).map((row, i) => row.map((q, j) => (q + (i === j ? 1 : 0)) / 2));
    const entry = (i, j) => dot(J[i], K[j]) - dot(K[i], J[j]);
    return zeros(n, k).map((row, i) => row.map((_, j) => j < i ? entry(i, j) : 0));
}

function powerIteration(W, u, v, iterations, eps) {
    const unit = x => {
        const norm = Math.max(Math.hypot(...x), eps);
        return x.map(entry => entry / norm);
    };
    for (let i = 0; i < iterations; i++) {
        u = unit(W.map(row => dot(row, v)));
        v = unit(v.map((_, j) => dot(W.map(row => row[j]), u)));
    }
    return [u, v];
}

// Reading and judging

const numbers = array => array.data.map(Number); // "NaN" and "Infinity" too
const matrix = (data, n, k) => Array.from({ length: n }, (_, i) => data.slice(i * k, (i + 1) * k));

function onStack(map, ...arrays) { // of tall matrices, and wide ones by their transposes
    const [n, k] = arrays[0].shape.slice(-2), count = arrays[0].data.length / (n * k) || 0;
    if (k === undefined || arrays.some(x => String(x.shape) !== String(arrays[0].shape)))
        throw new Error("no matrices, or of different shapes");
    return Array.from({ length: count }, (_, i) => {
        const own = arrays.map(x => matrix(numbers(x).slice(i * n * k, (i + 1) * n * k), n, k));
        const turned = n >= k ? own : own.map(A => transpose(A, n, k));
        const [X, ...rest] = turned, answer = map(X, Math.max(n, k), Math.min(n, k), ...rest);
        return (n >= k ? answer : transpose(answer, k, n)).flat();
    }).flat();
}

function answers({ X, G, W, u, v, n_power_iterations: iterations, eps }, operation) {
    if (operation === "cayley") return [onStack(cayley, X)];
    if (operation === "cayley_vjp") return [onStack(cayleyVjp, X, G)];
    const [h, w] = W.shape;
    if (u.data.length !== h || v.data.length !== w) throw new Error("u or v has another length");
    return powerIteration(matrix(numbers(W), h, w), numbers(u), numbers(v), iterations, eps);
}

function isRight({ arguments: given, expect, answer, tolerance }, operation) {
    let mine;
    try { mine = answers(given, operation); } catch { return expect !== "value"; }
    if (mine.flat().some(Number.isNaN)) return expect !== "value";
    if (expect === "refusal") return false;
    const several = x => Array.isArray(x) ? x : [x];
    const rounded = Object.values(given)[0].dtype === "float32" ? Math.fround : x => x;
    return several(answer.high).every((high, i) => {
        const low = several(answer.low)[i];
        const errors = mine[i].map((x, j) => rounded(x) - high.data[j] - low.data[j]);
        return Math.hypot(...errors) <= several(tolerance)[i];
    });
}

let asked = 0, wrong = 0;
for (const operation of ["cayley", "cayley_vjp", "power_iteration"])
    for (const test of JSON.parse(readFileSync(`${process.argv[2]}/${operation}.json`)).tests)
        if (!Object.values(test.arguments)[0].dtype.startsWith("complex")) {
            asked++;
            if (!isRight(test, operation)) {
                wrong++;
                console.log("FAIL", test.id);
            }
        }
console.log(`${asked} questions, ${wrong} wrong`);
process.exit(wrong ? 1 : 0);
