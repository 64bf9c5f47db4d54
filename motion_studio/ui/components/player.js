// Clips side by side on one clock. value: {views: [{label, hint, sprite, frames, columns, width, height}], seconds}
// The last of them can be kept, to stand beside what comes after it.
const { clock, paint, picture, frameAt, html } = window.motionStudio;
const views = element.querySelector(".views");
const bar = element.querySelector(".transport");
let shown = []; // {canvas, screen, view}
let kept = null; // the view that is kept

const play = html("button", { class: "play", type: "button" });
const scrub = html("input", { type: "range", min: 0, max: 999, step: 1, "aria-label": words.scrub });
const counter = html("output", { class: "counter" });
const slow = html("button", { class: "rate", type: "button", title: words.slow });
const keep = html("button", { class: "keep", type: "button", title: words.keep_help });
bar.append(play, scrub, counter, slow, ...(words.keeps ? [keep] : []));

play.onclick = () => { clock.playing = !clock.playing; draw(clock.phase); };
slow.onclick = () => { clock.rate = clock.rate === 1 ? 0.5 : 1; draw(clock.phase); };
keep.onclick = () => {
  kept = kept ? null : { ...props.value.views.at(-1), label: words.before };
  rebuild();
};
scrub.oninput = () => { clock.playing = false; clock.seek(scrub.value / 1000); };

const draw = (phase) => {
  for (const { canvas, view } of shown) paint(canvas, view, phase);
  const frames = shown.find(({ view }) => view.sprite)?.view.frames ?? 0;
  counter.textContent = frames ? `${frameAt(phase, frames) + 1} / ${frames}` : "";
  scrub.value = phase * 1000;
  play.className = clock.playing ? "play playing" : "play";
  play.setAttribute("aria-label", clock.playing ? words.pause : words.play);
  slow.textContent = clock.rate === 1 ? "1×" : "½×";
};

const rebuild = () => {
  const list = [...(props.value?.views ?? [])];
  keep.hidden = !kept && !list.at(-1)?.sprite;
  keep.textContent = kept ? words.let_go : words.keep;
  // Beside the reference, before all that was made since.
  if (kept && list.at(-1)?.sprite !== kept.sprite) list.splice(list.filter((view) => view.reference).length, 0, kept);
  if (props.value?.seconds) clock.seconds = props.value.seconds;
  bar.hidden = !list.some((view) => view.sprite);
  // Canvases are kept while their number stays, so that a new preview takes the old one's place without a blink.
  if (shown.length !== list.length) {
    // Many clips stand in rows, so that none gets too small to see.
    views.style.setProperty("--columns", list.length > 3 ? Math.ceil(Math.sqrt(list.length)) : list.length);
    shown = list.map(() => {
      const canvas = html("canvas", { role: "img" });
      const screen = html("div", { class: "screen" }, canvas, html("p", { class: "hint" }));
      return { canvas, screen };
    });
    views.replaceChildren(
      ...shown.map(({ screen }) => html("figure", {}, screen, html("figcaption")))
    );
  }
  list.forEach((view, i) => {
    const { canvas, screen } = shown[i];
    shown[i].view = view;
    canvas.setAttribute("aria-label", view.label);
    screen.classList.toggle("blank", !view.sprite);
    screen.style.aspectRatio = view.sprite ? `${view.width} / ${view.height}` : "1";
    screen.querySelector(".hint").textContent = view.hint ?? "";
    screen.parentNode.querySelector("figcaption").textContent = view.label;
    if (view.sprite) picture(view.sprite).decode().then(() => draw(clock.phase), () => {});
  });
  draw(clock.phase);
};

rebuild();
watch("value", rebuild);
clock.follow(element, draw);
