// What came out: four sounds at one place and one loudness, what was taken, the picture, the files.

import { apart, word } from "./words.js";

const HEARD = ["groove", "harmony", "mix", "blend"];
const FIGURES = ["rhythm_of_groove", "rhythm_of_harmony", "chords_of_harmony", "copied"];
const at = (id) => document.getElementById(id);

export class Result {
  // `alone` is told that this one plays.
  constructor(alone) {
    this.audio = {};
    this.now = "blend";
    for (const name of HEARD) {
      this.audio[name] = new Audio();
      this.audio[name].preload = "auto";
      this.audio[name].dataset.name = name;
      at("hear").append(this.audio[name]);
      this.audio[name].addEventListener("timeupdate", () => this.moved(name));
      this.audio[name].addEventListener("play", () => alone(this));
      for (const over of ["pause", "ended"]) this.audio[name].addEventListener(over, () => this.pressed());
    }
    for (const button of at("hear").querySelectorAll("[data-heard]")) button.addEventListener("click", () => this.hear(button.dataset.heard));
    at("pause").addEventListener("click", () => this.pause());
    at("position").addEventListener("input", (event) => { this.playing.currentTime = event.target.value * (this.playing.duration || 0); });
  }

  get playing() {
    return this.audio[this.now];
  }

  show(blend) {
    this.stop();
    this.blend = blend;
    const folder = `/api/blends/${blend.id}`;
    for (const name of HEARD) {
      this.audio[name].src = `${folder}/heard/${name}.wav`;
      this.audio[name].loop = Boolean(blend.alignment?.bars); // whole bars: the seam is to be heard
    }
    at("picture").src = `${folder}/blend.png`;
    at("result").hidden = false;
    this.now = "blend";
    this.say();
    this.pressed();
  }

  // In the language of the page.
  say() {
    if (!this.blend) return;
    const { id, names, taken, midi, seed, model, alignment, played_as } = this.blend;
    at("result-name").textContent = [apart(`${names.groove} + ${names.harmony}`), model, `${word("seed")} ${apart(seed)}`, played_as].filter(Boolean).join(" · ");
    at("aligned").textContent = aligned(alignment ?? {});
    at("picture").alt = word("picture");
    const rows = taken.blend ? FIGURES.map((name) => row(word(name), taken.blend[name], taken.plain_mix[name])) : [];
    at("taken").tBodies[0].replaceChildren(...rows);
    at("taken").hidden = rows.length === 0;
    const bar = taken.nearest_bar;
    at("nearest").textContent = bar
      ? word("nearest", { seconds: bar.seconds, blend: bar.blend_s, source: word(bar.source), at: bar.source_s, similarity: bar.similarity.toFixed(2) })
      : "";
    const files = ["wav", ...(midi ? ["mid"] : []), "json", "png"];
    at("downloads").replaceChildren(document.createTextNode(word("download")), ...files.map((kind) => link(id, kind, `${names.groove}+${names.harmony}`)));
  }

  hear(name) {
    if (!this.blend) return;
    const place = this.playing.currentTime;
    this.stop();
    this.now = name;
    this.playing.currentTime = place >= (this.playing.duration || Infinity) ? 0 : place;
    this.begin();
    this.pressed();
  }

  // A sound whose turn is over before it has begun is no fault.
  begin() {
    this.playing.play().catch((error) => { if (error.name !== "AbortError") throw error; });
  }

  pause() {
    if (!this.blend) return;
    if (this.playing.paused) this.begin();
    else this.playing.pause();
    this.pressed();
  }

  stop() {
    for (const name of HEARD) this.audio[name].pause();
  }

  moved(name) {
    if (name === this.now && this.playing.duration) at("position").value = this.playing.currentTime / this.playing.duration;
  }

  pressed() {
    for (const button of at("hear").querySelectorAll("[data-heard]")) {
      button.setAttribute("aria-pressed", String(button.dataset.heard === this.now && !this.playing.paused));
    }
  }
}

// What was done to the clips before: common bars, and how each was played.
function aligned({ bars, groove, harmony }) {
  if (!groove) return "";
  if (!bars) return word("not_aligned");
  const speed = (side) => (side.played?.speed ?? 1).toFixed(3);
  return word("aligned", {
    tempo: bars.tempo_bpm.toFixed(1), beats: bars.beats_per_bar, groove: speed(groove), harmony: speed(harmony), semitones: harmony.played?.semitones ?? 0,
  });
}

function row(name, ...values) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  line.append(head, ...values.map((value) => {
    const cell = document.createElement("td");
    cell.textContent = value === null || value === undefined ? "–" : value.toFixed(2);
    return cell;
  }));
  return line;
}

function link(id, kind, name) {
  const made = document.createElement("a");
  made.href = `/api/blends/${id}/blend.${kind}`;
  made.download = `${name}.${kind}`;
  made.textContent = kind;
  return made;
}
