// A trial, beside whatever view there is.

import { copyable, drawn, duration, empty, fill, h, number, show, state as stateOf, when } from "./dom.mjs";
import { get, here } from "./net.mjs";
import { go, link } from "./address.mjs";
import { actions } from "./steer.mjs";

export async function open(root, state, context) {
  const n = Number(state.trial),
    at = `${here(state.study)}/trials/${n}`;
  let cursor = -1;
  async function load(first) {
    const [made, output] = await Promise.all([get(at), get(`${at}/output`).catch(() => null)]);
    cursor = made.cursor;
    log = output;
    const scroll = root.scrollTop,
      unfolded = [...root.querySelectorAll("details")].map((d) => d.open);
    draw(made);
    root.scrollTop = first ? 0 : scroll;
    const end = root.querySelector(".output");
    if (end) end.scrollTop = end.scrollHeight;
    if (!first)
      root.querySelectorAll("details").forEach((d, k) => {
        d.open = unfolded[k] ?? d.open;
      });
    else root.querySelector(".close").focus({ preventScroll: true });
  }

  function draw(t) {
    const best = t.best === t.number,
      compare = t.best !== null && !best;
    const differing = t.config.filter((p) => p.differs).length;
    root.setAttribute("aria-label", `Trial ${t.number}`);
    fill(
      root,
      h(
        "div",
        { class: "drawerhead" },
        h("h2", {}, `Trial ${t.number}`),
        stateOf(t.state),
        best ? h("span", { class: "star" }, "★ the best") : null,
        t.retracted ? h("span", { class: "wrong" }, "does not count") : null,
        h(
          "span",
          { class: "steps" },
          h(
            "a",
            {
              class: "button quiet",
              href: link({ ...state, trial: String(t.number - 1) }),
              hidden: t.number === 0,
              "aria-label": "The trial before",
            },
            "‹",
          ),
          h(
            "a",
            {
              class: "button quiet",
              href: link({ ...state, trial: String(t.number + 1) }),
              hidden: t.number + 1 >= t.size,
              "aria-label": "The trial after",
            },
            "›",
          ),
          h(
            "button",
            { class: "close quiet", type: "button", "aria-label": "Close", onclick: () => go({ trial: "" }) },
            "✕",
          ),
        ),
      ),
      h(
        "div",
        { class: "tiles" },
        t.objectives.map((o) =>
          h("div", { class: "tile" }, h("span", {}, `${o.metric} (${o.goal})`), h("b", {}, number(o.value))),
        ),
        t.cost.wall_s === null
          ? null
          : h("div", { class: "tile" }, h("span", {}, "took"), h("b", {}, duration(t.cost.wall_s))),
      ),
      t.ended_why ? h("p", { class: "why" }, t.ended_why) : null,
      t.broken.length
        ? h("p", { class: "why" }, `It breaks ${t.broken.join(" and ")}, so it cannot be the best.`)
        : null,
      t.outside ? h("p", { class: "why" }, "Its config lies outside the space as it is now.") : null,
      h("h3", {}, "Why it was suggested"),
      h(
        "p",
        {},
        t.origin.why
          ? `${t.origin.searcher}: ${t.origin.why}`
          : `By ${t.origin.searcher === "user" ? "a person" : t.origin.searcher}, which gave no reason.`,
        t.origin.seen ? h("span", { class: "soft" }, ` It knew ${t.origin.seen.toLocaleString("en")} ${t.origin.seen === 1 ? "event" : "events"}.`) : null,
      ),
      t.parent === null
        ? null
        : h(
            "p",
            {},
            "It goes on from ",
            h("a", { href: link({ ...state, trial: String(t.parent) }) }, `trial ${t.parent}`),
            ".",
          ),
      h(
        "h3",
        {},
        compare
          ? `Config: ${differing} of ${t.config.length} ${differing === 1 ? "differs" : "differ"} from the best`
          : "Config",
      ),
      h(
        "table",
        { class: "config" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", {}, "parameter"),
            h("th", {}, "value"),
            compare
              ? h("th", {}, h("a", { href: link({ ...state, trial: String(t.best) }) }, `trial ${t.best}`))
              : null,
            h("th", { class: "range" }, "searched"),
          ),
        ),
        h(
          "tbody",
          {},
          t.config.map((p) =>
            h(
              "tr",
              { class: p.differs ? "differs" : "" },
              h("th", { scope: "row" }, p.name),
              h(
                "td",
                { class: typeof p.value === "number" ? "whole" : "" },
                p.differs ? h("b", {}, show(p.value, 4)) : show(p.value, 4),
              ),
              compare
                ? h(
                    "td",
                    { class: typeof p.best === "number" ? "soft whole" : "soft" },
                    p.differs ? show(p.best, 4) : "same",
                  )
                : null,
              h("td", { class: "soft range" }, p.range),
            ),
          ),
          t.absent.map((p) =>
            h(
              "tr",
              { class: "differs" },
              h("th", { scope: "row" }, p.name),
              h("td", { class: "soft" }, "not active"),
              h("td", { class: "soft" }, show(p.best)),
              h("td", {}),
            ),
          ),
        ),
      ),
      t.curves.length
        ? [h("h3", {}, "Curves"), t.curves.map((c) => h("figure", {}, drawn(c.legend), drawn(c.svg)))]
        : null,
      Object.keys(t.metrics).length
        ? [
            h("h3", {}, "Metrics"),
            h(
              "table",
              {},
              h(
                "tbody",
                {},
                Object.entries(t.metrics).map(([name, v]) =>
                  h(
                    "tr",
                    {},
                    h("th", { scope: "row" }, name),
                    h("td", { class: "n" }, v === null ? "not finite" : number(v, 7)),
                  ),
                ),
              ),
            ),
          ]
        : null,
      t.notes.length || Object.keys(t.tags).length
        ? [
            h("h3", {}, "Notes"),
            h(
              "ul",
              {},
              t.notes.map((words) => h("li", {}, words)),
              Object.entries(t.tags).map(([k, v]) => h("li", {}, `${k}: ${v}`)),
            ),
          ]
        : null,
      actions(t, state, context, () => load(false)),
      printed(t),
      copyable("Config as JSON", JSON.stringify(Object.fromEntries(t.config.map((p) => [p.name, p.value])), null, 2)),
      h("h3", {}, "What happened"),
      t.events > t.log.length
        ? h("p", { class: "soft" }, `The last ${t.log.length} of ${t.events.toLocaleString("en")} events.`)
        : null,
      t.log.length
        ? h(
            "ol",
            { class: "log" },
            t.log.map((e) =>
              h(
                "li",
                {},
                h("time", {}, when(e.at)),
                h("span", {}, e.words, e.by ? h("span", { class: "soft" }, ` (${e.by})`) : null),
              ),
            ),
          )
        : empty("Nothing yet."),
    );
  }

  // What it prints, as it grows; where its files are elsewhere, what was kept of the end.
  let log = null;
  function printed(t) {
    const text = (log && log.text) || (t.reason && t.reason.output) || "";
    const files = log ? log.files : [];
    if (!text && !files.length) return null;
    const cut =
      log && log.size > log.text.length + 4
        ? `, the end of ${Math.round(log.size / 1024).toLocaleString("en")} KB`
        : "";
    return [
      text ? [h("h3", {}, `Output${cut}`), h("pre", { class: "output", tabindex: "0" }, text)] : null,
      files.length
        ? h(
            "p",
            { class: "soft" },
            `Files: ${files.map((f) => `${f.name} (${f.size.toLocaleString("en")} bytes)`).join(", ")}`,
          )
        : null,
    ];
  }

  fill(
    root,
    h("button", { class: "close", type: "button", onclick: () => go({ trial: "" }) }, "Close"),
    empty("Loading …"),
  );
  await load(true);
  return {
    number: n,
    study: state.study,
    live: async (now) => {
      if (now.cursor !== cursor && !root.querySelector("form:focus-within")) await load(false);
    },
  };
}
