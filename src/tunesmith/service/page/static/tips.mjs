// What a figure's marks say when they are pointed at: what is nearest to the pointer, in a box beside it.

const box = document.getElementById("tip");
let known = new WeakMap();

// The words of the figures within an element.
export function tell(element, json) {
  element.tips = typeof json === "string" ? JSON.parse(json) : json;
  element.setAttribute("data-tips", "");
  known = new WeakMap();
}

function spots(drawing, tips) {
  if (known.has(drawing)) return known.get(drawing);
  const places = [],
    words = tips.figures[drawing.dataset.figure - (tips.first || 0)] || [];
  for (const path of drawing.querySelectorAll("[data-marks]")) {
    const texts = words[path.dataset.marks] || [],
      rows = path.dataset.rows ? path.dataset.rows.split(",") : null;
    const off = +path.dataset.offset,
      down = path.dataset.symbol === "x" ? off : 0;
    let k = 0;
    for (const [, x, y] of path.getAttribute("d").matchAll(/M(-?[\d.]+) (-?[\d.]+)/g)) {
      const row = rows ? +rows[k] : k;
      if (texts[row] !== undefined) places.push([+x + off, +y + down, texts[row]]);
      k += 1;
    }
  }
  for (const path of drawing.querySelectorAll("[data-line]")) {
    const text = (words[path.dataset.line] || [])[0];
    if (text === undefined) continue;
    const length = path.getTotalLength(),
      n = Math.min(80, Math.max(2, length / 12));
    for (let k = 0; k <= n; k++) {
      const p = path.getPointAtLength((length * k) / n);
      places.push([p.x, p.y, text]);
    }
  }
  known.set(drawing, places);
  return places;
}

function nearest(event) {
  const drawing = event.target.closest ? event.target.closest("svg[data-figure]") : null;
  const owner = drawing && drawing.closest("[data-tips]");
  if (!owner) return null;
  const frame = drawing.getBoundingClientRect(),
    scale = drawing.viewBox.baseVal.width / frame.width;
  const x = (event.clientX - frame.left) * scale,
    y = (event.clientY - frame.top) * scale;
  let near = null,
    least = 18 * 18;
  for (const spot of spots(drawing, owner.tips)) {
    const away = (spot[0] - x) ** 2 + (spot[1] - y) ** 2;
    if (away < least) {
      least = away;
      near = spot;
    }
  }
  return near && owner.tips.texts[near[2]];
}

export function say(words, x, y) {
  box.textContent = words || "";
  box.style.display = words ? "block" : "none";
  if (!words) return;
  const above = y - box.offsetHeight - 12;
  box.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - box.offsetWidth - 8))}px`;
  box.style.top = `${above > 6 ? above : y + 18}px`;
}

export function watch(where) {
  const point = (event) => {
    if (!(event.target.closest && event.target.closest("[data-owntips]")))
      say(nearest(event), event.clientX, event.clientY);
  };
  where.addEventListener("pointermove", point);
  where.addEventListener("pointerdown", point);
  addEventListener("scroll", () => say(""), { passive: true, capture: true });
}
