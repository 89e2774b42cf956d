// The journal: all that happened to the study, the newest first.

import { empty, fill, h, when } from "./dom.mjs";
import { get, here, query } from "./net.mjs";
import { go, link } from "./address.mjs";

export async function open(root, state) {
  const list = h("ol", { class: "log journal" }),
    words = h("p", { class: "soft" }),
    older = h("p", { class: "more" });
  const box = h("input", {
    type: "checkbox",
    onchange: () => go({ by: box.checked ? "all" : "", before: "" }, { replace: true }),
  });
  fill(
    root,
    h("div", { class: "heading" }, h("h1", {}, "Decisions"), h("label", { class: "tick" }, box, "with every report")),
    h(
      "p",
      { class: "soft" },
      "Everything that was written down, the newest first. Nothing here is ever changed: a correction stands beside what it corrects.",
    ),
    words,
    list,
    older,
  );
  let cursor = -1;
  async function load(next) {
    state = next;
    box.checked = state.by === "all";
    const made = await get(
      query(`${here(state.study)}/journal`, { before: state.before, reports: state.by === "all" ? "true" : "false" }),
    );
    cursor = made.cursor;
    words.textContent = state.before
      ? `Events before number ${Number(state.before).toLocaleString("en")} of ${made.cursor.toLocaleString("en")}.`
      : `${made.cursor.toLocaleString("en")} events.`;
    fill(
      list,
      made.events.map((e) =>
        h(
          "li",
          { class: `event ${e.kind}` },
          h("time", { title: `event ${e.number}` }, when(e.at)),
          h(
            "span",
            {},
            e.trial === undefined
              ? null
              : [h("a", { href: link({ ...state, trial: String(e.trial) }) }, `trial ${e.trial}`), " "],
            e.words,
            e.by ? h("span", { class: "soft" }, ` (${e.by})`) : null,
            h(
              "details",
              {},
              h("summary", { "aria-label": `Event ${e.number} as it is stored` }, "as stored"),
              h("pre", { tabindex: "0" }, e.stored),
            ),
          ),
        ),
      ),
    );
    if (!made.events.length) fill(list, empty("Nothing has happened yet."));
    const last = made.events[made.events.length - 1];
    fill(
      older,
      state.before ? h("button", { type: "button", onclick: () => go({ before: "" }) }, "The newest") : null,
      " ",
      last && last.number > 1
        ? h("button", { type: "button", onclick: () => go({ before: String(last.number) }) }, "Older")
        : null,
    );
  }
  await load(state);
  return {
    update: load,
    live: async (now) => {
      if (!state.before && now.cursor !== cursor && !list.querySelector("details[open]")) await load(state);
    },
  };
}
