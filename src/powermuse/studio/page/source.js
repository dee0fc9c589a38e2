// One of the two sounds: brought or chosen, seen, heard, and a part of it taken.

import WaveSurfer from "./vendor/wavesurfer.js";
import Regions from "./vendor/regions.js";
import { ask, bring } from "./api.js";
import { keyName, word } from "./words.js";

const MOST_LINES = 400;
const SHORTEST_S = 0.5;
const FAINT_KEY = 0.3; // of drums something is the likeliest too

export class Source {
  // The page is told of trouble, that a new try is begun (`fine`), of a shelf that is another, and that this one plays (`alone`).
  constructor(name, page) {
    this.name = name;
    this.root = document.getElementById(name);
    this.root.append(document.getElementById("source-form").content.cloneNode(true));
    this.sound = null;
    this.page = page;
    this.bringing = 0;
    this.root.querySelector("h2").id = `${name}-title`;
    this.root.querySelector("h2").dataset.word = name;
    this.root.querySelector(".hint").dataset.word = `${name}_hint`;
    [this.shelf, this.begin, this.end, this.play, this.bars, this.whole, this.away] = [".shelf", ".begin", ".end", ".play", ".bars", ".whole", ".away"].map((at) => this.root.querySelector(at));
    this.heard = null;
    this.asked = this.shown = 0;
    this.markers = [];
    this.regions = Regions.create();
    const ink = getComputedStyle(document.documentElement).getPropertyValue("color");
    this.wave = WaveSurfer.create({
      container: this.root.querySelector(".wave"), height: 96, waveColor: "#8f86c9", progressColor: "#4b36b0", cursorColor: ink, plugins: [this.regions],
    });
    this.wave.on("play", () => { page.alone(this); this.tell(); });
    this.wave.on("pause", () => this.tell());
    this.regions.on("region-updated", (region) => { this.taken(region.start, region.end); this.listen(); });
    this.whole.addEventListener("click", () => this.takeWholeBars());
    this.play.addEventListener("click", () => (this.wave.isPlaying() ? this.stop() : this.wave.play(...this.part()).catch(page.trouble)));
    this.away.addEventListener("click", () => this.putAway());
    this.shelf.addEventListener("change", () => this.show(this.known.find((each) => each.id === this.shelf.value)));
    this.root.querySelector("input[type=file]").addEventListener("change", (event) => {
      this.take(event.target.files[0]);
      event.target.value = ""; // the same file may be brought again
    });
    for (const box of [this.begin, this.end]) box.addEventListener("change", () => this.typed(box));
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

  stop() {
    this.wave.pause();
  }

  async take(file) {
    if (!file) return;
    this.page.fine();
    this.bringing++;
    this.say();
    try {
      const sound = await bring(file);
      await this.page.shelf();
      this.show(sound);
    } catch (error) {
      this.page.trouble(error);
    }
    this.bringing--;
    this.say();
  }

  // What was made of it stays; another sound takes its place here, on the other side too.
  async putAway() {
    if (!this.sound) return;
    try {
      await ask(`sounds/${this.sound.id}`, { method: "DELETE" });
      await this.page.shelf();
    } catch (error) {
      this.page.trouble(error);
    }
  }

  // Where none of them is taken yet, or no more, the newest is; on the second side the next one, if there are two.
  offer(sounds) {
    this.known = sounds;
    this.shelf.replaceChildren(...sounds.map((each) => new Option(each.name, each.id)));
    this.away.disabled = !sounds.length;
    if (this.sound && sounds.some((each) => each.id === this.sound.id)) this.shelf.value = this.sound.id;
    else this.show((this.name === "harmony" && !this.sound ? sounds[1] : sounds[0]) ?? sounds[0] ?? null);
  }

  async show(sound, begin = 0, end = 0) {
    const shown = ++this.shown; // another may be chosen before the wave of this one is there
    this.sound = sound;
    if (!sound) return this.clear();
    this.shelf.value = sound.id;
    this.heard = null;
    this.asked++;
    this.taken(begin, end || sound.seconds); // at once: it may be asked for before its wave is there
    this.say();
    try {
      await this.wave.load(`/api/sounds/${sound.id}/audio`);
    } catch {
      if (shown === this.shown) this.page.trouble(word("not_shown", { name: sound.name }));
      return;
    }
    if (shown !== this.shown) return;
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

  // A part lies inside the sound; where its ends have changed places, the one that was not typed gives way.
  typed(box) {
    if (!this.sound) return;
    const within = (at) => Math.min(Math.max(at || 0, 0), this.sound.seconds);
    let [begin, end] = [within(this.begin.value), within(this.end.value || this.sound.seconds)];
    if (end - begin < SHORTEST_S) {
      if (box === this.begin) end = this.sound.seconds;
      else begin = 0;
    }
    if (end - begin < SHORTEST_S) [begin, end] = box === this.begin ? [end - SHORTEST_S, end] : [begin, begin + SHORTEST_S];
    this.taken(begin, end);
    this.mark();
    this.listen();
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
    this.regions.addRegion({ start: begin, end, drag: true, resize: true, minLength: SHORTEST_S, color: "rgb(255 180 84 / 25%)" });
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
      if (end - begin >= SHORTEST_S && asked === this.asked) this.page.trouble(error);
    }
    if (asked !== this.asked) return;
    this.heard = heard;
    this.rule();
    this.say();
  }

  // In the language of the page.
  say() {
    const key = () => (this.heard.key_chance < FAINT_KEY ? "?" : keyName(this.heard.key));
    if (this.bringing) this.bars.textContent = word("bringing");
    else this.bars.textContent = this.heard
      ? word(this.heard.sure ? "heard" : "heard_unsure", { tempo: this.heard.tempo_bpm.toFixed(1), beats: this.heard.beats_per_bar, key: key() })
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
