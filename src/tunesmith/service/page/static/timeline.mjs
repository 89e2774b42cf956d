// Who ran what, when: gaps and failures at a glance.

import { duration, fill, h, when } from "./dom.mjs";
import { get, here, query } from "./net.mjs";
import { go } from "./address.mjs";
import { Picture, ticks } from "./plot.mjs";
import { say } from "./tips.mjs";

const ROW = 18,
  TOP = 8,
  BOTTOM = 40;
const spans = [
  ["", "all of it"],
  ["86400", "last day of work"],
  ["3600", "last hour"],
  ["600", "last 10 minutes"],
];
const colours = {
  completed: "green",
  running: "blue",
  failed: "red",
  lost: "purple",
  stopped: "orange",
  paused: "grey",
  cancelled: "grey",
};

export async function open(root, state) {
  let made = null,
    bars = [];
  const words = h("p", { class: "caption" }),
    table = h("details", {});
  const span = h(
    "select",
    { "aria-label": "Which part", onchange: () => go({ by: span.value }, { replace: true }) },
    spans.map(([value, text]) => h("option", { value }, text)),
  );
  const picture = new Picture(
    "Timeline of workers; the table below has them in words",
    () => TOP + BOTTOM + ROW * Math.max(1, made ? made.lanes.length : 1),
    draw,
  );
  fill(
    root,
    h("div", { class: "heading" }, h("h1", {}, "Timeline"), span),
    words,
    picture.element,
    h(
      "div",
      { class: "legend" },
      [
        ["completed"],
        ["running"],
        ["stopped"],
        ["failed"],
        ["lost", "lost, and run again"],
        ["paused", "paused or cancelled"],
      ].map(([k, t]) => h("span", { class: "key" }, h("i", { class: `box ${colours[k]}` }), t || k)),
    ),
    table,
  );

  async function load(next) {
    state = next;
    span.value = state.by;
    made = await get(query(`${here(state.study)}/timeline`, { since: state.by }));
    const workers = new Set(made.lanes.map((lane) => lane.name)).size;
    words.textContent = !made.bars
      ? "No trial has begun yet: there is nothing to show."
      : `${made.total.toLocaleString("en")} attempts by ${workers} ${workers === 1 ? "process" : "processes"} in ${duration(made.end - made.begin)}${made.bars < made.total ? `, of which the last ${made.bars.toLocaleString("en")} are drawn` : ""}. The lanes were busy ${Math.round(100 * made.busy)} % of the time.${made.more ? ` ${made.more} lanes more are not drawn.` : ""} Click a bar for its trial.`;
    const by = new Map();
    for (const lane of made.lanes) {
      const one = by.get(lane.name) || { n: 0, failed: 0, busy: 0, gone: false };
      for (const [a, b, , how] of lane.bars) {
        one.n += 1;
        one.busy += b - a;
        if (how === "failed" || how === "lost") one.failed += 1;
      }
      one.gone = one.gone || lane.gone;
      by.set(lane.name, one);
    }
    const open = table.open;
    fill(
      table,
      h("summary", {}, "In words"),
      h(
        "div",
        { class: "scroll", tabindex: "0" },
        h(
          "table",
          {},
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              ["process", "attempts", "failed or lost", "busy", "state"].map((t) => h("th", {}, t)),
            ),
          ),
          h(
            "tbody",
            {},
            [...by].map(([name, one]) =>
              h(
                "tr",
                {},
                h("th", { scope: "row" }, name),
                h("td", {}, one.n),
                h("td", {}, one.failed),
                h("td", {}, duration(one.busy)),
                h("td", {}, one.gone ? "gone without a word" : "–"),
              ),
            ),
          ),
        ),
      ),
    );
    table.open = open;
    picture.paint();
  }

  function draw(pen, wide, tall, colour) {
    bars = [];
    if (!made || !made.bars) return;
    const left = Math.min(190, Math.round(wide * 0.3)),
      right = wide - 12,
      k = (right - left) / (made.end - made.begin),
      x = (t) => left + k * (t - made.begin);
    const zone = (t) => new Date(t * 1000),
      long = made.end - made.begin > 172800;
    pen.strokeStyle = colour("line");
    pen.fillStyle = colour("soft");
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const s of ticks({ low: 0, high: made.end - made.begin, log: false }, Math.max(2, (right - left) / 120))) {
      const at = Math.round(left + k * s) + 0.5;
      pen.beginPath();
      pen.moveTo(at, TOP);
      pen.lineTo(at, tall - BOTTOM + 4);
      pen.stroke();
      pen.fillText(
        s
          ? `+${duration(s)}`
          : zone(made.begin).toLocaleString(
              "en",
              long ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit", hour12: false },
            ),
        Math.min(at, right - 30),
        tall - BOTTOM + 9,
      );
    }
    made.lanes.forEach((lane, row) => {
      const top = TOP + row * ROW;
      if (!lane.row) {
        pen.fillStyle = colour(lane.gone ? "bad" : "ink");
        pen.textAlign = "right";
        pen.textBaseline = "middle";
        let name = (lane.gone ? "✕ " : "") + lane.name;
        while (name.length > 6 && pen.measureText(name).width > left - 16) name = `${name.slice(0, -2)}…`;
        pen.fillText(name, left - 8, top + ROW / 2);
        if (row) {
          pen.strokeStyle = colour("line");
          pen.beginPath();
          pen.moveTo(0, top + 0.5);
          pen.lineTo(right, top + 0.5);
          pen.stroke();
        }
      }
      for (const [a, b, trial, how] of lane.bars) {
        const from = x(a),
          width = Math.max(1.2, x(b) - from - 0.8);
        pen.fillStyle = colour(colours[how] || "grey");
        pen.globalAlpha = how === "completed" ? 0.75 : 1;
        // no colour alone: what went wrong is lower, what runs is hatched by its open end
        const low = how === "failed" || how === "lost" ? 5 : 0;
        pen.fillRect(from, top + 3 + low, width, ROW - 6 - low);
        bars.push([from, top, width, a, b, trial, how]);
      }
      pen.globalAlpha = 1;
    });
  }
  const under = (event) => {
    const at = picture.canvas.getBoundingClientRect(),
      px = event.clientX - at.left,
      py = event.clientY - at.top;
    return bars.find(([x, y, w]) => px >= x - 1 && px <= x + w + 1 && py >= y && py <= y + ROW);
  };
  picture.canvas.addEventListener("pointermove", (event) => {
    const bar = under(event);
    picture.canvas.style.cursor = bar ? "pointer" : "";
    say(
      bar && `trial ${bar[5]}, ${bar[6]}\n${when(bar[3])}, ${duration(bar[4] - bar[3])}`,
      event.clientX,
      event.clientY,
    );
  });
  picture.canvas.addEventListener("pointerleave", () => say(""));
  picture.canvas.addEventListener("click", (event) => {
    const bar = under(event);
    if (bar) go({ trial: String(bar[5]) });
  });
  await load(state);
  return {
    update: (next) => (next.by !== state.by ? load(next) : undefined),
    live: async (now) => {
      if (now.cursor !== made.cursor) await load(state);
    },
    close: () => {
      picture.close();
      say("");
    },
  };
}
