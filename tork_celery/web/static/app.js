// What every page does: times that count on, keys, dialogs, and the starts of the other modules.

import { startEditor } from "./editor.js";
import { startLive } from "./live.js";
import { startLogs } from "./log.js";
import { openHelp, openPalette } from "./palette.js";

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function relative(seconds) {
  if (Math.abs(seconds) < 5) return "just now";
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size);
  const number = Math.floor(Math.abs(seconds) / size);
  const text = `${number} ${unit}${number === 1 ? "" : "s"}`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

function duration(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h ${Math.floor((whole % 3600) / 60)}m`;
  return `${Math.floor(whole / 86400)}d ${Math.floor((whole % 86400) / 3600)}h`;
}

function showTimes() {
  const now = Date.now();
  for (const each of document.querySelectorAll("[data-relative]")) each.textContent = relative((now - Date.parse(each.dateTime)) / 1000);
  for (const each of document.querySelectorAll("[data-since]")) each.textContent = duration((now - Date.parse(each.dataset.since)) / 1000);
}

function confirmed(text) {
  const dialog = document.createElement("dialog");
  const message = document.createElement("p");
  message.textContent = text;
  const form = document.createElement("form");
  form.method = "dialog";
  form.className = "dialog-actions";
  for (const [value, label, kind] of [["no", "Keep", ""], ["yes", "Go on", "danger"]]) {
    const button = document.createElement("button");
    Object.assign(button, { value, textContent: label, className: kind });
    form.append(button);
  }
  dialog.append(message, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => { dialog.onclose = () => { dialog.remove(); resolve(dialog.returnValue === "yes"); }; });
}

function startDialogs() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-confirm]");
    if (!button || button.dataset.sure) return;
    event.preventDefault();
    if (await confirmed(button.dataset.confirm)) { button.dataset.sure = "1"; button.click(); }
  });
  document.addEventListener("click", async (event) => {
    const copied = event.target.closest("[data-copy]");
    if (copied) await navigator.clipboard.writeText(copied.dataset.copy);
  });
}

function startPicking() {
  const bulk = document.querySelector("[data-bulk]");
  if (!bulk) return;
  const all = document.querySelector("[data-pick-all]");
  const boxes = () => [...document.querySelectorAll("input[name=id][type=checkbox]")];
  const show = () => {
    const picked = boxes().filter((box) => box.checked).length;
    bulk.hidden = !picked;
    bulk.querySelector("[data-bulk-count]").textContent = `${picked} selected`;
    all.checked = picked > 0 && picked === boxes().length;
  };
  all.hidden = false;
  all.onchange = () => { for (const box of boxes()) box.checked = all.checked; show(); };
  document.addEventListener("change", show);
  document.addEventListener("tork:refreshed", show);
  show();
}

function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (!rows.length) return;
  const before = rows.findIndex((row) => row.classList.contains("at"));
  const selected = rows.findIndex((row) => row.hasAttribute("data-selected"));
  const from = before >= 0 ? before : selected;
  const next = rows[Math.min(Math.max(from + step, 0), rows.length - 1)];
  rows[before]?.classList.remove("at");
  next.classList.add("at");
  next.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  "/": () => (document.querySelector("[data-search]") ?? document.querySelector("[data-log-search]"))?.focus(),
  j: () => move(1),
  k: () => move(-1),
  Enter: () => document.querySelector("[data-row].at [data-open]")?.click(),
  l: () => document.querySelector("[data-key=l]")?.click(),
  r: () => document.querySelector("[data-key=r]")?.click(),
  "?": openHelp,
};

function startKeys() {
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); openPalette(); return; }
    const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog");
    if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
    if (event.key === "Enter" && event.target.closest?.("a, button, summary")) return;
    const act = KEYS[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  for (const [name, open] of [["palette", openPalette], ["help", openHelp]]) {
    const button = document.querySelector(`[data-${name}]`);
    button.hidden = false;
    button.onclick = open;
  }
}

showTimes();
setInterval(showTimes, 1000);
startDialogs();
startPicking();
startKeys();
startEditor();
startLogs();
startLive();
