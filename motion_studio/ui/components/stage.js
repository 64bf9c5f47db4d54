// Where objects go: each track's way in its colour, the mix's in ink (one for each object), and the picture as the
// camera moves it, all on the shared clock. value: {frames, aspect, selected, tracks: [{path, weight, led}], blends, radii, camera};
// paths in fractions of the width, y down; the camera's rows x, y, log zoom, roll, as in `video.tracks`.
// Dragging a track's way moves it: release carries {track, x, y}, the shift in fractions of the width. One drawn by hand
// takes its place: {track, path}, points evenly apart in time; null for its own again.
const { clock, svg, html, line, draggable, clamp } = window.motionStudio;
const POINTS = 48;
const holder = element.querySelector(".stage");
const hint = element.querySelector(".hint");
let moving = []; // {curve, place(row or null)}
let held = false; // while a way is dragged or drawn, the stage is not drawn anew under the hand
let drawing = false; // whether the pointer draws the selected track's way
const pen = {
  draw: html("button", { type: "button", class: "draw", onclick: () => pick(!drawing) }, words.draw),
  own: html("button", { type: "button", onclick: () => led(null) }, words.own),
  hint: html("span", {}, words.drawing),
};
element.querySelector(".pen").append(...Object.values(pen));
const pick = (on) => {
  drawing = on;
  build();
};
const led = (path) => trigger("release", { track: props.value.selected, path });

const mean = (values) => values.reduce((sum, value) => sum + Math.abs(value), 0) / (values.length || 1);
const dots = (path, radius) => path.filter(Boolean).map(([x, y]) =>
  svg("circle", { cx: x * 100, cy: y * 100, r: radius }));
const head = (path, attributes) => {
  const node = svg("circle", attributes);
  moving.push({ curve: path, place: (point) => {
    node.toggleAttribute("hidden", !point);
    if (!point) return;
    node.setAttribute("cx", point[0] * 100);
    node.setAttribute("cy", point[1] * 100);
  } });
  return node;
};

const way = (track, i, selected) => {
  const loud = Math.min(1, mean(track.weight));
  const group = svg("g",
    { class: `track${i === selected ? " selected" : ""}`, style: `--ink: var(--track-${i % 6}); --loud: ${0.25 + 0.75 * loud}` },
    svg("path", { d: line(track.path, 100), class: "grip" }),
    svg("path", { d: line(track.path, 100), class: "way" }),
    svg("circle", { cx: track.path[0][0] * 100, cy: track.path[0][1] * 100, r: 1.5, class: "first" }));
  draggable(group, () => {
    const scale = 1 / holder.querySelector("svg").getBoundingClientRect().width;
    let shift = [0, 0];
    group.finish = () => {
      held = false;
      trigger("release", { track: i, x: shift[0], y: shift[1] });
    };
    return (dx, dy) => {
      held = true;
      shift = [dx * scale, dy * scale];
      group.setAttribute("transform", `translate(${shift[0] * 100} ${shift[1] * 100})`);
    };
  }, () => group.finish());
  return group;
};

// A stroke [[x, y, ms]] as points evenly apart in time, a hand's tremble smoothed away.
const even = (stroke) => {
  const [first, last] = [stroke[0][2], stroke[stroke.length - 1][2]];
  let path = Array.from({ length: POINTS }, (_, k) => {
    const time = first + ((last - first) * k) / (POINTS - 1);
    const i = clamp(stroke.findIndex((point) => point[2] >= time), 1, stroke.length - 1);
    const [a, b] = [stroke[i - 1], stroke[i]];
    const share = b[2] > a[2] ? (time - a[2]) / (b[2] - a[2]) : 1;
    return [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share];
  });
  for (let n = 0; n < 2; n++)
    path = path.map((point, k) => (k && k < POINTS - 1
      ? point.map((value, axis) => (path[k - 1][axis] + 2 * value + path[k + 1][axis]) / 4) : point));
  return path.map((point) => point.map((value) => Number(value.toFixed(3))));
};
const pad = (picture, height, color) => {
  const sheet = svg("rect", { x: -6, y: -6, width: 112, height: height + 12, class: "pad" });
  const ink = svg("path", { class: "ink", style: `--ink: ${color}` });
  const at = (event) => {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
    return [clamp(x / 100, 0, 1), clamp(y / 100, 0, height / 100), event.timeStamp];
  };
  let stroke = [];
  draggable(sheet, (down) => {
    stroke = [at(down)];
    return (dx, dy, event) => {
      held = true;
      stroke.push(at(event));
      ink.setAttribute("d", line(stroke, 100));
    };
  }, () => {
    held = drawing = false;
    led(even(stroke));
  });
  return svg("g", {}, ink, sheet);
};

// The first frame's picture, carried along. Its edge soon leaves the stage, so a smaller one lies in it, which
// does not; that one is also left where it begins and where it ends, for when nothing moves.
const camera = (curve, height) => {
  const box = (share) => svg("rect",
    { x: -50 * share, y: (-height / 2) * share, width: 100 * share, height: height * share });
  const put = (node, [x, y, zoom, roll]) => node.setAttribute("transform",
    `translate(${50 + 100 * x} ${height / 2 + 100 * y}) rotate(${(roll * 180) / Math.PI}) scale(${Math.exp(zoom)})`);
  const ends = [curve[0], curve[curve.length - 1]].map((row) => {
    const node = svg("g", { class: "end" }, box(0.5));
    put(node, row);
    return node;
  });
  const now = svg("g", { class: "now" }, box(1), box(0.5), svg("path", { d: "M-4 0H4M0 -4V4" }));
  moving.push({ curve, place: (row) => put(now, row) });
  return svg("svg", { class: "camera", width: 100, height }, ...ends, now); // cuts off what leaves the stage
};

const build = () => {
  if (held) return; // letting go draws what it makes
  const value = props.value || { tracks: [], aspect: 1 };
  const height = 100 * (value.aspect || 1);
  const tracks = value.tracks ?? [];
  const drawn = value.camera || tracks.some((track) => track.path);
  hint.textContent = tracks.length ? words.nothing : words.empty;
  hint.hidden = Boolean(drawn);
  const chosen = tracks[value.selected];
  drawing &&= Boolean(chosen?.path);
  pen.draw.hidden = !chosen?.path;
  pen.draw.setAttribute("aria-pressed", drawing);
  pen.own.hidden = !chosen?.led || drawing;
  pen.hint.hidden = !drawing;
  const grid = [25, 50, 75].flatMap((at) => [
    svg("line", { x1: at, y1: 0, x2: at, y2: height }), svg("line", { x1: 0, y1: (at * height) / 100, x2: 100, y2: (at * height) / 100 })]);
  const label = value.camera ? `${words.label}; ${words.camera}` : words.label;
  const picture = svg("svg", { viewBox: `-6 -6 112 ${height + 12}`, role: "img", "aria-label": label },
    svg("rect", { x: 0, y: 0, width: 100, height, class: "frame" }), svg("g", { class: "grid" }, ...grid));
  moving = [];
  if (value.camera) picture.append(camera(value.camera, height));
  const heads = [];
  tracks.forEach((track, i) => {
    if (!track.path) return;
    picture.append(way(track, i, value.selected));
    if (tracks.length > 1) heads.push(head(track.path, { r: 1.8, class: "head", style: `--ink: var(--track-${i % 6})` }));
  });
  const blends = value.blends ?? [];
  blends.forEach((blend, i) => {
    if (!blend) return;
    // Several objects are drawn best where they do not touch: how large each is shows where they would.
    if (blends.length > 1 && value.radii[i]) heads.push(head(blend, { r: value.radii[i] * 100, class: "body" }));
    picture.append(svg("g", { class: "blend" },
      svg("path", { d: line(blend, 100), class: "halo" }), svg("path", { d: line(blend, 100), class: "way" }),
      ...dots(blend, 0.9)));
    heads.push(head(blend, { r: 3, class: "head mix" }));
  });
  picture.append(...heads);
  if (drawing) picture.append(pad(picture, height, `var(--track-${value.selected % 6})`));
  holder.replaceChildren(picture);
  draw(clock.phase);
};
// Between two frames all glides, so that the eye can follow it.
const draw = (phase) => {
  for (const { curve, place } of moving) {
    const at = phase * (curve.length - 1);
    const [a, b] = [curve[Math.floor(at)], curve[Math.min(curve.length - 1, Math.floor(at) + 1)]];
    place(a && b ? a.map((value, k) => value + (b[k] - value) * (at % 1)) : null);
  }
};
build();
watch("value", build);
window.addEventListener("keydown", (event) => event.key === "Escape" && drawing && !held && pick(false));
clock.follow(element, draw);
