// Tables of numbers as coloured squares: cosines of class means and rows of W, layers against epochs; lengths as bars.

const CELL = 34;

// Positive blue, negative orange, 0 the ground: told apart in black and white by the number in the square.
function cosineFill(value) {
  return `fill: ${colour(value < 0 ? "--p2" : "--p0")}; fill-opacity: ${Math.min(Math.abs(value), 1) * 0.75}`;
}

function cosines(points, width, shown) {
  const lengths = Array.from({ length: shown }, (_, c) => Math.hypot(...points.slice(c * width, (c + 1) * width)));
  return lengths.map((one, c) => lengths.map((other, k) => {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += points[c * width + j] * points[k * width + j];
    return one > 0 && other > 0 ? sum / (one * other) : null;
  }));
}

function cosineTable(root, names, table, title) {
  const size = CELL * (names.length + 1);
  const svg = shape("svg", { viewBox: `0 0 ${size} ${size}`, role: "img",
    style: `width: 100%; max-width: ${size * 1.25}px`, "aria-label": `${title}: ${spokenCosines(table)}` });
  const head = (name) => (name.length > 5 ? `${name.slice(0, 4)}…` : name);
  table.forEach((row, c) => {
    svg.append(shape("text", { class: "head", x: CELL / 2, y: CELL * (c + 1.5) }, head(names[c])));
    svg.append(shape("text", { class: "head", x: CELL * (c + 1.5), y: CELL / 2 }, head(names[c])));
    row.forEach((value, k) => {
      const at = { x: CELL * (k + 1), y: CELL * (c + 1), width: CELL - 1, height: CELL - 1 };
      const square = shape("rect", { ...at, style: value === null ? "fill: none" : cosineFill(value) });
      square.append(shape("title", {}, `${names[c]}, ${names[k]}: ${short(value)}`));
      const text = value === null ? "–" : value.toFixed(2).replace("-0.00", "0.00");
      svg.append(square, shape("text", { x: CELL * (k + 1.5), y: CELL * (c + 1.5), "pointer-events": "none" }, text));
    });
  });
  root.replaceChildren(svg);
}

function spokenCosines(table) {
  const pairs = table.flatMap((row, c) => row.filter((value, k) => k > c && value !== null));
  if (!pairs.length) return "undefined";
  return `between ${short(Math.min(...pairs), 3)} and ${short(Math.max(...pairs), 3)} for pairs of classes; `
    + `a regular simplex has ${short(-1 / (table.length - 1), 3)}`;
}

function lengthBars(root, names, lengths, titles) {
  const [row, left, width] = [18, 92, 420];
  const height = names.length * 2.6 * row + 22;
  const relative = lengths.map((list) => {
    const mean = list.reduce((sum, value) => sum + value, 0) / list.length;
    return list.map((value) => (mean > 0 ? value / mean : 0));
  });
  const most = Math.max(1.2, ...relative.flat()) * 1.08;
  const place = (value) => left + (value / most) * (width - left - 46);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", style: "width: 100%; max-width: 34rem",
    "aria-label": `Lengths by class relative to their mean: ${titles.map((title, at) =>
      `${title} from ${short(Math.min(...relative[at]), 3)} to ${short(Math.max(...relative[at]), 3)}`).join("; ")}` });
  names.forEach((name, c) => {
    const y = c * 2.6 * row + 14;
    const text = name.length > 12 ? `${name.slice(0, 11)}…` : name;
    svg.append(shape("text", { class: "head", x: left - 8, y: y + row, style: "text-anchor: end" }, text));
    relative.forEach((list, at) => {
      const bar = shape("rect", { x: left, y: y + at * row, height: row - 3, width: Math.max(place(list[c]) - left, 0),
        style: `fill: var(--s${at})` });
      bar.append(shape("title", {}, `${titles[at]}, ${name}: ${short(lengths[at][c])}`));
      svg.append(bar, shape("text", { x: place(list[c]) + 5, y: y + at * row + row / 2, style: "text-anchor: start" },
        short(list[c], 3)));
    });
  });
  svg.append(shape("line", { x1: place(1), x2: place(1), y1: 6, y2: height - 6, style: "stroke: var(--soft)",
    "stroke-dasharray": "3 3" }));
  root.replaceChildren(svg);
}

// What follows the slider of the simplex: cosines and lengths of class means and rows of W.
function followSlider(player, motion, root) {
  const names = motion.names.slice(0, motion.shown);
  const parts = [["means", "Cosines of the class means", "class mean"], ["weight", "Cosines of the rows of W", "row of W"]]
    .map(([part, ...titles]) => [root.querySelector(`[data-cosines="${part}"]`), part, ...titles])
    .filter(([target]) => target !== null);
  const update = (index) => {
    const frame = motion.frames[index];
    for (const [target, part, title] of parts) {
      cosineTable(target, names, cosines(frame[part], motion.width, motion.shown), title);
    }
    const lengths = parts.map(([, part]) => names.map((_, c) =>
      Math.hypot(...frame[part].slice(c * motion.width, (c + 1) * motion.width))));
    lengthBars(root.querySelector("[data-lengths]"), names, lengths, parts.map((one) => one[3]));
    for (const clock of root.querySelectorAll("[data-epoch]")) clock.textContent = `epoch ${frame.epoch}`;
  };
  let last = null;
  player.listeners.push((index) => {
    if (index !== last) update((last = index));
  });
  onLook(root, () => last !== null && update(last));
  update((last = Math.round(player.place)));
}

// Layers against epochs, the stronger the colour the nearer to collapse; both ends of the scale are said.
function depthMap(root, depth) {
  const choice = root.querySelector("select");
  const target = root.querySelector(".plot");
  const draw = () => {
    const measure = depth.measures[Number(choice.value)];
    const width = Math.max(target.clientWidth, 300);
    const [left, row] = [110, 30];
    const height = depth.layers.length * row + 34;
    const found = measure.values.flat().filter((value) => value !== null && value > 0).map(Math.log10);
    const [low, high] = [Math.min(...found), Math.max(...found)];
    const cell = (width - left - 8) / depth.epochs.length;
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label":
      `${measure.words} of ${depth.layers.length} layers over the epochs, from ${short(10 ** high, 3)} to ${short(10 ** low, 3)}` });
    measure.values.forEach((values, layer) => {
      const name = depth.layers[layer];
      const text = name.length > 15 ? `${name.slice(0, 14)}…` : name;
      svg.append(shape("text", { class: "head", x: left - 8, y: row * (layer + 0.5), style: "text-anchor: end" }, text));
      values.forEach((value, at) => {
        const isKnown = value !== null && value > 0;
        const share = isKnown ? (high > low ? (high - Math.log10(value)) / (high - low) : 1) : 0;
        const square = shape("rect", { x: left + at * cell, y: row * layer, width: cell + 0.5, height: row - 2,
          style: isKnown ? `fill: var(--accent); fill-opacity: ${0.06 + 0.94 * share}` : "fill: none" });
        square.append(shape("title", {}, `${name}, epoch ${depth.epochs[at]}: ${short(value)}`));
        svg.append(square);
      });
    });
    for (const at of new Set([0, Math.floor(depth.epochs.length / 2), depth.epochs.length - 1])) {
      svg.append(shape("text", { class: "head", x: left + (at + 0.5) * cell, y: height - 14,
        style: at === 0 ? "text-anchor: start" : at === depth.epochs.length - 1 ? "text-anchor: end" : "" },
      `epoch ${depth.epochs[at]}`));
    }
    target.replaceChildren(svg);
    root.querySelector("[data-ends]").textContent = found.length
      ? `Palest: ${short(10 ** high, 3)}; strongest: ${short(10 ** low, 3)} (logarithmic).` : "Undefined at every layer.";
  };
  choice.addEventListener("change", draw);
  onLook(target, draw);
  draw();
}
