"use strict";
// im2col for one patch, and its transpose: what was copied out of a pixel is added back into it.

const patchesDialog = document.getElementById("patches");

function decode({ kind, base64 }) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return kind === "float64" ? new Float64Array(bytes.buffer) : new Float32Array(bytes.buffer);
}

class PatchView {
  constructor(op) {
    this.op = op;
    Object.assign(this, op.patches);
    for (const name of ["x", "gcols", "gx"]) if (this[name]) this[name] = decode(this[name]);
    [this.OH, this.OW] = this.places;
    [this.KH, this.KW] = this.kernel;
    [this.SH, this.SW] = this.stride;
    [this.height, this.width] = this.size;
    this.cell = Math.max(6, Math.min(26, Math.floor(290 / Math.max(this.height, this.width))));
    this.limits = { x: range(this.x), g: largest(this.gcols), sum: largest(this.allSums()) };
    this.p = this.OH >> 1;
    this.q = this.OW >> 1;
    this.pixel = null; // one that the mouse is on, in the right picture
    this.added = new Set(); // rows of gcols that have been added back
  }

  /** Entries of gcols that were copied from a padded pixel: the place of the patch, the place in it, the value. */
  entriesOf(h, w) {
    const found = [];
    for (let i = 0; i < this.KH; i++) {
      for (let j = 0; j < this.KW; j++) {
        const p = (h - i) / this.SH, q = (w - j) / this.SW;
        if (Number.isInteger(p) && Number.isInteger(q) && p >= 0 && q >= 0 && p < this.OH && q < this.OW) {
          found.push({ p, q, i, j, value: this.entry("g", p, q, i, j) });
        }
      }
    }
    return found.sort((a, b) => a.p - b.p || a.q - b.q);
  }

  /** What col2im makes of all of gcols, pixel by pixel. */
  allSums() {
    const sums = new Float64Array(this.height * this.width);
    for (let p = 0; p < this.OH; p++) {
      for (let q = 0; q < this.OW; q++) {
        for (let i = 0; i < this.KH; i++) {
          for (let j = 0; j < this.KW; j++) {
            sums[(p * this.SH + i) * this.width + q * this.SW + j] += this.entry("g", p, q, i, j);
          }
        }
      }
    }
    return sums;
  }

  isPadding(h, w) {
    const row = h + this.origin[0], column = w + this.origin[1];
    return row < 0 || column < 0 || row >= this.image[0] || column >= this.image[1];
  }

  inPatch(h, w) {
    const i = h - this.p * this.SH, j = w - this.q * this.SW;
    return i >= 0 && j >= 0 && i < this.KH && j < this.KW;
  }

  /** What has been added back into a pixel so far. */
  sumAt(h, w) {
    return this.entriesOf(h, w).filter((e) => this.added.has(e.p * this.OW + e.q)).reduce((sum, e) => sum + e.value, 0);
  }

  show() {
    const part = this.places[0] === this.allPlaces[0] && this.places[1] === this.allPlaces[1]
      ? "" : `, a part of ${this.OH}×${this.OW} of the ${this.allPlaces.join("×")} places`;
    patchesDialog.innerHTML = `
      <button class="close" id="patches-close">Close (Esc)</button>
      <h2>im2col and its transpose in ${escapeHtml(this.op.path || this.op.op)}</h2>
      <p class="note">${this.KH}×${this.KW} windows, stride ${this.stride.join("×")}; channel ${this.channel} of ${this.channels} of the
        input, where the gradient is strongest${part}. Hatched: padding. Arrow keys or a click move the window; a adds its row
        back, A adds all rows.</p>
      <div class="columns">
        <div><h3>Forward: the patch at (${this.firstPlace[0] + this.p}, ${this.firstPlace[1] + this.q}) is copied…</h3>
          ${this.gridHtml("x")}</div>
        <div><h3><code>cols</code></h3>${this.matrixHtml("x")}</div>
        <div><h3><code>gcols</code></h3>${this.matrixHtml("g")}</div>
        <div><h3>Backward: …and what comes back is added</h3>${this.gridHtml("g")}</div>
      </div>
      <h3>…into a row of <code>cols</code>, ${this.KH}·${this.KW} of its ${this.KH * this.KW * this.channels} entries</h3>
      ${this.rowHtml("x")}
      <h3>The same row of <code>gcols = gy @ w^T</code></h3>
      ${this.rowHtml("g")}
      <p><button id="add-row">Add this row back (a)</button> <button id="add-all">Add all rows (A)</button>
         <button id="add-none">Start again</button>
         <span>${this.added.size} of ${this.OH * this.OW} rows added</span></p>
      <div class="overlap">${this.overlapHtml()}</div>`;
    for (const which of ["x", "g"]) this.drawMatrix(which);
  }

  /** All rows of this channel: a picture with one pixel an entry, stretched, and the row of the patch marked. */
  matrixHtml(which) {
    const row = (this.p * this.OW + this.q) / (this.OH * this.OW);
    return `<div class="matrix"><canvas data-matrix="${which}" width="${this.KH * this.KW}" height="${this.OH * this.OW}"></canvas>
      <b style="top:${100 * row}%;height:max(3px, ${100 / (this.OH * this.OW)}%)"></b></div>`;
  }

  drawMatrix(which) {
    const canvas = patchesDialog.querySelector(`[data-matrix=${which}]`);
    const context = canvas.getContext("2d");
    for (let p = 0; p < this.OH; p++) {
      for (let q = 0; q < this.OW; q++) {
        for (let i = 0; i < this.KH; i++) {
          for (let j = 0; j < this.KW; j++) {
            context.fillStyle = colour(this.entry(which, p, q, i, j), which, this.limits);
            context.fillRect(i * this.KW + j, p * this.OW + q, 1, 1);
          }
        }
      }
    }
  }

  /** Element (i, j) of the row of the patch at (p, q): of cols or, for "g", of gcols. */
  entry(which, p, q, i, j) {
    return which === "x"
      ? this.x[(p * this.SH + i) * this.width + q * this.SW + j]
      : this.gcols[((p * this.OW + q) * this.KH + i) * this.KW + j];
  }

  gridHtml(which) {
    const cells = [];
    for (let h = 0; h < this.height; h++) {
      for (let w = 0; w < this.width; w++) {
        const value = which === "x" ? this.x[h * this.width + w] : this.sumAt(h, w);
        const classes = [this.isPadding(h, w) ? "padding" : "", this.inPatch(h, w) ? "in-patch" : "",
          this.pixel && this.pixel[0] === h && this.pixel[1] === w ? "chosen" : ""].join(" ");
        cells.push(`<i class="${classes}" data-h="${h}" data-w="${w}" style="background:${colour(value, which === "g" ? "sum" : "x", this.limits)}"
          title="${format(value)}"></i>`);
      }
    }
    return `<div class="grid ${this.cell < 12 ? "fine" : ""}" data-grid="${which}" style="--cell:${this.cell}px;--columns:${this.width}">${cells.join("")}</div>`;
  }

  rowHtml(which) {
    const cells = [];
    for (let i = 0; i < this.KH; i++) {
      for (let j = 0; j < this.KW; j++) {
        const value = this.entry(which, this.p, this.q, i, j);
        cells.push(`<td title="${format(value)}" style="background:${colour(value, which, this.limits)};color:${ink(value, which, this.limits)}">
          <small>${i},${j}</small><br>${this.KH * this.KW > 25 ? "" : format(value, this.KH * this.KW > 9 ? 2 : 4)}</td>`);
      }
    }
    return `<table class="row ${this.KH * this.KW > 9 ? "many" : ""}" data-row="${which}"><tr>${cells.join("")}</tr></table>`;
  }

  /** The sum at one pixel, written out: the overlapping patches. */
  overlapHtml() {
    const [h, w] = this.pixel ?? [this.p * this.SH + (this.KH >> 1), this.q * this.SW + (this.KW >> 1)];
    const entries = this.entriesOf(h, w);
    const total = entries.reduce((sum, e) => sum + e.value, 0);
    const row = h + this.origin[0], column = w + this.origin[1];
    const engine = this.gx && !this.isPadding(h, w) ? this.gx[h * this.width + w] : null;
    const terms = entries.map((e) => {
      const done = this.added.has(e.p * this.OW + e.q);
      return `<span class="term ${done ? "done" : ""}" title="entry (${e.i}, ${e.j}) of the patch at (${e.p}, ${e.q})">
        ${format(e.value)}<small>(${this.firstPlace[0] + e.p}, ${this.firstPlace[1] + e.q})</small></span>`;
    }).join(" + ");
    return `<h3>Pixel (${row}, ${column})${this.isPadding(h, w) ? ", padding: thrown away" : ""} was in ${entries.length} patches; it receives the sum</h3>
      <p class="terms">${terms} = <b>${numberHtml(total, "overlap sum")}</b></p>
      ${engine === null ? "" : `<p class="note">the engine's gx at this pixel: ${numberHtml(engine, "engine gx")}</p>`}`;
  }

  move(rows, columns) {
    this.p = Math.min(this.OH - 1, Math.max(0, this.p + rows));
    this.q = Math.min(this.OW - 1, Math.max(0, this.q + columns));
    this.pixel = null;
    this.show();
  }

  addRow() {
    this.added.add(this.p * this.OW + this.q);
    this.show();
  }

  addAll() {
    for (let row = 0; row < this.OH * this.OW; row++) this.added.add(row);
    this.show();
  }

  click(target) {
    if (target.id === "patches-close") patchesDialog.close();
    else if (target.id === "add-row") this.addRow();
    else if (target.id === "add-all") this.addAll();
    else if (target.id === "add-none") { this.added.clear(); this.show(); }
    else if (target.dataset.h !== undefined) {
      const h = Number(target.dataset.h), w = Number(target.dataset.w);
      if (target.closest("[data-grid=g]")) { this.pixel = [h, w]; this.show(); }
      else {
        this.p = Math.min(this.OH - 1, Math.max(0, Math.round((h - (this.KH - 1) / 2) / this.SH)));
        this.q = Math.min(this.OW - 1, Math.max(0, Math.round((w - (this.KW - 1) / 2) / this.SW)));
        this.pixel = null;
        this.show();
      }
    }
  }

  key(event) {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (moves[event.key]) this.move(...moves[event.key]);
    else if (event.key === "a") this.addRow();
    else if (event.key === "A") this.addAll();
    else return;
    event.preventDefault();
  }
}

function range(values) {
  let low = 0, high = 0; // zero is one of the values: padding
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return { low, high: high > low ? high : low + 1 };
}

function largest(values) {
  let most = 0;
  for (const value of values) if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
  return most || 1;
}

/** Grey for values, blue through white to orange for gradients, as in thumbnails.py; yellow for what is not finite. */
function colour(value, which, limits) {
  if (!Number.isFinite(value)) return "rgb(240,228,66)";
  if (which === "x") {
    const level = Math.round((255 * (value - limits.x.low)) / (limits.x.high - limits.x.low));
    return `rgb(${level},${level},${level})`;
  }
  const share = Math.max(-1, Math.min(1, value / limits[which]));
  const strength = Math.abs(share) ** 0.7;
  const end = share < 0 ? [5, 80, 160] : [190, 80, 0];
  return `rgb(${end.map((c) => Math.round(250 + strength * (c - 250))).join(",")})`;
}

function ink(value, which, limits) {
  if (!Number.isFinite(value)) return "#000";
  if (which === "x") return value - limits.x.low > 0.5 * (limits.x.high - limits.x.low) ? "#000" : "#fff";
  return Math.abs(value / limits.g) > 0.5 ? "#fff" : "#000";
}
