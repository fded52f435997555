// The log view: plain elements in blocks of 200 lines, so that the browser's own search finds everything.

import { AnsiRenderer } from "./ansi.js";
import { onLog } from "./live.js";

const BLOCK = 200;
const MAX_LINES = 50_000;
const PAGE = 100;
const FRAME_LINES = 4000;

export function startLogs() { for (const root of document.querySelectorAll("[data-log]")) new LogView(root).start(); }

class LogView {
  constructor(root) {
    this.root = root;
    this.taskId = root.dataset.log;
    this.steps = Number(root.dataset.steps);
    this.scroll = root.querySelector(".log-scroll");
    this.lines = root.querySelector(".log-lines");
    this.button = root.querySelector(".log-new");
    this.ansi = new AnsiRenderer();
    this.last = 0; // number of the newest part shown
    this.count = 0;
    this.unseen = 0;
    this.group = null;
    this.open = null; // the line that the next part continues
    this.loading = null;
    this.firstTime = null;
  }

  async start() {
    this.lines.replaceChildren();
    this.bindControls();
    this.follows = this.active && !location.hash;
    this.root.querySelector("[data-log-follow]").checked = this.follows;
    await this.load();
    this.revealFirst();
    onLog(this.taskId, () => this.load());
    window.addEventListener("hashchange", () => this.showLinked());
  }

  get active() { return ["CREATED", "PENDING", "SCHEDULED", "RUNNING"].includes(this.root.dataset.logState); }

  /** Fetches parts after the newest one that is shown. Calls that come meanwhile share one more fetch. */
  load() {
    this.loading ??= this.fetchParts().catch(() => {}).finally(() => { this.loading = null; });
    return this.loading;
  }

  async fetchParts() {
    const size = this.last ? 25 : PAGE;
    const wanted = [];
    let lines = 0;
    for (let page = 1; ; page++) {
      const response = await fetch(`/ui/tasks/${this.taskId}/log.json?page=${page}&size=${size}`, { headers: { Accept: "application/json" } });
      if (!response.ok) return;
      const { items, totalPages } = await response.json();
      const fresh = items.filter((part) => part.number > this.last && !wanted.some((other) => other.number === part.number));
      for (const part of fresh) { // the newest one first
        if (lines > MAX_LINES) break;
        wanted.push(part);
        lines += part.contents.split("\n").length;
      }
      if (lines > MAX_LINES) { this.note("Earlier lines are in the raw log and the download."); break; }
      if (fresh.length < items.length || page >= totalPages || !items.length) break;
    }
    wanted.sort((one, other) => one.number - other.number);
    await this.append(wanted);
  }

  async append(parts) {
    let drawn = 0;
    const before = this.count;
    for (const part of parts) {
      if (part.number <= this.last) continue;
      this.last = part.number;
      drawn += this.appendPart(part);
      if (drawn > FRAME_LINES) { drawn = 0; await new Promise((done) => setTimeout(done)); } // hidden tabs draw no frames
    }
    if (this.count === before) { this.showEmpty(); return; }
    this.trim();
    if (this.follows) this.toEnd();
    else if (before) { this.unseen += this.count - before; this.showUnseen(); }
  }

  appendPart(part) {
    this.openGroup(part);
    const wrong = ranges(part);
    const began = Date.parse(part.createdAt);
    const texts = part.contents.split("\n");
    if (texts.at(-1) === "") texts.pop();
    let offset = 0;
    let starts = 0;
    for (const [index, text] of texts.entries()) {
      const end = offset + text.length;
      const continues = index === 0 && this.open;
      const line = continues ? this.open : this.newLine(part, part.times ? began + (part.times[starts] ?? 0) : began);
      if (!continues) starts++;
      if (wrong.some(([from, to]) => from < Math.max(end, offset + 1) && to > offset)) line.classList.add("err");
      this.ansi.render(line.lastElementChild, text);
      offset = end + 1;
    }
    this.open = part.contents.endsWith("\n") ? null : this.group.lastLine;
    return texts.length;
  }

  openGroup(part) {
    const step = part.step ?? null;
    const restarted = this.group?.step === step && part.line !== undefined && part.line < this.group.next - 1;
    if (this.group && this.group.step === step && !restarted) {
      if (part.line !== undefined && !this.open) this.group.next = part.line;
      return;
    }
    this.ansi.reset();
    this.open = null;
    let parent = this.lines;
    if (step !== null && (this.steps > 1 || restarted)) {
      parent = document.createElement("details");
      parent.className = "step";
      parent.open = true;
      const summary = document.createElement("summary");
      summary.textContent = (part.stepName || `Step ${step + 1}`) + (restarted ? " (ran again)" : "");
      parent.append(summary);
      this.lines.append(parent);
    }
    this.group = { step, parent, next: part.line ?? 1, block: null, inBlock: BLOCK, lastLine: null };
  }

  newLine(part, time) {
    const { group } = this;
    if (group.inBlock >= BLOCK) {
      group.block = document.createElement("div");
      group.block.className = "block";
      group.parent.append(group.block);
      group.inBlock = 0;
    }
    const number = group.next++;
    const line = document.createElement("div");
    line.className = part.source === "system" ? "l sys" : "l";
    line.id = `step-${group.step ?? this.root.dataset.mainStep}-L${number}`;
    const link = document.createElement("a");
    link.href = `#${line.id}`;
    link.dataset.n = number;
    link.setAttribute("aria-label", `Line ${number}`);
    link.tabIndex = -1;
    this.firstTime ??= time;
    line.dataset.time = time;
    line.append(link);
    if (this.times) line.append(this.timeOf(line));
    line.append(document.createElement("span"));
    group.block.append(line);
    group.inBlock++;
    group.lastLine = line;
    this.count++;
    return line;
  }

  timeOf(line) {
    const element = document.createElement("time");
    const at = Number(line.dataset.time);
    const date = new Date(at);
    element.textContent = this.times === "relative" ? `+${((at - this.firstTime) / 1000).toFixed(1)}s`
      : this.times === "utc" ? date.toISOString().slice(11, 23) : date.toLocaleTimeString([], { hour12: false });
    element.title = date.toISOString();
    return element;
  }

  trim() {
    while (this.count > MAX_LINES + BLOCK) {
      const block = this.lines.querySelector(".block");
      this.count -= block.childElementCount;
      block.remove();
    }
  }

  note(text) {
    const note = document.createElement("p");
    note.className = "log-note";
    note.textContent = text;
    this.lines.prepend(note);
  }

  showEmpty() {
    if (this.count || this.lines.childElementCount) return;
    this.note(this.root.dataset.logState === "SKIPPED" ? "This task was skipped." : this.active ? "Nothing yet. Lines appear here as they are written." : "This task wrote nothing.");
  }

  revealFirst() {
    if (this.showLinked()) return;
    if (this.root.dataset.logState === "FAILED") {
      const steps = [...this.lines.querySelectorAll(".step")];
      for (const step of steps.slice(0, -1)) step.open = false;
    }
    if (this.follows || this.root.dataset.logState === "FAILED") this.toEnd();
  }

  showLinked() {
    const found = /^#(step-\d+-L)(\d+)(?:-L?(\d+))?$/.exec(location.hash);
    if (!found) return false;
    for (const line of this.lines.querySelectorAll(".linked")) line.classList.remove("linked");
    const first = Number(found[2]);
    const last = Math.min(Number(found[3] ?? first), first + 5000);
    for (let number = first; number <= last; number++) this.lines.querySelector(`#${found[1]}${number}`)?.classList.add("linked");
    const line = this.lines.querySelector(`#${found[1]}${first}`);
    line?.closest("details")?.setAttribute("open", "");
    line?.scrollIntoView({ block: "center" });
    this.setFollow(false);
    return Boolean(line);
  }

  toEnd() { this.unseen = 0; this.showUnseen(); this.scroll.scrollTop = this.scroll.scrollHeight; }

  showUnseen() {
    this.button.hidden = !this.unseen;
    this.button.querySelector("span").textContent = `${this.unseen.toLocaleString("en")} new ${this.unseen === 1 ? "line" : "lines"}`;
  }

  setFollow(follows) { this.follows = follows; this.root.querySelector("[data-log-follow]").checked = follows; if (follows) this.toEnd(); }

  bindControls() {
    const find = (name) => this.root.querySelector(`[data-log-${name}]`);
    this.root.querySelector(".log-bar").hidden = false;
    const chosen = new URLSearchParams(location.search);
    this.times = chosen.get("times") ?? "";
    find("times").value = this.times;
    find("wrap").checked = chosen.has("wrap");
    this.root.toggleAttribute("data-wrap", chosen.has("wrap"));
    find("wrap").onchange = (event) => { this.root.toggleAttribute("data-wrap", event.target.checked); remember("wrap", event.target.checked ? "1" : ""); };
    find("follow").onchange = (event) => this.setFollow(event.target.checked);
    find("times").onchange = (event) => { this.times = event.target.value; remember("times", this.times); this.redrawTimes(); };
    find("copy").onclick = () => navigator.clipboard.writeText([...this.lines.querySelectorAll(".l")].map((line) => line.lastElementChild.textContent).join("\n"));
    this.button.onclick = () => this.setFollow(true);
    this.bindScroll();
    this.bindSearch(find("search"), find("matches"));
    this.lines.addEventListener("click", (event) => this.selectRange(event));
  }

  bindScroll() {
    let top = 0;
    this.scroll.addEventListener("scroll", () => {
      const atEnd = this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < 30;
      if (this.scroll.scrollTop < top - 2 && !atEnd && this.follows) this.setFollow(false);
      else if (atEnd && this.unseen) this.toEnd();
      top = this.scroll.scrollTop;
    }, { passive: true });
  }

  redrawTimes() {
    for (const line of this.lines.querySelectorAll(".l")) {
      line.querySelector(":scope > time")?.remove();
      if (this.times) line.lastElementChild.before(this.timeOf(line));
    }
  }

  /** A click with Shift on a second line number links the range. */
  selectRange(event) {
    const link = event.target.closest(".l > a");
    const from = /^#(step-\d+)-L(\d+)/.exec(location.hash);
    if (!link || !event.shiftKey || !from) return;
    event.preventDefault();
    const [first, last] = [Number(from[2]), Number(link.dataset.n)].sort((one, other) => one - other);
    location.hash = `${from[1]}-L${first}-L${last}`;
  }

  bindSearch(input, status) {
    let hits = [];
    let at = -1;
    const go = (to) => {
      if (!hits.length) return;
      hits[at]?.classList.remove("hit-now");
      at = (to + hits.length) % hits.length;
      hits[at].classList.add("hit-now");
      hits[at].closest("details")?.setAttribute("open", "");
      hits[at].scrollIntoView({ block: "center" });
      status.textContent = `${at + 1} of ${hits.length}`;
      this.setFollow(false);
    };
    input.addEventListener("input", () => {
      for (const line of hits) line.classList.remove("hit", "hit-now");
      const text = input.value.toLowerCase();
      hits = text ? [...this.lines.querySelectorAll(".l")].filter((line) => line.lastElementChild.textContent.toLowerCase().includes(text)) : [];
      for (const line of hits) line.classList.add("hit");
      at = -1;
      status.textContent = text && !hits.length ? "no match" : "";
      go(0);
    });
    input.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); go(event.shiftKey ? at - 1 : at + 1); } });
  }
}

/** Returns the ranges of stderr, in UTF-16 units: the API counts code points. */
function ranges(part) {
  const given = part.stderr ?? [];
  if (!given.length || !/[\ud800-\udfff]/.test(part.contents)) return given;
  const places = [0];
  for (const character of part.contents) places.push(places.at(-1) + character.length);
  return given.map(([from, to]) => [places[from] ?? Infinity, places[to] ?? Infinity]);
}

function remember(name, value) {
  const url = new URL(location);
  if (value) url.searchParams.set(name, value); else url.searchParams.delete(name);
  history.replaceState(null, "", url);
}
