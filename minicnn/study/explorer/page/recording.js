"use strict";
// What was recorded, and how to talk about it. Nothing here draws.

const recording = JSON.parse(document.getElementById("recording").textContent);
const { tensors, edges, ops, groups, heads, steps, pictures } = recording;

const groupNamed = new Map(groups.map((group) => [group.name, group]));
const bundleOf = new Map(recording.bundles.map((bundle) => [`${bundle.tensor} ${bundle.group}`, bundle]));
const hasHeads = heads.length > 1;

// When each op's turn comes, and when each contribution arrives.
steps.forEach((op, step) => { ops[op].step = step; });
edges.forEach((edge, number) => {
  edge.number = number;
  edge.step = edge.gradient ? ops[edge.op].step : Infinity;
});
// Parameters and constants are drawn inside the op that uses them, other leaves as boxes of their own.
const leaves = tensors.map((_, place) => place).filter((t) => tensors[t].creator === null && !tensors[t].parameter);

/** The edges along which gradients arrive at a tensor, in the order of their arrival. */
function contributions(tensor) {
  return tensors[tensor].uses.map((e) => edges[e]).filter((e) => e.gradient).sort((a, b) => a.arrived - b.arrived);
}

// ---- names ----

/** The module of an op, without the group that it is drawn in. */
function layerOf(op) {
  const { path, group } = ops[op];
  return group && path.startsWith(`${group}.`) ? path.slice(group.length + 1) : path;
}

function nameOfOp(op) {
  return ops[op].path ? `${ops[op].op} in ${ops[op].path}` : ops[op].op;
}

function nameOfLeaf(tensor) {
  if (tensors[tensor].name) return tensors[tensor].name;
  const { shape, uses } = tensors[tensor];
  if (shape.length === 4 && shape[3] === 3) return "image";
  const first = edges[uses[0]];
  return `${ops[first.op].names[first.place]} of ${ops[first.op].op}`;
}

/** A tensor in words that cannot be taken for a letter of a formula: "the result of multiply". */
function wordsFor(tensor) {
  const { creator, name } = tensors[tensor];
  if (creator !== null) return `the result of ${nameOfOp(creator)}`;
  return name ? `the tensor called ${name}` : "a tensor that no op made";
}

/** What an edge leads to on the way back: "→ relu in inception4a.conv3x3". */
function targetOf(edge) {
  const { creator, name, parameter } = tensors[edge.tensor];
  if (creator !== null) return `→ ${nameOfOp(creator)}`;
  if (parameter) return "";
  return name ? `→ the tensor called ${name}` : `→ ${nameOfLeaf(edge.tensor)}`;
}

// ---- numbers ----

function isNumber(shape) {
  return shape.every((size) => size === 1);
}

function shapeText(shape) {
  return shape.length ? `(${shape.join(", ")}${shape.length === 1 ? "," : ""})` : "()";
}

function format(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value; // nan or inf
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return String(Number(value.toPrecision(digits)));
  return value.toExponential(Math.min(2, digits - 2)).replace("e+", "e");
}

/** A number as the page shows it; the one the engine computed is in `data-value`, and shown on hovering. */
function numberHtml(value, what) {
  const exact = value === null || value === undefined ? "" : String(value);
  return `<span class="number" data-what="${escapeHtml(what)}" data-value="${exact}" title="${exact}">${format(value)}</span>`;
}

function statisticsHtml(statistics, names = ["norm", "min", "max", "mean"]) {
  if (!statistics) return "";
  return `<span class="statistics">${names
    .map((name) => `<span>${name}&nbsp;${numberHtml(statistics[name], name)}</span>`).join(" ")}</span>`;
}

/** Norm of what some heads send together, from the scalar products of their parts. */
function normOf(products, chosen) {
  let square = 0;
  for (const a of chosen) for (const b of chosen) square += products[a][b];
  return Math.sqrt(Math.max(square, 0));
}

/** How much each head has in a gradient: its norm's part in the sum of the norms. */
function sharesOf(products) {
  const norms = heads.map((_, head) => normOf(products, [head]));
  const total = norms.reduce((a, b) => a + b, 0);
  return norms.map((norm) => (total > 0 ? norm / total : 0));
}

function escapeHtml(text) {
  return String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
