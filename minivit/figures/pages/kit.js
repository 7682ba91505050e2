// What all live figures share. A figure makes its sliders and plots with these functions, then calls draw(how): `how` runs
// now and after every change. The figure's values are in `data`.
const root = document.currentScript?.closest(".live-figure") ?? document.querySelector(".live-figure:not(.ready)");
const SVG = "http://www.w3.org/2000/svg", plots = [], refreshers = [];
const fixed = (x, digits = 0) => x.toFixed(digits).replace("-", "−");
const many = (x) => x.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ",");
const range = (n) => Array.from({length: n}, (_, i) => i);
const sum = (values) => values.reduce((total, x) => total + x, 0);
const powers = (from, to, n) => range(n).map((i) => from * (to / from) ** (i / (n - 1)));

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const shape = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const rows = make("div", {class: "rows"}), picks = make("div", {class: "picks"}), stage = make("div", {class: "plots"});
const says = make("div", {class: "says"}), told = make("div", {class: "told", role: "status"});
const words = root.querySelector(".words");
words.before(rows, picks, stage, says, told);
words.removeAttribute("open");
root.classList.add("ready");

// A slider by mouse, touch and keyboard. `at` turns its position into the value, `text` writes the value.
function slider(label, {min = 0, max, step = 1, value, at = (x) => x, text = (x) => fixed(x)}) {
  const input = make("input", {type: "range", min, max, step, value}), shown = make("span", {class: "value", "aria-hidden": true});
  rows.append(make("label", {}, make("span", {}, label), input), shown);
  refreshers.push(() => {
    shown.textContent = text(at(+input.value));
    input.setAttribute("aria-valuetext", shown.textContent);
  });
  input.addEventListener("input", () => update());
  return {input, get value() { return at(+input.value); }, get at() { return +input.value; }, set at(x) { input.value = x; }};
}

function select(label, options, index = 0) {
  const box = make("select", {}, ...options.map((name, i) => make("option", {value: i}, name)));
  box.value = index;
  picks.append(make("label", {}, label + " ", box));
  box.addEventListener("change", () => update());
  return {get index() { return +box.value; }};
}

function button(label, press, pressed) {
  const made = make("button", {type: "button"}, label);
  made.addEventListener("click", () => { press(); update(); });
  if (pressed) refreshers.push(() => made.setAttribute("aria-pressed", pressed()));
  picks.append(made);
}

// A plot with axes {label, from, to, ticks, log, text}, or without: then x and y are coordinates in the drawing.
function plot({name, width = 340, height = 250, x, y}) {
  const left = y ? 52 : 0, right = x ? 12 : 0, top = y ? 10 : 0, bottom = x ? 40 : 0;
  const scale = (axis, start, end) => {
    if (!axis) return (v) => v;
    const f = axis.log ? Math.log : (v) => v, [a, b] = [f(axis.from), f(axis.to)];
    return (v) => start + (end - start) * (f(v) - a) / (b - a);
  };
  const X = scale(x, left, width - right), Y = scale(y, height - bottom, top);
  const ground = shape("g"), ink = shape("g");
  const svg = shape("svg", {viewBox: `0 0 ${width} ${height}`, role: "img"}, ground, ink);
  const keys = make("div", {class: "keys", "aria-hidden": true}), known = new Set();
  const figure = make("figure", {}, ...(name ? [make("div", {class: "name"}, name)] : []), svg, keys);
  stage.append(figure);
  const write = (text, px, py, anchor = "middle", more = {}) => shape("text", {x: px, y: py, "text-anchor": anchor, ...more}, text);
  for (const tick of x?.ticks ?? []) ground.append(
    shape("line", {class: "grid", x1: X(tick), x2: X(tick), y1: top, y2: height - bottom}),
    write((x.text ?? String)(tick), X(tick), height - bottom + 16));
  for (const tick of y?.ticks ?? []) ground.append(
    shape("line", {class: "grid", x1: left, x2: width - right, y1: Y(tick), y2: Y(tick)}),
    write((y.text ?? String)(tick), left - 6, Y(tick) + 4, "end"));
  if (x) ground.append(write(x.label, (left + width - right) / 2, height - 5));
  if (y) ground.append(write(y.label, 0, 0, "middle", {transform: `translate(11 ${(top + height - bottom) / 2}) rotate(-90)`}));
  if (x && y) ground.append(shape("path", {class: "axis", d: `M${left} ${top}V${height - bottom}H${width - right}`}));
  const paint = ({color = "plain", dash, wide = 2, name: key}) => {
    const look = {style: `stroke: var(--${color}, currentColor)`, "stroke-width": wide, "stroke-dasharray": dash, fill: "none"};
    if (key && !known.has(key)) {
      known.add(key);
      keys.append(make("span", {}, shape("svg", {viewBox: "0 0 28 10"}, shape("path", {d: "M0 5H28", ...look})), key));
    }
    return look;
  };
  const made = {
    svg, X, Y, shape, figure,
    add: (...parts) => ink.append(...parts),
    line(points, look = {}) {
      const seen = points.filter(([a, b]) => Number.isFinite(X(a)) && Number.isFinite(Y(b)));
      const clamp = (v) => Math.max(top - 1, Math.min(height - bottom + 1, v));
      ink.append(shape("path", {d: seen.map(([a, b], i) => `${i ? "L" : "M"}${X(a).toFixed(2)} ${(y ? clamp(Y(b)) : Y(b)).toFixed(2)}`)
        .join(""), ...paint(look)}));
    },
    dot: (a, b, {color = "plain", size = 5, hollow} = {}) => ink.append(shape("circle", {cx: X(a), cy: Y(b), r: size, "stroke-width": 2,
      style: `fill: ${hollow ? "none" : `var(--${color}, currentColor)`}; stroke: var(--${hollow ? color : "paper"}, currentColor)`})),
    bar(a0, b0, a1, b1, {color = "plain", faint} = {}) {
      const [px, py] = [Math.min(X(a0), X(a1)), Math.min(Y(b0), Y(b1))];
      ink.append(shape("rect", {x: px, y: py, width: Math.abs(X(a1) - X(a0)), height: Math.abs(Y(b1) - Y(b0)),
        style: `fill: var(--${color}, currentColor)`, "fill-opacity": faint ? 0.35 : 1}));
    },
    text: (words, a, b, anchor, more) => ink.append(write(words, X(a), Y(b), anchor, more)),
    describe: (text) => svg.setAttribute("aria-label", text),
    clear: () => ink.replaceChildren(),
    // Call `move` with the coordinates of the pointer while it is down, or, with `hover`, while it is above.
    drag(move, hover = false) {
      svg.style.touchAction = "none";
      svg.style.cursor = "crosshair";
      const point = (event) => {
        const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
        move(at.x, at.y);
        update();
      };
      svg.addEventListener("pointerdown", (event) => { svg.setPointerCapture(event.pointerId); point(event); event.preventDefault(); });
      svg.addEventListener("pointermove", (event) => { if (event.buttons || hover) point(event); });
    },
  };
  plots.push(made);
  return made;
}

// Colours of a map, from the dark to the bright end of viridis, whose lightness rises evenly.
const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50],
  [253, 231, 37]];
function viridis(share) {
  const place = Math.max(0, Math.min(1, share)) * (VIRIDIS.length - 1), i = Math.min(VIRIDIS.length - 2, Math.floor(place));
  return VIRIDIS[i].map((from, c) => Math.round(from + (place - i) * (VIRIDIS[i + 1][c] - from)));
}
// A picture of square pixels: paint(i) gives red, green and blue, 0 to 255, of pixel i, row by row, or nothing.
function pixels(columns, lines = columns, attributes = {}) {
  const canvas = make("canvas", {width: columns, height: lines, role: "img", ...attributes}), context = canvas.getContext("2d");
  return {canvas, describe: (text) => canvas.setAttribute("aria-label", text), paint(colour) {
    const image = context.createImageData(columns, lines);
    for (let i = 0; i < columns * lines; i++) {
      const seen = colour(i);
      if (seen) image.data.set([...seen, 255], 4 * i);
    }
    context.putImageData(image, 0, 0);
  }};
}
function show(picture, name) {
  stage.append(make("figure", {class: "narrow"}, ...(name ? [make("div", {class: "name"}, name)] : []), picture.canvas));
  return picture;
}
// Bytes that minivit.figures packed: base64 of the whole, compressed or not.
const unpack = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const inflate = async (text) => new Uint8Array(await new Response(
  new Blob([unpack(text)]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());

// What the figure says below itself. A screen reader hears it once the reader pauses.
let pause, drawn;
function say(...lines) {
  says.replaceChildren(...lines.map((line) => make("span", {}, line.replaceAll(" %", "\u00a0%"))));
  clearTimeout(pause);
  if (drawn) pause = setTimeout(() => { told.textContent = lines.join(". "); }, 800);
}
let how = () => {};
function update() {
  refreshers.forEach((refresh) => refresh());
  plots.forEach((made) => made.clear());
  how();
  drawn = true;
}
function draw(how_) {
  how = how_;
  if (!picks.children.length) picks.remove();
  update();
}

// Colours follow the page, whatever program shows it: where its text is light, its ground is dark.
function follow() {
  const [red, green, blue] = getComputedStyle(root).color.match(/[\d.]+/g).map(Number);
  root.classList.toggle("dark", 0.3 * red + 0.6 * green + 0.1 * blue > 140);
}
for (const node of [document.documentElement, document.body]) new MutationObserver(follow).observe(node, {attributes: true});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
follow();
