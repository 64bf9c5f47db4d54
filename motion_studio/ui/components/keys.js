// Keys that gradio's own widgets lack.

// Its sliders tell of `release` only where the pointer lets go: without it a key's change is neither previewed
// nor kept for undo.
document.addEventListener("keyup", (event) => {
  const steps = /^(Arrow.*|Page.*|Home|End)$/.test(event.key);
  if (steps && event.target.matches("#mix-knobs input[type=range], #mix-film input[type=range]"))
    event.target.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
});

// Enter ends a number that is typed, as leaving its box does.
document.addEventListener("keydown", (event) => {
  const typed = event.target.matches("#mix-knobs input[type=number], #mix-film input[type=number]");
  if (typed && event.key === "Enter") event.target.blur();
});

// On the Mix tab Ctrl+Z (or Cmd+Z) takes back a change, Ctrl+Shift+Z or Ctrl+Y brings it back; in a text field, what was
// typed.
const typing = (node) => !node.readOnly &&
  node.matches("textarea, [contenteditable=true], input:not([type=range], [type=checkbox], [type=radio], [type=file])");
document.addEventListener("keydown", (event) => {
  const key = (event.ctrlKey || event.metaKey) && !event.altKey ? event.key?.toLowerCase() : "";
  const asked = { z: event.shiftKey ? words.redo : words.undo, y: words.redo }[key];
  if (!asked || typing(document.activeElement)) return;
  const buttons = [...document.querySelectorAll("#mix-bar button")];
  const pressed = buttons.find((button) => button.textContent.trim() === asked && button.offsetParent !== null);
  if (!pressed) return;
  event.preventDefault();
  pressed.click();
});
