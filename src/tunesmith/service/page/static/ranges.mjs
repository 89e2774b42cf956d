// Brushes by keyboard: two fields for each axis, or a box for each choice; and the axes that are hidden.

import { fill, h, number, show } from "./dom.mjs";

export function numbered(root, data, all, hidden, commit, changed) {
  const open = root.open;
  fill(
    root,
    h("summary", {}, "Brush by numbers, hide axes"),
    h(
      "div",
      { class: "fields" },
      data.axes.map((axis) => {
        const now = all[axis.name] || {};
        const seen = h("input", {
          type: "checkbox",
          "aria-label": `Show the axis ${axis.name}`,
          onchange: () => {
            if (seen.checked) hidden.delete(axis.name);
            else hidden.add(axis.name);
            changed();
          },
        });
        seen.checked = !hidden.has(axis.name);
        if (axis.values) {
          return h(
            "fieldset",
            {},
            h("legend", {}, seen, axis.name),
            axis.values.slice(0, 40).map((v) => {
              const tick = h("input", {
                type: "checkbox",
                onchange: () => {
                  const chosen = [...tick.closest("fieldset").querySelectorAll("[data-k]")]
                    .filter((b) => b.checked)
                    .map((b) => axis.values[Number(b.dataset.k)]);
                  commit(axis.name, chosen.length && chosen.length < axis.values.length ? { in: chosen } : null);
                },
                "data-k": String(axis.values.indexOf(v)),
              });
              tick.checked = now.in ? now.in.some((w) => JSON.stringify(w) === JSON.stringify(v)) : true;
              return h("label", { class: "tick" }, tick, show(v));
            }),
          );
        }
        const ends = (now.range || ["", ""]).map((v, k) =>
          h("input", {
            type: "text",
            inputmode: "decimal",
            value: String(v),
            placeholder: number(k ? axis.high : axis.low, 4),
            "aria-label": `${axis.name} ${k ? "to" : "from"}`,
          }),
        );
        const set = () => {
          const [a, b] = ends.map((e, k) => (e.value.trim() === "" ? (k ? axis.high : axis.low) : Number(e.value)));
          if (Number.isFinite(a) && Number.isFinite(b))
            commit(axis.name, ends.every((e) => e.value.trim() === "") ? null : { range: [a, b] });
        };
        ends.forEach((e) => e.addEventListener("change", set));
        return h("fieldset", {}, h("legend", {}, seen, axis.name), ends[0], " to ", ends[1]);
      }),
    ),
  );
  root.open = open;
}
