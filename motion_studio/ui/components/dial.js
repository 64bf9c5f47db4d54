// A dial to turn. value: degrees, clockwise, -180 to 180. Shift snaps to 15 degrees, double click sets it back.
const { svg, draggable } = window.motionStudio;
const face = element.querySelector(".face");
const hand = svg("g", {}, svg("line", { x1: 0, y1: 0, x2: 0, y2: -34 }), svg("circle", { cx: 0, cy: -34, r: 5 }));
const arc = svg("path", { class: "arc" });
const ticks = Array.from({ length: 24 }, (_, i) =>
  svg("line", { x1: 0, y1: -46, x2: 0, y2: i % 6 ? -43 : -40, transform: `rotate(${i * 15})`, class: "tick" }));
const knob = svg("svg",
  { viewBox: "-50 -50 100 100", tabindex: 0, role: "slider", "aria-label": words.label,
    "aria-valuemin": -180, "aria-valuemax": 180 },
  ...ticks, svg("circle", { r: 34, class: "rim" }), arc, hand);
const number = document.createElement("output");
face.append(knob, number);

const wrap = (degrees) => ((((degrees + 180) % 360) + 360) % 360) - 180;
const show = () => {
  const degrees = Number(props.value) || 0;
  const radians = (degrees * Math.PI) / 180;
  hand.setAttribute("transform", `rotate(${degrees})`);
  const [x, y] = [34 * Math.sin(radians), -34 * Math.cos(radians)];
  arc.setAttribute("d", `M0 -34A34 34 0 0 ${degrees > 0 ? 1 : 0} ${x} ${y}`);
  knob.setAttribute("aria-valuenow", degrees);
  number.textContent = `${Math.round(degrees)}°`;
};
const set = (degrees, event) => {
  const step = event === "snap" ? 15 : 1;
  props.value = Math.round(wrap(degrees) / step) * step;
  show();
  trigger("input");
};
draggable(knob, () => {
  const box = knob.getBoundingClientRect();
  return (dx, dy, event) => {
    const [x, y] = [event.clientX - box.x - box.width / 2, event.clientY - box.y - box.height / 2];
    set((Math.atan2(x, -y) * 180) / Math.PI, event.shiftKey ? "snap" : "");
  };
}, () => trigger("release"));
knob.addEventListener("dblclick", () => { set(0); trigger("release"); });
knob.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 5, ArrowUp: 5, ArrowLeft: -5, ArrowDown: -5, PageUp: 90, PageDown: -90 }[event.key];
  if (!step && event.key !== "Home") return;
  event.preventDefault();
  set(event.key === "Home" ? 0 : (Number(props.value) || 0) + step);
  trigger("release");
});
show();
watch("value", show);
