// The filter of trials: an expression that somebody writes, and the brushes on axes.

import { fill, h, number, show } from "./dom.mjs";
import { brushes, go, read } from "./address.mjs";

export function filterBar(state, columns) {
  const field = h("input", {
    type: "text",
    id: "where",
    "data-search": true,
    spellcheck: "false",
    autocomplete: "off",
    value: state.where,
    placeholder: 'Filter: loss < 0.1 and optimizer = "adam"',
    "aria-label": "Filter trials by an expression",
  });
  const chips = h("span", { class: "chips" });
  const submit = (event) => {
    event.preventDefault();
    go({ where: field.value.trim() });
  };
  const jump = h("input", { type: "number", min: "0", "aria-label": "Go to trial number", placeholder: "no." });
  const to = (event) => {
    event.preventDefault();
    if (jump.value !== "") go({ trial: jump.value });
  };
  const element = h(
    "div",
    { class: "filters" },
    h("form", { class: "where", onsubmit: submit }, field, h("button", {}, "Filter")),
    chips,
    h("form", { class: "jump", onsubmit: to }, jump, h("button", {}, "Go")),
  );
  const update = (next) => {
    if (document.activeElement !== field) field.value = next.where;
    const all = brushes(next);
    fill(
      chips,
      Object.entries(all).map(([name, brush]) =>
        h(
          "button",
          {
            type: "button",
            class: "chip",
            "aria-label": `Remove the brush on ${name}`,
            onclick: () => {
              const rest = { ...brushes(read()) };
              delete rest[name];
              go({ brush: Object.keys(rest).length ? JSON.stringify(rest) : "" });
            },
          },
          brush.in
            ? `${name}: ${brush.in.map((v) => show(v)).join(", ")}`
            : `${name}: ${number(brush.range[0], 3)} – ${number(brush.range[1], 3)}`,
          " ✕",
        ),
      ),
      next.where || Object.keys(all).length
        ? h(
            "button",
            {
              type: "button",
              class: "quiet",
              onclick: () => {
                field.value = "";
                go({ where: "", brush: "" });
              },
            },
            "Show all",
          )
        : null,
    );
  };
  update(state);
  return { element, update, columns };
}
