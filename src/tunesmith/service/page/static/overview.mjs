// A study at a glance: what the report says, as it grows, and how far it is.

import { ago, drawn, duration, empty, fill, h, state as stateOf } from "./dom.mjs";
import { get, here, query } from "./net.mjs";
import { link } from "./address.mjs";
import { tell } from "./tips.mjs";

export async function open(root, state, context) {
  const strip = h("section", { class: "strip", "aria-label": "What goes on" }),
    words = h("div", { class: "report" }),
    note = h("p", { class: "soft note" });
  fill(root, strip, note, words);
  let cursor = -1,
    narrow = null,
    loading = false,
    over = false;
  const phone = matchMedia("(max-width: 760px)"),
    turned = () => report();
  phone.addEventListener("change", turned);

  function now(live) {
    fill(
      strip,
      h("p", { class: "sentence" }, stateOf(live.state.word), " ", live.state.sentence),
      h(
        "div",
        { class: "limits" },
        live.limits.map((one) =>
          h(
            "div",
            { class: "limit" },
            h("span", {}, `${one.used} of ${one.limit} ${one.name}`),
            h("progress", { max: 1, value: one.share, "aria-label": one.name }),
          ),
        ),
      ),
      h(
        "p",
        { class: "soft" },
        [
          `${live.size.toLocaleString("en")} trials`,
          ...Object.entries(live.counts).map(([word, n]) => `${n.toLocaleString("en")} ${word}`),
          `worked on for ${live.elapsed}`,
          live.left ? `about ${live.left} left` : "",
          `last event ${ago(live.last_at)}`,
          live.owner ? `made by ${live.owner}` : "",
        ]
          .filter(Boolean)
          .join(" · "),
        live.tags.map((tag) => [" ", h("a", { class: "tag", href: link({ tag }) }, tag)]),
      ),
      live.running.length
        ? h(
            "div",
            { class: "runs" },
            live.running.slice(0, 12).map((one) =>
              h(
                "a",
                {
                  href: link({ ...state, trial: String(one.number) }),
                  class: "run",
                },
                `▶ trial ${one.number}`,
                h(
                  "span",
                  { class: "soft" },
                  one.step === null ? ` ${duration(Date.now() / 1000 - one.since)}` : ` step ${one.step}`,
                ),
              ),
            ),
            live.running.length > 12 ? h("span", { class: "soft" }, `and ${live.running.length - 12} more`) : null,
          )
        : null,
    );
  }

  async function report() {
    if (loading || over) return;
    loading = true;
    try {
      const now = phone.matches,
        ask = (first) => get(query(`${here(state.study)}/report`, { narrow: now ? "true" : "", first }));
      if (cursor < 0) put(await ask("true"));
      const made = await ask("");
      if (over || (made.cursor === cursor && now === narrow)) return;
      cursor = made.cursor;
      narrow = now;
      put(made);
      note.textContent = "";
    } finally {
      loading = false;
    }
  }

  // Only what says something else is written anew: a selected text stays selected, a table scrolled, a fold open.
  const shown = new Map();
  function put(made) {
    const part = (key, html, make) => {
      const known = shown.get(key);
      if (known && known.html === html) return known.element;
      const open = known ? [...known.element.querySelectorAll("details")].map((d) => d.open) : [];
      const element = make();
      element.querySelectorAll("details").forEach((d, k) => {
        d.open = open[k] || false;
      });
      for (const scroll of element.querySelectorAll(".scroll, pre")) scroll.tabIndex = 0;
      trials(element, state);
      shown.set(key, { html, element });
      return element;
    };
    const links = made.sections.map((s) => `${s.anchor} ${s.heading}`).join("\n");
    const parts = [
      part("", made.head, () => h("div", { class: "top" }, drawn(made.head))),
      part("nav", links, () =>
        h(
          "nav",
          { "aria-label": "Sections", hidden: made.sections.length < 4 },
          made.sections.map((s) => h("a", { href: `#${s.anchor}` }, s.heading)),
        ),
      ),
      ...made.sections.map((s) =>
        part(s.anchor, s.heading + s.html, () => h("section", { id: s.anchor }, h("h2", {}, s.heading), drawn(s.html))),
      ),
    ];
    const there = [...words.children];
    if (there.length !== parts.length || parts.some((one, k) => one !== there[k])) {
      there.filter((one) => !parts.includes(one)).forEach((one) => one.remove());
      parts.forEach((one, k) => {
        if (words.children[k] !== one) words.insertBefore(one, words.children[k] || null);
      });
    }
    tell(words, made.tips);
  }

  now(context.now);
  if (!words.childElementCount) fill(words, h("h1", {}, context.now.headline), empty("Writing the report …"));
  report().catch((error) => fill(words, h("h1", {}, context.now.headline), empty(error.message)));
  return {
    live: async (live) => {
      now(live);
      if (live.cursor !== cursor) await report();
    },
    update: (next) => {
      state = next;
      now(context.now);
    },
    close: () => {
      over = true;
      phone.removeEventListener("change", turned);
    },
  };
}

// A trial's number in the first column of a table leads to the trial.
function trials(words, state) {
  for (const table of words.querySelectorAll("table")) {
    const first = table.querySelector("thead th");
    if (!first || first.textContent !== "trial") continue;
    for (const row of table.querySelectorAll("tbody tr")) {
      const cell = row.firstElementChild,
        match = /^(\d+)(.*)$/.exec(cell.textContent);
      if (match) fill(cell, h("a", { href: link({ ...state, trial: match[1] }) }, match[1]), match[2]);
    }
  }
}
