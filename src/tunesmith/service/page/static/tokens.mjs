// Who may what: the tokens, without their secrets, and whom to take one away from.

import { ago, dialog, empty, fill, h, say, table, when } from "./dom.mjs";
import { get, send } from "./net.mjs";

export async function open(root, state, context) {
  const list = h("div", { class: "tokens" }),
    told = h("p", { role: "status" });
  fill(
    root,
    h("h1", {}, "Tokens"),
    h(
      "p",
      { class: "soft" },
      "Who may what. A token is made where the service runs, and its secret shown there once: ",
      h("code", {}, "tunesmith token create NAME --scope work"),
    ),
    told,
    list,
  );
  if (!context.may.has("admin")) {
    fill(list, empty("To see them takes a token of scope admin."));
    return {};
  }

  async function load() {
    const { tokens } = await get("api/v1/tokens");
    const names = new Map(tokens.map((one) => [one.id, one.name]));
    fill(
      list,
      table(
        ["name", "scope", "for", "made", "last used", "ends", h("td", {})],
        tokens.map((one) => row(one, names)),
      ),
    );
  }

  function row(one, names) {
    const mine = one.id === context.id;
    let kind = one.studies ? one.studies.join(", ") : "all studies";
    if (one.cookie) kind += mine ? "; this browser" : "; a browser";
    if (one.parent && names.has(one.parent)) kind += `, by ${names.get(one.parent)}`;
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, one.name),
      h("td", {}, one.scope),
      h("td", { class: "soft" }, kind),
      h("td", { title: when(one.created_at) }, ago(one.created_at)),
      h("td", {}, one.used_at ? ago(one.used_at) : "never"),
      h("td", {}, one.expires_at ? when(one.expires_at) : "–"),
      h(
        "td",
        {},
        h(
          "button",
          { type: "button", class: "danger", "aria-label": `Revoke ${one.name} (${one.id})`, onclick: () => revoke(one, mine) },
          "Revoke",
        ),
      ),
    );
  }

  async function revoke(one, mine) {
    const words = mine ? "This is the browser that you use: you will be logged out." : `Whoever uses ${one.name} is shut out at once.`;
    const sure = h(
      "button",
      {
        type: "button",
        class: "main",
        onclick: async () => {
          try {
            await send("DELETE", `api/v1/tokens/${encodeURIComponent(one.id)}`, {});
            told.className = "soft";
            told.textContent = `${one.name} is valid no more.`;
            say(told.textContent);
            if (mine) location.reload();
            else await load();
          } catch (error) {
            told.className = "wrong";
            told.textContent = error.message;
          }
          box.close();
        },
      },
      "Revoke it",
    );
    const cancel = h("button", { type: "button", onclick: () => box.close() }, "Cancel");
    const box = dialog(`Revoke ${one.name}?`, [h("p", {}, words), h("div", { class: "buttons" }, cancel, sure)]);
  }

  await load();
  return { update: load };
}
