"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const at = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const LAYERS = [ // name, key, shown at first
  ["labels", "l", true], ["boxes", "b", true], ["whole boxes", "w", false], ["outlines", "o", true], ["areas", "a", false],
  ["names", "n", true], ["visible share", "v", false], ["depth", "d", false], ["raw beside", "r", innerWidth > 900],
];
const on = Object.fromEntries(LAYERS.map(([name, , shown]) => [name, shown]));
let scene = 0, frame = 0, playing = 0;

function element(kind, text, attributes = {}) {
  const made = document.createElement(kind);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
function drawn(kind, attributes, text) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
const colour = category => `rgb(${(content.colours[category] || [235, 235, 235]).join(",")})`;

function drawLabels(svg, shown, [width, height]) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(drawn("title", {}, on.labels ? `${shown.parts.length} parts with their labels` : "no labels"));
  if (!on.labels) return;
  const unit = width / Math.max(svg.clientWidth, 1); // pixels of the picture for one of the screen
  const line = { fill: "none", "stroke-width": 1.5, "vector-effect": "non-scaling-stroke" };
  for (const part of shown.parts) {
    const stroke = colour(part.category), group = drawn("g", {});
    group.append(drawn("title", {}, `${part.id} ${part.category}, ${Math.round(100 * part.visible)} % visible`));
    if (part.outline && (on.outlines || on.areas)) {
      const fill = on.areas ? { fill: stroke, "fill-opacity": 0.35, "fill-rule": "evenodd" } : {};
      group.append(drawn("path", { ...line, ...fill, d: part.outline, stroke: on.outlines ? stroke : "none" }));
    }
    const rectangle = ([x0, y0, x1, y1], more) =>
      group.append(drawn("rect", { ...line, x: x0, y: y0, width: x1 - x0, height: y1 - y0, stroke, ...more }));
    if (on["whole boxes"] && part.whole) rectangle(part.whole, { "stroke-dasharray": "5 4" });
    if (on.boxes && part.box) rectangle(part.box, {});
    const words = [];
    if (on.names) words.push(`${part.id} ${part.category}`);
    if (on["visible share"]) words.push(`${Math.round(100 * part.visible)} %`);
    if (words.length && part.box) {
      const y = Math.max(part.box[1] - 3 * unit, 12 * unit);
      const text = drawn("text", { x: part.box[0], y, fill: stroke }, words.join(" "));
      text.style.fontSize = `${12 * unit}px`;
      text.style.strokeWidth = `${3 * unit}px`;
      group.append(text);
    }
    svg.append(group);
  }
}

function rowOf(cells, head = false) {
  const row = element("tr");
  cells.forEach((cell, i) => {
    const box = element(head || i === 0 ? "th" : "td", cell instanceof Node ? undefined : cell);
    if (cell instanceof Node) box.append(cell);
    row.append(box);
  });
  return row;
}
function named(category) {
  const made = element("span"), dot = element("span", "", { class: "dot" });
  dot.style.background = colour(category);
  made.append(dot, category);
  return made;
}
function places(values) {
  const svg = drawn("svg", { viewBox: "-3 0 96 10", class: "where", "aria-hidden": "true" });
  for (const value of values) if (value !== null) svg.append(drawn("circle", { cx: 90 * value, cy: 5, r: 3 }));
  return svg;
}

function showFrame() {
  const one = content.scenes[scene], shown = one.frames[frame];
  for (const image of document.querySelectorAll("img.picture")) {
    image.src = shown.picture;
    image.alt = `scene ${one.index}, frame ${shown.frame}`;
    image.style.aspectRatio = `${one.size[0]} / ${one.size[1]}`;
  }
  const depth = document.querySelector("img.depth");
  depth.src = shown.depth;
  depth.hidden = !on.depth;
  at("raw").hidden = !on["raw beside"];
  at("panes").classList.toggle("both", on["raw beside"]);
  drawLabels(document.querySelector(".pane svg"), shown, one.size);
  at("slider").value = frame;
  at("when").textContent = `frame ${shown.frame} of ${one.frames_in_all}, ${shown.time_s.toFixed(2)} s`;
  const notes = [...one.notes];
  if (shown.scale < 1) notes.push(`shown at ${Math.round(100 * shown.scale)} % of its ${one.size[0]} pixels`);
  if (on.depth) notes.push(`depth: red ${one.depth_m[0]} m, blue ${one.depth_m[1]} m`);
  at("note").textContent = `${one.size[0]} x ${one.size[1]} pixels; ${notes.join("; ")}; id ${one.id}`;
  at("parts").replaceChildren(rowOf(["category", "id", "visible", "box: left, top, right, bottom"], true),
    ...shown.parts.map(part => rowOf([named(part.category), `${part.id}`, `${Math.round(100 * part.visible)} %`,
      part.box ? part.box.join(", ") : "hidden"])));
}

function showScene() {
  const one = content.scenes[scene];
  frame = Math.min(frame, one.frames.length - 1);
  at("slider").max = one.frames.length - 1;
  for (const id of ["slider", "play", "before", "after"]) at(id).disabled = one.frames.length < 2;
  [...at("thumbs").children].forEach((button, i) => {
    button.setAttribute("aria-current", `${i === scene}`);
    if (i === scene) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  at("no-knobs").textContent = one.knobs.length ? "The knobs that vary, and where in its range each lies."
    : "Not known: the data set was made by another version, or was changed.";
  at("knobs").replaceChildren(...(one.knobs.length ? [rowOf(["knob", "drew", "range", "from low to high"], true)] : []),
    ...one.knobs.map(([path, text, range, values]) => rowOf([path, text, range, places(values)])));
  showFrame();
}

function toScene(next) { scene = Math.min(Math.max(next, 0), content.scenes.length - 1); showScene(); }
function toFrame(next) { const n = content.scenes[scene].frames.length; frame = (next + n) % n; showFrame(); }
function play() {
  if (playing) { clearInterval(playing); playing = 0; } else playing = setInterval(() => toFrame(frame + 1), 250);
  at("play").textContent = playing ? "Stop" : "Play";
}
function toggle(name) {
  on[name] = !on[name];
  at(`layer ${name}`).checked = on[name];
  showFrame();
}

for (const [name, key] of LAYERS) {
  const label = element("label", undefined, { class: "key" });
  const box = element("input", undefined, { type: "checkbox", id: `layer ${name}` });
  box.checked = on[name];
  box.addEventListener("change", () => { on[name] = box.checked; showFrame(); });
  label.append(box, ` ${name} `, element("kbd", key));
  at("layers").append(label);
}
content.scenes.forEach((one, i) => {
  const button = element("button", undefined, { type: "button" });
  button.append(element("img", undefined, { src: one.thumbnail, alt: "" }), `scene ${one.index}`);
  button.addEventListener("click", () => toScene(i));
  at("thumbs").append(button);
});
const left = content.left_out ? `; ${content.left_out} scenes could not be made` : "";
at("about").textContent =
  `${content.preset || "a preset"}, seed ${content.seed}: ${content.scenes.length} of ${content.clips} scenes${left}.`;
at("slider").addEventListener("input", event => toFrame(Number(event.target.value)));
at("play").addEventListener("click", play);
at("before").addEventListener("click", () => toFrame(frame - 1));
at("after").addEventListener("click", () => toFrame(frame + 1));
addEventListener("resize", showFrame);
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const inField = event.target instanceof HTMLInputElement && event.target.type === "range";
  const steps = { ArrowLeft: () => toFrame(frame - 1), ArrowRight: () => toFrame(frame + 1),
    ArrowUp: () => toScene(scene - 1), ArrowDown: () => toScene(scene + 1) };
  const layer = LAYERS.find(([, key]) => key === event.key);
  if (steps[event.key] && !(inField && event.key.startsWith("Arrow"))) steps[event.key]();
  else if (layer) toggle(layer[0]);
  else if (event.key === " " && !event.target.closest("button, input")) play();
  else return;
  event.preventDefault();
});
showScene();
