// Shared by every component of the page: one clock, so that all that moves moves together; a painter of
// clips (one picture holding all frames in a grid); and the bridge that redraws when Python sends a value.
window.motionStudio = (() => {
  const listeners = new Set();
  const clock = {
    phase: 0, // where in the loop, 0 to 1
    seconds: 2, // how long the loop lasts
    rate: 1,
    playing: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    follow(element, draw) {
      listeners.add({ element, draw });
      draw(clock.phase);
    },
    seek(phase) {
      clock.phase = ((phase % 1) + 1) % 1;
      notify();
    },
  };
  const notify = () => {
    for (const listener of listeners) {
      if (!listener.element.isConnected) listeners.delete(listener);
      else if (listener.element.offsetParent !== null) listener.draw(clock.phase);
    }
  };
  // Twenty looks a second are smooth enough here, and leave the processor to the model.
  let last = performance.now();
  const tick = (now) => {
    const passed = Math.min(now - last, 200) / 1000;
    last = now;
    if (clock.playing) clock.seek(clock.phase + (passed * clock.rate) / clock.seconds);
    setTimeout(() => requestAnimationFrame(tick), 45);
  };
  requestAnimationFrame(tick);

  const pictures = new Map();
  const picture = (source) => {
    if (!pictures.has(source)) {
      if (pictures.size > 64) pictures.delete(pictures.keys().next().value);
      const image = new Image();
      image.src = source;
      pictures.set(source, image);
    }
    return pictures.get(source);
  };
  const frameAt = (phase, frames) => Math.min(frames - 1, Math.floor(phase * frames + 1e-6));
  // view: {sprite, frames, columns, width, height}
  const paint = (canvas, view, phase) => {
    if (!view.sprite) return (canvas.width = canvas.width);
    const image = picture(view.sprite);
    const frame = frameAt(phase, view.frames);
    const same = canvas.shownView === view && canvas.shownFrame === frame;
    if (same || !image.complete || !image.naturalWidth) return;
    if (canvas.width !== view.width) canvas.width = view.width;
    if (canvas.height !== view.height) canvas.height = view.height;
    const x = (frame % view.columns) * view.width;
    const y = Math.floor(frame / view.columns) * view.height;
    const context = canvas.getContext("2d");
    context.drawImage(image, x, y, view.width, view.height, 0, 0, view.width, view.height);
    canvas.style.imageRendering = view.width < 128 ? "pixelated" : "auto";
    canvas.shownView = view;
    canvas.shownFrame = frame;
  };

  const SVG = "http://www.w3.org/2000/svg";
  const svg = (name, attributes = {}, ...children) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const html = (name, attributes = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") node.className = value;
      else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value === true) node.setAttribute(key, "");
      else if (value !== false && value != null) node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  };
  // A smooth line through points [[x, y] | null]; a null lifts the pen.
  const line = (points, scale = 1) => {
    let d = "";
    let pen = false;
    points.forEach((point, i) => {
      if (!point) return (pen = false);
      const [x, y] = [point[0] * scale, point[1] * scale];
      const before = points[i - 1], after = points[i + 1], further = points[i - 2];
      if (!pen) d += `M${x.toFixed(2)} ${y.toFixed(2)}`;
      else {
        const from = further ?? before, to = after ?? point;
        const c1 = [before[0] + (point[0] - from[0]) / 6, before[1] + (point[1] - from[1]) / 6];
        const c2 = [point[0] - (to[0] - before[0]) / 6, point[1] - (to[1] - before[1]) / 6];
        d += `C${[...c1, ...c2].map((v) => (v * scale).toFixed(2)).join(" ")} ${x.toFixed(2)} ${y.toFixed(2)}`;
      }
      pen = true;
    });
    return d;
  };
  // Drag with the pointer: begin(event) returns move(dx, dy, event), in pixels since the start.
  const draggable = (node, begin, end) => {
    node.style.touchAction = "none";
    node.addEventListener("pointerdown", (down) => {
      if (down.button !== 0) return;
      const move = begin(down);
      if (!move) return;
      down.preventDefault();
      let moved = false;
      const onMove = (event) => {
        moved = true;
        move(event.clientX - down.clientX, event.clientY - down.clientY, event);
      };
      const onUp = () => {
        window.removeEventListener("pointermove", onMove);
        window.removeEventListener("pointerup", onUp);
        window.removeEventListener("pointercancel", onUp);
        if (moved) end?.();
      };
      window.addEventListener("pointermove", onMove);
      window.addEventListener("pointerup", onUp);
      window.addEventListener("pointercancel", onUp);
    });
  };
  const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
  return { clock, picture, paint, frameAt, svg, html, line, draggable, clamp };
})();
