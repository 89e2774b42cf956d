// The table of trials: as long as there are trials, of which the browser holds those that are seen. Sorted and filtered by
// the server; its rows stay in their order while somebody looks, and say how many have come since.

import { duration, empty, fill, h, say, show, state as stateOf } from "./dom.mjs";
import { get, here, query } from "./net.mjs";
import { filter, go, link, read } from "./address.mjs";
import { filterBar } from "./filters.mjs";

const HEIGHT = 36,
  BLOCK = 100,
  TALLEST = 8e6,
  MARGIN = 8;

export async function open(root, state, context) {
  const list = new List(state, context);
  const bar = filterBar(state, () => list.every || []);
  fill(root, h("h1", { class: "unseen" }, "Trials"), bar.element, list.element);
  await list.load(state);
  return {
    update: (next) => {
      bar.update(next);
      return list.load(next);
    },
    live: (now) => list.news(now),
    close: () => list.close(),
  };
}

export class List {
  constructor(state, context, { short = false } = {}) {
    this.state = state;
    this.context = context;
    this.blocks = new Map();
    this.focus = 0;
    this.head = h("div", { role: "row", class: "row head", "aria-rowindex": "1" });
    this.body = h("div", { role: "rowgroup", class: "rows" });
    this.view = h(
      "div",
      { class: short ? "table short" : "table", tabindex: "0", role: "table", "aria-label": "Trials" },
      h("div", { role: "rowgroup", class: "headgroup" }, this.head),
      this.body,
    );
    this.words = h("p", { class: "soft count", role: "status" });
    this.fresh = h("button", {
      type: "button",
      class: "fresh",
      hidden: true,
      onclick: () => {
        this.view.scrollTop = 0;
        this.load(read());
      },
    });
    this.more = h("div", { class: "tools" });
    this.element = h(
      "div",
      { class: "list" },
      h("div", { class: "above" }, this.words, this.fresh, this.more),
      this.view,
    );
    this.view.addEventListener("scroll", () => this.soon(), { passive: true });
    this.view.addEventListener("keydown", (event) => this.key(event));
    this.view.addEventListener("click", (event) => this.click(event));
    this.resized = new ResizeObserver(() => this.soon());
    this.resized.observe(this.view);
  }

  close() {
    this.resized.disconnect();
    if (this.abort) this.abort.abort();
  }

  ask(begin, seen, signal) {
    const { sort, columns } = this.state;
    return get(
      query(`${here(this.state.study)}/trials`, {
        sort: sort || "-number",
        where: filter(this.state),
        begin,
        count: BLOCK,
        seen,
        columns,
      }),
      signal,
    );
  }

  // The table anew, in the order of this moment.
  async load(state) {
    this.state = state;
    if (this.abort) this.abort.abort();
    this.abort = new AbortController();
    const begin = this.total ? Math.floor(this.first() / BLOCK) * BLOCK : 0;
    let page;
    try {
      page = await this.ask(begin, null, this.abort.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.status !== 422) throw error;
      this.wrong(error.message);
      return;
    }
    this.take(page);
  }

  take(page) {
    this.blocks = new Map([[Math.floor(page.begin / BLOCK), page]]);
    this.columns = page.columns;
    this.every = page.every;
    this.total = page.total;
    this.cursor = page.cursor;
    this.best = page.best;
    this.size = page.size;
    this.fresh.hidden = true;
    const all = `${page.size.toLocaleString("en")} ${page.size === 1 ? "trial" : "trials"}`;
    this.words.className = "soft count";
    this.words.textContent = page.total === page.size ? all : `${page.total.toLocaleString("en")} of ${all}`;
    this.heads();
    this.tools();
    this.body.style.height = `${this.tall()}px`;
    this.view.setAttribute("aria-rowcount", page.total + 1);
    if (!page.total) {
      this.body.style.height = "auto";
      const said = !page.size
        ? "No trials yet: nobody has asked for one. They appear here as soon as one begins."
        : `None of the ${page.size.toLocaleString("en")} trials fits this filter. A trial that lacks a value that the filter names does not fit.`;
      fill(this.body, h("div", { role: "row" }, h("div", { role: "cell" }, empty(said))));
    } else this.draw();
  }

  wrong(message) {
    this.words.className = "wrong count";
    this.words.textContent = message;
    say(message);
  }

  heads() {
    const [by, down] = [
      (this.state.sort || "-number").replace(/^-/, ""),
      (this.state.sort || "-number").startsWith("-"),
    ];
    const wide = (c) =>
      c.name === "number"
        ? 76
        : c.name === "state"
          ? 128
          : Math.min(190, Math.max(c.text ? 110 : 104, 44 + 7.4 * c.name.length));
    const template = this.columns
      .map((c) => (c.name === "number" || c.name === "state" ? `${wide(c)}px` : `minmax(${wide(c)}px, 1fr)`))
      .join(" ");
    const least = this.columns.reduce((sum, c) => sum + wide(c), 0);
    this.template = template;
    for (const part of [this.head, this.body]) {
      part.style.gridTemplateColumns = template;
      part.style.minWidth = `${least}px`;
    }
    fill(
      this.head,
      this.columns.map((c) =>
        h(
          "div",
          {
            role: "columnheader",
            class: c.text ? "" : "n",
            "aria-sort": by === c.name ? (down ? "descending" : "ascending") : "none",
          },
          h(
            "button",
            {
              type: "button",
              title: c.name,
              onclick: () => go({ sort: by === c.name && !down ? `-${c.name}` : c.name }, { replace: true }),
            },
            c.name === "number" ? "trial" : c.name,
            by === c.name ? (down ? " ↓" : " ↑") : "",
          ),
        ),
      ),
    );
  }

  tools() {
    const url = query(`${here(this.state.study)}/trials.csv`, { where: filter(this.state) });
    const shown = new Set(this.columns.map((c) => c.name));
    const choose = h(
      "details",
      { class: "menu" },
      h("summary", {}, "Columns"),
      h(
        "div",
        { class: "pop", role: "group", "aria-label": "Columns shown" },
        this.every.map((name) => {
          const box = h("input", {
            type: "checkbox",
            onchange: () => {
              if (box.checked) shown.add(name);
              else shown.delete(name);
              clearTimeout(this.choosing);
              this.choosing = setTimeout(
                () => go({ columns: this.every.filter((one) => shown.has(one)).join(",") }, { replace: true }),
                400,
              );
            },
          });
          box.checked = shown.has(name);
          return h("label", {}, box, name);
        }),
      ),
    );
    if (this.more.querySelector("details[open]")) return; // somebody chooses
    fill(this.more, choose, h("a", { class: "button quiet", href: url, download: `${this.state.study}.csv` }, "CSV"));
  }

  tall() {
    return Math.min(TALLEST, this.total * HEIGHT);
  }
  seen() {
    return Math.max(1, Math.ceil((this.view.clientHeight - HEIGHT) / HEIGHT));
  }
  // Beyond some height browsers give up: the place of the bar then is a share of the rows.
  first() {
    const whole = this.total * HEIGHT,
      tall = this.tall();
    if (whole <= tall) return Math.max(0, Math.floor(this.view.scrollTop / HEIGHT));
    const range = Math.max(1, tall - this.view.clientHeight);
    return Math.min(
      this.total - 1,
      Math.max(0, Math.round((this.view.scrollTop / range) * (this.total - this.seen() + 1))),
    );
  }

  soon() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      if (this.total) this.draw();
    });
  }

  draw() {
    const first = this.first(),
      begin = Math.max(0, first - MARGIN),
      end = Math.min(this.total, first + this.seen() + MARGIN);
    const whole = this.total * HEIGHT <= TALLEST,
      rows = [];
    const top = whole
      ? begin * HEIGHT
      : Math.min(this.view.scrollTop, this.tall() - (end - begin) * HEIGHT) - (first - begin) * HEIGHT;
    for (let rank = begin; rank < end; rank += 1) rows.push(this.row(rank, top + (rank - begin) * HEIGHT));
    fill(this.body, rows);
    for (let block = Math.floor(begin / BLOCK); block <= Math.floor(Math.max(begin, end - 1) / BLOCK); block += 1)
      if (!this.blocks.has(block)) {
        this.fetch(block);
        break;
      }
  }

  async fetch(block) {
    if (this.fetching === block) return;
    this.fetching = block;
    if (this.abort) this.abort.abort();
    this.abort = new AbortController();
    try {
      const page = await this.ask(block * BLOCK, this.cursor, this.abort.signal);
      if (page.cursor !== this.cursor) {
        this.take(page);
        return;
      }
      this.blocks.set(block, page);
      if (this.blocks.size > 30) this.blocks.delete(this.blocks.keys().next().value);
      this.fetching = null;
      this.draw();
    } catch (error) {
      this.fetching = null;
      if (error.name !== "AbortError") this.wrong(error.message);
    }
  }

  row(rank, top) {
    const page = this.blocks.get(Math.floor(rank / BLOCK)),
      k = rank % BLOCK,
      cells = page && page.rows[k];
    const trial = page && page.numbers[k];
    const chosen = this.state.trial !== "" && trial === Number(this.state.trial);
    const kind = `row${trial === this.best && trial !== undefined ? " best" : ""}${chosen ? " chosen" : ""}${rank === this.focus ? " focus" : ""}`;
    return h(
      "div",
      {
        role: "row",
        class: kind,
        "aria-rowindex": rank + 2,
        "data-rank": rank,
        "data-trial": trial,
        style: { top: `${top}px`, gridTemplateColumns: this.template },
      },
      this.columns.map((c, j) =>
        h("div", { role: "cell", class: c.text ? "" : "n" }, cells ? this.cell(c, cells[j], trial) : "…"),
      ),
    );
  }

  cell(column, value, trial) {
    if (column.name === "number")
      return h(
        "a",
        { href: link({ ...this.state, trial: String(trial) }), tabindex: "-1" },
        value,
        trial === this.best ? h("span", { class: "star", title: "the best" }, " ★") : "",
      );
    if (column.name === "state") return stateOf(value);
    if (column.name === "wall_s" || column.name === "cpu_s") return duration(value);
    return show(value, column.kind === "objective" ? 5 : 4);
  }

  click(event) {
    const row = event.target.closest("[data-trial]");
    if (!row || event.target.closest("a")) return;
    this.focus = Number(row.dataset.rank);
    go({ trial: row.dataset.trial });
  }

  key(event) {
    if (event.target !== this.view) return;
    const page = this.seen() - 1;
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in moves && this.total) {
      event.preventDefault();
      this.focus = Math.min(this.total - 1, Math.max(0, this.focus + moves[event.key]));
      const first = this.first();
      if (this.focus < first || this.focus >= first + this.seen() - 1) {
        const range = Math.max(1, this.tall() - this.view.clientHeight);
        this.view.scrollTop =
          this.total * HEIGHT <= TALLEST
            ? Math.max(0, (this.focus - (moves[event.key] > 0 ? this.seen() - 2 : 0)) * HEIGHT)
            : (this.focus / this.total) * range;
      }
      this.draw();
      const row = this.body.querySelector(".focus");
      if (row)
        say(
          [...row.children]
            .slice(0, 4)
            .map((cell) => cell.textContent)
            .join(", "),
        );
    } else if (event.key === "Enter") {
      const row = this.body.querySelector(".focus[data-trial]");
      if (row) go({ trial: row.dataset.trial });
    }
  }

  // What has come since: at the top of the newest first it is shown at once, else offered.
  async news(now) {
    if (now.cursor === this.cursor) return;
    const sort = this.state.sort || "-number";
    if ((sort === "-number" && this.view.scrollTop < HEIGHT) || this.total * HEIGHT < this.view.clientHeight) {
      await this.load(this.state);
      return;
    }
    const more = now.size - this.size;
    this.fresh.hidden = false;
    this.fresh.textContent = more > 0 ? `${more.toLocaleString("en")} new: show` : "Something has changed: show";
  }
}
