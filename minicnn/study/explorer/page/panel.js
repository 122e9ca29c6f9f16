"use strict";
// The panel on the right: what happens at a step, or what is in a box.

const panel = document.getElementById("panel");

function stripHtml(picture, tensor, className = "") {
  if (picture === null || picture === undefined) return "";
  const { channels, shape } = tensors[tensor];
  const caption = channels.length && shape[3] > channels.length
    ? `<span class="channels">${channels.map((c) => `<i>${c}</i>`).join("")}</span>` : "";
  return `<span class="tiles ${channels.length ? "of-image" : ""} ${className}" style="--tiles:${channels.length || 1}">
    <img src="${pictures[picture]}" alt="">${caption}</span>`;
}

/** Say something above what the panel shows, until it shows something else. */
function notice(text) {
  panel.querySelector(".notice")?.remove();
  panel.insertAdjacentHTML("afterbegin", `<p class="notice" role="status">${escapeHtml(text)}</p>`);
  panel.scrollTop = 0;
}

/** The values themselves, where there are only a few; a matrix in rows. */
function fewHtml(values, shape) {
  if (!values) return "";
  const columns = shape.length > 1 ? shape[shape.length - 1] : values.length;
  const rows = [];
  for (let k = 0; k < values.length; k += columns) {
    rows.push(`<tr>${values.slice(k, k + columns).map((v) => `<td>${numberHtml(v, "value")}</td>`).join("")}</tr>`);
  }
  return `<table class="few">${rows.join("")}</table>`;
}

/** A single number, or a few with their statistics, or the statistics alone. */
function valuesHtml(values, shape, statistics, names) {
  return fewHtml(values, shape) + (isNumber(shape) ? "" : statisticsHtml(statistics, names));
}

/** How much of a gradient there is: its norm, or a number itself. */
function amountHtml(statistics, tensor, what) {
  if (isNumber(tensors[tensor].shape)) return numberHtml(statistics.mean, what);
  return `|g| ${numberHtml(statistics.norm, what)}`;
}

// ---- a step ----

function showStep(step, shown) {
  const number = steps[step], op = ops[number], out = tensors[op.output];
  const split = op.op === "concat" ? splitHtml(op) : "";
  panel.innerHTML = `
    <h2><span class="marker">▲</span> Backward through <b>${escapeHtml(op.op)}</b>
      ${op.path ? `<span class="path">${escapeHtml(op.path)}</span>` : ""}</h2>
    ${formulaHtml(op, "backward")}
    ${op.edges.map((e) => sumHtml(edges[e], step)).join("")}
    <div class="card incoming"><h3>Gradient that comes in: <code>gy</code> ${shapeText(out.shape)}</h3>
      ${arrivedHtml(op.output)}
      <div class="pair">${stripHtml(out.gradientPicture, op.output)}${valuesHtml(out.fewGradient, out.shape, out.gradient)}</div>
    </div>
    ${headsHtml(op, shown)}
    ${split}
    ${outgoingCard(op, outgoingTitle(op), (edge) => !tensors[edge.tensor].parameter)}
    ${outgoingCard(op, "Gradients of the parameters: they stay here", (edge) => edge.gradient && tensors[edge.tensor].parameter)}
    ${op.patches ? `<p><button id="open-patches">Open im2col and its transpose for one patch (p)</button></p>` : ""}
    ${forwardHtml(op)}`;
}

function formulaHtml(op, direction) {
  const formula = recording.formulas[op.op];
  const filled = direction === "backward" ? op.filledBackward : op.filledForward;
  const sizes = Object.entries(op.sizes).map(([name, size]) => `${name}&nbsp;=&nbsp;${size}`).join(", ");
  return `<div class="card formula">
    ${formula.page ? `<span class="source">docs/ops/${formula.page}</span>` : ""}
    ${linesHtml(formula[direction], "text")}
    ${filled.length ? `<h4>here</h4>${linesHtml(filled, "filled")}` : ""}
    ${lettersHtml(op)}
    ${sizes ? `<p class="sizes">${sizes}</p>` : ""}
    ${op.remark && direction === "backward" ? `<p class="remark">${escapeHtml(op.remark)}</p>` : ""}</div>`;
}

/** What a formula's letters stand for, where several gradients travel on; the channels of concat have their own card. */
function lettersHtml(op) {
  const letters = op.edges.map((e, place) => [op.names[place], edges[e].tensor]).filter(([, tensor]) => !tensors[tensor].parameter);
  if (letters.length < 2 || op.bounds) return "";
  return `<p class="letters">In this formula ${letters.map(([letter, tensor]) =>
    `<code>${letter}</code> stands for ${escapeHtml(wordsFor(tensor))}`).join(", ")}.</p>`;
}

/** Lines of a formula; the wide gaps before remarks are for a wider page. */
function linesHtml(lines, kind) {
  return `<pre class="${kind}">${lines.map((line) => escapeHtml(line.replace(/(\S) {4,}/g, "$1   "))).join("\n")}</pre>`;
}

function arrivedHtml(tensor) {
  const parts = contributions(tensor);
  if (parts.length < 2) return "";
  return `<p class="note">the sum of ${parts.length} contributions, all of which have arrived:
    ${parts.map((e) => `<b>${amountHtml(e.gradient, tensor, "norm")}</b> from ${escapeHtml(sourceOf(e))}`).join(", ")}</p>`;
}

/** Which op a contribution comes from. */
function sourceOf(edge) {
  return ops[edge.op].path || ops[edge.op].op;
}

function shortName(op) {
  return layerOf(op) ? `${layerOf(op)}` : ops[op].op;
}

/** Where contributions to a tensor add up. */
function placeOf(tensor) {
  const { creator } = tensors[tensor];
  return creator === null ? nameOfLeaf(tensor) : ops[creator].path || ops[creator].op;
}

function outgoingCard(op, title, wanted) {
  const rows = op.edges.map((e, place) => (wanted(edges[e]) ? outgoingHtml(edges[e], op.names[place]) : ""));
  return rows.some(Boolean) ? `<div class="card outgoing"><h3>${title}</h3>${rows.join("")}</div>` : "";
}

function outgoingTitle(op) {
  const wanted = op.edges.filter((e) => edges[e].gradient && !tensors[edges[e].tensor].parameter).length;
  if (op.op === "concat") return `Split ${wanted} ways: each branch gets its own channels back`;
  return wanted === 1 ? "Gradient that travels on" : `Gradients that travel on: ${wanted}`;
}

function outgoingHtml(edge, name) {
  const { shape } = tensors[edge.tensor];
  if (!edge.gradient) return `<div class="out none"><code>${name}</code> ${shapeText(shape)}: nobody wants its gradient</div>`;
  return `<div class="out" data-edge="${edge.number}">
    <div class="to"><code>g${name}</code> ${shapeText(shape)} <span class="target">${escapeHtml(targetOf(edge))}</span></div>
    <div class="pair">${stripHtml(edge.picture, edge.tensor)}${valuesHtml(edge.few, shape, edge.gradient, ["norm", "min", "max"])}</div></div>`;
}

/** The channels of a concatenation as one bar, cut where it is cut. */
function splitHtml(op) {
  if (!op.bounds) return "";
  const total = op.bounds[op.bounds.length - 1][1];
  const whole = tensors[op.output].gradient.norm;
  return `<div class="card split"><h3>gy, cut along the channels</h3><div class="bar">
    ${op.bounds.map(([start, stop], k) => {
      const edge = edges[op.edges[k]];
      const share = edge.gradient && whole > 0 ? (edge.gradient.norm / whole) ** 2 : 0;
      const name = tensors[edge.tensor].creator === null ? op.names[k] : shortName(tensors[edge.tensor].creator);
      return `<span class="piece piece-${k % 4}" style="flex-grow:${(stop - start) / total}">
        <b>${escapeHtml(name)}</b><br>${start}…${stop - 1}<br><small>${(100 * share).toFixed(0)}% of |gy|²</small></span>`;
    }).join("")}</div></div>`;
}

/** Contributions to one tensor, adding up: those that have arrived, and those still on their way. */
function sumHtml(edge, step) {
  if (!edge.gradient || edge.of < 2) return "";
  const parts = contributions(edge.tensor);
  const here = parts.filter((e) => e.step <= step);
  const last = here[here.length - 1];
  if (last !== edge) return ""; // an op that uses a tensor twice: shown once
  return `<div class="card sum" data-tensor="${edge.tensor}">
    <h3>Σ at ${escapeHtml(placeOf(edge.tensor))}: ${here.length} of ${edge.of} contributions have arrived</h3>
    <table>${parts.map((e) => {
      const arrived = e.step <= step;
      return `<tr class="${e === edge ? "new" : arrived ? "" : "awaited"}"><th>${e.arrived > 1 ? "+" : ""}</th>
        <td>${arrived ? stripHtml(e.picture, e.tensor, "small") : `<span class="waiting">still on its way</span>`}</td>
        <td>${arrived ? amountHtml(e.gradient, e.tensor, "norm") : ""}</td>
        <td>from ${escapeHtml(sourceOf(e))}${e === edge ? " ◀ now" : ""}</td></tr>`;
    }).join("")}
    <tr class="total"><th>=</th><td>${stripHtml(last.sumPicture, last.tensor, "small")}</td>
      <td>${amountHtml(last.sum, last.tensor, "sum norm")}</td><td>${here.length === edge.of ? "the whole gradient" : "so far"}</td></tr>
    </table></div>`;
}

/** What each head contributes to the gradients that leave an op. */
function headsHtml(op, shown) {
  if (!hasHeads || !shown.size) return "";
  const rows = op.edges.map((e, place) => {
    const edge = edges[e];
    if (!edge.gradient) return "";
    if (!edge.heads) return `<tr><td><code>g${op.names[place]}</code></td><td colspan="3">above the heads: belongs to all of them</td></tr>`;
    const shares = sharesOf(edge.heads);
    const bar = heads.map((head, k) => shown.has(k) && shares[k] > 0
      ? `<span class="head-bar head-${k}" style="width:${100 * shares[k]}%" title="${escapeHtml(head.name)}">${shares[k] > 0.12 ? k + 1 : ""}</span>` : "").join("");
    const norms = heads.map((head, k) => `<span class="head-norm">${k + 1}&nbsp;${escapeHtml(head.name)}
      ${numberHtml(normOf(edge.heads, [k]), `norm of ${head.name}`)}</span>`).join(" ");
    const together = normOf(edge.heads, [...shown]);
    return `<tr><td><code>g${op.names[place]}</code></td><td class="bars">${bar}</td><td>${norms}</td>
      <td>${numberHtml(together, "norm of the heads shown")}</td></tr>`;
  }).join("");
  return `<div class="card heads-card"><h3>What each head contributes</h3>
    <table><tr><th></th><th>share of the norms</th><th>norm of each head alone</th><th>those shown, together</th></tr>${rows}</table>
    <p class="note">Backward is linear: run from one head's loss alone, it gives that head's part, and the parts add up to
    the whole. Their norms need not: parts that pull in different directions cancel.</p></div>`;
}

function forwardHtml(op) {
  const out = tensors[op.output];
  return `<details class="card"><summary>What the forward pass computed here</summary>
    ${linesHtml(recording.formulas[op.op].forward, "text")}
    ${op.filledForward.length ? linesHtml(op.filledForward, "filled") : ""}
    ${stripHtml(out.picture, op.output)} ${valuesHtml(out.few, out.shape, out.values, ["mean", "spread", "min", "max"])}</details>`;
}

// ---- a box that was clicked, and the beginning ----

function showBox(box) {
  const op = box.kind === "op" ? ops[box.op] : null;
  const tensor = tensors[box.tensor];
  const title = box.kind === "leaf" ? nameOfLeaf(box.tensor) : box.kind === "group" ? box.group : nameOfOp(box.op);
  const members = box.kind === "group" ? box.members : op ? [box.op] : [];
  const parameters = members.reduce((total, m) => total + ops[m].parameters, 0);
  const patches = op && op.patches ? `<p><button id="open-patches">Open im2col and its transpose for one patch (p)</button></p>` : "";
  panel.innerHTML = `<h2>${escapeHtml(title)}</h2>
    <div class="card"><h3>Output ${shapeText(tensor.shape)}</h3>
      ${stripHtml(tensor.picture, box.tensor)} ${valuesHtml(tensor.few, tensor.shape, tensor.values, ["mean", "spread", "min", "max"])}
      <p class="note">${members.length ? `${parameters.toLocaleString("en")} parameters` : ""}${box.kind === "group" ? `, ${box.members.length} ops: press o to open` : ""}</p></div>
    ${op ? formulaHtml(op, "forward") : ""}
    ${tensor.gradient ? `<div class="card"><h3>Its gradient, when all has arrived</h3>
      ${stripHtml(tensor.gradientPicture, box.tensor)} ${valuesHtml(tensor.fewGradient, tensor.shape, tensor.gradient)}</div>` : ""}
    ${op ? op.edges.map((e, place) => parameterHtml(edges[e], op.names[place])).join("") : ""}
    ${patches}`;
}

function parameterHtml(edge, name) {
  const tensor = tensors[edge.tensor];
  if (!tensor.parameter) return "";
  return `<div class="card"><h3><code>${name}</code> ${shapeText(tensor.shape)}</h3>
    ${stripHtml(tensor.picture, edge.tensor)} ${valuesHtml(tensor.few, tensor.shape, tensor.values, ["mean", "spread", "min", "max"])}
    ${edge.gradient ? `<h4>its gradient</h4>${stripHtml(edge.picture, edge.tensor)} ${statisticsHtml(edge.gradient)}` : ""}</div>`;
}

function showBeginning() {
  const loss = tensors[ops[steps[0]].output];
  const terms = hasHeads ? `<table class="terms">${heads.map((head, k) =>
    `<tr><td>${k + 1}</td><td>${escapeHtml(head.name)}</td><td>${numberHtml(head.value, head.name)}</td>
    <td>${head.name.startsWith("term ") ? escapeHtml(wordsFor(head.tensor)) : ""}</td></tr>`).join("")}
    <tr class="total"><td></td><td>loss</td><td>${numberHtml(loss.few ? loss.few[0] : null, "loss")}</td></tr></table>
    <p>The buttons with these numbers, above, show how much of every gradient comes from each term.</p>` : "";
  const images = leaves.filter((t) => tensors[t].shape.length === 4 && tensors[t].shape[3] === 3);
  panel.innerHTML = `<h2>Forward is done, backward has not begun</h2>
    ${images.map((t) => `<p><img class="photo" src="${pictures[tensors[t].picture]}" alt="the input"></p>`).join("")}
    <div class="card"><p>The loss is ${numberHtml(loss.few ? loss.few[0] : null, "loss")}${hasHeads ? ", the sum of" : "."}</p>${terms}
    <p>Press <kbd>→</kbd>: the walk begins at the loss with gradient 1 and comes up through ${steps.length} ops.
    Each box shows its values in grey; as soon as gradient has arrived, it shows that, in blue and orange.
    Click a box to look inside, double-click a module to open it, press <kbd>?</kbd> for all keys.</p></div>`;
}
