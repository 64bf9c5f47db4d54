// A film strip with two handles. value: {start, end} in seconds; film: {sprite, frames, columns, width, height, seconds}
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
const value = () => ({ start: props.value?.start ?? 0, end: props.value?.end ?? length() });
const shortest = () => Math.min(length(), 0.25);
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
  start.setAttribute("aria-valuenow", from.toFixed(2));
  end.setAttribute("aria-valuenow", to.toFixed(2));
  note.textContent = `${from.toFixed(2)} – ${to.toFixed(2)} s  (${(to - from).toFixed(2)} s)`;
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
  start: (was, by) => set(clamp(was.start + by, 0, was.end - shortest()), was.end),
  end: (was, by) => set(was.start, clamp(was.end + by, was.start + shortest(), length())),
  both: (was, by) => {
    const shift = clamp(by, -was.start, length() - was.end);
    set(was.start + shift, was.end + shift);
  },
};
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
