// Motions to choose from. value: the chosen name; cards: [{name, title, note, sprite, ..., path}]
const { clock, paint, picture, html, svg, line } = window.motionStudio;
const list = element.querySelector(".cards");
let shown = [];
let hovered = null;

const choose = (name) => {
  props.value = name;
  mark();
  trigger("input");
};
const mark = () => {
  for (const { button, card } of shown) button.setAttribute("aria-pressed", props.value === card.name);
};
const thumbnail = (card) => {
  if (!card.sprite) return html("div", { class: "thumb none" }, card.mark ?? "");
  const canvas = html("canvas", { "aria-hidden": "true" });
  const thumb = html("div", { class: "thumb" }, canvas);
  thumb.style.aspectRatio = `${card.width} / ${card.height}`;
  if (card.path) {
    const height = card.height / card.width;
    thumb.append(
      svg("svg", { viewBox: `0 0 100 ${100 * height}`, "aria-hidden": "true" },
        svg("path", { d: line(card.path, 100), class: "halo" }), svg("path", { d: line(card.path, 100) }))
    );
  }
  return thumb;
};
const build = () => {
  shown = (props.cards ?? []).map((card) => {
    const thumb = thumbnail(card);
    const button = html("button",
      { type: "button", class: "card", title: card.note || card.title, "data-name": card.name,
        onclick: () => choose(card.name),
        onpointerenter: () => (hovered = card.name), onpointerleave: () => (hovered = null) },
      thumb, html("span", {}, card.title));
    return { card, button, canvas: thumb.querySelector("canvas") };
  });
  const empty = html("p", { class: "hint" }, words.empty);
  list.replaceChildren(...(shown.length ? shown.map(({ button }) => button) : [empty]));
  for (const { card } of shown) if (card.sprite) picture(card.sprite).decode().then(() => draw(clock.phase), () => {});
  mark();
};
// Only the chosen motion and the one under the pointer move; a wall of moving pictures tires.
const draw = (phase) => {
  for (const { card, canvas } of shown) {
    const moves = card.name === props.value || card.name === hovered;
    if (canvas) paint(canvas, card, moves ? phase : 0.5);
  }
};

build();
watch("cards", build);
watch("value", mark);
clock.follow(element, draw);
