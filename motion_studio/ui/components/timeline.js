// Tracks with words of their own, a weight and a bar in time. Times are frames.
// value: the desk, {selected, frames, tracks: [{motion, prompt, weight, start, length | null, fade_in, fade_out, ...}], ...}
// as desk.js has it, which also says what its events are; titles: {motion: title}.
const { clock, html, svg, draggable, clamp, openDesk } = window.motionStudio;
const box = element.querySelector(".timeline");
let rows = [];
let heads = [];

const desk = () => props.value;
const held = openDesk({
  read: desk,
  write: (value) => {
    props.value = value;
    update();
  },
  titles: () => props.titles ?? {},
  tell: (event) => trigger(event),
  blank: words.track,
  most: words.most,
});
window.motionStudio.desk = held;
const { change, select, remove, release } = held;
const span = (track) => {
  const frames = desk().frames;
  const start = clamp(track.start, 0, frames - 1);
  return [start, track.length == null ? frames : clamp(start + track.length, start + 1, frames)];
};

const makeRow = (i) => {
  const weight = html("input", { type: "range", min: -1.5, max: 1.5, step: 0.05,
    oninput: () => change(i, { weight: Number(weight.value) }), onchange: release,
    ondblclick: () => { change(i, { weight: 1 }); release(); } });
  const number = html("output");
  const name = html("button", { type: "button", class: "name", onclick: () => select(i) }, html("i"), html("span"));
  const says = html("input", { type: "text", class: "words", placeholder: words.words_hint, title: words.words_info,
    maxlength: words.longest, onfocus: () => select(i), oninput: () => change(i, { prompt: says.value }),
    onchange: release, onkeydown: (event) => event.key === "Enter" && says.blur() });
  const close = html("button", { type: "button", class: "remove", "aria-label": words.remove, title: words.remove,
    onclick: () => remove(i) }, "×");
  const shape = svg("polygon");
  const bar = html("div", { class: "bar" }, svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" }, shape));
  const handle = (kind, label) => html("div", { class: `edge ${kind}`, title: label, tabindex: 0, role: "slider" });
  const edges = { start: handle("start", words.start), end: handle("end", words.end),
    in: handle("in", words.fade_in), out: handle("out", words.fade_out) };
  bar.append(...Object.values(edges));
  const head = html("div", { class: "playhead" });
  const lane = html("div", { class: "lane", onpointerdown: () => {
    if (!box.contains(document.activeElement)) document.activeElement.blur(); // what was typed is for the track of before
    setTimeout(() => select(i));
  } }, bar, head);
  const node = html("div", { class: "row", style: `--ink: var(--track-${i % 6})` },
    name, says, html("label", { class: "weight" }, weight, number), lane, close);

  const snap = (value) => Math.round(value * 2) / 2;
  const faded = (was, length) => {
    const fade_in = Math.min(was.fade_in, length);
    return { fade_in, fade_out: Math.min(was.fade_out, length - fade_in) };
  };
  const moves = {
    body: (was, by) => {
      const start = snap(clamp(was.from + by, 0, desk().frames - Math.min(was.to - was.from, desk().frames)));
      return { start, length: start + (was.to - was.from) >= desk().frames ? null : was.to - was.from };
    },
    start: (was, by) => {
      const start = snap(clamp(was.from + by, 0, was.to - 1));
      return { start, length: was.to >= desk().frames ? null : was.to - start, ...faded(was, was.to - start) };
    },
    end: (was, by) => {
      const end = snap(clamp(was.to + by, was.from + 1, desk().frames));
      return { length: end >= desk().frames ? null : end - was.from, ...faded(was, end - was.from) };
    },
    in: (was, by) => ({ fade_in: snap(clamp(was.fade_in + by, 0, was.to - was.from - was.fade_out)) }),
    out: (was, by) => ({ fade_out: snap(clamp(was.fade_out - by, 0, was.to - was.from - was.fade_in)) }),
  };
  const was = () => {
    const track = desk().tracks[i];
    const [from, to] = span(track);
    return { from, to, fade_in: track.fade_in, fade_out: track.fade_out };
  };
  const pull = (target, kind) => {
    draggable(target, (event) => {
      if (kind === "body" && event.target.classList.contains("edge")) return null;
      const before = was();
      const frames = desk().frames / lane.clientWidth;
      return (dx) => change(i, moves[kind](before, dx * frames));
    }, release);
  };
  pull(bar, "body");
  for (const [kind, edge] of Object.entries(edges)) {
    pull(edge, kind);
    edge.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.5, ArrowRight: 0.5 }[event.key];
      if (!step) return;
      event.preventDefault();
      change(i, moves[kind](was(), step));
      release();
    });
  }
  const refresh = (track, selected, frames) => {
    const [from, to] = span(track);
    const percent = (value) => `${(value / frames) * 100}%`;
    node.classList.toggle("selected", selected);
    node.classList.toggle("negative", track.weight < 0);
    node.style.setProperty("--loud", 0.2 + 0.8 * Math.min(1, Math.abs(track.weight)));
    const title = props.titles?.[track.motion] ?? track.motion;
    name.querySelector("span").textContent = title;
    if (says.value !== track.prompt) says.value = track.prompt; // the caret stays while one types
    says.setAttribute("aria-label", `${words.words}: ${title}`);
    weight.setAttribute("aria-label", `${words.weight}: ${title}`);
    const { fade_in, fade_out } = track;
    const reach = { start: [0, from, to - 1], end: [from + 1, to, frames],
      in: [0, fade_in, to - from - fade_out], out: [0, fade_out, to - from - fade_in] };
    for (const [kind, [least, now, most]] of Object.entries(reach)) {
      edges[kind].setAttribute("aria-label", `${edges[kind].title}: ${title}`);
      edges[kind].setAttribute("aria-valuemin", least);
      edges[kind].setAttribute("aria-valuenow", now);
      edges[kind].setAttribute("aria-valuemax", most);
    }
    name.setAttribute("aria-pressed", selected);
    weight.value = track.weight;
    number.textContent = track.weight.toFixed(2).replace("-", "−");
    bar.style.left = percent(from);
    bar.style.width = percent(to - from);
    lane.style.setProperty("--frame", percent(1));
    const rise = clamp((track.fade_in / (to - from)) * 100, 0, 100);
    const fall = clamp(100 - (track.fade_out / (to - from)) * 100, rise, 100);
    shape.setAttribute("points", `0,100 ${rise},0 ${fall},0 100,100`);
    edges.in.style.left = `${rise}%`;
    edges.out.style.left = `${fall}%`;
  };
  return { node, refresh, head };
};
const update = () => {
  const { tracks, selected, frames } = desk();
  if (rows.length !== tracks.length) return build();
  rows.forEach(({ refresh }, i) => refresh(tracks[i], i === selected, frames));
};
const build = () => {
  rows = desk().tracks.map((_, i) => makeRow(i));
  heads = rows.map(({ head }) => head);
  box.replaceChildren(...(rows.length ? rows.map(({ node }) => node) : [html("p", { class: "hint" }, words.empty)]));
  update();
};
build();
held.receive(); // what was there before this tab was opened
watch("value", held.receive);
watch("titles", update);
clock.follow(element, (phase) => heads.forEach((head) => (head.style.left = `${phase * 100}%`)));
