// The editor of job files: line numbers, and faults by the server's own validation as one types.

const PAUSE_MS = 300;

export function startEditor() {
  const form = document.querySelector("[data-editor]");
  if (!form) return;
  const text = form.querySelector("textarea");
  const gutter = form.querySelector(".gutter");
  const faults = form.querySelector("#faults");
  let timer;
  let marked = new Set();

  const drawGutter = () => {
    const lines = text.value.split("\n").length;
    gutter.replaceChildren(...Array.from({ length: lines }, (_, index) => {
      const number = document.createElement("span");
      number.textContent = index + 1;
      if (marked.has(index + 1)) number.className = "bad";
      return number;
    }));
    gutter.scrollTop = text.scrollTop;
  };

  const goTo = (line, column) => {
    const lines = text.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0) + (column ?? 1) - 1;
    text.focus();
    text.setSelectionRange(start, start + Math.max(1, (lines[line - 1] ?? "").length - (column ?? 1) + 1));
    text.scrollTop = (line - 5) * parseFloat(getComputedStyle(text).lineHeight);
  };

  const check = async () => {
    const checked = text.value;
    const response = await fetch("/ui/validate", {
      method: "POST",
      headers: { "Content-Type": "text/plain", Accept: "application/json", "X-CSRF-Token": document.querySelector("meta[name=csrf]").content },
      body: checked,
    });
    if (!response.ok || text.value !== checked) return;
    const found = await response.json();
    marked = new Set(found.faults.map((fault) => fault.line));
    faults.replaceChildren(...found.faults.map((fault) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `${fault.line ? `${fault.line}:${fault.column}  ` : ""}${fault.path ? `${fault.path}: ` : ""}${fault.message}`;
      if (fault.line) button.onclick = () => goTo(fault.line, fault.column);
      return button;
    }));
    if (!found.faults.length) {
      const fine = document.createElement("span");
      fine.className = "fine";
      fine.textContent = `No faults. ${found.tasks} ${found.tasks === 1 ? "task" : "tasks"}${found.inputs.length ? `, inputs: ${found.inputs.join(", ")}` : ""}.`;
      faults.replaceChildren(fine);
    }
    drawGutter();
  };

  text.addEventListener("input", () => { drawGutter(); clearTimeout(timer); timer = setTimeout(check, PAUSE_MS); });
  text.addEventListener("scroll", () => { gutter.scrollTop = text.scrollTop; });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(form.querySelector("button.primary")); return; }
    if (event.key !== "Enter" || event.shiftKey) return;
    const line = text.value.slice(text.value.lastIndexOf("\n", text.selectionStart - 1) + 1, text.selectionStart);
    const indent = /^\s*(?:- )?/.exec(line)[0].replace("-", " ") + (/[:|>]\s*$/.test(line) ? "  " : "");
    event.preventDefault();
    document.execCommand("insertText", false, `\n${indent}`); // unlike setRangeText, it can be undone
  });
  drawGutter();
  if (text.value.trim()) check();
}
