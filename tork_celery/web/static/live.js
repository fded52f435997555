// Keeps a page up to date. An event of GET /events says that something changed; what it is now, the page itself says.
// A page without topics, and one without a free stream, polls. A hidden tab does neither.

const POLL_MS = 2000;
const PAGE_MS = 400; // events of this time cause one refresh
const LOG_MS = 100;
const LOST_MS = 3000; // a stream that the browser has opened again by then was never missed
const listeners = new Map();
let stream = null;
let timer = null;
let lost = null;
let pageTimer = null;
let logTimer = null;
let refreshing = null;
let again = false;

/** Calls `listener` when the log of a task may have grown. */
export function onLog(taskId, listener) { listeners.set(taskId, listener); }

export function startLive() {
  if (!document.querySelector("[data-live]")) return;
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); else { refresh(); listen(); } });
  window.addEventListener("pagehide", stop);
  if (!document.hidden) listen();
}

function topics() {
  const live = [...document.querySelectorAll("[data-live]")].map((region) => region.dataset.live);
  const logs = [...document.querySelectorAll("[data-log]")].map((log) => `log:${log.dataset.log}`);
  return [...new Set([...live, ...logs])].filter(Boolean);
}

function stop() {
  stream?.close();
  stream = null;
  clearTimeout(timer);
  timer = null;
}

function listen() {
  const open = new Set(topics());
  if (!open.size) { poll(); return; }
  const query = [...open].map((topic) => `topic=${encodeURIComponent(topic)}`).join("&");
  stop();
  stream = new EventSource(`/events?${query}&tail=1`);
  stream.addEventListener("open", () => { clearTimeout(lost); connected(true); });
  for (const kind of ["job", "task", "reset"]) stream.addEventListener(kind, refreshSoon);
  for (const kind of ["log", "reset"]) stream.addEventListener(kind, readLogsSoon);
  stream.addEventListener("end", (event) => {
    open.delete(JSON.parse(event.data).topic);
    if (!open.size) stop(); // nothing will change any more
    refreshSoon();
  });
  stream.addEventListener("error", () => {
    if (stream?.readyState === EventSource.CLOSED) poll();
    else { clearTimeout(lost); lost = setTimeout(() => connected(stream?.readyState === EventSource.OPEN), LOST_MS); }
  });
}

function refreshSoon() { pageTimer ??= setTimeout(() => { pageTimer = null; refresh(); }, PAGE_MS); }

function readLogsSoon() { logTimer ??= setTimeout(() => { logTimer = null; readLogs(); }, LOG_MS); }

function readLogs() { for (const listener of listeners.values()) listener(); }

function poll() {
  stop();
  timer = setTimeout(async () => { await refresh(); if (!document.hidden) poll(); }, POLL_MS);
}

/** Shows what changed. Calls that come meanwhile share one more refresh. */
async function refresh() {
  again = true;
  refreshing ??= (async () => { while (again) { again = false; await readPage(); } refreshing = null; })();
  await refreshing;
}

async function readPage() {
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
    if (response.type === "opaqueredirect") { location.reload(); return; } // the session has ended
    if (!response.ok) { connected(response.status < 500); return; }
    show(new DOMParser().parseFromString(await response.text(), "text/html"));
    connected(true);
  } catch { connected(false); }
  readLogs();
}

function connected(yes) { document.getElementById("connection").hidden = yes; }

function show(fresh) {
  const dialog = document.querySelector("dialog[open]");
  if (dialog) { dialog.addEventListener("close", refresh, { once: true }); return; } // its button must stay in the page
  document.title = fresh.title;
  const icon = fresh.querySelector("link[rel=icon]").href;
  const shown = document.querySelector("link[rel=icon]");
  if (shown.href !== icon) shown.href = icon;
  for (const region of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(region.id);
    if (other) replace(region, other);
  }
  document.dispatchEvent(new Event("tork:refreshed"));
}

/** Replaces what differs: rows by their id, so that a selection, the focus and open menus stay. */
function replace(old, fresh) {
  if (old.tagName !== fresh.tagName) { old.replaceWith(document.importNode(fresh, true)); return; }
  if (![...old.children].every((child) => child.id) || ![...fresh.children].every((child) => child.id)) {
    if (!same(old, fresh) && !old.contains(document.activeElement)) old.replaceChildren(...document.importNode(fresh, true).childNodes);
    return;
  }
  const known = new Map([...old.children].map((child) => [child.id, child]));
  let place = old.firstElementChild;
  for (const child of fresh.children) {
    let row = known.get(child.id);
    known.delete(child.id);
    if (row && !same(row, child)) row = swap(row, child);
    row ??= document.importNode(child, true);
    if (place && known.size && row === place) { place = place.nextElementSibling; continue; }
    if (row !== place) old.insertBefore(row, place); else place = place.nextElementSibling;
  }
  for (const gone of known.values()) gone.remove();
}

function same(one, other) { return stable(one) === stable(other); }

function stable(element) {
  const copy = element.cloneNode(true);
  for (const each of copy.querySelectorAll("[data-relative], [data-since]")) each.textContent = "";
  copy.classList.remove("at");
  for (const each of copy.querySelectorAll("input")) each.removeAttribute("disabled");
  return copy.outerHTML.replace(/ class=""/g, "");
}

function swap(row, fresh) {
  const next = document.importNode(fresh, true);
  const checked = row.querySelector("input[type=checkbox]")?.checked;
  if (checked) next.querySelector("input[type=checkbox]").checked = true;
  if (row.classList.contains("at")) next.classList.add("at");
  const focused = row.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? [...row.querySelectorAll("a, button, input")].indexOf(focused) : -1;
  row.replaceWith(next);
  if (place >= 0) [...next.querySelectorAll("a, button, input")][place]?.focus();
  return next;
}
