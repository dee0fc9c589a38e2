// What the studio is asked; every answer that is no good becomes an Error that can be shown: `unreachable` where none
// came, `foreign` where its words are the studio's own, which are English.

import { word } from "./words.js";

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`/api/${path}`, options);
  } catch {
    throw Object.assign(new Error(word("unreachable")), { unreachable: true });
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(told.trouble ?? `${answer.status} ${answer.statusText}`), { foreign: true });
  return told;
}

export function send(path, content) {
  return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) });
}

export function bring(file) {
  const form = new FormData();
  form.append("file", file);
  return ask("sounds", { method: "POST", body: form });
}
