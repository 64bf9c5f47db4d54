// A film strip with two handles. value: {start, end} in seconds; film: {sprite, frames, columns, width, height, seconds}
// With words.longest, in seconds, a handle that would go farther from the other takes it along.
const { html, draggable, clamp, picture } = window.motionStudio;
const box = element.querySelector(".trim");
const canvas = html("canvas", { "aria-hidden": "true" });
const before = html("div", { class: "shade" });
const after = html("div", { class: "shade" });
const handle = (label) => html("div", { class: "handle", tabindex: 0, role: "slider", "aria-label": label });
const start = handle(words.start);
const end = handle(words.end);
const window_ = html("div", { class: "window" });
const strip = html("div", { class: "strip" }, canvas, before, after, window_, start, end);
const note = html("output");
box.append(strip, note);

const length = () => props.film?.seconds ?? 0;
const longest = () => Math.min(length(), words.longest || Infinity);
const shortest = () => Math.min(longest(), 0.25);
const value = () => ({ start: props.value?.start ?? 0, end: props.value?.end ?? longest() });
const show = () => {
  box.hidden = !length();
  if (!length()) return;
  const { start: from, end: to } = value();
  const [left, right] = [(from / length()) * 100, (to / length()) * 100];
  before.style.cssText = `left:0;width:${left}%`;
  after.style.cssText = `left:${right}%;width:${100 - right}%`;
  window_.style.cssText = `left:${left}%;width:${right - left}%`;
  start.style.left = `${left}%`;
  end.style.left = `${right}%`;
  for (const [node, seconds] of [[start, from], [end, to]]) {
    node.setAttribute("aria-valuemin", 0);
    node.setAttribute("aria-valuemax", length().toFixed(2));
    node.setAttribute("aria-valuenow", seconds.toFixed(2));
  }
  const part = words.learnt.replace("{part}", (to - from).toFixed(1)).replace("{whole}", length().toFixed(1));
  note.textContent = `${from.toFixed(2)} – ${to.toFixed(2)} s  (${words.longest ? part : `${(to - from).toFixed(2)} s`})`;
};
const set = (from, to) => {
  props.value = { start: Number(from.toFixed(3)), end: Number(to.toFixed(3)) };
  show();
};
const film = async () => {
  show();
  const view = props.film;
  if (!view?.sprite) return;
  const image = picture(view.sprite);
  await image.decode().catch(() => {});
  canvas.width = view.width * view.frames;
  canvas.height = view.height;
  const context = canvas.getContext("2d");
  for (let i = 0; i < view.frames; i++)
    context.drawImage(image, (i % view.columns) * view.width, Math.floor(i / view.columns) * view.height,
      view.width, view.height, i * view.width, 0, view.width, view.height);
};
const seconds = (pixels) => (pixels / strip.clientWidth) * length();
const moves = {
  start: (was, by) => {
    const from = clamp(was.start + by, 0, was.end - shortest());
    set(from, Math.min(was.end, from + longest()));
  },
  end: (was, by) => {
    const to = clamp(was.end + by, was.start + shortest(), length());
    set(Math.max(was.start, to - longest()), to);
  },
  both: (was, by) => {
    const shift = clamp(by, -was.start, length() - was.end);
    set(was.start + shift, was.end + shift);
  },
};
// Of a long clip the window is too narrow to be taken hold of: it comes to where the strip is pressed beside it.
for (const node of [before, after]) {
  node.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const was = value();
    moves.both(was, seconds(event.clientX - strip.getBoundingClientRect().x) - (was.start + was.end) / 2);
    trigger("input");
  });
  draggable(node, () => {
    const was = value();
    return (dx) => moves.both(was, seconds(dx));
  }, () => trigger("input"));
}
for (const [node, kind] of [[start, "start"], [end, "end"], [window_, "both"]]) {
  draggable(node, () => {
    const was = value();
    return (dx) => moves[kind](was, seconds(dx));
  }, () => trigger("input"));
  node.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.05, ArrowRight: 0.05 }[event.key];
    if (!step) return;
    event.preventDefault();
    moves[kind](value(), step);
    trigger("input");
  });
}
film();
watch("film", film);
watch("value", show);
