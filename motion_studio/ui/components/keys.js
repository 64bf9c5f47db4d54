// Keys that gradio's own widgets lack.

// Its sliders tell of `release` only where the pointer lets go: without it a key's change is neither previewed
// nor kept for undo.
document.addEventListener("keyup", (event) => {
  const steps = /^(Arrow.*|Page.*|Home|End)$/.test(event.key);
  if (steps && event.target.matches("#mix-knobs input[type=range]"))
    event.target.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
});
