// Keeps a page up to date by polling. A hidden tab does not poll.

const POLL_MS = 2000;
let timer = null;
const listeners = new Map();

/** Calls `listener` when the log of a task may have grown. */
export function onLog(taskId, listener) { listeners.set(taskId, listener); }

export function startLive() {
  if (!document.querySelector("[data-live]")) return;
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : poll()));
  if (!document.hidden) later();
}

function stop() {
  clearTimeout(timer);
  timer = null;
}

function later() { timer = setTimeout(poll, POLL_MS); }

async function poll() {
  stop();
  await refresh();
  if (!document.hidden && timer === null) later();
}

async function refresh() {
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
    if (response.type === "opaqueredirect") { location.reload(); return; } // the session has ended
    if (!response.ok) { connected(response.status < 500); return; }
    show(new DOMParser().parseFromString(await response.text(), "text/html"));
    connected(true);
  } catch { connected(false); }
  for (const listener of listeners.values()) listener();
}

function connected(yes) { document.getElementById("connection").hidden = yes; }

function show(fresh) {
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
