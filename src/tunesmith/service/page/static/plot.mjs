// Axes of a canvas: scale, ticks, grid; and a canvas that keeps to its box's width and to the colours of the day.

import { h, number } from "./dom.mjs";

export function scale(low, high, first, last, log) {
  if (log) {
    low = Math.log10(low);
    high = Math.log10(high);
  }
  if (high - low < 1e-300) {
    high += 0.5;
    low -= 0.5;
  }
  const k = (last - first) / (high - low);
  return Object.assign((v) => first + k * ((log ? Math.log10(v) : v) - low), {
    low,
    high,
    log,
    back: (p) => {
      const v = low + (p - first) / k;
      return log ? 10 ** v : v;
    },
  });
}

export function ticks(s, count) {
  if (s.log) {
    const made = [],
      first = Math.ceil(s.low),
      last = Math.floor(s.high);
    const few = last - first < 2,
      mantissas = few ? [1, 2, 5] : [1],
      every = Math.max(1, Math.ceil((last - first + 1) / count));
    for (let e = Math.floor(s.low); e <= last; e += few ? 1 : every)
      for (const m of mantissas) {
        const v = m * 10 ** e,
          l = Math.log10(v);
        if (l >= s.low - 1e-9 && l <= s.high + 1e-9) made.push(v);
      }
    return made;
  }
  const raw = (s.high - s.low) / count,
    power = 10 ** Math.floor(Math.log10(raw)),
    step = [1, 2, 5, 10].map((m) => m * power).find((v) => v >= raw * 0.999);
  const made = [];
  for (let k = Math.ceil(s.low / step - 1e-9); k * step <= s.high + 1e-9 * step; k += 1)
    made.push(Number((k * step).toPrecision(12)));
  return made;
}

export class Picture {
  constructor(label, tall, draw) {
    this.canvas = h("canvas", { role: "img", "aria-label": label });
    this.element = h("div", { class: "picture", "data-owntips": true }, this.canvas);
    this.tall = tall;
    this.draw = draw;
    this.resized = new ResizeObserver(() => this.paint());
    this.resized.observe(this.element);
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.again = () => this.paint();
    this.dark.addEventListener("change", this.again);
  }

  paint() {
    const wide = Math.floor(this.element.clientWidth),
      tall = typeof this.tall === "function" ? this.tall() : this.tall,
      ratio = Math.min(2, devicePixelRatio || 1);
    if (!wide) return;
    this.canvas.width = Math.round(wide * ratio);
    this.canvas.height = Math.round(tall * ratio);
    this.canvas.style.height = `${tall}px`;
    this.canvas.style.width = `${wide}px`;
    const pen = this.canvas.getContext("2d"),
      style = getComputedStyle(document.documentElement);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, wide, tall);
    pen.font = '12px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif';
    this.draw(pen, wide, tall, (name) => style.getPropertyValue(`--${name}`).trim());
  }

  close() {
    this.resized.disconnect();
    this.dark.removeEventListener("change", this.again);
  }
}

export function frame(pen, x, y, box, colour, names) {
  pen.lineWidth = 1;
  pen.strokeStyle = colour("line");
  pen.fillStyle = colour("soft");
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const v of ticks(y, Math.max(3, (box.bottom - box.top) / 50))) {
    const at = Math.round(y(v)) + 0.5;
    pen.beginPath();
    pen.moveTo(box.left, at);
    pen.lineTo(box.right, at);
    pen.stroke();
    pen.fillText(number(v, 4), box.left - 8, at);
  }
  pen.textAlign = "center";
  pen.textBaseline = "top";
  for (const v of ticks(x, Math.max(3, (box.right - box.left) / 90))) pen.fillText(number(v, 5), x(v), box.bottom + 7);
  pen.fillText(names[0], (box.left + box.right) / 2, box.bottom + 24);
  pen.textAlign = "left";
  pen.textBaseline = "bottom";
  pen.fillStyle = colour("ink");
  pen.fillText(names[1], 2, box.top - 6);
}
