// Trials as places on axes: what the server packed, and which of them keep to the brushes.

export const HIGH = 65534;
export const NONE = 65535;

// What `axes.packed` of the server wrote.
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true),
    head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  const numbers = new Uint32Array(buffer, at, head.count);
  at += 4 * head.count;
  const places = head.axes.map((_, k) => new Uint16Array(buffer, at + 2 * head.count * k, head.count));
  return { ...head, numbers, places };
}

export function value(axis, place) {
  if (axis.values) return axis.values[Math.round((place / HIGH) * Math.max(1, axis.values.length - 1))];
  const share = place / HIGH;
  return axis.log ? axis.low * (axis.high / axis.low) ** share : axis.low + share * (axis.high - axis.low);
}

export function place(axis, worth) {
  if (axis.log) return (HIGH * Math.log(worth / axis.low)) / Math.log(axis.high / axis.low);
  return (HIGH * (worth - axis.low)) / (axis.high - axis.low);
}

// For each brushed axis the least and the greatest place, or the set of places.
function bounds(data, all) {
  const made = [];
  data.axes.forEach((axis, k) => {
    const brush = all[axis.name];
    if (!brush) return;
    if (brush.in && axis.values) {
      const last = Math.max(1, axis.values.length - 1),
        texts = brush.in.map((v) => JSON.stringify(v));
      made.push([
        k,
        null,
        new Set(
          axis.values
            .map((v, j) => (texts.includes(JSON.stringify(v)) ? Math.round((j / last) * HIGH) : -1))
            .filter((p) => p >= 0),
        ),
      ]);
    } else if (brush.range)
      made.push([k, [Math.floor(place(axis, brush.range[0])), Math.ceil(place(axis, brush.range[1]))], null]);
  });
  return made;
}

// Which trials keep to the brushes: one pass over each brushed axis.
export function within(data, all) {
  const kept = new Uint8Array(data.count).fill(1);
  for (const [k, range, set] of bounds(data, all)) {
    const places = data.places[k];
    if (set) {
      for (let i = 0; i < data.count; i += 1) if (!set.has(places[i])) kept[i] = 0;
    } else {
      const [low, high] = range;
      for (let i = 0; i < data.count; i += 1)
        if (places[i] < low || places[i] > high || places[i] === NONE) kept[i] = 0;
    }
  }
  return kept;
}
