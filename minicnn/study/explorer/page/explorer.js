"use strict";
// The state of the page, and what keys and clicks do to it.

const state = {
  step: -1, // the last op of the walk that has had its turn; -1: none yet
  open: new Set(), // modules that are open
  opened: new Set(), // those among them that the walk opened by itself
  shown: new Set(), // heads that are switched on
  selected: null, // the box that was clicked
  follow: true,
  timer: null,
  patches: null,
};

const element = (id) => document.getElementById(id);

// ---- the walk ----

function goTo(step, { centre = false } = {}) {
  state.step = Math.min(steps.length - 1, Math.max(-1, step));
  state.selected = null;
  followIntoModules();
  refresh(centre);
  element("slider").value = state.step + 1;
  element("counter").textContent = state.step < 0 ? `forward pass` : `step ${state.step + 1} of ${steps.length}`;
}

function followIntoModules() {
  const group = state.step >= 0 ? ops[steps[state.step]].group : null;
  let changed = false;
  for (const name of [...state.opened]) {
    if (name !== group) {
      state.open.delete(name);
      state.opened.delete(name);
      changed = true;
    }
  }
  // A module of two ops (a convolution and its ReLU) tells nothing more when it is open.
  if (state.follow && group && !state.open.has(group) && groupNamed.get(group).ops.length > 2) {
    state.open.add(group);
    state.opened.add(group);
    changed = true;
  }
  if (changed) drawGraph(state.open);
}

/** Go to the first step of the next module in the walk, or to that of this one or of the one before. */
function jump(direction) {
  const moduleAt = (step) => (step < 0 ? null : ops[steps[step]].group ?? ops[steps[step]].path ?? "");
  let step = state.step + direction;
  if (direction > 0) {
    while (step < steps.length - 1 && moduleAt(step) === moduleAt(state.step)) step++;
  } else {
    while (step > 0 && moduleAt(step - 1) === moduleAt(step)) step--;
  }
  goTo(step);
}

function run() {
  if (state.timer) {
    clearInterval(state.timer);
    state.timer = null;
  } else {
    state.timer = setInterval(() => {
      if (state.step >= steps.length - 1) run();
      else goTo(state.step + 1);
    }, 900);
  }
  element("play").textContent = state.timer ? "stop" : "run";
}

// ---- modules, heads, boxes ----

function toggle(group) {
  if (state.open.has(group)) {
    state.open.delete(group);
    state.opened.delete(group);
  } else state.open.add(group);
  drawGraph(state.open);
  state.selected = null;
  refresh(false);
  const first = groupNamed.get(group).ops[groupNamed.get(group).ops.length - 1];
  reveal(boxOfOp(first, state.open), { centre: true });
}

/** The module that the key o is about: that of the box clicked last, or of the step. */
function moduleMeant() {
  if (state.selected) return scene.boxes.get(state.selected)?.group ?? null;
  return state.step >= 0 ? ops[steps[state.step]].group : null;
}

function toggleHead(head) {
  if (!hasHeads || head >= heads.length) return;
  if (state.shown.has(head)) state.shown.delete(head);
  else state.shown.add(head);
  for (const button of element("heads").children) {
    button.setAttribute("aria-pressed", state.shown.has(Number(button.dataset.head)));
  }
  refresh(false);
}

function select(id) {
  state.selected = id;
  refresh(false);
}

function refresh(centre) {
  showState(state);
  const box = state.selected && scene.boxes.get(state.selected);
  if (box) showBox(box);
  else if (state.step < 0) showBeginning();
  else {
    showStep(state.step, state.shown);
    const op = steps[state.step];
    const sent = ops[op].edges.map((e) => edges[e]).filter((e) => e.gradient && !tensors[e.tensor].parameter);
    const receivers = sent.map((e) => boxOfTensor(e.tensor, state.open));
    reveal(boxOfOp(op, state.open), { receivers, centre });
  }
}

function openPatches() {
  const box = state.selected && scene.boxes.get(state.selected);
  const op = box ? (box.kind === "op" ? ops[box.op] : null) : state.step >= 0 ? ops[steps[state.step]] : null;
  if (!op || !op.patches) {
    notice("p shows the patches of a convolution whose window is larger than 1×1: step to one, or click its box.");
    return;
  }
  state.patches = new PatchView(op);
  state.patches.show();
  patchesDialog.showModal();
}

// ---- keys and mouse ----

const keys = {
  ArrowRight: (event) => (event.shiftKey ? jump(1) : goTo(state.step + 1)),
  ArrowLeft: (event) => (event.shiftKey ? jump(-1) : goTo(state.step - 1)),
  Home: () => goTo(-1),
  End: () => goTo(steps.length - 1),
  " ": run,
  o: () => { const group = moduleMeant(); if (group) toggle(group); },
  p: openPatches,
  f: () => element("follow").click(),
  1: () => toggleHead(0),
  2: () => toggleHead(1),
  3: () => toggleHead(2),
  "+": () => zoom(scale * 1.2),
  "-": () => zoom(scale / 1.2),
  "?": () => element("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (patchesDialog.open) return state.patches.key(event);
  if (element("help").open) {
    if (event.key === "?") element("help").close();
    return;
  }
  const action = keys[event.key];
  if (action) {
    event.preventDefault();
    action(event);
  }
});

document.getElementById("nodes").addEventListener("click", (event) => {
  const toggled = event.target.closest("[data-toggle]");
  if (toggled) return toggle(toggled.dataset.toggle);
  const box = event.target.closest("[data-box]");
  if (box) select(box.dataset.box);
});
document.getElementById("nodes").addEventListener("dblclick", (event) => {
  const box = event.target.closest("[data-box]");
  const group = box && scene.boxes.get(box.dataset.box)?.group;
  if (group) toggle(group);
});
panel.addEventListener("click", (event) => {
  if (event.target.id === "open-patches") openPatches();
});
patchesDialog.addEventListener("click", (event) => state.patches.click(event.target));
element("first").addEventListener("click", () => goTo(-1));
element("back").addEventListener("click", () => goTo(state.step - 1));
element("forward").addEventListener("click", () => goTo(state.step + 1));
element("play").addEventListener("click", run);
element("slider").addEventListener("input", (event) => goTo(Number(event.target.value) - 1));
element("follow").addEventListener("change", (event) => { state.follow = event.target.checked; });
element("help-button").addEventListener("click", () => element("help").showModal());
element("help-close").addEventListener("click", () => element("help").close());

// ---- the beginning ----

function begin() {
  element("title").textContent = recording.title;
  element("subtitle").textContent = recording.subtitle;
  element("slider").max = steps.length;
  element("heads").hidden = !hasHeads;
  if (hasHeads) {
    element("heads").innerHTML = heads.map((head, k) => `<button class="head-switch head-${k}" data-head="${k}"
      aria-pressed="false" title="what ${escapeHtml(head.name)} contributes (${k + 1})">
      <svg width="26" height="8"><path d="M 1 4 L 25 4" stroke-width="4"
        stroke-dasharray="${["", "8 4", "0.1 6"][k]}"></path></svg>
      ${k + 1} ${escapeHtml(head.name)}</button>`).join("");
    element("heads").addEventListener("click", (event) => {
      const button = event.target.closest("[data-head]");
      if (button) toggleHead(Number(button.dataset.head));
    });
  }
  drawGraph(state.open);
  const start = recording.module ? steps.findIndex((op) => ops[op].path.split(".")[0] === recording.module) : -1;
  goTo(start, { centre: true });
  if (start < 0) {
    const view = element("graph");
    const [top] = [...scene.boxes.values()].sort((a, b) => a.y - b.y);
    view.scrollTo({ left: (top.x + top.width / 2) * scale - view.clientWidth / 2, top: 0 });
  }
  document.documentElement.dataset.ready = "yes";
}

begin();
