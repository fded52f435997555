// Terminal colours and styles as elements. Text is only ever set as text, never as HTML.

const ESCAPE = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f]/g;
const STYLES = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 9: "strike" };
const ENDS = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 29: ["strike"] };
const LEVELS = [0, 95, 135, 175, 215, 255];

/** Renders lines one after the other: a colour goes on until it ends, also in the next line. */
export class AnsiRenderer {
  constructor() { this.reset(); }

  reset() { this.styles = new Set(); this.front = null; this.back = null; }

  /** Appends the line to the element. */
  render(element, line) {
    if (!line.includes("\x1b") && !/[\x00-\x08\x0b-\x1f\x7f]/.test(line) && this.isPlain()) { element.textContent = line; return; }
    line = line.replace(/\r+$/, "");
    line = line.slice(line.lastIndexOf("\r") + 1); // a progress bar shows its last state
    let from = 0;
    for (const found of line.matchAll(ESCAPE)) {
      this.append(element, line.slice(from, found.index));
      from = found.index + found[0].length;
      if (found[2] === "m") this.apply(found[1]);
    }
    this.append(element, line.slice(from));
  }

  isPlain() { return this.front === null && this.back === null && !this.styles.size; }

  append(element, text) {
    if (!text) return;
    if (this.isPlain()) { element.append(text); return; }
    const span = document.createElement("span");
    for (const style of this.styles) span.classList.add(`a-${style}`);
    paint(span, "f", "color", this.front);
    paint(span, "b", "backgroundColor", this.back);
    span.textContent = text;
    element.append(span);
  }

  apply(codes) {
    const list = codes.split(/[;:]/).map((code) => Number(code) || 0);
    for (let at = 0; at < list.length; at++) {
      const code = list[at];
      if (code === 0) this.reset();
      else if (STYLES[code]) this.styles.add(STYLES[code]);
      else if (ENDS[code]) ENDS[code].forEach((style) => this.styles.delete(style));
      else if (code >= 30 && code <= 37) this.front = code - 30;
      else if (code >= 40 && code <= 47) this.back = code - 40;
      else if (code >= 90 && code <= 97) this.front = code - 82;
      else if (code >= 100 && code <= 107) this.back = code - 92;
      else if (code === 39) this.front = null;
      else if (code === 49) this.back = null;
      else if (code === 38 || code === 48) {
        const [colour, used] = extended(list.slice(at + 1));
        if (code === 38) this.front = colour; else this.back = colour;
        at += used;
      }
    }
  }
}

function extended([kind, ...rest]) {
  if (kind === 5) return [rest[0] < 16 ? rest[0] : fromCube(rest[0]), 2];
  if (kind === 2) return [`rgb(${rest.slice(0, 3).map((each) => Math.min(255, each || 0)).join(" ")})`, 4];
  return [null, 1];
}

function fromCube(index) {
  if (index >= 232) { const grey = 8 + (index - 232) * 10; return `rgb(${grey} ${grey} ${grey})`; }
  const cube = index - 16;
  return `rgb(${LEVELS[Math.floor(cube / 36)]} ${LEVELS[Math.floor(cube / 6) % 6]} ${LEVELS[cube % 6]})`;
}

function paint(span, prefix, property, colour) {
  if (typeof colour === "number") span.classList.add(prefix + colour);
  else if (colour) span.style[property] = colour;
}
