// The list of studies.

import { ago, empty, fill, h, number, svg } from "./dom.mjs";
import { get, query } from "./net.mjs";
import { go, link } from "./address.mjs";

const sorts = [
  ["last", "last activity"],
  ["name", "name"],
  ["created", "newest"],
  ["events", "most events"],
];

export async function open(root, state) {
  const search = h("input", {
    type: "search",
    id: "q",
    "data-search": true,
    placeholder: "Search by name",
    "aria-label": "Search studies by name",
    value: state.q,
  });
  const order = h(
    "select",
    { "aria-label": "Sort by" },
    sorts.map(([value, words]) => h("option", { value, selected: value === state.sort }, words)),
  );
  const kinds = ["tag", "owner"].map((kind) => ({
    kind,
    field: h("select", {
      "aria-label": kind === "tag" ? "Tag" : "Owner",
      hidden: !state[kind],
      onchange: (event) => go({ [kind]: event.target.value }, { replace: true }),
    }),
  }));
  const body = h("div", { class: "cards" }),
    count = h("p", { class: "soft count" }),
    more = h("p", { class: "more" });
  const compare = h("a", { class: "button", hidden: true }, "Compare");
  fill(
    root,
    h("div", { class: "heading" }, h("h1", {}, "Studies"), h("div", { class: "tools" }, search, kinds.map((one) => one.field), order, compare)),
    count,
    body,
    more,
  );
  let rows = [],
    timer = null,
    over = false,
    wanted = 0;
  const chosen = new Set();
  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => go({ q: search.value }, { replace: true }), 150);
  });
  order.addEventListener("change", () => go({ sort: order.value }, { replace: true }));

  async function load(begin, now) {
    const mine = ++wanted;
    const { q, tag, owner } = now;
    const page = await get(query("page/studies", { q, tag, owner, sort: now.sort || "last", begin }));
    if (mine !== wanted) return;
    rows = begin ? [...rows, ...page.studies] : page.studies;
    draw(page, now);
    lines(page.studies.map((one) => one.name));
  }

  // What there is to choose from; asked for behind the list, as it is about all studies.
  async function labels(now) {
    const found = await get("page/labels");
    for (const { kind, field } of kinds) {
      const known = found[`${kind}s`],
        names = known.map(([name]) => name);
      if (now[kind] && !names.includes(now[kind])) known.push([now[kind], 0]);
      field.hidden = !known.length || (kind === "owner" && known.length < 2 && !now.owner);
      if (document.activeElement === field) continue;
      fill(
        field,
        h("option", { value: "" }, kind === "tag" ? "any tag" : "any owner"),
        known.map(([name, n]) => h("option", { value: name }, `${name} (${n.toLocaleString("en")})`)),
      );
      field.value = now[kind];
    }
  }

  function draw(page, now) {
    count.textContent =
      page.total === page.every
        ? `${page.every.toLocaleString("en")} ${page.every === 1 ? "study" : "studies"}`
        : `${page.total.toLocaleString("en")} of ${page.every.toLocaleString("en")} studies`;
    if (!rows.length) {
      fill(
        body,
        page.every
          ? empty(
              "No study ",
              [
                now.q ? `has “${now.q}” in its name` : "",
                now.tag ? `has the tag “${now.tag}”` : "",
                now.owner ? `is ${now.owner}'s` : "",
              ]
                .filter(Boolean)
                .join(" and "),
              ". ",
              h("a", { href: "./" }, "Show all"),
            )
          : empty(
              "No studies yet. They come here when a program puts its trials into this service: ",
              h("code", {}, `tune(..., storage="${location.origin}")`),
            ),
      );
    } else fill(body, rows.map(card));
    fill(
      more,
      rows.length < page.total
        ? h(
            "button",
            { type: "button", onclick: () => load(rows.length, now) },
            `Show more (${(page.total - rows.length).toLocaleString("en")} left)`,
          )
        : null,
    );
  }

  function card(one) {
    const goal = one.objectives.map((o) => `${o.metric} ${o.goal === "minimize" ? "↓" : "↑"}`).join(", ");
    const counts = ["completed", "running", "failed", "stopped", "waiting", "paused"].filter((s) => one.counts[s]);
    const total = Object.values(one.counts).reduce((a, b) => a + b, 0);
    const bar = h(
      "span",
      { class: "stack", "aria-hidden": "true" },
      counts.map((s) => h("i", { class: s, style: { flexGrow: String(one.counts[s]) } })),
    );
    const box = h("input", {
      type: "checkbox",
      "aria-label": `Choose ${one.name} to compare`,
      onchange: () => {
        if (box.checked) chosen.add(one.name);
        else chosen.delete(one.name);
        const [first, ...others] = chosen;
        compare.hidden = chosen.size < 2 || chosen.size > 5;
        if (!compare.hidden) compare.href = link({ study: first, view: "compare", with: others.join(",") });
      },
    });
    box.checked = chosen.has(one.name);
    return h(
      "article",
      { class: "card", "data-study": one.name },
      h("div", { class: "pick" }, box),
      h(
        "div",
        { class: "what" },
        h("a", { class: "title", href: link({ study: one.name }) }, one.name),
        h(
          "p",
          { class: "soft" },
          goal,
          ` · ${one.searcher}${one.who ? ` · run by ${one.who}` : ""}`,
          one.owner ? ` · ${one.owner}` : "",
          one.tags.map((tag) => [
            " ",
            h("a", { class: "tag", href: link({ ...now, tag }), title: `Studies with the tag ${tag}` }, tag),
          ]),
          one.attention ? h("b", { class: "attention" }, ` · ${one.attention}`) : null,
        ),
      ),
      h(
        "div",
        { class: "best" },
        one.best === null
          ? h(
              "span",
              { class: "soft" },
              one.objectives.length > 1 ? "a front" : total ? "no result yet" : "no trials yet",
            )
          : [h("b", {}, number(one.best_value)), h("span", { class: "soft" }, ` trial ${one.best}`)],
      ),
      h("div", { class: "spark", "data-line": one.name }),
      h(
        "div",
        { class: "how" },
        bar,
        h(
          "p",
          { class: "soft" },
          counts.length ? counts.map((s) => `${one.counts[s].toLocaleString("en")} ${s}`).join(", ") : "no trials",
          one.trials ? ` · limit ${one.trials.toLocaleString("en")}` : "",
        ),
      ),
      h("div", { class: "soft last", title: new Date(one.last_at * 1000).toString() }, ago(one.last_at)),
    );
  }

  async function lines(names) {
    if (!names.length) return;
    const found = await get(query("page/lines", { name: names }));
    for (const spot of body.querySelectorAll("[data-line]")) {
      const values = found[spot.dataset.line];
      if (values) fill(spot, spark(values));
    }
  }

  async function again() {
    if (!over && !document.hidden && rows.length <= 50) {
      try {
        await load(0, now);
        await labels(now);
      } catch {
        /* it is tried again */
      }
    }
    if (!over) timer = setTimeout(again, 5000);
  }
  let now = state;
  await load(0, state);
  labels(state).catch(() => {});
  timer = setTimeout(again, 5000);
  return {
    update: (next) => {
      now = next;
      order.value = next.sort || "last";
      if (search.value !== next.q && document.activeElement !== search) search.value = next.q;
      labels(next).catch(() => {});
      return load(0, next);
    },
    close: () => {
      over = true;
      clearTimeout(timer);
    },
  };
}

function spark(values) {
  const low = Math.min(...values),
    high = Math.max(...values),
    span = high - low || 1;
  const at = values.map((v, k) => [2 + (116 * k) / Math.max(1, values.length - 1), 3 + 22 * (1 - (v - low) / span)]);
  let d = `M${at[0][0].toFixed(1)} ${at[0][1].toFixed(1)}`;
  for (const [x, y] of at.slice(1)) d += `H${x.toFixed(1)}V${y.toFixed(1)}`;
  const words = `best so far: from ${number(values[0])} to ${number(values[values.length - 1])}`;
  const last = at[at.length - 1];
  return svg(
    "svg",
    { viewBox: "0 0 120 28", role: "img", "aria-label": words },
    svg("path", { d, class: "spark" }),
    svg("circle", { cx: last[0], cy: last[1], r: 2.2, class: "dot" }),
  );
}
