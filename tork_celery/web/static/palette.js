// The command palette (Ctrl-K) and the list of keys (?).

const PLACES = [["Jobs", "/ui"], ["New job", "/ui/new"], ["Failed jobs", "/ui?state=FAILED"], ["Running jobs", "/ui?state=RUNNING"],
  ["Schedules", "/ui/schedules"], ["Queues", "/ui/queues"], ["Nodes", "/ui/nodes"], ["System", "/ui/system"]];
const KEYS = [["/", "search"], ["j k", "next and previous row"], ["Enter", "open the row"], ["l", "log of the task"],
  ["r", "restart the job"], ["Ctrl K", "find jobs and pages"], ["Ctrl Enter", "submit, in the editor"], ["?", "this list"]];

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function shown(dialog) {
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.showModal();
}

export function openHelp() {
  const keys = element("dl", { className: "keys" });
  for (const [key, meaning] of KEYS) keys.append(element("dt", {}, element("kbd", { textContent: key })), element("dd", { textContent: meaning }));
  const close = element("form", { method: "dialog", className: "dialog-actions" }, element("button", { textContent: "Close" }));
  shown(element("dialog", {}, element("h2", { textContent: "Keyboard" }), keys, close));
}

export function openPalette() {
  if (document.querySelector("dialog[open]")) return;
  const input = element("input", { placeholder: "Find a job or a page", autocomplete: "off" });
  const list = element("ul", { id: "palette-list" });
  list.setAttribute("role", "listbox");
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-label", "Find a job or a page");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "true");
  let entries = [];
  let at = 0;
  const draw = () => {
    list.replaceChildren(...entries.map(([text, href], index) => {
      const item = element("li", { textContent: text, id: `palette-${index}`, onclick: () => location.assign(href) });
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(index === at));
      return item;
    }));
    input.setAttribute("aria-activedescendant", entries.length ? `palette-${at}` : "");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const search = async () => {
    const text = input.value.trim().toLowerCase();
    entries = PLACES.filter(([name]) => name.toLowerCase().includes(text));
    at = 0;
    draw();
    if (!text) return;
    const response = await fetch(`/ui?q=${encodeURIComponent(input.value)}`);
    if (!response.ok || input.value.trim().toLowerCase() !== text) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const link of page.querySelectorAll("[data-open]")) entries.push([`Job: ${link.textContent}`, link.getAttribute("href")]);
    draw();
  };
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") at = Math.min(at + 1, entries.length - 1);
    else if (event.key === "ArrowUp") at = Math.max(at - 1, 0);
    else if (event.key === "Enter" && entries[at]) location.assign(entries[at][1]);
    else return;
    event.preventDefault();
    draw();
  });
  const dialog = element("dialog", { className: "palette" }, input, list);
  dialog.setAttribute("aria-label", "Find");
  shown(dialog);
  search();
}
