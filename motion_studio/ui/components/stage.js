// Where the object goes: each track's way in its colour, the mix's in ink, all on the shared clock.
// value: {frames, aspect, selected, tracks: [{path, weight}], blend}; paths in fractions of the width, y down.
// Dragging a track's way moves it: release carries {track, x, y}, the shift in fractions of the width.
const { clock, svg, line, draggable } = window.motionStudio;
const holder = element.querySelector(".stage");
const hint = element.querySelector(".hint");
let heads = [];

const mean = (values) => values.reduce((sum, value) => sum + Math.abs(value), 0) / (values.length || 1);
const dots = (path, radius) => path.filter(Boolean).map(([x, y]) =>
  svg("circle", { cx: x * 100, cy: y * 100, r: radius }));

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
    group.finish = () => trigger("release", { track: i, x: shift[0], y: shift[1] });
    return (dx, dy) => {
      shift = [dx * scale, dy * scale];
      group.setAttribute("transform", `translate(${shift[0] * 100} ${shift[1] * 100})`);
    };
  }, () => group.finish());
  return group;
};

const build = () => {
  const value = props.value || { tracks: [], aspect: 1 };
  const height = 100 * (value.aspect || 1);
  const tracks = value.tracks ?? [];
  hint.hidden = tracks.length > 0;
  const grid = [25, 50, 75].flatMap((at) => [
    svg("line", { x1: at, y1: 0, x2: at, y2: height }), svg("line", { x1: 0, y1: (at * height) / 100, x2: 100, y2: (at * height) / 100 })]);
  const picture = svg("svg", { viewBox: `-6 -6 112 ${height + 12}`, role: "img", "aria-label": words.label },
    svg("rect", { x: 0, y: 0, width: 100, height, class: "frame" }), svg("g", { class: "grid" }, ...grid));
  heads = [];
  tracks.forEach((track, i) => {
    if (!track.path) return;
    picture.append(way(track, i, value.selected));
    if (tracks.length > 1)
      heads.push({ path: track.path, node: svg("circle", { r: 1.8, class: "head", style: `--ink: var(--track-${i % 6})` }) });
  });
  if (value.blend) {
    picture.append(svg("g", { class: "blend" },
      svg("path", { d: line(value.blend, 100), class: "halo" }), svg("path", { d: line(value.blend, 100), class: "way" }),
      ...dots(value.blend, 0.9)));
    heads.push({ path: value.blend, node: svg("circle", { r: 3, class: "head mix" }) });
  }
  picture.append(...heads.map(({ node }) => node));
  holder.replaceChildren(picture);
  draw(clock.phase);
};
// Between two frames the head glides, so that the eye can follow it.
const draw = (phase) => {
  for (const { path, node } of heads) {
    const at = phase * (path.length - 1);
    const [a, b] = [path[Math.floor(at)], path[Math.min(path.length - 1, Math.floor(at) + 1)]];
    node.toggleAttribute("hidden", !a || !b);
    if (!a || !b) continue;
    const t = at % 1;
    node.setAttribute("cx", (a[0] + (b[0] - a[0]) * t) * 100);
    node.setAttribute("cy", (a[1] + (b[1] - a[1]) * t) * 100);
  }
};
build();
watch("value", build);
clock.follow(element, draw);
