/**
 * The panel in the browser: rows of runs, the graph of the chosen one, and a pane with what is in the chosen step.
 *
 * What there is to show is in the model's traits (`runs`, `pictures`, `live`, `problem`); what is in a step is asked for, with
 * messages. `nbflow/jupyter/messages.py` describes both. A view keeps what its reader has chosen, and nothing else:
 * each drawing is a function of the traits, the choice and the time, so that any number of views agree.
 *
 * @typedef {{run: string, machine: string, name: string, origin: string, picture: string}} RunHead
 * @typedef {{status: string, entered: ?number, exited: ?number, visits: number, running: number, succeeded: number,
 *   failed: number, total: number, done: number, items: string, heard: number, far: ?Far, left: string}} StateLive
 * @typedef {{done: number, total: ?number, text: string}} Far
 * @typedef {{status: string, started: number, stopped: ?number, error: string, failed: string, here: boolean,
 *   interrupted: boolean, now: number, states: Object<string, StateLive>, taken: Array<[string, string]>}} RunLive
 * @typedef {{state: string, item: ?number, items: string}} MapItem
 */

const TICK = 200; // ms between two looks at the clock while something runs
const BUSY = 1500; // ms without an answer after which the kernel is called busy
const SOON = 400; // ms between two questions about the same step, at least

const STATUS = {
  "": ["", "not yet"],
  PENDING: ["…", "starting"],
  RUNNING: ["●", "running"],
  RETRYING: ["↻", "retrying"],
  SUCCEEDED: ["✓", "succeeded"],
  FAILED: ["✗", "failed"],
  CAUGHT: ["!", "caught"],
  ABORTED: ["■", "stopped"],
  TIMED_OUT: ["✗", "timed out"],
};

const ITEM = { s: "SUCCEEDED", f: "FAILED", c: "CAUGHT", a: "ABORTED", r: "RUNNING", " ": "" };

// --- words

/** Seconds for people, as `nbflow.drawing.words.duration` has them: "0.42 s", "12.3 s", "4 min 05 s", "2 h 03 min".
 * @param {number} seconds */
export function elapsed(seconds) {
  const all = Math.max(0, seconds);
  if (all < 0.995) return all ? `${all.toFixed(2)} s` : "0 s";
  if (all < 59.95) return `${all.toFixed(1)} s`;
  const two = (number) => String(number).padStart(2, "0");
  const [minutes, rest] = [Math.floor(Math.round(all) / 60), Math.round(all) % 60];
  if (minutes < 60) return `${minutes} min ${two(rest)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${two(minutes % 60)} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** What ticks shows tenths only: hundredths would flicker. @param {number} seconds */
export function ticking(seconds) {
  return seconds < 59.95 ? `${Math.max(0, seconds).toFixed(1)} s` : elapsed(seconds);
}

/** The note in a state's box, as `nbflow.drawing.svg.note` has it, and ticking while it runs.
 * @param {StateLive} state @param {number} now */
export function note(state, now) {
  if (!state.status || state.entered === null) return "";
  const took = state.exited === null ? ticking(now - state.entered) : elapsed(state.exited - state.entered);
  const or = state.left.replace("about ", "") || took;
  if (state.total) return `${state.done}/${state.total} · ${or}`;
  if (state.far) return `${progress({ ...state.far, text: "" })} · ${or}`;
  if (state.visits <= 1) return took;
  const failed = state.failed ? ` · ${state.failed} ✗` : "";
  return state.running ? `${state.visits - state.running}/${state.visits}${failed}` : `${state.visits}×${failed}`;
}

/** "12 items: 9 succeeded, 1 failed, 2 running". @param {string} items */
export function summary(items) {
  const parts = Object.entries(ITEM)
    .map(([mark, status]) => [items.split(mark).length - 1, STATUS[status][1]])
    .filter(([count]) => count)
    .map(([count, word]) => `${count.toLocaleString("en")} ${word}`);
  return `${items.length.toLocaleString("en")} items: ${parts.join(", ") || "none"}`;
}

/** The next failed item after (or before) this one, round the end; -1 if none failed.
 * @param {string} items @param {number} from @param {1|-1} step */
export function nextFailed(items, from, step) {
  for (let n = 1; n <= items.length; n++) {
    const at = (((from + n * step) % items.length) + items.length) % items.length;
    if (items[at] === "f") return at;
  }
  return -1;
}

/** How a grid of so many cells fits into a width: cells are as big as fits `most` pixels of height, 4 to 14 pixels.
 * @param {number} count @param {number} width @param {number} most */
export function grid(count, width, most) {
  let size = 14;
  while (size > 4 && Math.ceil(count / Math.max(1, Math.floor(width / size))) * size > most) size--;
  const columns = Math.max(1, Math.floor(width / size));
  return { size, columns, rows: Math.ceil(count / columns) };
}

/** How far a task is: "37/100 · rows". @param {Far} far */
export function progress(far) {
  const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 2 });
  const count = far.total === null ? number(far.done) : `${number(far.done)}/${number(far.total)}`;
  return far.text ? `${count} · ${far.text}` : count;
}

/** Who did an attempt, and for how long it was queued. */
export function whereabouts(attempt) {
  const queued = attempt.queued >= 0.01 ? `queued ${elapsed(attempt.queued)}` : "";
  const ran = queued && attempt.ran !== null ? `ran ${elapsed(attempt.ran)}` : "";
  return [queued, ran, attempt.worker && `on ${attempt.worker}`].filter(Boolean).join(", ");
}

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString();
const word = (status) => (STATUS[status] ?? ["", status.toLowerCase()])[1];
const isOver = (status) => !["", "PENDING", "RUNNING"].includes(status);

// --- elements

/** An element. @param {string} tag @param {Object<string, any>} props @param {...(Node|string)} children */
function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else element.setAttribute(key, value);
  }
  if (element.tabIndex >= 0 || "tabindex" in props) keepKeys(element);
  element.append(...children);
  return element;
}

/** Keys that are pressed here are not JupyterLab's, where "x" would cut the cell. It looks at the focused element first,
 * and around it only if that is of no interest: so each element that can have the focus says it. */
function keepKeys(element) {
  element.setAttribute("data-lm-suppress-shortcuts", "true");
}

/** Change the text only where it differs: selections and scroll positions stay. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function show(element, visible) {
  element.hidden = !visible;
}

/** Give the element the class of this status, in place of another one's. */
function colour(element, status) {
  for (const name of [...element.classList]) if (/^nbflow-[A-Z_]+$/.test(name)) element.classList.remove(name);
  if (status) element.classList.add(`nbflow-${status}`);
}

/** A badge such as "✓ succeeded". */
function badge(element, status, text = word(status)) {
  colour(element, status);
  say(element, `${STATUS[status]?.[0] ?? ""} ${text}`.trim());
}

// --- a row: how a run stands

class Row {
  /** @param {View} view @param {RunHead} head */
  constructor(view, head) {
    this.view = view;
    this.head = head;
    this.stopping = 0; // when Stop was pressed
    this.trouble = "";
    this.badge = h("span", { class: "nbp-badge" });
    this.time = h("span", { class: "nbp-time" });
    this.word = h("span", { class: "nbp-word", role: "status" });
    this.choose = h(
      "button",
      { class: "nbp-choose", type: "button", onclick: () => view.chooseRun(head.run) },
      this.badge,
      h("span", { class: "nbp-machine" }, head.machine),
      h("span", { class: "nbp-name", title: head.run }, head.origin ? `${head.name}, ${head.origin}` : head.name),
      this.time,
    );
    this.stop = h("button", { class: "nbp-button nbp-stop", type: "button", onclick: () => this.stopRun() });
    this.culprit = h(
      "button",
      { class: "nbp-button nbp-culprit", type: "button", onclick: () => view.openFailed(head.run) },
      "Show the failed step",
    );
    this.error = h("div", { class: "nbp-reason" });
    const line = h("div", { class: "nbp-line" }, this.choose, this.word, this.culprit, this.stop);
    this.element = h("div", { class: "nbp-row" }, line, this.error);
  }

  stopRun() {
    this.stopping = Date.now();
    this.trouble = "";
    this.view.send({ type: "stop", run: this.head.run }, (text) => {
      this.stopping = 0;
      this.trouble = text;
      this.view.draw();
    });
    this.view.draw();
  }

  /** @param {RunLive} live @param {number} now */
  draw(live, now) {
    const over = isOver(live.status);
    const gone = this.view.gone && !over;
    const standing = gone ? ", when last heard of" : live.interrupted ? " (interrupted)" : "";
    badge(this.badge, live.status, `${word(live.status)}${standing}`);
    say(this.time, over ? elapsed(live.stopped - live.started) : gone ? "" : ticking(now - live.started));
    say(this.word, this.words(over, live));
    say(this.stop, this.stopping ? "stopping…" : "Stop");
    this.stop.disabled = Boolean(this.stopping);
    show(this.stop, !over && !gone);
    show(this.culprit, Boolean(live.failed));
    say(this.error, over ? live.error : "");
    show(this.error, over && Boolean(live.error));
    const chosen = this.head.run === this.view.run;
    this.element.classList.toggle("nbp-chosen", chosen);
    this.choose.setAttribute("aria-expanded", String(chosen));
  }

  words(over, live) {
    if (over) return "";
    if (this.view.gone) {
      return `The kernel has gone: in a new one, nf.resume("${this.head.name}") goes on with this run, if it has not ended.`;
    }
    if (this.stopping && Date.now() - this.stopping > BUSY) {
      return "The kernel is busy with a cell: it will stop when that lets it.";
    }
    if (this.trouble) return this.trouble;
    if (live.here) return "";
    if (live.interrupted && live.error) return `Its process has ended, and it cannot go on here: ${live.error}`;
    if (live.interrupted) return `Its process has ended: nf.resume("${this.head.name}") goes on with it, Stop ends it.`;
    const more = `If its process has gone, nf.resume("${this.head.name}") goes on with it.`;
    return `It does not go on in this kernel: this is what was recorded of it. ${more}`;
  }
}

// --- the graph

class Graph {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    this.run = null;
    this.element = h("div", { class: "nbp-graph" });
    this.moved = false; // whether the reader has moved it
    for (const event of ["wheel", "pointerdown", "keydown"]) {
      this.element.addEventListener(event, () => (this.moved = true), { passive: true });
    }
    this.boxes = new Map();
    this.lines = [];
  }

  /** The drawing of another run. @param {RunHead} head @param {string} svg */
  load(head, svg) {
    const drawn = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    this.run = head.run;
    drawn.classList.add("nbflow-run");
    this.moved = false;
    this.element.replaceChildren(document.importNode(drawn, true));
    this.lines = this.element.querySelectorAll("[data-source]");
    this.boxes = new Map();
    for (const group of this.element.querySelectorAll(".nbflow-state")) this.addBox(group);
  }

  addBox(group) {
    const name = group.dataset.state;
    const [bar, text] = [".nbflow-bar", ".nbflow-note"].map((part) => group.querySelector(part));
    this.boxes.set(name, { group, bar, text, shown: "" });
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    keepKeys(group);
    group.addEventListener("click", () => this.view.chooseState(name));
    group.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.view.chooseState(name);
    });
  }

  /** @param {RunLive} live @param {number} now */
  draw(live, now) {
    for (const [name, box] of this.boxes) {
      this.drawBox(name, box, live.states[name], isOver(live.status) ? live.stopped : now);
      box.group.setAttribute("aria-pressed", String(name === this.view.state));
    }
    this.drawEdges(live);
  }

  drawBox(name, box, state, now) {
    const text = note(state, now);
    const shown = `${state.status}|${text}|${state.done}`;
    if (shown === box.shown) return;
    box.shown = shown;
    if (state.status !== box.status && ["RUNNING", "FAILED"].includes(state.status)) this.follow(box.group);
    box.status = state.status;
    colour(box.group, state.status);
    box.group.setAttribute("aria-label", `${name}: ${word(state.status)}`);
    say(box.text, text);
    const done = state.total ? state.done / state.total : 0;
    box.bar?.setAttribute("width", String(Number(box.bar.dataset.width) * done));
  }

  /** Keep what is going on in sight, unless the reader has moved the graph. */
  follow(group) {
    if (this.moved) return;
    const [inner, outer] = [group.getBoundingClientRect(), this.element.getBoundingClientRect()];
    if (inner.bottom > outer.bottom || inner.top < outer.top) {
      this.element.scrollTop += inner.top - outer.top - outer.height / 3;
    }
  }

  /** Those that were taken stand out. The first edge has no source, and the last has no target. */
  drawEdges(live) {
    const taken = new Set(live.taken.map((edge) => edge.join("\0")));
    for (const line of this.lines) {
      const { source, target } = line.dataset;
      const end = () => live.status === "SUCCEEDED" && live.states[source].status === "SUCCEEDED";
      const is = !source ? live.states[target].visits > 0 : target ? taken.has(`${source}\0${target}`) : end();
      line.classList.toggle("nbflow-taken", is);
    }
  }
}

// --- the items of a Map: a cell each, on a canvas

class Items {
  /** @param {(item: number) => void} choose */
  constructor(choose) {
    this.choose = choose;
    this.items = "";
    this.chosen = null;
    this.title = h("span", { class: "nbp-map" });
    this.number = h("input", { type: "number", min: "0", class: "nbp-number", "aria-label": "item" });
    this.number.addEventListener("change", () => this.pick(Number(this.number.value)));
    this.failed = [-1, 1].map((step) =>
      h(
        "button",
        {
          class: "nbp-button",
          type: "button",
          title: step > 0 ? "the next failed item" : "the failed item before",
          onclick: () => this.pick(nextFailed(this.items, this.chosen ?? (step > 0 ? -1 : 0), step)),
        },
        step > 0 ? "next failed" : "previous failed",
      ),
    );
    this.canvas = h("canvas", { class: "nbp-items", role: "img" });
    this.canvas.addEventListener("click", (event) => this.pick(this.at(event)));
    this.canvas.addEventListener("mousemove", (event) => this.hint(this.at(event)));
    this.scroll = h("div", { class: "nbp-scroll" }, this.canvas);
    this.summary = h("div", { class: "nbp-summary" });
    const line = h("div", { class: "nbp-line" }, this.title, this.number, ...this.failed);
    this.element = h("div", { class: "nbp-mapitems" }, line, this.scroll, this.summary);
  }

  pick(item) {
    if (Number.isInteger(item) && item >= 0 && item < this.items.length) this.choose(item);
  }

  at(event) {
    const { size, columns } = this.grid;
    const column = Math.floor(event.offsetX / size);
    return column < columns ? Math.floor(event.offsetY / size) * columns + column : -1;
  }

  hint(item) {
    const mark = this.items[item];
    this.canvas.title = mark === undefined ? "" : `item ${item}: ${word(ITEM[mark])}`;
  }

  /** @param {MapItem} map */
  draw(map) {
    const width = this.scroll.clientWidth;
    const same = [this.items, this.chosen, this.width].every((was, n) => was === [map.items, map.item, width][n]);
    if (same || !width) return;
    [this.items, this.chosen, this.width] = [map.items, map.item, width];
    say(this.title, map.item === null ? "Go to item" : `${map.state}, item`);
    say(this.summary, summary(map.items));
    this.number.max = String(map.items.length - 1);
    if (document.activeElement !== this.number) this.number.value = map.item === null ? "" : String(map.item);
    const anyFailed = map.items.includes("f");
    for (const button of this.failed) show(button, anyFailed);
    this.canvas.setAttribute("aria-label", this.summary.textContent);
    this.paint(width);
  }

  paint(width) {
    const { size, columns, rows } = (this.grid = grid(this.items.length, width, 140));
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = columns * size * ratio;
    this.canvas.height = rows * size * ratio;
    this.canvas.style.width = `${columns * size}px`;
    this.canvas.style.height = `${rows * size}px`;
    const brush = this.canvas.getContext("2d");
    brush.scale(ratio, ratio);
    const style = getComputedStyle(this.canvas);
    const role = (status) => `--nbflow-${status.toLowerCase() || "border"}`;
    const colours = Object.fromEntries(
      Object.entries(ITEM).map(([mark, status]) => [mark, style.getPropertyValue(role(status))]),
    );
    const gap = size > 6 ? 2 : 1;
    for (let n = 0; n < this.items.length; n++) {
      brush.fillStyle = colours[this.items[n]];
      brush.globalAlpha = this.items[n] === "s" ? 0.55 : 1; // what went well stands back
      brush.fillRect((n % columns) * size, Math.floor(n / columns) * size, size - gap, size - gap);
    }
    if (this.chosen === null) return;
    brush.globalAlpha = 1;
    brush.strokeStyle = style.getPropertyValue("--nbflow-text");
    brush.lineWidth = 2;
    brush.strokeRect((this.chosen % columns) * size, Math.floor(this.chosen / columns) * size, size - gap, size - gap);
  }
}

// --- the pane: what is in a step

class Pane {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    this.cost = 0; // ms that the last answer took
    this.reset();
    this.badge = h("span", { class: "nbp-badge" });
    this.title = h("span", { class: "nbp-title" });
    this.kind = h("span", { class: "nbp-kind" });
    this.close = h(
      "button",
      { class: "nbp-button nbp-close", type: "button", "aria-label": "close", onclick: () => view.closePane() },
      "×",
    );
    this.word = h("div", { class: "nbp-word", role: "status" });
    this.where = h("div", { class: "nbp-kind nbp-where" });
    this.bar = h("progress", { class: "nbp-bar" });
    this.count = h("span", { class: "nbp-kind" });
    this.far = h("div", { class: "nbp-line nbp-far" }, this.bar, this.count);
    this.fars = h("div");
    this.maps = h("div");
    this.items = [];
    this.visits = h("div", { class: "nbp-line nbp-visits" });
    this.attempts = h("table", { class: "nbp-attempts" });
    this.texts = {
      error: this.text("Error"),
      printed: this.text("Printed"),
      output: this.text("Output"),
      input: this.text("Input"),
    };
    this.element = h(
      "div",
      { class: "nbp-pane", role: "region", "aria-label": "step", tabindex: "-1" },
      h("div", { class: "nbp-line" }, this.badge, this.title, this.kind, this.close),
      this.where,
      this.word,
      this.far,
      this.fars,
      this.maps,
      this.visits,
      this.texts.error.section,
      this.attemptsSection(),
      ...["printed", "output", "input"].map((key) => this.texts[key].section),
    );
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && view.closePane());
  }

  text(heading) {
    const pre = h("pre", { class: `nbp-text nbp-${heading.toLowerCase()}`, tabindex: "0" });
    return { pre, section: h("section", {}, h("h4", {}, heading), pre) };
  }

  attemptsSection() {
    this.tries = h("section", {}, h("h4", {}, "Attempts"), this.attempts);
    return this.tries;
  }

  /** Another step was chosen: what was said about the one before must not be seen under its name. */
  reset() {
    this.answer = null;
    this.trouble = "";
    this.asked = { id: 0, at: 0, choice: "", news: "" };
  }

  get choice() {
    const { run, state, items, visit } = this.view;
    return JSON.stringify([run, state, items, visit]);
  }

  /** Ask for what is in the step, unless it was asked and nothing has changed since. @param {RunLive} live */
  ask(live) {
    const { run, state, items, visit } = this.view;
    const { choice } = this;
    const news = JSON.stringify([live.states[state], isOver(live.status)]);
    const other = choice !== this.asked.choice;
    if (this.view.gone || (!other && news === this.asked.news)) return;
    const at = performance.now();
    if (!other && (this.asked.id || at - this.asked.at < SOON + 4 * this.cost)) return; // the next tick asks again
    const id = this.view.send({ type: "ask", run, state, items, visit }, (text) => this.fail(id, text));
    this.asked = { id, at, choice, news };
  }

  fail(id, text) {
    if (id !== this.asked.id) return;
    this.asked.id = 0;
    this.trouble = text;
    this.view.draw();
  }

  /** @param {any} answer */
  hear(answer) {
    if (answer.id !== this.asked.id) return; // an answer to what was asked before
    this.asked.id = 0;
    this.cost = performance.now() - this.asked.at;
    this.trouble = "";
    this.answer = answer;
    this.agree(answer);
    this.view.draw();
  }

  /** The answer may be about a state within the one that was asked about, and says which items it has chosen: these are
   * the chosen ones from now on, also for the next state. */
  agree(answer) {
    const ways = answer.path.filter((map) => map.item !== null).map((map) => [map.state, map.item]);
    this.view.items = { ...this.view.items, ...Object.fromEntries(ways) };
    if (answer.state !== this.view.state) {
      this.view.state = answer.state;
      this.asked.news = "";
    }
    this.asked.choice = this.choice;
  }

  words() {
    if (this.trouble) return this.trouble;
    if (this.answer && !this.answer.kind) return "This step has not been entered so far.";
    if (!this.answer && this.view.gone) {
      return "The kernel has gone, and with it what could be asked about this step.";
    }
    if (!this.asked.id || performance.now() - this.asked.at < BUSY) return "";
    return "The kernel is busy with a cell. This is filled in as soon as it has a moment.";
  }

  /** @param {RunLive} live @param {number} now */
  draw(live, now) {
    show(this.element, this.view.state !== null);
    if (this.view.state === null) return;
    this.ask(live);
    const found = this.answer;
    const status = found ? found.status : live.states[this.view.state]?.status ?? "";
    badge(this.badge, status);
    say(this.title, this.view.state);
    const waits = found?.waits && `waits for ${found.waits}`;
    say(this.kind, found ? [found.kind, took(found, now), waits].filter(Boolean).join(" · ") : "");
    say(this.word, this.words());
    show(this.word, Boolean(this.word.textContent));
    this.drawFar(found?.status === "RUNNING" ? found.far ?? counted(live.states[this.view.state]) : null, live);
    this.drawFars(found?.status === "RUNNING" ? found.fars : []);
    const attempts = found?.attempts ?? [];
    say(this.where, attempts.length === 1 ? whereabouts(attempts[0]) : "");
    this.drawMaps(found?.path ?? [], live);
    this.drawVisits(found);
    this.drawAttempts(found, now);
    for (const [key, { pre, section }] of Object.entries(this.texts)) {
      const followed = key === "printed" && pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 4;
      say(pre, found?.[key] ?? "");
      show(section, Boolean(found?.[key]));
      if (followed && found?.status === "RUNNING") pre.scrollTop = pre.scrollHeight;
    }
  }

  /** @param {?Far} far @param {RunLive} live */
  drawFar(far, live) {
    show(this.far, Boolean(far));
    if (!far) return;
    fill(this.bar, far);
    say(this.count, [progress(far), live.states[this.view.state]?.left].filter(Boolean).join(" · "));
  }

  /** The children of a Map Run. @param {Array<Far & {item: number}>} fars */
  drawFars(fars) {
    this.fars.replaceChildren(
      ...fars.map((far) => {
        const bar = h("progress", { class: "nbp-bar" });
        fill(bar, far);
        const [name, count] = [`[${far.item}]`, progress(far)].map((text) => h("span", { class: "nbp-kind" }, text));
        return h("div", { class: "nbp-line nbp-itemfar" }, name, bar, count);
      }),
    );
  }

  /** @param {MapItem[]} path @param {RunLive} live */
  drawMaps(path, live) {
    if (this.items.map((each) => each.state).join("\n") !== path.map((map) => map.state).join("\n")) {
      this.items = path.map((map) =>
        Object.assign(new Items((item) => this.view.chooseItem(map, item)), { state: map.state }),
      );
      this.maps.replaceChildren(...this.items.map((each) => each.element));
    }
    // Of the outermost Map the news are in the traits, ahead of any answer.
    path.forEach((map, n) => this.items[n].draw(n ? map : { ...map, items: live.states[map.state]?.items || map.items }));
  }

  drawVisits(found) {
    const several = Boolean(found) && found.visits > 1;
    show(this.visits, several);
    if (!several || this.visits.dataset.shown === `${found.visit}/${found.visits}`) return;
    this.visits.dataset.shown = `${found.visit}/${found.visits}`;
    const go = (label, visit) => {
      const button = h("button", { class: "nbp-button", type: "button", onclick: () => this.view.chooseVisit(visit) }, label);
      button.disabled = visit < 0 || visit >= found.visits;
      return button;
    };
    this.visits.replaceChildren(
      `visit ${found.visit + 1} of ${found.visits}`,
      go("earlier", found.visit - 1),
      go("later", found.visit + 1),
    );
  }

  drawAttempts(found, now) {
    const attempts = found?.attempts ?? [];
    show(this.tries, attempts.length > 1 || Boolean(found?.retry));
    const rows = attempts.map((each, n) => [
      String(n + 1),
      clock(each.started),
      each.ended === null ? ticking(now - each.started) : elapsed(each.ended - each.started),
      each.error || (each.ended === null ? "running" : "succeeded"),
      whereabouts(each),
    ]);
    if (found?.retry) rows.push([String(attempts.length + 1), clock(found.retry), "", "to come", ""]);
    const shown = JSON.stringify(rows);
    if (shown === this.attempts.dataset.shown) return;
    this.attempts.dataset.shown = shown;
    this.attempts.replaceChildren(...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell)))));
  }
}

/** @param {HTMLProgressElement} bar @param {Far} far */
function fill(bar, far) {
  if (far.total > 0) {
    bar.max = far.total;
    bar.value = Math.min(far.done, far.total);
  } else bar.removeAttribute("value");
}

/** How far a Map Run is: its items have no cells. @param {StateLive} state @returns {?Far} */
function counted(state) {
  return state?.total && !state.items ? { done: state.done, total: state.total, text: "" } : null;
}

/** How long a visit took, or has been taking. */
function took(found, now) {
  if (found.entered === null) return "";
  return found.exited === null ? ticking(now - found.entered) : elapsed(found.exited - found.entered);
}

// --- the view

class View {
  constructor(model, el) {
    this.model = model;
    this.rows = new Map();
    this.run = null; // the chosen run, state, items by their Maps, and visit
    this.state = null;
    this.items = {};
    this.visit = null;
    this.chose = false; // whether the reader has chosen anything: later runs come without taking the view
    this.dead = false; // whether the kernel was seen to go
    this.ahead = Infinity; // seconds by which this browser's clock is ahead of the kernel's, or a little less
    this.question = Math.floor(Math.random() * 1e9); // several views share one model, and hear each other's answers
    this.failing = new Map(); // by a question's id: whom to tell that it cannot be answered
    this.problem = h("div", { class: "nbp-problem", role: "alert" });
    this.list = h("div", { class: "nbp-rows" });
    this.graph = new Graph(this);
    this.pane = new Pane(this);
    const body = h("div", { class: "nbp-body" }, this.graph.element, this.pane.element);
    this.element = h("div", { class: "nbflow-panel" }, this.problem, this.list, body);
    el.append(this.element);
  }

  open() {
    const news = () => {
      this.dead = false;
      this.soon();
    };
    for (const trait of ["runs", "live", "problem"]) this.model.on(`change:${trait}`, news);
    this.model.on("msg:custom", (message) => {
      news();
      this.hear(message);
    });
    // A model begins with a live comm, or is marked as disconnected: what changes later is that the kernel goes.
    this.model.on("comm_live_update", () => {
      this.dead = true;
      this.draw();
    });
    this.resized = new ResizeObserver(() => this.soon());
    this.resized.observe(this.element);
    this.timer = setInterval(() => this.tick(), TICK);
    this.send({ type: "ready" });
    this.draw();
  }

  close() {
    clearInterval(this.timer);
    cancelAnimationFrame(this.frame);
    this.resized.disconnect();
  }

  // --- talking

  /** Ask or tell the kernel something. @returns {number} the question's id */
  send(message, failing = null) {
    const id = ++this.question;
    if (failing) this.failing.set(id, failing);
    this.model.send({ ...message, id });
    return id;
  }

  hear(message) {
    if (message.type === "hello") this.setClock(message.now);
    if (message.type === "details") this.pane.hear(message);
    if (message.type === "trouble") this.failing.get(message.id)?.(message.text);
    this.failing.delete(message.id);
  }

  /** News are late and never early: the smallest difference that was seen is the nearest to the clocks' own. */
  setClock(now) {
    this.ahead = Math.min(this.ahead, Date.now() / 1000 - now);
  }

  // --- choosing

  chooseRun(run) {
    this.chose = true;
    if (run === this.run) return;
    this.run = run;
    this.items = {};
    this.choose(null);
  }

  /** A state, in the items that are chosen; of a Map, not an item but itself. */
  chooseState(name) {
    this.chose = true;
    const { [name]: _, ...others } = this.items;
    this.items = others;
    this.choose(name === this.state ? null : name);
  }

  openFailed(run) {
    this.chooseRun(run);
    this.items = {};
    this.choose(this.live(run).failed);
  }

  closePane() {
    const box = this.graph.boxes.get(this.state);
    this.choose(null);
    box?.group.focus({ preventScroll: true });
  }

  choose(state) {
    this.state = state;
    this.visit = null;
    this.pane.reset();
    this.draw();
  }

  /** An item of a Map. Where the Map itself is shown, the answer leads to a state in the item. @param {MapItem} map */
  chooseItem(map, item) {
    this.items = { ...this.items, [map.state]: item };
    this.visit = null;
    this.draw();
  }

  chooseVisit(visit) {
    this.visit = visit;
    this.draw();
  }

  // --- drawing

  live(run) {
    return this.model.get("live")[run];
  }

  soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  /** Whether nobody answers any more. */
  get gone() {
    return this.dead || this.element.closest(".jupyter-widgets-disconnected") !== null;
  }

  tick() {
    const running = Object.values(this.model.get("live")).some((live) => !isOver(live.status));
    if (running || this.state !== null) this.draw();
  }

  draw() {
    const heads = this.model.get("runs");
    for (const live of Object.values(this.model.get("live"))) this.setClock(live.now);
    const now = Date.now() / 1000 - this.ahead;
    say(this.problem, this.model.get("problem"));
    show(this.problem, Boolean(this.problem.textContent));
    for (const head of heads) if (!this.rows.has(head.run)) this.addRow(head);
    if (!this.chose && heads.length) this.run = heads[heads.length - 1].run;
    for (const row of this.rows.values()) row.draw(this.live(row.head.run), now);
    const head = heads.find((each) => each.run === this.run);
    if (!head) return;
    if (this.graph.run !== head.run) this.graph.load(head, this.model.get("pictures")[head.picture]);
    this.graph.draw(this.live(head.run), now);
    this.pane.draw(this.live(head.run), now);
  }

  addRow(head) {
    const row = new Row(this, head);
    this.rows.set(head.run, row);
    this.list.append(row.element);
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    view.open();
    return () => view.close();
  },
};
