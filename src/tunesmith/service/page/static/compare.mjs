// Several studies beside one another.

import { drawn, fill, h, number, table } from "./dom.mjs";
import { get, query } from "./net.mjs";
import { go, link } from "./address.mjs";

export async function open(root, state) {
  const field = h("input", {
    type: "text",
    id: "others",
    value: state.with,
    placeholder: "names of other studies, with commas between",
    "aria-label": "Compare with",
  });
  const form = h(
    "form",
    {
      class: "where",
      onsubmit: (event) => {
        event.preventDefault();
        go({ with: field.value.trim() });
      },
    },
    field,
    h("button", {}, "Compare"),
  );
  const body = h("div", {});
  fill(root, h("h1", {}, "Compare"), h("div", { class: "filters" }, form), body);
  async function load(next) {
    state = next;
    if (document.activeElement !== field) field.value = state.with;
    const names = [
      ...new Set([
        state.study,
        ...state.with
          .split(",")
          .map((n) => n.trim())
          .filter(Boolean),
      ]),
    ];
    if (names.length < 2) {
      fill(body, h("p", { class: "empty" }, "Name one to four other studies, or choose some in the list of studies."));
      return;
    }
    if (names.length > 5) {
      fill(body, h("p", { class: "wrong" }, "At most five studies are compared."));
      return;
    }
    let made;
    try {
      made = await get(query("page/compare", { name: names }));
    } catch (error) {
      fill(body, h("p", { class: "wrong", role: "alert" }, error.message));
      return;
    }
    fill(
      body,
      table(
        ["study", `best ${made.metric}`, "trials", "completed", "worked on for", "compute time", "searcher"].map((t, k) =>
          h("th", { scope: "col", class: k && k < 4 ? "n" : "" }, t),
        ),
        made.rows.map((row) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, h("a", { href: link({ study: row.name }) }, row.name)),
            h("td", { class: "n" }, row.value === null ? "–" : h("b", {}, number(row.value))),
            h("td", { class: "n" }, row.trials.toLocaleString("en")),
            h("td", { class: "n" }, row.completed.toLocaleString("en")),
            h("td", {}, row.worked),
            h("td", {}, row.compute),
            h("td", {}, row.searcher),
          ),
        ),
      ),
      made.reached
        ? [
            h("h2", {}, "How soon"),
            h(
              "p",
              { class: "caption" },
              `All came to ${made.metric} ${number(made.reached.value)} or better. So much it took each of them:`,
            ),
            table(
              ["study", "trials", "time", "compute time"],
              made.reached.rows.map((row, k) => line(made.rows[k].name, [row.trials.toLocaleString("en"), row.time, row.cost])),
            ),
          ]
        : null,
      h("h2", {}, made.figures.length > 3 ? "Best so far, and the fronts" : "Best so far"),
      h(
        "div",
        { class: "pair" },
        made.figures.map((f) => h("figure", {}, h("h3", {}, f.title), drawn(f.legend), drawn(f.svg))),
      ),
      h("h2", {}, "How they differ"),
      made.differences.length
        ? table(
            [h("td", {}), ...made.rows.map((row) => row.name)],
            made.differences.map((d) => line(d.what, d.cells)),
          )
        : h("p", { class: "soft" }, "Not at all: space, limits, searcher and seed are the same."),
    );
  }
  await load(state);
  return { update: load };
}

function line(name, cells) {
  return h("tr", {}, h("th", { scope: "row" }, name), cells.map((one) => h("td", {}, one)));
}
