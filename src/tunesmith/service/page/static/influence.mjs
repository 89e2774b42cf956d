// What mattered: importance with its uncertainty, a slice for each parameter, two at a time, the front of two objectives.

import { drawn, empty, fill, h } from "./dom.mjs";
import { get, here, query } from "./net.mjs";
import { go } from "./address.mjs";
import { tell } from "./tips.mjs";

export async function open(root, state) {
  const body = h("div", { class: "report" }),
    words = h("p", { class: "caption" }),
    slices = h("div", { class: "pair slices" }),
    said = h("p", { class: "caption", role: "status" }),
    pair = h("div", { class: "pair contours" }),
    chosen = h("div", { class: "filters" }),
    again = h("button", { type: "button", class: "fresh", hidden: true, onclick: () => load(state) });
  const by = h("select", {
    "aria-label": "Objective",
    hidden: true,
    onchange: () => go({ by: by.value }, { replace: true }),
  });
  fill(
    root,
    h("div", { class: "heading" }, h("h1", {}, "What mattered"), by),
    h("div", { class: "above" }, words, again),
    body,
  );
  let made = null,
    wanted = 0;

  async function load(next) {
    state = next;
    const mine = ++wanted;
    words.textContent = "Working it out …";
    const now = await get(query(`${here(state.study)}/influence`, { objective: state.by }));
    if (mine !== wanted) return;
    made = now;
    by.hidden = made.objectives.length < 2;
    fill(
      by,
      made.objectives.map((m, k) =>
        h("option", { value: k ? String(k) : "", selected: String(k || "") === state.by }, m),
      ),
    );
    again.hidden = true;
    words.textContent = made.known
      ? `From ${made.known.toLocaleString("en")} completed trials. Each dot of a slice is a trial.${made.hidden ? ` ${made.hidden} parameters that explain least are left out.` : ""}`
      : "";
    fill(
      slices,
      made.slices.map((one) => drawn(one)),
    );
    fill(chosen);
    fill(pair);
    said.textContent = "";
    fill(
      body,
      made.front ? [h("h2", {}, "What no other trial beats"), drawn(made.front)] : null,
      h("h2", {}, "Importance"),
      made.bars
        ? drawn(made.bars)
        : empty(
            made.known
              ? "Importance needs some completed trials with different results."
              : "No trial has completed yet: nothing is known of what matters.",
          ),
      made.slices.length ? [h("h2", {}, "One by one"), said] : null,
      slices,
      made.names.length > 1 && made.known ? [h("h2", {}, "Two at a time"), chosen, pair] : null,
    );
    tell(body, made.tips);
    if (made.slices.length) await predicted(mine).catch((error) => (said.textContent = error.message));
  }

  // The model is fitted behind what is known without it.
  async function predicted(mine) {
    said.textContent = "Fitting a model to them …";
    const found = await get(query(`${here(state.study)}/predicted`, { objective: state.by, of: made.names }));
    if (mine !== wanted) return;
    if (found.why) {
      said.textContent = found.why;
      if (made.names.length > 1) fill(chosen, h("p", { class: "soft" }, found.why));
      return;
    }
    said.textContent =
      `The line is what a model of ${found.known.toLocaleString("en")} completed trials expects where all else is as in trial ${found.trial}; ` +
      `the grey band holds the average over runs with a probability of 90 %. ${found.note}`;
    fill(
      slices,
      found.slices.map((one) => drawn(one)),
    );
    tell(slices, found.tips);
    choose();
    await contour();
  }

  const axes = () => {
    const x = made.names.includes(state.x) ? state.x : made.names[0];
    const y = made.names.includes(state.y) && state.y !== x ? state.y : made.names.find((one) => one !== x);
    return { x, y };
  };

  function choose() {
    if (made.names.length < 2) return;
    const now = axes();
    fill(
      chosen,
      ["x", "y"].map((axis) =>
        h(
          "label",
          { class: "tick" },
          axis === "x" ? "across" : "up",
          h(
            "select",
            {
              id: `axis-${axis}`,
              onchange: (event) => {
                const wish = { ...axes(), [axis]: event.target.value };
                if (wish.x === wish.y) wish[axis === "x" ? "y" : "x"] = now[axis]; // they change places
                go(wish, { replace: true });
              },
            },
            made.names.map((name) => h("option", { value: name, selected: name === now[axis] }, name)),
          ),
        ),
      ),
    );
  }

  async function contour() {
    if (made.names.length < 2) return;
    const mine = wanted,
      { x, y } = axes();
    if (!pair.childElementCount) fill(pair, empty("Drawing …"));
    const found = await get(query(`${here(state.study)}/contour`, { objective: state.by, x, y }));
    const now = axes();
    if (mine !== wanted || now.x !== x || now.y !== y) return;
    fill(pair, found.why ? empty(found.why) : found.figures.map((one) => drawn(one)));
    if (!found.why) tell(pair, found.tips);
  }

  await load(state);
  return {
    update: async (next) => {
      if (next.by !== state.by) return load(next);
      const moved = next.x !== state.x || next.y !== state.y;
      state = next;
      if (moved && chosen.querySelector("select")) {
        const focus = document.activeElement && document.activeElement.id;
        choose();
        if (focus && document.getElementById(focus)) document.getElementById(focus).focus();
        await contour();
      }
    },
    live: (now) => {
      if (now.size > made.size) {
        again.hidden = false;
        again.textContent = `${(now.size - made.size).toLocaleString("en")} new: work it out again`;
      }
    },
  };
}
