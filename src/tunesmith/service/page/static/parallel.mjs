export async function open(root) { root.textContent = ""; return {}; }
