// The page: its head, the view that the address names, the trial beside it.

import { fill, h, number, say, state as stateOf, empty } from "./dom.mjs";
import { get, here, Live, send } from "./net.mjs";
import { changed, go, link, read } from "./address.mjs";
import { watch } from "./tips.mjs";

// A view's module is fetched when it is looked at, and the others once there is nothing else to do.
const views = [
  ["", "Overview", () => import("./overview.mjs")],
  ["trials", "Trials", () => import("./trials.mjs")],
  ["curves", "Curves", () => import("./curves.mjs")],
  ["parallel", "Parallel", () => import("./parallel.mjs")],
  ["influence", "What mattered", () => import("./influence.mjs")],
  ["timeline", "Timeline", () => import("./timeline.mjs")],
  ["journal", "Decisions", () => import("./journal.mjs")],
  ["compare", "Compare", () => import("./compare.mjs")],
  ["steer", "Steer", () => import("./steer.mjs")],
];

// What is about no study.
const places = [
  ["", "Studies", () => import("./studies.mjs"), () => true],
  ["jobs", "Jobs", () => import("./jobs.mjs"), () => context.jobs],
  ["tokens", "Tokens", () => import("./tokens.mjs"), () => context.may.has("admin") && context.id],
];
const beside_it = () => import("./trial.mjs");

// A service that was renewed has other modules.
async function had(module) {
  try {
    return await module();
  } catch (error) {
    throw new Error(`A part of this page cannot be had: load it again. (${error.message})`);
  }
}

let fetched = false;
function fetch_rest() {
  if (fetched) return;
  fetched = true;
  const rest = [...views, ...places].map(([, , module]) => module).concat(beside_it);
  const next = () => {
    const module = rest.shift();
    if (module) module().then(() => setTimeout(next), () => {});
  };
  setTimeout(next, 1000);
}

const main = document.getElementById("main"),
  top = document.getElementById("top"),
  drawer = document.getElementById("drawer");
const context = { may: new Set(), now: null, id: "", jobs: false };
let shown = { study: null, view: null, module: null },
  live = null,
  beside = null,
  pill,
  stand;

function head(state) {
  const crumbs = h(
    "div",
    { class: "crumbs" },
    h("a", { href: "./", class: "brand" }, h("span", { "aria-hidden": "true", class: "back" }, "‹ "), "tunesmith"),
  );
  stand = h("span", { class: "stand" });
  if (!state.study) {
    const open = places.filter(([, , , may]) => may());
    const nav = h(
      "nav",
      { "aria-label": "Places", hidden: open.length < 2 },
      open.map(([view, words]) =>
        h("a", { href: link({ view }), "aria-current": view === state.view ? "page" : null }, words),
      ),
    );
    const out = context.id
      ? h("button", { type: "button", class: "quiet", onclick: leave, title: `Logged in as ${context.name}` }, "Log out")
      : null;
    fill(top, h("div", { class: "bar" }, crumbs, h("div", { class: "tools" }, stand, out)), nav);
    return;
  }
  pill = h("span", {});
  crumbs.append(h("span", { class: "name", title: state.study }, state.study), pill);
  const tabs = views
    .filter(([view]) => view !== "steer" || context.may.has("work"))
    .map(([view, words]) =>
      h(
        "a",
        {
          href: link({ ...changed(state, { view, trial: "", before: "", by: "", log: "" }) }),
          "aria-current": view === state.view ? "page" : null,
        },
        words,
      ),
    );
  const words = told.last || "";
  stand.textContent = words;
  fill(top, h("div", { class: "bar" }, crumbs, stand), h("nav", { "aria-label": "Views of the study" }, tabs));
  const here = top.querySelector("[aria-current]");
  if (here) here.scrollIntoView({ block: "nearest", inline: "center" });
}

function told(words) {
  if (!stand) return;
  const lost = words === "lost";
  if (lost && stand.classList.contains("lost")) return;
  stand.className = lost ? "stand lost" : "stand";
  const at = new Date().toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", hour12: false });
  told.last = words;
  stand.textContent = lost ? `no connection since ${at}` : words;
}

async function refresh() {
  const name = shown.study;
  const now = await get(`${here(name)}/live`);
  if (shown.study !== name) return;
  context.now = now;
  fill(pill, stateOf(now.state.word));
  document.title = `${name}: ${now.headline}`;
  const tasks = [shown.module && shown.module.live && shown.module.live(now)];
  if (beside && beside.live) tasks.push(beside.live(now));
  await Promise.all(tasks);
}

function failed(error, where) {
  if (error.name === "AbortError") return;
  if (error.status === 401) {
    login();
    return;
  }
  fill(
    where,
    h("div", { class: "empty" }, h("p", {}, error.message), h("p", {}, h("a", { href: "./" }, "All studies"))),
  );
}

async function leave() {
  await send("DELETE", "session", {}).catch(() => {});
  location.reload();
}

function login() {
  const field = h("input", { type: "password", id: "token", autocomplete: "off", required: true });
  const words = h("p", { class: "wrong", role: "alert" });
  const enter = async (event) => {
    event.preventDefault();
    const answer = await fetch("session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: field.value.trim() }),
    });
    if (answer.ok) location.reload();
    else words.textContent = "This token is not valid.";
  };
  fill(
    main,
    h(
      "form",
      { class: "login", onsubmit: enter },
      h("h1", {}, "Log in"),
      h("label", { for: "token" }, "Token"),
      field,
      h("button", {}, "Log in"),
      words,
      h(
        "p",
        { class: "soft" },
        "The service prints an address with a code when it starts; tunesmith token create NAME makes a token.",
      ),
    ),
  );
  field.focus();
}

async function render() {
  const state = read();
  const [, title, module] =
    (state.study ? views : places).find(([view]) => view === state.view) || (state.study ? views : places)[0];
  const name = state.study || null;
  if (shown.study !== name || shown.view !== state.view || !shown.module) {
    if (shown.module && shown.module.close) shown.module.close();
    const another = shown.study !== name;
    if (another && live) {
      live.close();
      live = null;
    }
    shown = { study: name, view: state.view, module: null };
    head(state);
    document.title = name || title;
    fill(main, empty("Loading …"));
    main.className = `view-${state.view || (name ? "overview" : "studies")}`;
    const mine = shown,
      code = had(module);
    code.catch(() => {}); // it is told below
    try {
      if (name) {
        if (another || !context.now) context.now = null;
        if (!context.now) glance(name, mine);
        const now = context.now || (await get(`${here(name)}/live`));
        if (shown !== mine) return;
        context.now = now;
        fill(pill, stateOf(now.state.word));
        document.title = `${name}: ${now.headline}`;
      }
      const { open } = await code;
      if (shown !== mine) return;
      mine.module = await open(main, state, context);
      if (shown !== mine) {
        if (mine.module.close) mine.module.close();
        return;
      }
    } catch (error) {
      failed(error, main);
      return;
    }
    if (name && !live) live = new Live(name, context.now.cursor, refresh, told);
    if (!name) told("");
    say(`${title} shown`);
    fetch_rest();
  } else {
    head(state);
    if (context.now) fill(pill, stateOf(context.now.state.word));
    if (shown.module.update) {
      try {
        await shown.module.update(state);
      } catch (error) {
        failed(error, main);
      }
    }
  }
  await aside(state);
}

// What is known without reading the history: a long one takes a moment.
async function glance(name, mine) {
  await new Promise((done) => setTimeout(done, 120));
  if (shown !== mine || context.now) return;
  const row = await get(`${here(name)}/glance`).catch(() => null);
  if (!row || shown !== mine || context.now) return;
  const ended = (row.counts.completed || 0).toLocaleString("en");
  fill(
    main,
    h(
      "h1",
      {},
      row.best === null
        ? name
        : `The best so far is trial ${row.best}: ${row.objectives[0].metric} ${number(row.best_value)}`,
    ),
    empty(`${ended} trials completed. Reading the history …`),
  );
}

let before = null;
async function aside(state) {
  if (!state.study || state.trial === "") {
    if (beside) {
      beside = null;
      drawer.hidden = true;
      fill(drawer);
      document.body.classList.remove("beside");
      if (before) before.focus({ preventScroll: true });
    }
    return;
  }
  if (beside && beside.number === Number(state.trial) && beside.study === state.study) return;
  if (!beside) before = document.activeElement;
  drawer.hidden = false;
  document.body.classList.add("beside");
  try {
    beside = await (await had(beside_it)).open(drawer, state, context);
  } catch (error) {
    beside = { number: Number(state.trial), study: state.study };
    fill(
      drawer,
      h("button", { class: "close", type: "button", onclick: () => go({ trial: "" }) }, "Close"),
      empty(error.message),
    );
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest && event.target.closest("a[href]");
  if (link && !event.metaKey && !event.ctrlKey && !event.shiftKey && event.button === 0) {
    const target = new URL(link.href);
    if (target.origin === location.origin && target.pathname === location.pathname && !link.hasAttribute("download")) {
      if (target.hash && target.search === location.search) return;
      event.preventDefault();
      history.pushState(null, "", link.href);
      render();
    }
    return;
  }
  const copy = event.target.closest && event.target.closest(".copy button");
  if (copy) {
    const pre = copy.parentElement.querySelector("pre");
    const range = document.createRange();
    range.selectNodeContents(pre);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    const done = () => {
      copy.textContent = "copied";
      setTimeout(() => {
        copy.textContent = "copy";
      }, 1500);
    };
    if (navigator.clipboard)
      navigator.clipboard.writeText(pre.textContent).then(done, () => document.execCommand("copy") && done());
    else if (document.execCommand("copy")) done();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && read().trial !== "" && !document.querySelector("dialog[open]")) go({ trial: "" });
  if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
    const field = document.querySelector("[data-search]");
    if (field) {
      event.preventDefault();
      field.focus();
      field.select();
    }
  }
});
addEventListener("popstate", render);
addEventListener("address", render);
addEventListener("unhandledrejection", (event) => {
  if (event.reason && event.reason.name === "AbortError") event.preventDefault();
});
watch(document);
(async () => {
  try {
    const me = await get("page/me");
    Object.assign(context, { may: new Set(me.may), id: me.id, name: me.name, jobs: me.jobs });
  } catch (error) {
    failed(error, main);
    if (error.status === 401) return;
  }
  render();
})();
