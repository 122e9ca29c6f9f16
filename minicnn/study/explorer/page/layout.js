"use strict";
// Which boxes are visible with the modules that are open, and where they stand.

const BOX = { width: 152, strip: 102, plain: 64 };

/** The box in which an op is drawn: its own, or that of its closed module. */
function boxOfOp(op, open) {
  const { group } = ops[op];
  return group && !open.has(group) ? `group ${group}` : `op ${op}`;
}

function boxOfTensor(tensor, open) {
  const { creator } = tensors[tensor];
  return creator === null ? `leaf ${tensor}` : boxOfOp(creator, open);
}

/** Boxes and lines with the modules in `open` opened. A line stands for all edges from one box to another. */
function visibleGraph(open) {
  const boxes = new Map();
  for (const tensor of leaves) boxes.set(`leaf ${tensor}`, { kind: "leaf", tensor });
  ops.forEach((op, number) => {
    const id = boxOfOp(number, open);
    if (id.startsWith("op")) boxes.set(id, { kind: "op", op: number, tensor: op.output, group: op.group });
    else {
      const members = groupNamed.get(op.group).ops;
      boxes.set(id, { kind: "group", group: op.group, members, tensor: ops[members[members.length - 1]].output });
    }
  });
  const lines = new Map();
  for (const edge of edges) {
    if (tensors[edge.tensor].parameter) continue;
    const from = boxOfTensor(edge.tensor, open), to = boxOfOp(edge.op, open);
    if (from === to) continue;
    const id = `${from} > ${to}`;
    if (!lines.has(id)) lines.set(id, { id, from, to, tensor: edge.tensor, edges: [] });
    lines.get(id).edges.push(edge);
  }
  return { boxes, lines: [...lines.values()] };
}

/** Let dagre place the boxes: the input at the top, the loss at the bottom. */
function placeBoxes({ boxes, lines }, open) {
  const graph = new dagre.graphlib.Graph({ compound: true });
  graph.setGraph({ rankdir: "TB", nodesep: 14, edgesep: 12, ranksep: 34, marginx: 14, marginy: 22 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const group of open) graph.setNode(`module ${group}`, {});
  for (const [id, box] of boxes) {
    box.width = BOX.width;
    box.height = tensors[box.tensor].picture === null ? BOX.plain : BOX.strip;
    graph.setNode(id, { width: box.width, height: box.height });
    if (box.group && box.kind === "op") graph.setParent(id, `module ${box.group}`);
  }
  for (const line of lines) graph.setEdge(line.from, line.to, { weight: line.edges.length });
  dagre.layout(graph);

  for (const [id, box] of boxes) Object.assign(box, corner(graph.node(id)));
  for (const line of lines) line.points = graph.edge(line.from, line.to).points;
  const frames = [...open].map((group) => ({ group, ...corner(graph.node(`module ${group}`)) }));
  for (const frame of frames) inOrder(frame, boxes, lines);
  spreadEnds(lines, boxes);
  const { width, height } = graph.graph();
  return { boxes, lines, frames, width, height };
}

/** Mirror an open module if its branches stand in the reverse of the order in which they were run. */
function inOrder(frame, boxes, lines) {
  const members = [...boxes.values()].filter((box) => box.kind === "op" && box.group === frame.group);
  let balance = 0; // pairs of ops with the same input, or the same reader, that stand in order, less those that do not
  for (const line of lines) {
    for (const other of lines) {
      if (line.from !== other.from && line.to !== other.to) continue;
      const end = line.from === other.from ? "to" : "from";
      const a = boxes.get(line[end]), b = boxes.get(other[end]);
      if (members.includes(a) && members.includes(b) && a.op < b.op) balance += Math.sign(b.x - a.x);
    }
  }
  if (balance >= 0) return;
  const mirrored = (x) => 2 * frame.x + frame.width - x;
  for (const box of members) box.x = mirrored(box.x + box.width);
  const isMember = (id) => members.includes(boxes.get(id));
  const top = frame.y - 40, bottom = frame.y + frame.height - 20; // lines bend before they enter, and as they leave
  for (const line of lines.filter(({ from, to }) => isMember(from) || isMember(to))) {
    line.points = line.points.map(({ x, y }) => ({ x: y >= top && y <= bottom ? mirrored(x) : x, y }));
  }
}

/** Let lines leave a box at its lower side and enter at the upper one, side by side in the order of where they go. */
function spreadEnds(lines, boxes) {
  for (const [id, box] of boxes) {
    const leaving = lines.filter((line) => line.from === id);
    leaving.sort((a, b) => a.points[1].x - b.points[1].x);
    leaving.forEach((line, k) => { line.points[0] = { x: along(box, k, leaving.length), y: box.y + box.height }; });
    const entering = lines.filter((line) => line.to === id);
    entering.sort((a, b) => a.points[a.points.length - 2].x - b.points[b.points.length - 2].x);
    entering.forEach((line, k) => { line.points[line.points.length - 1] = { x: along(box, k, entering.length), y: box.y }; });
  }
}

function along(box, place, count) {
  return box.x + (box.width * (place + 1)) / (count + 1);
}

function corner({ x, y, width, height }) {
  return { x: x - width / 2, y: y - height / 2, width, height };
}
