// Parallel coordinates on a canvas: a line for each trial, an axis for each parameter. A range that is brushed on an axis
// filters every other view too, and is in the address. The table below says the same in words.

import { fill, h, svg } from "./dom.mjs";
import { bytes, here, query } from "./net.mjs";
import { brushes, go, read } from "./address.mjs";
import { filterBar } from "./filters.mjs";
import { HIGH, NONE, place, unpack, value, within } from "./lines.mjs";
import { numbered } from "./ranges.mjs";
import { List } from "./trials.mjs";

const TOP = 40,
  BOTTOM = 34,
  TALL = 360,
  SAMPLE = 2000,
  BINS = 40;

export async function open(root, state, context) {
  const canvas = h("canvas", {
    role: "img",
    "aria-label": "Parallel coordinates; the table below has the same trials",
  });
  const over = svg("svg", {}),
    stage = h("div", { class: "stage" }, canvas, over),
    box = h(
      "div",
      { class: "canvas", tabindex: "0", "aria-label": "Axes; a range is brushed by dragging along one", role: "group" },
      stage,
    );
  const words = h("p", { class: "caption" }),
    stale = h("button", { type: "button", class: "fresh", hidden: true, onclick: () => load(read()) });
  const list = new List(state, context, { short: true }),
    bar = filterBar(state);
  const ranges = h("details", { class: "ranges" }, h("summary", {}, "Brush by numbers"));
  fill(
    root,
    h("h1", { class: "unseen" }, "Parallel coordinates"),
    bar.element,
    h("div", { class: "above" }, words, stale),
    box,
    ranges,
    list.element,
  );
  let data = null,
    where = null,
    kept,
    ranked = [],
    absent = [],
    order,
    drag = null,
    hidden = new Set(),
    waiting = null,
    listed = null,
    live = {};

  const visible = () => data.axes.map((_, k) => k).filter((k) => !hidden.has(data.axes[k].name));
  async function load(next) {
    state = next;
    where = state.where;
    try {
      data = unpack(await bytes(query(`${here(state.study)}/axes`, { where })));
    } catch (error) {
      if (error.status === 422) {
        words.textContent = "";
        await list.load(state);
        return;
      }
      throw error;
    }
    stale.hidden = true;
    // the first objective's axis is the first of those at the end
    const goal = data.places[data.axes.findIndex((axis) => axis.objective)];
    ranked = Uint32Array.from([...Array(data.count).keys()].filter((i) => goal[i] !== NONE));
    ranked.sort((a, b) => data.sign * (goal[a] - goal[b]));
    if (data.front) {
      const front = new Set(data.front);
      ranked = ranked.filter((i) => front.has(data.numbers[i]));
    }
    absent = data.places.map((places) => places.includes(NONE));
    order = visible();
    draw();
    byNumbers();
    await list.load(state);
  }

  function size() {
    const wide = Math.max(box.clientWidth - 2, order.length * 92),
      ratio = Math.min(2, devicePixelRatio || 1);
    canvas.width = Math.round(wide * ratio);
    canvas.height = Math.round((TOP + TALL + BOTTOM) * ratio);
    canvas.style.width = `${wide}px`;
    canvas.style.height = `${TOP + TALL + BOTTOM}px`;
    over.setAttribute("viewBox", `0 0 ${wide} ${TOP + TALL + BOTTOM}`);
    over.setAttribute("width", wide);
    over.setAttribute("height", TOP + TALL + BOTTOM);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, wide, TOP + TALL + BOTTOM);
    const gap = order.length > 1 ? (wide - 130) / (order.length - 1) : 0;
    return [pen, order.map((_, j) => 60 + gap * j)];
  }
  // What has no value, a parameter that is not active or a trial without a result, is below the axis.
  const y = (p) => (p === NONE ? TOP + TALL + 18 : TOP + TALL - (p / HIGH) * TALL);

  function draw() {
    const [pen, xs] = size();
    const style = getComputedStyle(document.documentElement),
      colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const all = { ...brushes(state), ...live };
    kept = within(data, all);
    const inside = [],
      quick = drag !== null && data.count > SAMPLE;
    for (let i = 0; i < data.count; i += 1) if (kept[i]) inside.push(i);
    const some = Object.keys(all).length > 0;
    // the best of those that are left are drawn above the others
    const most = Math.max(
        1,
        Math.min(
          quick ? 60 : data.count > SAMPLE ? 120 : 400,
          data.front ? ranked.length : Math.ceil(inside.length / 20),
        ),
      ),
      top = [];
    for (const i of ranked) {
      if (kept[i]) top.push(i);
      if (top.length === most) break;
    }
    const first = new Set(top);
    if (some && data.count <= SAMPLE)
      lines(
        pen,
        xs,
        [...Array(data.count).keys()].filter((i) => !kept[i]),
        colour("grey"),
        0.08,
      );
    let drawn = inside.filter((i) => !first.has(i));
    const many = drawn.length > SAMPLE;
    if (many) {
      if (!quick) bands(pen, xs, inside, colour("blue"));
      const n = quick ? SAMPLE / 4 : SAMPLE,
        step = drawn.length / n;
      drawn = Array.from({ length: n }, (_, k) => drawn[Math.floor(k * step)]);
    }
    lines(
      pen,
      xs,
      drawn,
      colour("blue"),
      many ? (quick ? 0.2 : 0.04) : Math.min(0.6, Math.max(0.12, 60 / Math.max(1, drawn.length))),
    );
    lines(pen, xs, top, colour("orange"), Math.min(0.9, Math.max(0.2, 30 / top.length)), 1.4);
    const best = data.numbers.indexOf(data.best);
    if (best >= 0 && kept[best]) lines(pen, xs, [best], colour("green"), 1, 2.6);
    axes(xs, all);
    const n = inside.length.toLocaleString("en");
    words.textContent = !data.count
      ? data.size
        ? "No trial fits this filter: there is nothing to draw."
        : "No trials yet: each will be a line."
      : `${n} of ${data.size.toLocaleString("en")} trials${some ? " within the brushes" : ""}${many ? `, ${(SAMPLE + top.length).toLocaleString("en")} of them as lines and all as bands` : ""}. ${data.front ? `Orange are the ${top.length} of them that no other beats` : `Orange are the best ${top.length}`}${best >= 0 ? ", green is the best" : ""}. Axes from left to right by how much they explain. Drag along an axis to brush it, click its name to hide it.`;
  }

  function lines(pen, xs, which, colour, alpha, width = 1) {
    pen.strokeStyle = colour;
    pen.globalAlpha = alpha;
    pen.lineWidth = width;
    pen.lineJoin = "round";
    for (let from = 0; from < which.length; from += 200) {
      pen.beginPath();
      for (const i of which.slice(from, from + (alpha < 0.5 ? 1e9 : 200))) {
        for (let j = 0; j < order.length; j += 1) {
          const at = y(data.places[order[j]][i]);
          if (j) pen.lineTo(xs[j], at);
          else pen.moveTo(xs[j], at);
        }
        if (alpha < 0.5) {
          pen.stroke();
          pen.beginPath();
        }
      }
      pen.stroke();
      if (alpha < 0.5) break;
    }
    pen.globalAlpha = 1;
  }

  // How many lines go from where to where between two axes: darker by the logarithm, or one in a hundred would hide all others.
  function bands(pen, xs, which, colour) {
    pen.fillStyle = colour;
    const counts = new Uint32Array(BINS * BINS),
      scale = (BINS - 1) / HIGH;
    for (let j = 0; j + 1 < order.length; j += 1) {
      counts.fill(0);
      const a = data.places[order[j]],
        b = data.places[order[j + 1]];
      for (const i of which)
        if (a[i] !== NONE && b[i] !== NONE) counts[Math.round(a[i] * scale) * BINS + Math.round(b[i] * scale)] += 1;
      let most = 1;
      for (const c of counts) if (c > most) most = c;
      // single lines are drawn as lines
      const least = which.length > 10 * SAMPLE ? 3 : 1;
      const half = TALL / BINS / 2;
      for (let k = 0; k < counts.length; k += 1) {
        if (counts[k] < least) continue;
        pen.globalAlpha = 0.02 + (0.13 * Math.log1p(counts[k])) / Math.log1p(most);
        const ya = y(Math.floor(k / BINS) / scale),
          yb = y((k % BINS) / scale);
        pen.beginPath();
        pen.moveTo(xs[j], ya - half);
        pen.lineTo(xs[j + 1], yb - half);
        pen.lineTo(xs[j + 1], yb + half);
        pen.lineTo(xs[j], ya + half);
        pen.fill();
      }
    }
    pen.globalAlpha = 1;
  }

  function axes(xs, all) {
    const parts = [];
    order.forEach((k, j) => {
      const axis = data.axes[k],
        x = xs[j];
      const longest = Math.max(6, Math.floor((order.length > 1 ? xs[1] - xs[0] : 200) / 7) - 1);
      const name = axis.name.length > longest ? `${axis.name.slice(0, longest - 1)}…` : axis.name;
      const group = svg("g", { class: "one", "data-axis": axis.name });
      group.append(
        svg("title", {}, axis.name),
        svg("text", { class: "name", x, y: 16, "text-anchor": "middle", "data-name": axis.name }, name),
        svg("line", { class: "axis", x1: x, x2: x, y1: TOP, y2: TOP + TALL }),
        svg("rect", {
          class: "grip",
          x: x - 22,
          y: TOP - 14,
          width: 44,
          height: TALL + 28,
          fill: "transparent",
          "data-grip": String(k),
        }),
      );
      for (const [share, label] of axis.ticks) {
        const text = label.length > 12 ? `${label.slice(0, 11)}…` : label;
        group.append(
          svg("line", { class: "axis", x1: x - 3, x2: x + 3, y1: y(share * HIGH), y2: y(share * HIGH) }),
          svg("text", { class: "halo", x: x + 7, y: y(share * HIGH) + 4, "pointer-events": "none" }, text),
        );
      }
      if (absent[k])
        group.append(svg("text", { class: "halo", x: x + 7, y: y(NONE) + 4, "pointer-events": "none" }, "none"));
      const brush = all[axis.name];
      if (brush && brush.range) {
        const a = y(place(axis, brush.range[1])),
          b = y(place(axis, brush.range[0]));
        group.append(
          svg("rect", {
            class: "brush",
            x: x - 8,
            y: a,
            width: 16,
            height: Math.max(3, b - a),
            rx: 3,
            "pointer-events": "none",
          }),
        );
      }
      if (brush && brush.in) {
        const n = Math.max(1, axis.values.length - 1);
        for (const v of brush.in) {
          const at = axis.values.findIndex((w) => JSON.stringify(w) === JSON.stringify(v));
          if (at >= 0)
            group.append(
              svg("rect", {
                class: "brush",
                x: x - 8,
                y: y((at / n) * HIGH) - 9,
                width: 16,
                height: 18,
                rx: 3,
                "pointer-events": "none",
              }),
            );
        }
      }
      parts.push(group);
    });
    fill(over, parts);
  }

  // A brush on axis k from one height to another, as it stands in the address; null for none.
  function brushed(k, from, to) {
    const axis = data.axes[k],
      share = (at) => Math.min(1, Math.max(0, (TOP + TALL - at) / TALL));
    const [low, high] = [share(Math.max(from, to)), share(Math.min(from, to))];
    if (axis.values) {
      const n = Math.max(1, axis.values.length - 1),
        point = Math.abs(from - to) < 4;
      const chosen = axis.values.filter((_, j) =>
        point ? Math.abs(j / n - low) <= 0.5 / n : j / n >= low - 0.02 && j / n <= high + 0.02,
      );
      return chosen.length && chosen.length < axis.values.length ? { in: chosen } : null;
    }
    if (Math.abs(from - to) < 4) return null;
    const worth = (s) => Number(value(axis, s * HIGH).toPrecision(4));
    let range = [worth(low), worth(high)];
    if (axis.whole) range = [Math.ceil(range[0]), Math.floor(range[1])];
    return { range };
  }

  function commit(name, brush) {
    const all = { ...brushes(read()) };
    if (brush) all[name] = brush;
    else delete all[name];
    live = {};
    go({ brush: Object.keys(all).length ? JSON.stringify(all) : "" }, { replace: true });
  }

  const height = (event) => event.clientY - over.getBoundingClientRect().top;
  over.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest("[data-grip]");
    if (!grip || !data) return;
    drag = { k: Number(grip.dataset.grip), from: height(event), to: height(event) };
    over.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  over.addEventListener("pointermove", (event) => {
    if (!drag) return;
    drag.to = height(event);
    const name = data.axes[drag.k].name,
      brush = brushed(drag.k, drag.from, drag.to);
    live = brush ? { [name]: brush } : {};
    if (!waiting)
      waiting = requestAnimationFrame(() => {
        waiting = null;
        if (data) draw();
      });
  });
  over.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { k, from } = drag;
    drag = null;
    commit(data.axes[k].name, brushed(k, from, height(event)));
  });
  over.addEventListener("click", (event) => {
    const name = event.target.closest("[data-name]");
    if (!name || order.length < 3) return;
    hidden.add(name.dataset.name);
    order = visible();
    draw();
    byNumbers();
  });

  const byNumbers = () =>
    numbered(ranges, data, brushes(state), hidden, commit, () => {
      order = visible();
      draw();
    });

  const resized = new ResizeObserver(() => {
    if (data && !waiting)
      waiting = requestAnimationFrame(() => {
        waiting = null;
        draw();
      });
  });
  resized.observe(box);
  const dark = matchMedia("(prefers-color-scheme: dark)"),
    repaint = () => data && draw();
  dark.addEventListener("change", repaint);
  await load(state);
  listed = state.brush;
  return {
    update: async (next) => {
      bar.update(next);
      if (next.where !== where) {
        await load(next);
        return;
      }
      state = next;
      live = {};
      if (data && next.brush !== listed) {
        listed = next.brush;
        draw();
        byNumbers();
      }
      await list.load(next);
    },
    live: async (now) => {
      if (data && now.size !== data.size) {
        stale.hidden = false;
        stale.textContent = `${(now.size - data.size).toLocaleString("en")} new: draw them`;
      }
      await list.news(now);
    },
    close: () => {
      resized.disconnect();
      list.close();
      dark.removeEventListener("change", repaint);
    },
  };
}
