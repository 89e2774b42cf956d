// What is done by hand. Each says what it will do, asks why, and is written into the study's log.

import { fill, h } from "./dom.mjs";
import { api, send } from "./net.mjs";

export function actions(t, state, context, done) {
  return null;
}
