// One of the two sounds: brought or chosen, seen, heard, and a part of it taken.

import WaveSurfer from "./vendor/wavesurfer.js";
import Regions from "./vendor/regions.js";
import { ask, bring } from "./api.js";
import { word } from "./words.js";

const MOST_LINES = 400;
const FAINT_KEY = 0.3; // of drums something is the likeliest too

export class Source {
  constructor(name, onTrouble, onShelf) {
    this.name = name;
    this.root = document.getElementById(name);
    this.root.append(document.getElementById("source-form").content.cloneNode(true));
    this.sound = null;
    this.onTrouble = onTrouble;
    this.onShelf = onShelf;
    this.root.querySelector("h2").id = `${name}-title`;
    this.root.querySelector("h2").dataset.word = name;
    this.root.querySelector(".hint").dataset.word = `${name}_hint`;
    [this.shelf, this.begin, this.end, this.play, this.bars, this.whole, this.away] = [".shelf", ".begin", ".end", ".play", ".bars", ".whole", ".away"].map((at) => this.root.querySelector(at));
    this.heard = null;
    this.asked = 0;
    this.markers = [];
    this.regions = Regions.create();
    const ink = getComputedStyle(document.documentElement).getPropertyValue("color");
    this.wave = WaveSurfer.create({
      container: this.root.querySelector(".wave"), height: 96, waveColor: "#8f86c9", progressColor: "#4b36b0", cursorColor: ink, plugins: [this.regions],
    });
    this.wave.on("error", (error) => onTrouble(error));
    this.wave.on("play", () => this.tell());
    this.wave.on("pause", () => this.tell());
    this.regions.on("region-updated", (region) => { this.taken(region.start, region.end); this.listen(); });
    this.whole.addEventListener("click", () => this.takeWholeBars());
    this.play.addEventListener("click", () => (this.wave.isPlaying() ? this.wave.pause() : this.wave.play(...this.part())));
    this.away.addEventListener("click", () => this.putAway());
    this.shelf.addEventListener("change", () => this.show(this.known.find((each) => each.id === this.shelf.value)));
    this.root.querySelector("input[type=file]").addEventListener("change", (event) => {
      this.take(event.target.files[0]);
      event.target.value = ""; // the same file may be brought again
    });
    for (const box of [this.begin, this.end]) box.addEventListener("change", () => { this.mark(); this.listen(); });
    this.root.addEventListener("dragover", (event) => { event.preventDefault(); this.root.classList.add("over"); });
    this.root.addEventListener("dragleave", () => this.root.classList.remove("over"));
    this.root.addEventListener("drop", (event) => {
      event.preventDefault();
      this.root.classList.remove("over");
      this.take(event.dataTransfer.files[0]);
    });
  }

  tell() {
    this.play.textContent = word(this.wave.isPlaying() ? "stop" : "listen");
  }

  async take(file) {
    if (!file) return;
    try {
      const sound = await bring(file);
      await this.onShelf();
      await this.show(sound);
    } catch (error) {
      this.onTrouble(error);
    }
  }

  // What was made of it stays; another sound takes its place here, on the other side too.
  async putAway() {
    if (!this.sound) return;
    try {
      await ask(`sounds/${this.sound.id}`, { method: "DELETE" });
      await this.onShelf();
    } catch (error) {
      this.onTrouble(error);
    }
  }

  offer(sounds) {
    this.known = sounds;
    this.shelf.replaceChildren(...sounds.map((each) => new Option(each.name, each.id)));
    this.away.disabled = !sounds.length;
    if (this.sound && !sounds.some((each) => each.id === this.sound.id)) this.show(sounds[0] ?? null).catch(this.onTrouble);
    if (this.sound) this.shelf.value = this.sound.id;
  }

  async show(sound, begin = 0, end = 0) {
    this.sound = sound;
    if (!sound) return this.clear();
    this.shelf.value = sound.id;
    this.heard = null;
    this.asked++;
    this.taken(begin, end || sound.seconds); // at once: it may be asked for before its wave is there
    this.say();
    await this.wave.load(`/api/sounds/${sound.id}/audio`);
    if (sound !== this.sound) return; // another was chosen meanwhile
    this.mark();
    this.listen();
  }

  clear() {
    this.heard = null;
    this.asked++;
    this.begin.value = this.end.value = "";
    this.wave.empty();
    this.regions.clearRegions();
    this.say();
  }

  part() {
    return [Number(this.begin.value), Number(this.end.value)];
  }

  taken(begin, end) {
    this.begin.value = begin.toFixed(2);
    this.end.value = Math.min(end, this.sound.seconds).toFixed(2);
  }

  mark() {
    if (!this.sound) return;
    const [begin, end] = this.part();
    this.regions.clearRegions();
    this.markers = [];
    this.regions.addRegion({ start: begin, end, drag: true, resize: true, minLength: 0.5, color: "rgb(255 180 84 / 25%)" });
    this.rule();
  }

  // The bar lines alone: the part may be under someone's hand.
  rule() {
    for (const line of this.markers) line.remove();
    this.markers = this.lines().map((at) => this.regions.addRegion({ start: at, drag: false, resize: false, color: "rgb(200 60 60 / 70%)" }));
  }

  // Where bars begin in the part, in seconds of the sound; none while nothing is heard, or too many to be seen.
  lines() {
    if (!this.heard) return [];
    const [begin, end] = this.part();
    const found = [];
    for (let at = this.heard.from_s + this.heard.downbeat_s; at < end - 0.02 && found.length < MOST_LINES; at += this.bar()) if (at >= begin - 0.02) found.push(at);
    return found.length < MOST_LINES ? found : [];
  }

  bar() {
    return (60 / this.heard.tempo_bpm) * this.heard.beats_per_bar;
  }

  // Tempo, key and bars of the part; what was asked for before and comes too late is not shown.
  async listen() {
    if (!this.sound) return;
    const asked = ++this.asked, [begin, end] = this.part();
    let heard = null; // a part too short for bars has none
    try {
      heard = { ...(await ask(`sounds/${this.sound.id}/bars?begin_s=${begin}&end_s=${end}`)), from_s: begin };
    } catch (error) {
      if (end - begin >= 0.5 && asked === this.asked) this.onTrouble(error);
    }
    if (asked !== this.asked) return;
    this.heard = heard;
    this.rule();
    this.say();
  }

  // In the language of the page.
  say() {
    this.bars.textContent = this.heard
      ? word(this.heard.sure ? "heard" : "heard_unsure", { tempo: this.heard.tempo_bpm.toFixed(1), beats: this.heard.beats_per_bar, key: this.heard.key_chance < FAINT_KEY ? "?" : this.heard.key })
      : "";
    this.bars.dataset.tempo = this.heard?.tempo_bpm ?? "";
  }

  // The largest part of whole bars inside the one that is taken.
  takeWholeBars() {
    const lines = this.lines();
    if (!lines.length) return;
    const [, end] = this.part();
    const count = Math.floor((end - lines[0]) / this.bar() + 0.05);
    if (count < 1) return;
    this.taken(lines[0], Math.min(this.sound.seconds, lines[0] + count * this.bar()));
    this.mark();
    this.listen();
  }

  wish() {
    const [begin_s, end_s] = this.part();
    return { sound: this.sound.id, begin_s, end_s: end_s >= this.sound.seconds - 0.01 ? 0 : end_s };
  }
}
