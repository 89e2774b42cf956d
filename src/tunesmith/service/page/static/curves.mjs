// Learning curves on a canvas: the best and those that run as lines, all of them as bands.

import { duration, fill, h, number } from "./dom.mjs";
import { get, here, query } from "./net.mjs";
import { filter, go } from "./address.mjs";
import { Picture, frame, scale } from "./plot.mjs";
import { say } from "./tips.mjs";
import { filterBar } from "./filters.mjs";
import { List } from "./trials.mjs";

export async function open(root, state, context) {
  let made = null,
    spots = [],
    near = null;
  const bar = filterBar(state),
    words = h("p", { class: "caption" });
  const metric = h("select", { "aria-label": "Metric", onchange: () => go({ by: metric.value }, { replace: true }) });
  const log = h("input", {
    type: "checkbox",
    onchange: () => go({ log: log.checked ? "yes" : "no" }, { replace: true }),
  });
  const over = h(
    "select",
    { "aria-label": "Over", onchange: () => go({ over: over.value }, { replace: true }) },
    h("option", { value: "" }, "by step"),
    h("option", { value: "time" }, "by time"),
  );
  const list = new List(state, context, { short: true });
  const picture = new Picture("Learning curves; the table below has the same trials", 420, draw);
  fill(
    root,
    h("h1", { class: "unseen" }, "Curves"),
    bar.element,
    h(
      "div",
      { class: "above" },
      words,
      h("div", { class: "tools" }, metric, over, h("label", { class: "tick" }, log, "log scale")),
    ),
    picture.element,
    h(
      "div",
      { class: "legend" },
      [
        ["orange", "the best"],
        ["blue", "completed"],
        ["green", "runs"],
        ["grey", "stopped"],
        ["red", "failed"],
      ].map(([c, t]) => h("span", { class: "key" }, h("i", { class: `line ${c}` }), t)),
    ),
    list.element,
  );

  const ask = () =>
    get(
      query(`${here(state.study)}/curves`, {
        metric: state.by,
        where: filter(state),
        timed: state.over === "time" ? "true" : "",
      }),
    );

  async function load(next) {
    state = next;
    try {
      made = await ask();
    } catch (error) {
      if (error.status !== 422) throw error;
      words.textContent = "";
      await list.load(state);
      return;
    }
    fill(
      metric,
      (made.metrics.length ? made.metrics : [made.metric]).map((m) =>
        h("option", { value: m, selected: m === made.metric }, m),
      ),
    );
    over.value = state.over;
    log.checked = state.log ? state.log === "yes" : made.log;
    const drawn = made.lines.length.toLocaleString("en");
    words.textContent = made.reporting
      ? `${made.metric}, ${made.timed ? "over time" : "step by step"}, of ${made.reporting.toLocaleString("en")} trials${made.lines.length < made.reporting ? `: ${drawn} as lines, the best and those that run among them` : ""}${made.bands.length ? "; the bands hold half and nine tenths of all" : ""}. Click a line for its trial.`
      : made.fitting
        ? "None of these trials has reported anything on its way: there is no curve to draw. A program reports with trial.report(step, metric=value)."
        : made.size
          ? "No trial fits this filter."
          : "No trials yet.";
    picture.paint();
    await list.load(state);
  }

  function draw(pen, wide, tall, colour) {
    if (!made || !made.lines.length) return;
    const box = { left: 62, right: wide - 16, top: 26, bottom: tall - 46 };
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    const positive = log.checked;
    const take = (x, y) => {
      if (positive && !(y > 0)) return;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < low) low = y;
      if (y > high) high = y;
    };
    for (const line of made.lines) line.x.forEach((x, k) => take(x, line.y[k]));
    if (!(low <= high)) return;
    // far above the band of nine tenths is drawn at the edge
    if (made.bands.length > 2 && made.sign && !positive) {
      const edge = made.bands.slice(1).map((b) => (made.sign > 0 ? b[5] : b[1]));
      const far = made.sign > 0 ? Math.max(...edge) : Math.min(...edge);
      if (made.sign > 0) high = Math.min(high, far + 0.3 * (far - low));
      else low = Math.max(low, far - 0.3 * (high - far));
    }
    const pad = positive ? 0 : 0.04 * (high - low);
    const x = scale(left, right, box.left, box.right, false),
      y = scale(low - pad, high + pad, box.bottom, box.top, positive);
    frame(pen, x, y, box, colour, [made.timed ? "seconds since the trial began" : "step", made.metric]);
    pen.save();
    pen.beginPath();
    pen.rect(box.left - 2, box.top - 4, box.right - box.left + 4, box.bottom - box.top + 8);
    pen.clip();
    const up = (v) => y(positive ? Math.max(v, 1e-300) : v);
    for (const [a, b, alpha] of [
      [1, 5, 0.12],
      [2, 4, 0.2],
    ]) {
      if (!made.bands.length) break;
      pen.fillStyle = colour("blue");
      pen.globalAlpha = alpha;
      pen.beginPath();
      made.bands.forEach((band, k) => pen[k ? "lineTo" : "moveTo"](x(band[0]), up(band[a])));
      [...made.bands].reverse().forEach((band) => pen.lineTo(x(band[0]), up(band[b])));
      pen.fill();
    }
    const kinds = {
      completed: ["blue", 0.45],
      running: ["green", 0.9],
      failed: ["red", 0.5],
      stopped: ["grey", 0.55],
      waiting: ["grey", 0.5],
      paused: ["grey", 0.7],
      cancelled: ["grey", 0.4],
    };
    spots = [];
    pen.lineJoin = "round";
    for (const line of made.lines) {
      const [name, alpha] = line.best ? ["orange", 1] : kinds[line.state];
      pen.strokeStyle = colour(name);
      pen.globalAlpha = near === line.trial ? 1 : alpha;
      pen.lineWidth = line.best || near === line.trial ? 2.6 : 1.2;
      pen.beginPath();
      line.x.forEach((v, k) => {
        const px = x(v),
          py = up(line.y[k]);
        pen[k ? "lineTo" : "moveTo"](px, py);
        spots.push([px, py, line, k]);
      });
      pen.stroke();
      if (line.x.length === 1) {
        pen.fillStyle = colour(name);
        pen.beginPath();
        pen.arc(x(line.x[0]), up(line.y[0]), 2.5, 0, 7);
        pen.fill();
      }
    }
    pen.restore();
    pen.globalAlpha = 1;
  }

  function nearest(event) {
    const at = picture.canvas.getBoundingClientRect(),
      px = event.clientX - at.left,
      py = event.clientY - at.top;
    let best = null,
      least = 20 * 20;
    for (const spot of spots) {
      const away = (spot[0] - px) ** 2 + (spot[1] - py) ** 2;
      if (away < least) {
        least = away;
        best = spot;
      }
    }
    return best;
  }
  picture.canvas.addEventListener("pointermove", (event) => {
    const spot = nearest(event),
      trial = spot && spot[2].trial;
    if (trial !== near) {
      near = trial;
      picture.paint();
      picture.canvas.style.cursor = spot ? "pointer" : "";
    }
    say(
      spot &&
        `trial ${trial}, ${spot[2].state}\n${made.timed ? `after ${duration(spot[2].x[spot[3]])}` : `step ${spot[2].x[spot[3]]}`}: ${made.metric} ${number(spot[2].y[spot[3]])}`,
      event.clientX,
      event.clientY,
    );
  });
  picture.canvas.addEventListener("pointerleave", () => {
    say("");
    if (near !== null) {
      near = null;
      picture.paint();
    }
  });
  picture.canvas.addEventListener("click", (event) => {
    const spot = nearest(event);
    if (spot) go({ trial: String(spot[2].trial) });
  });
  await load(state);
  let busy = false;
  return {
    update: (next) => {
      bar.update(next);
      return load(next);
    },
    live: async (now) => {
      if (now.cursor === made.cursor || busy) return;
      busy = true;
      try {
        made = await ask();
        picture.paint();
        await list.news(now);
      } finally {
        busy = false;
      }
    },
    close: () => {
      picture.close();
      list.close();
      say("");
    },
  };
}
