// What mattered: importance with its uncertainty, a slice for each parameter, the front of two objectives.

import { drawn, empty, fill, h } from "./dom.mjs";
import { get, here, query } from "./net.mjs";
import { go } from "./address.mjs";
import { tell } from "./tips.mjs";

export async function open(root, state) {
  const body = h("div", { class: "report" }),
    words = h("p", { class: "caption" }),
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
  let made = null;
  async function load(next) {
    state = next;
    words.textContent = "Working it out …";
    made = await get(query(`${here(state.study)}/influence`, { objective: state.by }));
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
      made.slices.length ? h("h2", {}, "One by one") : null,
      h(
        "div",
        { class: "pair slices" },
        made.slices.map((one) => drawn(one)),
      ),
    );
    tell(body, made.tips);
  }
  await load(state);
  return {
    update: (next) => (next.by !== state.by ? load(next) : undefined),
    live: (now) => {
      if (now.size > made.size) {
        again.hidden = false;
        again.textContent = `${(now.size - made.size).toLocaleString("en")} new: work it out again`;
      }
    },
  };
}
