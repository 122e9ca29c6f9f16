"use strict";
// The graph on the left: boxes are HTML, lines are SVG.

// Heads are told apart not by colour alone: solid, dashed, dotted; the wider, the longer.
const HEAD_DASHES = [() => "", (width) => `${8 + 2 * width} ${4 + width}`, (width) => `0.1 ${3 + 1.6 * width}`];

const canvas = document.getElementById("canvas");
const boxesElement = document.getElementById("nodes");
const framesElement = document.getElementById("frames"); // below the lines
const edgesElement = document.getElementById("edges");

let scene = null; // what placeBoxes returned, and the elements drawn for it
let scale = 1;

function drawGraph(open) {
  scene = placeBoxes(visibleGraph(open), open);
  boxesElement.replaceChildren();
  framesElement.replaceChildren();
  for (const frame of scene.frames) drawFrame(frame);
  for (const [id, box] of scene.boxes) {
    box.element = boxElement(id, box);
    boxesElement.append(box.element);
  }
  edgesElement.setAttribute("viewBox", `0 0 ${scene.width} ${scene.height}`);
  zoom(scale);
}

function zoom(factor) {
  scale = Math.min(2, Math.max(0.4, factor));
  canvas.style.width = `${scene.width * scale}px`;
  canvas.style.height = `${scene.height * scale}px`;
  for (const layer of [boxesElement, framesElement]) layer.style.transform = `scale(${scale})`;
  edgesElement.setAttribute("width", scene.width * scale);
  edgesElement.setAttribute("height", scene.height * scale);
}

function place(element, { x, y, width, height }) {
  Object.assign(element.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
}

/** A module that is open: a frame around its ops, and a title that closes it. */
function drawFrame(frame) {
  const background = document.createElement("div");
  background.className = "frame";
  place(background, frame);
  framesElement.append(background);
  const title = document.createElement("button");
  title.className = "frame-title";
  title.dataset.toggle = frame.group;
  title.title = "close this module (o)";
  title.textContent = `▾ ${frame.group}`;
  Object.assign(title.style, { left: `${frame.x + 8}px`, top: `${frame.y - 14}px` });
  boxesElement.append(title);
}

function boxElement(id, box) {
  const element = document.createElement("div");
  element.className = `box ${box.kind}`;
  if (box.kind === "op" && ops[box.op].op.length + layerOf(box.op).length > 18) element.classList.add("long");
  element.dataset.box = id;
  place(element, box);
  element.innerHTML = `<div class="name">${boxTitle(box)}</div><div class="strip"><img alt=""></div>
    <div class="meta">${boxMeta(box)}</div><div class="meta numbers"></div><div class="badge"></div>`;
  return element;
}

function boxTitle(box) {
  if (box.kind === "leaf") return `<b>${escapeHtml(nameOfLeaf(box.tensor))}</b>`;
  if (box.kind === "group") {
    return `<button class="toggle" data-toggle="${escapeHtml(box.group)}" title="open this module (o)">▸</button>
      <b>${escapeHtml(box.group)}</b>`;
  }
  const layer = layerOf(box.op);
  const isNew = layer && layer !== ops[box.op].op && layer !== box.group;
  const name = isNew && layer.length + ops[box.op].op.length < 25 ? `<small>${escapeHtml(layer)}</small>` : "";
  return `<b>${escapeHtml(ops[box.op].op)}</b> ${name}`;
}

/** Shape, without the batch, and parameters. */
function boxMeta(box) {
  const { shape } = tensors[box.tensor];
  const members = box.kind === "group" ? box.members : box.kind === "op" ? [box.op] : [];
  const parameters = members.reduce((total, op) => total + ops[op].parameters, 0);
  const size = shape.length === 0 ? "a number" : shape.slice(shape.length === 4 ? 1 : 0).join("×");
  return `<span>${size}</span><span>${parameters > 1 ? `${compact(parameters)} par.` : ""}</span>`;
}

function compact(count) {
  return count < 1e4 ? count.toLocaleString("en") : count < 1e6 ? `${(count / 1e3).toFixed(0)}k` : `${(count / 1e6).toFixed(1)}M`;
}

/** Which of a box's ops have had their turn: "todo", "now", "inside" (a module half done) or "done". */
function stateOfBox(box, step) {
  if (box.kind === "leaf") return contributions(box.tensor).some((e) => e.step <= step) ? "done" : "todo";
  const members = box.kind === "op" ? [box.op] : box.members;
  if (step >= 0 && members.includes(steps[step])) return "now";
  const done = members.filter((op) => ops[op].step <= step).length;
  return done === 0 ? "todo" : done === members.length ? "done" : "inside";
}

/** Show the state of the walk after `step`, with the heads in `shown` switched on. */
function showState({ step, shown, selected }) {
  for (const [id, box] of scene.boxes) {
    const element = box.element;
    element.classList.remove("todo", "now", "inside", "done", "selected");
    element.classList.add(stateOfBox(box, step));
    if (id === selected) element.classList.add("selected");
    showContents(box, step);
  }
  edgesElement.innerHTML = scene.lines.map((line) => lineSvg(line, step, shown)).join("");
}

/** A box shows its values until gradient arrives, then the gradient that has arrived so far. */
function showContents(box, step) {
  const tensor = tensors[box.tensor];
  const arrived = contributions(box.tensor).filter((e) => e.step <= step);
  const last = arrived[arrived.length - 1];
  let picture = tensor.picture, statistics = tensor.values, isGradient = false;
  if (last) {
    picture = last.sumPicture ?? last.picture;
    statistics = last.sum ?? last.gradient;
    isGradient = true;
  } else if (box.tensor === ops[steps[0]].output && step >= 0) {
    statistics = tensor.gradient;
    isGradient = true;
  }
  const image = box.element.querySelector("img");
  if (picture !== null) image.src = pictures[picture];
  box.element.querySelector(".strip").hidden = picture === null;
  const line = box.element.querySelector(".numbers");
  line.classList.toggle("gradient", isGradient);
  line.textContent = numbersOfBox(statistics, isNumber(tensor.shape), isGradient);
  const badge = box.element.querySelector(".badge");
  const of = last ? last.of : 0;
  badge.hidden = of < 2;
  badge.textContent = of < 2 ? "" : `Σ ${last.arrived} of ${of}`;
  badge.classList.toggle("full", of > 1 && last.arrived === of);
}

/** The bottom line of a box; the mean of a single number is that number. */
function numbersOfBox({ mean, spread, norm }, isSingle, isGradient) {
  if (isSingle) return `${isGradient ? "g = " : ""}${format(mean, 3)}`;
  return isGradient ? `|g| = ${format(norm, 3)}` : `mean ${format(mean, 3)} ± ${format(spread, 3)}`;
}

// ---- lines ----

function lineSvg(line, step, shown) {
  const edgesOfLine = line.edges.filter((e) => e.gradient);
  if (!edgesOfLine.length) return pathSvg(line, "none", 1, 0);
  const passed = edgesOfLine.some((e) => e.step <= step);
  const now = edgesOfLine.some((e) => e.step === step);
  const products = productsOf(line);
  const state = now ? "now" : passed ? "passed" : "todo";
  if (shown.size && products) {
    const shares = sharesOf(products);
    const strands = [...shown].filter((head) => shares[head] > 0).sort();
    return strands.map((head, k) => {
      const width = 1.2 + 7 * shares[head];
      return pathSvg(line, `head head-${head} ${state}`, width, (k - (strands.length - 1) / 2) * 7, HEAD_DASHES[head](width),
        `data-head="${head}" data-share="${shares[head]}"`);
    }).join("") + (now ? arrowSvg(line, "now") : "");
  }
  return pathSvg(line, state, now ? 4 : passed ? 2.2 : 1.4, 0) + (passed ? arrowSvg(line, state) : "");
}

/** Scalar products of what the heads send along a line: an edge's, or a module's whole. */
function productsOf(line) {
  if (line.edges.length === 1) return line.edges[0].heads;
  const bundle = bundleOf.get(`${line.tensor} ${line.edges[0] && ops[line.edges[0].op].group}`);
  return bundle ? bundle.heads : line.edges[0].heads;
}

function pathSvg(line, kind, width, shift, dash = "", more = "") {
  const points = line.points.map(({ x, y }) => ({ x: x + shift, y }));
  let d = `M ${points[0].x} ${points[0].y}`;
  for (let k = 1; k < points.length; k++) {
    const a = points[k - 1], b = points[k], slant = (b.x - a.x) / (Math.hypot(b.x - a.x, b.y - a.y) || 1);
    const middle = (a.y + b.y) / 2 - (4 / 3) * shift * slant; // strands stay apart where the line goes across
    d += ` C ${a.x} ${middle} ${b.x} ${middle} ${b.x} ${b.y}`; // upright at both ends
  }
  const style = dash ? `stroke-dasharray="${dash}"` : "";
  return `<path class="line ${kind}" d="${d}" stroke-width="${width}" ${style} ${more} data-line="${escapeHtml(line.id)}"></path>`;
}

/** The arrowhead of a gradient: at the upper end, because it travels up. */
function arrowSvg(line, state) {
  const { x, y } = line.points[0];
  const size = state === "now" ? 12 : 8, side = size * 0.6;
  return `<path class="arrow ${state}" d="M ${x} ${y} l ${-side} ${size} h ${2 * side} Z"></path>`;
}

/**
 * Scroll so that a box is in view, in the middle if `centre`; with it, as far as there is room, the boxes to which it
 * sends gradient, and its module from side to side.
 */
function reveal(id, { receivers = [], centre = false } = {}) {
  const box = scene.boxes.get(id);
  if (!box) return;
  const view = document.getElementById("graph");
  const boxes = receivers.map((receiver) => scene.boxes.get(receiver)).filter(Boolean);
  const frame = scene.frames.find((f) => f.group === box.group);
  const [left, right] = together([...boxes, ...(frame ? [frame] : [])].map((b) => [b.x, b.x + b.width]),
    [box.x, box.x + box.width], view.clientWidth / scale);
  const rows = (b, margin) => [b.y - margin, b.y + b.height + margin];
  const [top, bottom] = together([rows(box, 78), ...boxes.map((b) => rows(b, 20))], rows(box, 20), view.clientHeight / scale);
  const outside = top * scale < view.scrollTop - 1 || bottom * scale > view.scrollTop + view.clientHeight + 1
    || left * scale < view.scrollLeft - 1 || right * scale > view.scrollLeft + view.clientWidth + 1;
  if (centre || outside) {
    view.scrollTo({
      left: ((left + right) * scale - view.clientWidth) / 2,
      top: ((top + bottom) * scale - view.clientHeight) / 2,
      behavior: "instant",
    });
  }
}

/** Widen a range by each of the others, in turn, as long as it is no larger than the room there is. */
function together(others, [from, to], room) {
  for (const [a, b] of others) {
    const low = Math.min(from, a), high = Math.max(to, b);
    if (high - low <= room) [from, to] = [low, high];
  }
  return [from, to];
}
