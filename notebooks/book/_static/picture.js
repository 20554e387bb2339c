// The picture of the first page: the three maps of a 3 x 3 skew matrix, and singular values step by step.
// Plain JavaScript. window.orthonorm holds the functions; tests compare them with the package's values.
"use strict";

const orthonorm = (() => {
  const identity = () => [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
  const map = (A, f) => A.map((row, i) => row.map((a, j) => f(a, i, j)));
  const multiply = (A, B) => map(A, (_, i, j) => A[i].reduce((sum, a, k) => sum + a * B[k][j], 0));
  const add = (A, B, s) => map(A, (a, i, j) => a + s * B[i][j]);
  const apply = (A, x) => A.map(row => row.reduce((sum, a, j) => sum + a * x[j], 0));

  // A = L - L^T, L the lower triangle with the entries x21, x31, x32
  const skew = ([a, b, c]) => [[0, -a, -b], [a, 0, -c], [b, c, 0]];

  // e^A = I + sin t/t A + (1 - cos t)/t^2 A^2, t = |w|  (Rodrigues)
  function matrix_exp(x) {
    const A = skew(x), t = Math.hypot(...x);
    if (t === 0) return identity();
    const half = Math.sin(t / 2) / t;
    return add(add(identity(), A, Math.sin(t) / t), multiply(A, A), 2 * half * half);
  }

  // (I - A/2)^-1 (I + A/2) = I + (A + A^2/2) / (1 + t^2/4), because A^3 = -t^2 A
  function cayley(x) {
    const A = skew(x), t2 = x[0] ** 2 + x[1] ** 2 + x[2] ** 2;
    return add(identity(), add(A, multiply(A, A), 1 / 2), 1 / (1 + t2 / 4));
  }

  // H_1 H_2 H_3 diag(-1, -1, -1), H_j = I - 2 v v^T / v^T v
  function householder([a, b, c]) {
    const reflector = v => {
      const s = 2 / v.reduce((sum, x) => sum + x * x, 0);
      return map(identity(), (one, i, j) => one - s * v[i] * v[j]);
    };
    const H = [[1, a, b], [0, 1, c], [0, 0, 1]].map(reflector);
    return map(multiply(multiply(H[0], H[1]), H[2]), h => -h);
  }

  // Newton-Schulz of diag(s): divided by the Frobenius norm, then s <- a s + b s^3 + c s^5
  function newton_schulz(s, [a, b, c], steps) {
    const norm = Math.hypot(...s);
    s = s.map(x => x / norm);
    for (let i = 0; i < steps; i++) s = s.map(x => x * (a + x * x * (b + c * x * x)));
    return s;
  }

  // Power iteration with diag(s) from equal entries: u <- Wv/|Wv|, v <- W^T u/|W^T u|
  function power_iteration(s, steps) {
    const unit = x => { const norm = Math.hypot(...x); return x.map(y => y / norm); };
    let u = unit(s.map(() => 1)), v = u;
    for (let i = 0; i < steps; i++) {
      u = unit(s.map((x, j) => x * v[j]));
      v = unit(s.map((x, j) => x * u[j]));
    }
    return {u, v, sigma: s.reduce((sum, x, j) => sum + u[j] * x * v[j], 0)};
  }

  return {maps: {matrix_exp, cayley, householder}, newton_schulz, power_iteration, apply};
})();
window.orthonorm = orthonorm;

// The sphere

function sphere(root) {
  const canvas = root.querySelector("canvas"), context = canvas.getContext("2d");
  const sliders = [...root.querySelectorAll("input[type=range]")], output = root.querySelector("output");
  const colours = {matrix_exp: "#0072B2", cayley: "#D55E00", householder: "#009E73"};
  const x = () => sliders.map(slider => Number(slider.value));
  // Seen from the direction (40 degrees, 25 degrees), as in lesson 1.
  const turn = 40 * Math.PI / 180, tilt = 25 * Math.PI / 180;
  function project([a, b, c]) {
    const depth = Math.cos(turn) * a + Math.sin(turn) * b, right = -Math.sin(turn) * a + Math.cos(turn) * b;
    return [right, Math.cos(tilt) * c - Math.sin(tilt) * depth, Math.cos(tilt) * depth + Math.sin(tilt) * c];
  }
  function line(points, centre, radius, colour, width, dashes = []) {
    context.strokeStyle = colour; context.lineWidth = width; context.setLineDash(dashes); context.beginPath();
    points.map(project).forEach(([right, up], i) =>
      context[i ? "lineTo" : "moveTo"](centre[0] + radius * right, centre[1] - radius * up));
    context.stroke(); context.setLineDash([]);
  }
  function draw() {
    const width = canvas.clientWidth || 900, narrow = width < 560;
    canvas.width = width * devicePixelRatio;
    canvas.height = (narrow ? width * 2.6 : width * 0.36) * devicePixelRatio;
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    const cell = narrow ? width : width / 3, height = narrow ? width * 2.6 / 3 : width * 0.36;
    const radius = Math.min(cell, height - 26) * 0.42;
    context.clearRect(0, 0, width, 3 * height);
    Object.entries(orthonorm.maps).forEach(([name, f], i) => {
      const centre = narrow ? [cell / 2, height * (i + 0.5) + 10] : [cell * (i + 0.5), height / 2 + 10];
      context.fillStyle = colours[name]; context.font = "bold 15px sans-serif"; context.textAlign = "center";
      context.fillText(name, centre[0], centre[1] - radius - 8);
      const circle = Array.from({length: 61}, (_, k) => k * Math.PI / 30);
      context.strokeStyle = "#999"; context.lineWidth = 1; context.beginPath();
      context.arc(...centre, radius, 0, 2 * Math.PI); context.stroke();
      line(circle.map(t => [Math.cos(t), Math.sin(t), 0]), centre, radius, "#ddd", 1);
      line(circle.map(t => [0, Math.cos(t), Math.sin(t)]), centre, radius, "#ddd", 1);
      line(circle.map(t => [Math.cos(t), 0, Math.sin(t)]), centre, radius, "#ddd", 1);
      // the way of e_1 as X grows from 0, and the frame at its end
      const way = Array.from({length: 121}, (_, k) => f(x().map(y => y * k / 120)).map(row => row[0]));
      line(way, centre, radius, colours[name], 2.5);
      [0, 1, 2].forEach(j => {
        const e = [0, 1, 2].map(k => k === j ? 1 : 0), q = f(x()).map(row => row[j]);
        line([[0, 0, 0], e], centre, radius, "#aaa", 1, [4, 3]);
        line([[0, 0, 0], q], centre, radius, colours[name], j ? 1.4 : 3);
        const [right, up] = project(q);
        context.fillStyle = colours[name]; context.beginPath();
        context.arc(centre[0] + radius * right, centre[1] - radius * up, j ? 3 : 6, 0, 2 * Math.PI);
        context.fill();
        context.fillStyle = "#333"; context.font = "12px sans-serif";
        context.fillText("q" + "₁₂₃"[j], centre[0] + 1.13 * radius * right, centre[1] - 1.13 * radius * up + 4);
      });
    });
    output.textContent = Object.entries(orthonorm.maps).map(([name, f]) =>
      `${name.padEnd(12)} q₁ = (${f(x()).map(row => row[0].toFixed(4).padStart(7)).join(", ")})`).join("\n");
  }
  const set = (i, value) => { sliders[i].value = Math.max(-6, Math.min(6, value)); draw(); };
  let last = null;
  canvas.addEventListener("pointerdown", event => {
    last = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", event => {
    if (!last) return;
    const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
    last = [event.clientX, event.clientY];
    set(0, x()[0] + dx / 60); set(1, x()[1] - dy / 60);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
  canvas.addEventListener("keydown", event => {
    const move = {ArrowRight: [0, 0.1], ArrowLeft: [0, -0.1], ArrowUp: [1, 0.1], ArrowDown: [1, -0.1],
                  PageUp: [2, 0.1], PageDown: [2, -0.1]}[event.key];
    if (move) { set(move[0], x()[move[0]] + move[1]); event.preventDefault(); }
  });
  sliders.forEach(slider => slider.addEventListener("input", draw));
  window.addEventListener("resize", draw);
  draw();
}

// The singular values

function iteration(root) {
  const canvas = root.querySelector("canvas"), context = canvas.getContext("2d");
  const select = root.querySelector("select"), output = root.querySelector("output");
  const start = [1, 0.8, 0.5, 0.2, 0.05, 0.01];
  const polynomials = {jordan: [3.4445, -4.7750, 2.0315], classical: [15 / 8, -10 / 8, 3 / 8]};
  let step = 0;
  function values() {
    if (select.value !== "power") return orthonorm.newton_schulz(start, polynomials[select.value], step);
    return orthonorm.power_iteration(start, step).v;
  }
  function draw() {
    const width = canvas.clientWidth || 900, height = 220, bars = values();
    canvas.width = width * devicePixelRatio; canvas.height = height * devicePixelRatio;
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, width, height);
    const unit = (height - 40) / 1.3, floor = height - 20, slot = width / bars.length;
    context.strokeStyle = "#555"; context.setLineDash([5, 4]); context.beginPath();
    context.moveTo(0, floor - unit); context.lineTo(width, floor - unit); context.stroke();
    context.setLineDash([]); context.fillStyle = "#333"; context.font = "12px sans-serif"; context.textAlign = "left";
    context.fillText("1", 2, floor - unit - 4);
    bars.forEach((bar, i) => {
      context.fillStyle = "#0072B2";
      context.fillRect(slot * (i + 0.2), floor - unit * bar, 0.6 * slot, unit * bar);
      context.fillStyle = "#333"; context.textAlign = "center";
      context.fillText(bar.toFixed(4), slot * (i + 0.5), floor - unit * bar - 5);
      context.fillText(`s = ${start[i]}`, slot * (i + 0.5), height - 5);
    });
    output.textContent = `step ${step}: ` + (select.value === "power"
      ? `the entries of v; estimate of the largest singular value ${orthonorm.power_iteration(start, step).sigma.toFixed(6)}`
      : `the singular values, from ${Math.min(...bars).toFixed(4)} to ${Math.max(...bars).toFixed(4)}`);
  }
  const go = to => { step = Math.max(0, Math.min(30, to)); draw(); };
  root.querySelector("[data-step=next]").addEventListener("click", () => go(step + 1));
  root.querySelector("[data-step=back]").addEventListener("click", () => go(step - 1));
  root.querySelector("[data-step=first]").addEventListener("click", () => go(0));
  select.addEventListener("change", () => go(0));
  window.addEventListener("resize", draw);
  draw();
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-picture=sphere]").forEach(sphere);
  document.querySelectorAll("[data-picture=iteration]").forEach(iteration);
});
